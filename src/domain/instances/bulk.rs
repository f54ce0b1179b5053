//! One action on several instances, with a result for each.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

use super::service::InstanceService;
use crate::base::actor::Actor;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::InstanceId;
use crate::keeper::machine::InstanceState;
use crate::web::RequestInput;

/// An action on several instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[derive(strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum BulkAction {
    /// Start those that are not running.
    Start,
    /// Stop those that are running.
    Stop,
    /// Restart. Instances that are not running are skipped.
    Restart,
}

/// An action and its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRequest {
    /// The action.
    pub action: BulkAction,
    /// The instances; none: all.
    pub ids: Option<Vec<InstanceId>>,
}

impl BulkRequest {
    /// Reads `{action, ids: [...]}` or `{action, all: true}`, or a form with `action` and one `ids`
    /// for each checked instance.
    pub fn read(input: &RequestInput) -> Result<Self> {
        let mut errors = Vec::new();
        let action = input
            .value
            .get("action")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok());
        if action.is_none() {
            errors.push(FieldError::new(
                "/action",
                "action must be start, stop or restart.",
            ));
        }
        let given: Vec<&str> = match (&input.form, input.value.get("ids")) {
            (Some(pairs), _) => pairs
                .iter()
                .filter(|(name, _)| name == "ids")
                .map(|(_, id)| id.as_str())
                .collect(),
            (None, Some(Value::Array(ids))) => ids
                .iter()
                .map(|id| id.as_str().unwrap_or_default())
                .collect(),
            (None, None | Some(Value::Null)) => Vec::new(),
            (None, Some(_)) => vec![""],
        };
        let is_all = input.value.get("all").is_some_and(|all| {
            all == &Value::Bool(true) || all.as_str().is_some_and(|s| s == "true" || s == "on")
        });
        let mut ids = Vec::new();
        for (at, id) in given.into_iter().enumerate() {
            match id.parse() {
                Ok(id) if !ids.contains(&id) => ids.push(id),
                Ok(_) => {}
                Err(_) => errors.push(FieldError::new(
                    format!("/ids/{at}"),
                    "ids must be a list of instance ids.",
                )),
            }
        }
        if ids.is_empty() && !is_all && errors.iter().all(|e| !e.pointer.starts_with("/ids")) {
            errors.push(FieldError::new("/ids", "Select at least one instance."));
        }
        match action {
            Some(action) if errors.is_empty() => Ok(Self {
                action,
                ids: (!is_all).then_some(ids),
            }),
            _ => Err(Error::Invalid(errors)),
        }
    }
}

/// Result for one instance.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "BulkDone")]
pub struct BulkItemResult {
    /// Id of the instance.
    pub id: InstanceId,
    /// Name, if the instance exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the action succeeded or was correctly skipped.
    pub success: bool,
    /// Nothing to do for this instance.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// State after the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<InstanceState>,
    /// Result or error as text.
    pub message: String,
}

impl InstanceService {
    /// Runs an action on several instances at the same time. Each has its own result; none delays
    /// another.
    pub async fn bulk(
        &self,
        bulk: BulkRequest,
        actor: &Actor,
        patience: Duration,
    ) -> Result<Vec<BulkItemResult>> {
        let known = self.list().await?;
        let ids = bulk
            .ids
            .unwrap_or_else(|| known.iter().map(|i| i.id).collect());
        let results = ids.into_iter().map(|id| {
            let instance = known.iter().find(|i| i.id == id);
            let name = instance.map(|i| i.name.clone());
            let idle = instance.filter(|i| bulk.action == BulkAction::Restart && !i.can_stop());
            let skipped = idle.map(|i| {
                (
                    i.status,
                    format!("{} is {} and was not restarted.", i.name, i.state_text()),
                )
            });
            async move {
                if let Some((status, message)) = skipped {
                    return BulkItemResult {
                        id,
                        name,
                        success: true,
                        skipped: true,
                        status: Some(status),
                        message,
                    };
                }
                let result = match bulk.action {
                    BulkAction::Start => self.start(id, actor).await,
                    BulkAction::Stop => self.stop(id, actor, patience).await,
                    BulkAction::Restart => self.restart(id, actor, patience).await,
                };
                match result {
                    Ok(outcome) => BulkItemResult {
                        id,
                        name,
                        success: true,
                        skipped: false,
                        status: Some(outcome.status),
                        message: outcome.message,
                    },
                    Err(Error::Internal(cause)) => {
                        tracing::error!(instance = %id, %cause, "bulk action failed");
                        BulkItemResult {
                            id,
                            name,
                            success: false,
                            skipped: false,
                            status: None,
                            message: "Internal error in jd-manager. See its log for the cause."
                                .into(),
                        }
                    }
                    Err(e) => BulkItemResult {
                        id,
                        name,
                        success: false,
                        skipped: false,
                        status: None,
                        message: e.to_string(),
                    },
                }
            }
        });
        Ok(join_all(results).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> std::result::Result<BulkRequest, Vec<String>> {
        BulkRequest::read(&RequestInput { value, form: None }).map_err(|e| match e {
            Error::Invalid(errors) => errors.into_iter().map(|e| e.pointer).collect(),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_selection_or_all_but_never_nobody() {
        let id = InstanceId::random();
        assert_eq!(
            read(json!({"action": "stop", "ids": [id, id]})).unwrap(),
            BulkRequest {
                action: BulkAction::Stop,
                ids: Some(vec![id])
            }
        );
        assert_eq!(
            read(json!({"action": "start", "all": true})).unwrap().ids,
            None
        );
        assert_eq!(read(json!({})).unwrap_err(), ["/action", "/ids"]);
        assert_eq!(
            read(json!({"action": "explode", "ids": ["x", 7]})).unwrap_err(),
            ["/action", "/ids/0", "/ids/1"]
        );
        assert_eq!(
            read(json!({"action": "stop", "ids": "x"})).unwrap_err(),
            ["/ids/0"]
        );
        let form = vec![
            ("action".into(), "restart".into()),
            ("ids".into(), id.to_string()),
            ("ids".into(), id.to_string()),
        ];
        let input = RequestInput {
            value: json!({"action": "restart", "ids": id}),
            form: Some(form),
        };
        assert_eq!(
            BulkRequest::read(&input).unwrap(),
            BulkRequest {
                action: BulkAction::Restart,
                ids: Some(vec![id])
            }
        );
    }
}
