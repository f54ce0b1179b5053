//! A change that the manager is asked for, and what it says of it.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::error::Trouble;
use super::manager::Manager;
use super::output::Paper;
use super::text::in_line;

/// The answer to a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Changed {
    message: String,
}

/// Asks for a change and says what the manager says of it.
pub(super) async fn change(
    manager: &Manager,
    paper: &mut Paper,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(), Trouble> {
    let answer = manager.send(method, path, body).await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    paper.line(&in_line(&answer.read::<Changed>()?.message))
}
