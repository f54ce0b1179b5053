//! JSON responses without a page.

use schemars::JsonSchema;
use serde::Serialize;

use super::setup::HostSetup;
use super::views::HostRow;

/// The response to a new host.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "HostAdded")]
pub struct HostAddedResponse {
    /// A message for people.
    pub message: String,
    /// The host and its state.
    pub host: HostRow,
    /// The lines that the host needs.
    pub setup: HostSetup,
}
