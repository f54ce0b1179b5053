//! The page before an action on several instances: it asks for the parameters of the action, and shows
//! what an action that many miners notice would do. No I/O.

use askama::Template;
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::action::{BulkAction, BulkActionKind};
use super::request::{BulkRequest, BulkSelection};
use crate::base::error::FieldError;
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;
use crate::domain::mutes::mute_durations;
use crate::view;

/// As many selected instances are stopped or restarted without a question.
const FEW: usize = 5;

/// A mark of a set of instances: two sets have different ones.
pub(super) fn set_mark(instances: &[Instance]) -> String {
    let mut ids: Vec<InstanceId> = instances.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    let mut hasher = DefaultHasher::new();
    ids.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The number that the caller must send, as an error; none: it is right, or not required.
pub(super) fn check_count(request: &BulkRequest, matching: usize) -> Option<FieldError> {
    let is_required = request.kind == BulkActionKind::Delete
        && matches!(request.selection, BulkSelection::Filter(_));
    let detail = match request.count {
        Some(count) if count == matching => return None,
        None if !is_required => return None,
        None => {
            format!("count is required to delete by filter or all. It must be {matching} now.")
        }
        Some(count) => format!("count is {count}, but {matching} instances match now."),
    };
    Some(FieldError::new("/count", detail))
}

/// The page that asks.
#[derive(Debug, Serialize, Template)]
#[template(path = "bulk/question.html", blocks = ["main"])]
pub(super) struct BulkQuestionPage {
    #[serde(skip)]
    kind: BulkActionKind,
    /// The fields of the form that stay as they are: the instances.
    #[serde(skip)]
    selection: Vec<(&'static str, String)>,
    #[serde(skip)]
    mark: String,
    /// The instances that the action applies to, those with a client first.
    #[serde(skip)]
    affected: Vec<Instance>,
    /// The number of the others.
    #[serde(skip)]
    skipped: usize,
    /// The number of instances must be typed.
    #[serde(skip)]
    needs_count: bool,
    /// Saved configurations to choose from: id and name.
    #[serde(skip)]
    pub(super) configs: Vec<(String, String)>,
    /// Installed clients to choose from.
    #[serde(skip)]
    pub(super) versions: Vec<String>,
    /// The values of a form that is shown again.
    #[serde(skip)]
    values: Vec<(String, String)>,
    #[serde(skip)]
    back: String,
    errors: Vec<FieldError>,
}
view!(BulkQuestionPage { "main" => as_main });

impl BulkQuestionPage {
    /// The page for a request; none: nothing has to be asked. `back`: the list. `values`: of its form.
    pub(super) fn of(
        request: &BulkRequest,
        instances: &[Instance],
        values: &[(String, String)],
        back: &str,
    ) -> Option<Self> {
        if !request.is_page {
            return None;
        }
        let applies = |one: &&Instance| match &request.action {
            Some(action) => action.obstacle(one).is_none(),
            None => true,
        };
        let mut affected: Vec<Instance> = instances.iter().filter(applies).cloned().collect();
        affected.sort_by_key(|one| !one.status.has_client());
        let is_by_filter = matches!(request.selection, BulkSelection::Filter(_));
        let is_felt = matches!(request.action, Some(BulkAction::Stop | BulkAction::Restart));
        let few = if is_by_filter { 1 } else { FEW };
        let asks = request.kind == BulkActionKind::Delete || is_felt && affected.len() > few;
        let mark = set_mark(instances);
        let mut errors = request.errors.clone();
        let is_changed = request
            .confirmation
            .as_ref()
            .is_some_and(|seen| *seen != mark);
        if is_changed {
            let detail = "The matching instances have changed since you loaded the page. Nothing was done. Check the list below.";
            errors.push(FieldError::new("", detail));
        } else if request.confirmation.is_some() && errors.is_empty() {
            let count = instances.len();
            errors.extend(check_count(request, count).map(|_| {
                let detail = format!("Enter {count}, the number of instances below.");
                FieldError::new("/count", detail)
            }));
        }
        let is_unconfirmed = asks && request.confirmation.is_none();
        if request.action.is_some() && !is_unconfirmed && errors.is_empty() {
            return None;
        }
        let selection = match &request.selection {
            BulkSelection::Ids(ids) => ids.iter().map(|id| ("ids", id.to_string())).collect(),
            BulkSelection::Filter(filter) if filter.is_empty() => vec![("all", "true".into())],
            BulkSelection::Filter(filter) => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.extend_pairs(filter.pairs());
                vec![("filter", query.finish())]
            }
        };
        Some(Self {
            kind: request.kind,
            selection,
            mark,
            skipped: instances.len() - affected.len(),
            affected,
            needs_count: request.kind == BulkActionKind::Delete && is_by_filter,
            configs: Vec::new(),
            versions: Vec::new(),
            values: values.to_vec(),
            back: back.to_owned(),
            errors,
        })
    }

    /// Whether the form was refused.
    pub(super) fn is_refused(&self) -> bool {
        !self.errors.is_empty()
    }

    fn title(&self) -> String {
        let (label, count) = (self.kind.label(), self.affected.len());
        let plural = if count == 1 { "" } else { "s" };
        match self.kind {
            BulkActionKind::Delete | BulkActionKind::Stop | BulkActionKind::Restart => {
                format!("{label} {count} instance{plural}?")
            }
            _ => format!("{label} of {count} instance{plural}"),
        }
    }

    /// The text of the button.
    fn button(&self) -> String {
        let count = self.affected.len();
        let plural = if count == 1 { "" } else { "s" };
        match self.kind {
            BulkActionKind::Delete | BulkActionKind::Stop | BulkActionKind::Restart => {
                format!("{} {count} instance{plural}", self.kind.label())
            }
            _ => self.kind.label().into(),
        }
    }

    /// What the action does, a paragraph each.
    fn texts(&self) -> Vec<String> {
        let running = self
            .affected
            .iter()
            .filter(|one| one.status.has_client())
            .count();
        let verb = |count| if count == 1 { "is" } else { "are" };
        let mut texts = Vec::new();
        match self.kind {
            BulkActionKind::Delete => {
                if running > 0 {
                    texts.push(format!(
                        "{running} of them {} running and will be stopped first. Their miners lose their current work.",
                        verb(running)
                    ));
                }
                texts.push(
                    "This deletes their events, logs and metrics. Their configurations are kept."
                        .into(),
                );
            }
            BulkActionKind::Stop => texts.push("Their miners stop working.".into()),
            BulkActionKind::Restart => {
                texts.push("Their miners lose their connection briefly.".into());
            }
            BulkActionKind::Configure | BulkActionKind::Version => texts.push(format!(
                "The change takes effect at the next start of each instance. {running} of them {} running now.",
                verb(running)
            )),
            BulkActionKind::Mute => texts.push(
                "Their states stay visible here. jd-manager sends no messages about them in this time."
                    .into(),
            ),
            BulkActionKind::Start | BulkActionKind::Autostart | BulkActionKind::Tag => {}
        }
        if self.skipped > 0 {
            let (count, verb) = (self.skipped, verb(self.skipped));
            texts.push(format!(
                "{count} other{} {verb} not running and will be skipped.",
                if count == 1 { "" } else { "s" }
            ));
        }
        texts
    }

    fn durations(&self) -> Vec<(String, String)> {
        mute_durations()
    }

    /// The value of a field in the form that is shown again.
    fn value(&self, name: &str) -> &str {
        let mut values = self.values.iter().rev();
        let found = values.find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    fn error(&self, name: &str) -> Option<String> {
        let pointer = format!("/{name}");
        let found = self.errors.iter().find(|error| error.pointer == pointer);
        found.map(|error| {
            let label = match name {
                "count" => "Number",
                "add" => "Tags to add",
                "remove" => "Tags to remove",
                "config_id" => "Configuration",
                "minutes" | "until" => "Duration",
                "comment" => "Comment",
                _ => "Client",
            };
            error.page_text_as(Some(label)).into_owned()
        })
    }
}
