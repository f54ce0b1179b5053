//! The answers of setup by field name, and the JSON responses. Field names are those of a
//! configuration's form, plus a few simpler ones.
//!
//! Pure. The answers never contain the client's own keys: the pair is created when the
//! configuration is saved, and a secret key pasted into a field is masked before it is stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::step::SetupStep;
use crate::base::error::FieldError;
use crate::base::ids::{ConfigId, InstanceId, SetupId};
use crate::domain::configs::pool_list::KnownPool;
use crate::domain::configs::{BitcoinNetwork, MiningMode};
use crate::domain::instances::MinerAddress;
use crate::domain::keys::without_secret_keys;
use crate::keeper::machine::InstanceState;

/// The maximum number of pools.
const MOST_POOLS: usize = 16;
/// The maximum length of a field: a descriptor with many keys has some thousand characters.
const LONGEST: usize = 8192;

/// The answers so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetupAnswers(BTreeMap<String, String>);

/// A button that changes the page instead of continuing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupEdit {
    /// Add an empty pool.
    Add,
    /// Add a known pool.
    AddKnown(String),
    /// Remove this pool.
    Remove(usize),
    /// Move this pool up.
    Raise(usize),
    /// Use the node on this network in this data directory.
    Node(BitcoinNetwork, String),
    /// Search for nodes again.
    Look,
}

/// The action of the button that sent the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupAction {
    /// Continue to the next step.
    Go,
    /// Go back to the previous step, even with invalid answers.
    Back,
    /// Change this page.
    Stay(SetupEdit),
}

impl SetupAction {
    /// Reads the button's value; unknown values continue.
    pub fn of(pairs: &[(String, String)]) -> Self {
        let action = pairs
            .iter()
            .rev()
            .find(|(name, _)| name == "action")
            .map_or("", |(_, value)| value.as_str());
        let row = |text: &str| text.parse().ok();
        let (verb, rest) = action.split_once('.').unwrap_or((action, ""));
        let change = match verb {
            "back" => return Self::Back,
            "add" => Some(SetupEdit::Add),
            "look" => Some(SetupEdit::Look),
            "known" => Some(SetupEdit::AddKnown(rest.to_owned())),
            "remove" => row(rest).map(SetupEdit::Remove),
            "raise" => row(rest).map(SetupEdit::Raise),
            "node" => rest.split_once('.').and_then(|(network, dir)| {
                Some(SetupEdit::Node(network.parse().ok()?, dir.to_owned()))
            }),
            _ => None,
        };
        change.map_or(Self::Go, Self::Stay)
    }
}

impl SetupAnswers {
    /// The value of a field.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Sets a field.
    pub fn set(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), text);
    }

    /// The answers of the steps up to and including `step`.
    pub fn up_to(&self, step: SetupStep) -> impl Iterator<Item = (&String, &String)> {
        self.0
            .iter()
            .filter(move |(name, _)| SetupStep::of_field(name).is_some_and(|of| of <= step))
    }

    /// Whether a step has any answers.
    pub fn has(&self, step: SetupStep) -> bool {
        self.0
            .keys()
            .any(|name| SetupStep::of_field(name) == Some(step))
    }

    /// Whether the mode needs a pool; true if the mode is not chosen yet.
    pub fn needs_pool(&self) -> bool {
        !self
            .get("mode")
            .eq_ignore_ascii_case(MiningMode::SoloMining.as_str())
    }

    /// Whether some miners speak Stratum V1, or the user is not sure.
    pub fn has_v1_miners(&self) -> bool {
        self.get("miners") == "v1"
    }

    /// The number of pool rows.
    pub fn rows(&self) -> usize {
        let rows = self.0.keys().filter_map(|name| {
            name.strip_prefix("upstreams.")?
                .split_once('.')?
                .0
                .parse::<usize>()
                .ok()
        });
        rows.max().map_or(0, |last| last + 1)
    }

    /// Replaces the answers of a step with those from its form. Empty pool rows are dropped and the
    /// others renumbered.
    pub fn apply_form(&mut self, step: SetupStep, pairs: &[(String, String)]) {
        self.read_all(step, pairs);
        self.close_up(false);
    }

    /// Same as [`apply_form`](Self::apply_form), but keeps empty pool rows, for a page that adds or
    /// removes a row.
    pub fn read_all(&mut self, step: SetupStep, pairs: &[(String, String)]) {
        self.0
            .retain(|name, _| SetupStep::of_field(name) != Some(step));
        for (name, text) in pairs
            .iter()
            .filter(|(name, _)| SetupStep::of_field(name) == Some(step))
        {
            let short: String = text.trim().chars().take(LONGEST).collect();
            self.0.insert(name.clone(), without_secret_keys(&short));
        }
        self.close_up(true);
    }

    /// Applies the change of a button.
    pub fn change(&mut self, change: &SetupEdit, known: Option<&KnownPool>) {
        let rows = self.rows();
        match change {
            SetupEdit::Add if rows < MOST_POOLS => {
                self.set_row(rows, [("pool_address", String::new())])
            }
            SetupEdit::AddKnown(_) if rows < MOST_POOLS => {
                if let Some(known) = known {
                    self.set_row(rows, known.fields());
                }
            }
            SetupEdit::Remove(row) => {
                let gone = format!("upstreams.{row}.");
                self.0.retain(|name, _| !name.starts_with(&gone));
                self.close_up(true);
            }
            SetupEdit::Raise(row) if (1..rows).contains(row) => self.swap_rows(row - 1, *row),
            SetupEdit::Node(network, dir) => {
                self.0.insert("template_provider".into(), "ipc".into());
                self.0.insert(
                    "template_provider_type.BitcoinCoreIpc.network".into(),
                    network.to_string(),
                );
                self.0.insert(
                    "template_provider_type.BitcoinCoreIpc.data_dir".into(),
                    dir.clone(),
                );
            }
            _ => {}
        }
    }

    fn set_row<const N: usize>(&mut self, row: usize, fields: [(&str, String); N]) {
        self.0
            .extend(fields.map(|(field, text)| (format!("upstreams.{row}.{field}"), text)));
    }

    fn swap_rows(&mut self, one: usize, other: usize) {
        let renamed = |name: &str| {
            let (row, field) = name.strip_prefix("upstreams.")?.split_once('.')?;
            let row: usize = row.parse().ok()?;
            let row = if row == one {
                other
            } else if row == other {
                one
            } else {
                row
            };
            Some(format!("upstreams.{row}.{field}"))
        };
        self.0 = std::mem::take(&mut self.0)
            .into_iter()
            .map(|(name, text)| (renamed(&name).unwrap_or(name), text))
            .collect();
    }

    fn close_up(&mut self, keep_empty: bool) {
        let mut rows: BTreeMap<usize, Vec<(String, String)>> = BTreeMap::new();
        self.0.retain(|name, text| {
            let place = name
                .strip_prefix("upstreams.")
                .and_then(|rest| rest.split_once('.'));
            let Some((Ok(row), field)) = place.map(|(row, field)| (row.parse(), field)) else {
                return true;
            };
            rows.entry(row)
                .or_default()
                .push((field.to_owned(), std::mem::take(text)));
            false
        });
        rows.retain(|_, fields| keep_empty || fields.iter().any(|(_, text)| !text.is_empty()));
        for (row, fields) in rows.into_values().take(MOST_POOLS).enumerate() {
            self.0.extend(
                fields
                    .into_iter()
                    .map(|(field, text)| (format!("upstreams.{row}.{field}"), text)),
            );
        }
    }
}

/// The next step of a setup.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "SetupBegun")]
pub struct SetupDraft {
    /// The setup.
    pub setup_id: SetupId,
    /// The path of the next step.
    pub next: String,
}

/// The result of a complete setup.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "SetupMade")]
pub struct SetupResult {
    /// The saved configuration.
    pub config_id: ConfigId,
    /// The new instance.
    pub instance_id: InstanceId,
    /// True if the client was started.
    pub started: bool,
    /// The current state of the instance.
    pub status: InstanceState,
    /// The addresses to enter in miners, one for each usable address on this machine.
    pub miners: Vec<String>,
    /// The same addresses, and those for Stratum V1 miners, with host, port and key as separate fields.
    pub addresses: Vec<MinerAddress>,
    /// The public key to enter in miners.
    pub public_key: String,
    /// The result as text.
    pub message: String,
    /// Warnings, with pointers into the request body.
    pub warnings: Vec<FieldError>,
    /// Notes, with pointers into the request body.
    pub hints: Vec<FieldError>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::pool_list;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_steps_form_takes_the_place_of_what_the_step_said_before_and_of_nothing_else() {
        let mut answers = SetupAnswers::default();
        answers.apply_form(
            SetupStep::Mode,
            &pairs(&[("mode", "SOLOMINING"), ("name", "not of this step")]),
        );
        answers.apply_form(
            SetupStep::Name,
            &pairs(&[("name", " barn "), ("reach", "lan")]),
        );
        answers.apply_form(SetupStep::Name, &pairs(&[("name", "attic")]));
        assert_eq!(
            (
                answers.get("mode"),
                answers.get("name"),
                answers.get("reach")
            ),
            ("SOLOMINING", "attic", "")
        );
        assert!(
            !answers.needs_pool()
                && answers.has(SetupStep::Name)
                && !answers.has(SetupStep::Payout)
        );
        assert_eq!(answers.up_to(SetupStep::Provider).count(), 1);
    }

    #[test]
    fn a_secret_key_is_not_kept() {
        const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
        let mut answers = SetupAnswers::default();
        answers.apply_form(
            SetupStep::Payout,
            &pairs(&[
                ("coinbase_reward_script", SECRET),
                ("authority_secret_key", SECRET),
            ]),
        );
        assert!(
            !serde_json::to_string(&answers)
                .unwrap()
                .contains(&SECRET[..16]),
            "{answers:?}"
        );
    }

    #[test]
    fn rows_of_pools_are_added_moved_and_removed() {
        let mut answers = SetupAnswers::default();
        let known = pool_list::built_in();
        let sri = known.get("sri");
        answers.apply_form(
            SetupStep::Pools,
            &pairs(&[
                ("upstreams.1.pool_address", ""),
                ("upstreams.4.pool_address", "home"),
                ("upstreams.4.user_identity", "me"),
            ]),
        );
        answers.change(&SetupEdit::AddKnown("sri".into()), sri);
        answers.change(&SetupEdit::Add, None);
        assert_eq!(
            (answers.rows(), answers.get("upstreams.0.pool_address")),
            (3, "home")
        );
        assert_eq!(answers.get("upstreams.1.jds_port"), "3334");
        answers.change(&SetupEdit::Raise(1), None);
        assert_eq!(
            (
                answers.get("upstreams.1.user_identity"),
                answers.get("upstreams.0.pool_address")
            ),
            ("me", "75.119.150.111")
        );
        answers.change(&SetupEdit::Remove(0), None);
        assert_eq!(
            (answers.rows(), answers.get("upstreams.0.pool_address")),
            (2, "home")
        );
        answers.read_all(
            SetupStep::Pools,
            &pairs(&[
                ("upstreams.2.pool_address", ""),
                ("upstreams.5.pool_address", "home"),
            ]),
        );
        answers.change(&SetupEdit::Add, None);
        assert_eq!(
            (answers.rows(), answers.get("upstreams.1.pool_address")),
            (3, "home"),
            "an empty row stays where one is added"
        );
        answers.change(&SetupEdit::Raise(0), None);
        answers.change(&SetupEdit::Raise(7), None);
        for _ in 0..40 {
            answers.change(&SetupEdit::Add, None);
        }
        assert_eq!(answers.rows(), MOST_POOLS);
    }

    #[test]
    fn buttons_are_read() {
        let action = |value: &str| SetupAction::of(&pairs(&[("action", value)]));
        assert_eq!(action("back"), SetupAction::Back);
        assert_eq!(action("remove.2"), SetupAction::Stay(SetupEdit::Remove(2)));
        assert_eq!(
            action("node.signet./srv/bitcoin.d"),
            SetupAction::Stay(SetupEdit::Node(
                BitcoinNetwork::Signet,
                "/srv/bitcoin.d".into()
            ))
        );
        for other in ["", "go", "remove.x", "node.moon./x", "raise"] {
            assert_eq!(action(other), SetupAction::Go, "{other}");
        }
    }
}
