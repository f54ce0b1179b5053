//! The page that shows a new instance until it is running, which is also its JSON.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::role::Role;
use crate::domain::instances::{Instance, MinerAddress, MinerProtocol};
use crate::domain::setup::finish::v2_urls;
use crate::keeper::machine::InstanceState;
use crate::web::html_with;

/// `GET /setup/watch/{id}`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "setup/watch.html", blocks = ["main", "standing"])]
#[schemars(rename = "SetupWatch")]
pub struct WatchPage {
    /// The instance.
    #[serde(flatten)]
    instance: Instance,
    /// The addresses to enter in miners, one for each usable address on this machine.
    miners: Vec<String>,
    /// The same addresses, and those for Stratum V1 miners, with host, port and key as separate fields.
    addresses: Vec<MinerAddress>,
    /// The public key to enter in miners.
    public_key: String,
}

crate::view!(WatchPage { "main" => as_main, "standing" => as_standing });

impl WatchPage {
    /// The current state of the instance, with addresses and public key for its miners.
    pub fn new(instance: Instance, (addresses, public_key): (Vec<MinerAddress>, String)) -> Self {
        Self {
            instance,
            miners: v2_urls(&addresses),
            addresses,
            public_key,
        }
    }

    /// The part of the page that changes, as a replacement, as a role sees it.
    pub fn part(&self, role: Role) -> Option<String> {
        let html = html_with(&self.as_standing(), &role).ok()?;
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
            InstanceState::Running => format!("{name} is running"),
            InstanceState::Starting => format!("{name} is starting …"),
            InstanceState::BackingOff => format!("{name} failed, retrying …"),
            InstanceState::Failed => format!("{name} failed"),
            InstanceState::Stopping => format!("{name} is stopping …"),
            InstanceState::Stopped => format!("{name} is stopped"),
        }
    }
}
