//! An action on an instance of another host.

use axum::http::Method;
use serde_json::{Value, json};

use super::action::BulkAction;
use super::model::BulkStepState;
use crate::base::error::{Error, Result};
use crate::domain::hosts::{HostService, RemoteRequest, read_json};
use crate::domain::instances::Instance;
use crate::keeper::machine::InstanceState;

/// Acts on an instance of another host: sends one request, and returns what the host responds.
pub(super) async fn act_on_host(
    hosts: &HostService,
    instance: Instance,
    action: &BulkAction,
) -> Result<(BulkStepState, Option<InstanceState>, String)> {
    if let Some(obstacle) = action.obstacle(&instance) {
        return Ok((BulkStepState::Skipped, Some(instance.status), obstacle));
    }
    let Some(host) = &instance.host else {
        return Err(Error::not_found("instance", instance.id));
    };
    let (method, rest, body) = match action {
        BulkAction::Start => (Method::POST, "/start", json!({})),
        BulkAction::Stop => (Method::POST, "/stop", json!({})),
        BulkAction::Restart => (Method::POST, "/restart", json!({})),
        BulkAction::Autostart { enabled } => (Method::PATCH, "", json!({ "autostart": enabled })),
        BulkAction::Tag { add, remove } => {
            let tags = instance.tags.changed(add, remove);
            let tags = tags.map_err(|detail| Error::invalid("/add", detail))?;
            (Method::PATCH, "", json!({ "tags": tags }))
        }
        // Its obstacle says so.
        BulkAction::Configure { .. }
        | BulkAction::Version { .. }
        | BulkAction::Delete
        | BulkAction::Mute(_) => return Err(Error::not_found("instance", instance.id)),
    };
    let path = format!("/api/instances/{}{rest}", instance.id);
    let request = RemoteRequest::json(method, path, body.to_string().into());
    let response = hosts.send(host, request).await?;
    let read = read_json::<Value>(response).await;
    let body = read.map_err(|problem| Error::Conflict(problem.detail))?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let status = body["status"].as_str().and_then(|text| text.parse().ok());
    Ok((BulkStepState::Done, status, text("message")))
}
