//! The subcommand `healthcheck`: whether the manager with the same settings is healthy.

use std::time::Duration;

use super::connection::{ApiConnection, because, read_text};
use crate::server::settings::Settings;

/// A manager that takes longer to respond is unhealthy.
const LIMIT: Duration = Duration::from_secs(5);

/// Prints whether the manager with these settings is healthy.
///
/// # Errors
/// It does not respond, or it is unhealthy.
pub async fn healthcheck(settings: Settings) -> Result<(), String> {
    check_manager(&settings).await?;
    println!("ok");
    Ok(())
}

/// Asks the manager with these settings, through its socket or, if no program listens there,
/// through its port.
///
/// # Errors
/// It does not respond, or it is unhealthy.
pub async fn check_manager(settings: &Settings) -> Result<(), String> {
    let by_socket = match settings.socket_path() {
        Some(path) => ApiConnection::by_socket(&path).ok().flatten(),
        None => None,
    };
    let connection = match by_socket {
        Some(connection) => connection,
        None => ApiConnection::by_port(settings.listen, settings.tls.as_ref())?,
    };
    let at = format!("{} (/health)", connection.shown);
    let response = connection
        .request(reqwest::Method::GET, "/health", "application/json")
        .timeout(LIMIT)
        .send()
        .await
        .map_err(|e| format!("{at} did not respond: {}", because(&e)))?;
    let status = response.status();
    let text = read_text(response)
        .await
        .map_err(|e| format!("{at} did not respond: {}", because(&e)))?;
    let body: serde_json::Value = serde_json::from_str(&text.unwrap_or_default())
        .map_err(|e| format!("{at} responded with status {status} and invalid JSON: {e}"))?;
    if status.is_success() && body.get("status").and_then(serde_json::Value::as_str) == Some("ok") {
        Ok(())
    } else {
        Err(format!("{at} responded with status {status}: {body}"))
    }
}
