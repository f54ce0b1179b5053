//! The suggested answers of a step that has no answers yet.

use std::net::SocketAddr;

use super::responses::{SetupAnswers, SetupEdit};
use super::service::{SetupProgress, SetupService};
use super::step::SetupStep;
use super::validate::listeners;
use crate::base::error::Result;
use crate::domain::configs::TranslatorSettings;
use crate::programs::bitcoin_core::node_sockets::{NodeSocket, NodeSocketState};
use crate::programs::jd_client::config_fields::USUAL_CORE;

/// The suggested name of the first instance.
const USUAL_NAME: &str = "home";

impl SetupService {
    /// The answers, with suggestions if the step has none yet. `nodes`: the Bitcoin Core sockets
    /// that were found.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn prefilled(
        &self,
        setup: &SetupProgress,
        step: SetupStep,
        nodes: &[NodeSocket],
    ) -> Result<SetupAnswers> {
        let mut answers = setup.answers.clone();
        let mut fields: Vec<(&str, String)> = Vec::new();
        match step {
            SetupStep::Provider if !answers.has(step) => {
                fields.extend(USUAL_CORE.map(|(field, text)| (field, text.to_owned())));
                fields.extend([
                    ("template_provider", "sv2tp".to_owned()),
                    (
                        "template_provider_type.Sv2Tp.address",
                        "127.0.0.1:8442".to_owned(),
                    ),
                    (
                        "template_provider_type.BitcoinCoreIpc.data_dir",
                        String::new(),
                    ),
                ]);
                answers.apply_form(step, &owned(fields));
                let mut answering = nodes
                    .iter()
                    .filter(|node| node.standing == NodeSocketState::Answers);
                if let Some(node) = answering.next() {
                    let found = SetupEdit::Node(node.network, node.data_dir.clone());
                    answers.change(&found, None);
                }
                return Ok(answers);
            }
            SetupStep::Pools if answers.rows() == 0 => answers.change(&SetupEdit::Add, None),
            SetupStep::Payout if !answers.has(step) => {
                fields.extend([
                    ("network", "mainnet".to_owned()),
                    ("jdc_signature", "jd-manager".to_owned()),
                ]);
            }
            SetupStep::Name if !answers.has(step) => {
                let starting = self.configs.starting().await?;
                let listening = self
                    .instances
                    .free_miner_port(starting.listening_address, Vec::new())
                    .await?;
                let wanted = starting
                    .monitoring_address
                    .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9091)));
                let monitoring = self.instances.free_port(wanted, vec![listening]).await?;
                fields.extend([
                    ("name", self.free_name().await?),
                    ("reach", "lan".to_owned()),
                ]);
                fields.extend([
                    ("listening_port", listening.to_string()),
                    ("monitoring_port", monitoring.to_string()),
                ]);
                fields.extend([("proposed_listening_port", listening.to_string())]);
                fields.extend([("proposed_monitoring_port", monitoring.to_string())]);
                if answers.has_v1_miners() {
                    let port = self.free_v1_port(vec![listening, monitoring]).await?;
                    fields.extend([("stratum_v1_port", port.clone())]);
                    fields.extend([("proposed_stratum_v1_port", port)]);
                    fields.extend([("miner_class", "bitaxe".to_owned())]);
                }
            }
            // The user first chose Stratum V2 and then changed that.
            SetupStep::Name
                if answers.has_v1_miners() && answers.get("stratum_v1_port").is_empty() =>
            {
                let port = self.free_v1_port(Vec::new()).await?;
                answers.set("stratum_v1_port", port.clone());
                answers.set("proposed_stratum_v1_port", port);
            }
            _ => {}
        }
        if !fields.is_empty() {
            answers.apply_form(step, &owned(fields));
        }
        Ok(answers)
    }

    /// Replaces suggested ports that are in use by now, unless the user changed them. Returns
    /// whether it replaced any.
    ///
    /// # Errors
    /// An internal error.
    pub(super) async fn renew_proposals(&self, answers: &mut SetupAnswers) -> Result<bool> {
        let mut has_changed = false;
        let port = |answers: &SetupAnswers, field: &str| {
            answers
                .get(&format!("{field}_port"))
                .parse::<u16>()
                .unwrap_or(0)
        };
        let mut ports: Vec<u16> = listeners(answers)
            .iter()
            .map(|(field, _)| port(answers, field))
            .collect();
        for (at, (field, host)) in listeners(answers).into_iter().enumerate() {
            let (name, proposal) = (format!("{field}_port"), format!("proposed_{field}_port"));
            let address = SocketAddr::from((host, ports[at]));
            if ports[at] == 0 || answers.get(&name) != answers.get(&proposal) {
                continue;
            }
            let others = ports.iter().enumerate().filter(|(other, _)| *other != at);
            let others = others.map(|(_, port)| *port).collect();
            let free = match field {
                "monitoring" => self.instances.free_port(address, others).await?,
                _ => self.instances.free_miner_port(address, others).await?,
            };
            if free != ports[at] {
                ports[at] = free;
                answers.set(&name, free.to_string());
                answers.set(&proposal, free.to_string());
                has_changed = true;
            }
        }
        Ok(has_changed)
    }

    /// A free port for Stratum V1 miners that is not among `others`.
    async fn free_v1_port(&self, others: Vec<u16>) -> Result<String> {
        let usual = TranslatorSettings::starting().listening_address;
        Ok(self
            .instances
            .free_miner_port(usual, others)
            .await?
            .to_string())
    }

    async fn free_name(&self) -> Result<String> {
        for number in 1..1000 {
            let name = if number == 1 {
                USUAL_NAME.to_owned()
            } else {
                format!("{USUAL_NAME} {number}")
            };
            if self.name_is_taken(&name).await?.is_none() {
                return Ok(name);
            }
        }
        Ok(String::new())
    }
}

fn owned(fields: Vec<(&str, String)>) -> Vec<(String, String)> {
    fields
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect()
}
