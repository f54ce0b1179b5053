//! The page that watches a new instance until it serves miners, which is also its JSON.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::instances::Instance;
use crate::keeper::machine::InstanceState;

/// `GET /setup/watch/{id}`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "setup/watch.html", blocks = ["main", "standing"])]
#[schemars(rename = "SetupWatch")]
pub struct WatchPage {
    /// The instance.
    #[serde(flatten)]
    instance: Instance,
    /// Where miners connect, one for each address of this machine they may use.
    miners: Vec<String>,
    /// By which miners recognise the client.
    public_key: String,
}

crate::view!(WatchPage { "main" => as_main, "standing" => as_standing });

impl WatchPage {
    /// The instance as it is now, with what to give to its miners.
    pub fn new(instance: Instance, (miners, public_key): (Vec<String>, String)) -> Self {
        Self {
            instance,
            miners,
            public_key,
        }
    }

    /// The changing part, to be put in the place of the one before.
    pub fn part(&self) -> Option<String> {
        let html = crate::web::html(&self.as_standing()).ok()?;
        Some(format!(
            "<hx-partial hx-target=\"#standing\" hx-swap=\"outerMorph\">{html}</hx-partial>"
        ))
    }

    fn is_serving(&self) -> bool {
        self.instance.status == InstanceState::Running
    }

    fn headline(&self) -> String {
        let name = &self.instance.name;
        match self.instance.status {
            InstanceState::Running => format!("{name} serves miners"),
            InstanceState::Starting => format!("{name} is starting …"),
            InstanceState::BackingOff => format!("{name} does not come up yet"),
            InstanceState::Failed => format!("{name} does not come up"),
            InstanceState::Stopping => format!("{name} is stopping …"),
            InstanceState::Stopped => format!("{name} is stopped"),
        }
    }
}
