//! Requests a change from the manager and prints the response.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::error::CommandError;
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::text::in_line;

/// The response to a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiChangeResponse {
    message: String,
}

/// Requests a change and prints the manager's message.
pub(super) async fn change(
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(), CommandError> {
    let answer = manager.send(method, path, body).await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    paper.line(&in_line(&answer.read::<ApiChangeResponse>()?.message))
}
