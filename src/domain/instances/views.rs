//! The pages of instances, which are also their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

use super::config_trial::{ConfigTrialResult, TrialVerdict};
use super::display::size_text;
use super::history::InstanceEvent;
use super::list_query::{ListColumn, ListQuery};
use super::model::Instance;
use crate::base::error::FieldError;
use crate::base::ids::InstanceId;
use crate::keeper::machine::RestartPolicy;
use crate::view;
use crate::web::{ConfirmPage, ConfirmQuestion, PageFrame, html_with};

/// The parts of pages that show one instance: its status and its row in lists.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "instances/parts.html", blocks = ["status", "row"])]
pub struct InstanceFragments {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// Where plain forms in a row return to: the address of its list.
    #[serde(skip)]
    pub here: String,
    /// The element id of the row.
    #[serde(skip)]
    pub row_id: String,
}

impl InstanceFragments {
    /// The columns of the list and the chosen ones.
    fn columns(&self) -> (Vec<ListColumn>, bool) {
        let chosen = ListQuery::columns_of(&self.here);
        (ListQuery::shown_columns(&chosen), !chosen.is_empty())
    }
}

impl crate::web::PageView for InstanceFragments {
    fn block(&self, name: &str, frame: &PageFrame) -> Option<askama::Result<String>> {
        Some(if name.starts_with("i-") {
            html_with(&self.as_row(), frame)
        } else {
            html_with(&self.as_status(), frame)
        })
    }
}

/// Result of `POST /saved-configs/{id}/trial`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "instances/trial.html", blocks = ["main"])]
#[schemars(rename = "Trial")]
pub struct TrialPage {
    /// Name of the configuration.
    pub name: String,
    /// The result.
    #[serde(flatten)]
    pub tried: ConfigTrialResult,
    /// Installed clients to test with.
    #[serde(skip)]
    pub(super) versions: Vec<String>,
}
view!(TrialPage { "main" => as_main });

impl TrialPage {
    /// The programs and their results.
    fn verdicts(&self) -> Vec<(&'static str, &TrialVerdict)> {
        let translator = self.tried.translator.iter();
        std::iter::once(("client", &self.tried.client))
            .chain(translator.map(|tried| ("translator", &tried.verdict)))
            .collect()
    }
}

/// A field of the limits.
struct LimitField {
    name: &'static str,
    label: &'static str,
    help: &'static str,
}

/// The form of a new or changed instance, with its values and errors.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "instances/form.html", blocks = ["main"])]
#[schemars(rename = "InstanceForm")]
pub struct InstanceFormPage {
    /// The instance to change; none: a new one.
    #[serde(skip)]
    pub(super) instance: Option<Instance>,
    #[serde(skip)]
    pub(super) configs: Vec<(String, String)>,
    /// Installed clients to pin.
    #[serde(skip)]
    pub(super) versions: Vec<String>,
    /// Values of the fields, by name.
    pub(super) values: Map<String, Value>,
    pub(super) errors: Vec<FieldError>,
}
view!(InstanceFormPage { "main" => as_main });

impl InstanceFormPage {
    fn error(&self, pointer: &str) -> Option<Cow<'_, str>> {
        self.errors
            .iter()
            .find(|e| e.pointer == pointer)
            .map(|e| self.error_text(e))
    }

    /// The text of an error, with the label of its field.
    fn error_text<'a>(&self, error: &'a FieldError) -> Cow<'a, str> {
        let name = error.pointer.trim_start_matches('/');
        let label = match name {
            "config_id" => Some("Configuration"),
            "client_version" => Some("Client"),
            _ => self
                .limits()
                .iter()
                .find(|field| field.name == name)
                .map(|field| field.label),
        };
        error.page_text_as(label)
    }

    /// The value of a field.
    fn value(&self, name: &str) -> String {
        match self.values.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    fn is_ticked(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Bool(true))) || self.is(name, "on")
    }

    /// One of the limits has a value or an error.
    fn has_limits(&self) -> bool {
        self.limits().iter().any(|field| {
            !self.value(field.name).is_empty() || self.error(&format!("/{}", field.name)).is_some()
        })
    }

    fn limits(&self) -> [LimitField; 5] {
        [
            LimitField {
                name: "restart_limit_failures",
                label: "Give up after (failures)",
                help: "Empty: never. After jd-manager gives up, you can still start the instance manually.",
            },
            LimitField {
                name: "restart_limit_within_s",
                label: "Within (seconds)",
                help: "For example, 5 failures within 600 seconds.",
            },
            LimitField {
                name: "memory_limit_mib",
                label: "Memory limit (MiB)",
                help: "Private memory. If the client needs more, it exits, and jd-manager restarts it. Empty: no limit.",
            },
            LimitField {
                name: "open_files_limit",
                label: "Open-file limit",
                help: "Each miner uses one open file. Empty: system default.",
            },
            LimitField {
                name: "nice",
                label: "CPU priority (nice)",
                help: "0: normal, 19: lowest.",
            },
        ]
    }

    /// The installed clients, and the pinned one if it is not installed.
    fn versions_to_choose(&self) -> Vec<String> {
        let pinned = Some(self.value("client_version"))
            .filter(|pinned| !pinned.is_empty() && !self.versions.contains(pinned));
        self.versions.iter().cloned().chain(pinned).collect()
    }

    fn title(&self) -> String {
        self.instance.as_ref().map_or_else(
            || "New instance".into(),
            |i| format!("Settings of {}", i.name),
        )
    }

    fn policies(&self) -> [(RestartPolicy, &'static str); 3] {
        [
            (RestartPolicy::OnFailure, "After a failure (recommended)"),
            (
                RestartPolicy::Always,
                "Always, even if the client program cannot be run",
            ),
            (RestartPolicy::Never, "Never"),
        ]
    }
}

/// An instance that may be deleted.
#[derive(Debug, JsonSchema, Serialize)]
pub struct InstanceRemoval {
    /// The instance.
    instance: Instance,
    /// Size of the log that is deleted too, bytes.
    log_bytes: u64,
}

/// The confirmation page for deleting an instance.
pub(super) fn delete_page(instance: Instance, log_bytes: u64) -> ConfirmPage<InstanceRemoval> {
    let name = &instance.name;
    let mut lost = String::new();
    if instance.can_stop() {
        let port = instance.port.map(|port| port.to_string());
        lost = format!(
            "The client is {} and will be stopped first. Miners connected to port {} will lose their current work. ",
            instance.state_text(),
            port.unwrap_or_default()
        );
    }
    let log = match log_bytes {
        0 => String::new(),
        n => format!(" and {} of logs", size_text(n)),
    };
    lost.push_str(&format!(
        "This deletes the instance's events{log}. Its configuration is kept:"
    ));
    let question = ConfirmQuestion {
        title: format!("Delete {name}?"),
        nav: "instances",
        texts: vec![lost],
        links: vec![(
            format!("/saved-configs/{}", instance.config_id),
            instance.config_name.clone(),
        )],
        action: Some((
            format!("/instances/{}/delete", instance.id),
            format!("Delete {name}"),
        )),
        back: format!("/instances/{}", instance.id),
    };
    ConfirmPage::new(
        InstanceRemoval {
            instance,
            log_bytes,
        },
        question,
    )
}

/// One event in a list.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ListedEvent {
    /// The event.
    #[serde(flatten)]
    pub event: InstanceEvent,
    /// Name of the instance.
    pub instance_name: String,
}

/// One new event for an open page.
#[derive(Debug, Template)]
#[template(path = "instances/event.html")]
pub struct EventItem {
    /// The event.
    pub event: InstanceEvent,
    /// Name of the instance.
    pub instance_name: String,
    /// Show the name, because the page lists all instances.
    pub is_named: bool,
}

impl EventItem {
    /// As HTML; none if the template fails, which is a bug.
    pub fn render_item(&self) -> Option<String> {
        crate::web::html(self).ok()
    }
}

/// `/events` and `/instances/{id}/events`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "instances/events.html", blocks = ["main"])]
#[schemars(rename = "Events")]
pub struct EventsPage {
    /// The instance; none: all instances.
    #[serde(skip)]
    pub(super) instance: Option<Instance>,
    /// Newest first.
    pub events: Vec<ListedEvent>,
    /// `before` of the next older page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
    /// Events on a page.
    #[serde(skip)]
    pub(super) limit: u64,
    /// The newest page, which is updated live.
    #[serde(skip)]
    pub(super) is_newest: bool,
}
view!(EventsPage { "main" => as_main });

impl EventsPage {
    /// The events of an instance on another host, from the JSON there.
    pub fn remote(instance: Instance, events: Vec<InstanceEvent>, next: Option<i64>) -> Self {
        let name = instance.name.clone();
        let listed = |event| ListedEvent {
            event,
            instance_name: name.clone(),
        };
        Self {
            events: events.into_iter().map(listed).collect(),
            instance: Some(instance),
            next,
            limit: 100,
            is_newest: false,
        }
    }

    /// The id after which the page follows; none: not the newest page.
    fn newest(&self) -> Option<i64> {
        self.is_newest
            .then(|| self.events.first().map_or(0, |e| e.event.id))
    }

    fn path(&self) -> String {
        match &self.instance {
            Some(instance) => format!("{}/events", instance.path()),
            None => "/events".into(),
        }
    }
}

/// Result of `POST /instances`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "InstanceMade")]
pub struct InstanceCreatedResponse {
    /// Id of the new instance.
    pub instance_id: InstanceId,
    /// The result as text.
    pub message: String,
}

/// Result of `PATCH /instances/{id}`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "InstanceChanged")]
pub struct InstanceChangeResponse {
    /// The result as text.
    pub message: String,
    /// The changed instance.
    pub instance: Instance,
}

/// The element id of an instance's row.
pub fn row_id(id: InstanceId) -> String {
    format!("i-{id}")
}
