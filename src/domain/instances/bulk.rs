//! One action on several instances, with a result for each.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

use super::list_filter::InstanceFilter;
use super::list_page::InstanceListServices;
use super::list_query::ListQuery;
use super::model::Instance;
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
    /// Start. Those that are running are skipped.
    Start,
    /// Stop. Those that are stopped are skipped.
    Stop,
    /// Restart. Instances that are not running are skipped.
    Restart,
}

/// The instances of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkSelection {
    /// These.
    Ids(Vec<InstanceId>),
    /// Those that match now, in the order of their creation.
    Filter(InstanceFilter),
}

/// An action and its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRequest {
    /// The action.
    pub action: BulkAction,
    /// The instances.
    pub selection: BulkSelection,
}

impl BulkRequest {
    /// Reads `{action, ids: [...]}`, `{action, all: true}` or `{action, filter: {...}}`, or a form with
    /// `action` and one `ids` for each checked instance, or `all`, or `filter` with the query of a list.
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
        let selection = match Self::read_filter(input, &mut errors) {
            Some(filter) => BulkSelection::Filter(filter),
            None => Self::read_ids(input, &mut errors),
        };
        match action {
            Some(action) if errors.is_empty() => Ok(Self { action, selection }),
            _ => Err(Error::Invalid(errors)),
        }
    }

    /// `all` or `filter`; none: `ids` counts.
    fn read_filter(input: &RequestInput, errors: &mut Vec<FieldError>) -> Option<InstanceFilter> {
        let is_all = input.value.get("all").is_some_and(|all| {
            all == &Value::Bool(true) || all.as_str().is_some_and(|s| s == "true" || s == "on")
        });
        let given = input
            .value
            .get("filter")
            .filter(|given| !given.is_null() && *given != "");
        let has_ids = input.form.is_none() && input.value.get("ids").is_some();
        if is_all {
            if given.is_some() || has_ids {
                let detail = "all cannot be combined with filter or ids.";
                errors.push(FieldError::new("/all", detail));
            }
            return Some(InstanceFilter::default());
        }
        let given = given?;
        let (filter, refused) = match (&input.form, given) {
            (Some(_), Value::String(query)) => {
                let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect();
                InstanceFilter::read_only(&pairs)
            }
            (_, given) => InstanceFilter::from_json(given),
        };
        if has_ids {
            let detail = "filter cannot be combined with ids.";
            errors.push(FieldError::new("/filter", detail));
        } else if refused.is_empty() && filter.is_empty() {
            // A list without parameters may be a mistake.
            let detail = "filter needs at least one parameter. For all instances, send all: true.";
            errors.push(FieldError::new("/filter", detail));
        }
        errors.extend(refused.into_iter().map(|e| e.under("/filter")));
        Some(filter)
    }

    fn read_ids(input: &RequestInput, errors: &mut Vec<FieldError>) -> BulkSelection {
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
        if given.is_empty() {
            errors.push(FieldError::new("/ids", "Select at least one instance."));
        }
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
        BulkSelection::Ids(ids)
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

impl BulkItemResult {
    /// Without the state.
    fn new(id: InstanceId, name: Option<String>, success: bool, message: String) -> Self {
        Self {
            id,
            name,
            success,
            skipped: false,
            status: None,
            message,
        }
    }
}

impl BulkAction {
    /// Why the action does not apply to an instance; none: it does.
    fn inapplicable(self, instance: &Instance) -> Option<String> {
        let (name, state) = (&instance.name, instance.state_text());
        match self {
            Self::Start if instance.running => Some(format!("{name} is already {state}.")),
            Self::Stop if instance.status == InstanceState::Stopped => {
                Some(format!("{name} is already {state}."))
            }
            Self::Stop if instance.status == InstanceState::Failed => {
                Some(format!("{name} is not running."))
            }
            Self::Restart if !instance.can_stop() => {
                Some(format!("{name} is {state} and was not restarted."))
            }
            _ => None,
        }
    }
}

impl InstanceListServices {
    /// Runs an action on several instances at the same time. Each has its own result; none delays
    /// another.
    pub async fn bulk(
        &self,
        bulk: BulkRequest,
        actor: &Actor,
        patience: Duration,
    ) -> Result<Vec<BulkItemResult>> {
        let known = self.instances.list().await?;
        // Naming an instance that already runs may be a mistake; all that match include such ones.
        let is_named = matches!(bulk.selection, BulkSelection::Ids(_));
        let is_skipping = !is_named || bulk.action == BulkAction::Restart;
        let selected: Vec<(InstanceId, Option<Instance>)> = match bulk.selection {
            BulkSelection::Ids(ids) => {
                let mut known: HashMap<_, _> = known.into_iter().map(|i| (i.id, i)).collect();
                ids.into_iter().map(|id| (id, known.remove(&id))).collect()
            }
            BulkSelection::Filter(filter) => {
                let query = ListQuery::WHOLE.with_filter(filter);
                let found = self.select(&query, known, false).await?;
                found.into_iter().map(|i| (i.id, Some(i))).collect()
            }
        };
        let results = selected.into_iter().map(|(id, instance)| async move {
            if is_skipping
                && let Some(instance) = &instance
                && let Some(message) = bulk.action.inapplicable(instance)
            {
                return BulkItemResult {
                    skipped: true,
                    status: Some(instance.status),
                    ..BulkItemResult::new(id, Some(instance.name.clone()), true, message)
                };
            }
            let name = instance.map(|instance| instance.name);
            let result = match bulk.action {
                BulkAction::Start => self.instances.start(id, actor).await,
                BulkAction::Stop => self.instances.stop(id, actor, patience).await,
                BulkAction::Restart => self.instances.restart(id, actor, patience).await,
            };
            match result {
                Ok(outcome) => BulkItemResult {
                    status: Some(outcome.status),
                    ..BulkItemResult::new(id, name, true, outcome.message)
                },
                Err(Error::Internal(cause)) => {
                    tracing::error!(instance = %id, %cause, "bulk action failed");
                    let message = "Internal error in jd-manager. See its log for the cause.";
                    BulkItemResult::new(id, name, false, message.into())
                }
                Err(e) => BulkItemResult::new(id, name, false, e.to_string()),
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
                selection: BulkSelection::Ids(vec![id])
            }
        );
        assert_eq!(
            read(json!({"action": "start", "all": true}))
                .unwrap()
                .selection,
            BulkSelection::Filter(InstanceFilter::default())
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
        let filter = json!({"state": ["failed", "stopped"], "tag": "barn"});
        match read(json!({"action": "start", "filter": filter}))
            .unwrap()
            .selection
        {
            BulkSelection::Filter(filter) => {
                assert_eq!((filter.states.len(), filter.tags.len()), (2, 1));
            }
            other => panic!("{other:?}"),
        }
        for (filter, pointers) in [
            (json!({}), ["/filter"]),
            (json!({"state": ""}), ["/filter/state"]),
            (json!({"tag": []}), ["/filter/tag"]),
            (json!({"q": ["a", "b"]}), ["/filter/q"]),
            (json!({"attention": [true, false]}), ["/filter/attention"]),
            (json!("x"), ["/filter"]),
            (json!({"state": "x"}), ["/filter/state"]),
            (json!({"limit": "5"}), ["/filter/limit"]),
        ] {
            let body = json!({"action": "stop", "filter": filter});
            assert_eq!(read(body).unwrap_err(), pointers, "{filter}");
        }
        let both = json!({"action": "stop", "ids": [id], "filter": {"tag": "barn"}});
        assert_eq!(read(both).unwrap_err(), ["/filter"]);
        // A mistake must not stop more instances than meant.
        for other in [json!({"filter": {"tag": "barn"}}), json!({"ids": [id]})] {
            let mut body = json!({"action": "stop", "all": true});
            for (name, value) in other.as_object().unwrap() {
                body[name] = value.clone();
            }
            assert_eq!(read(body).unwrap_err(), ["/all"]);
        }
        // A form sends the selected rows as well.
        let input = RequestInput {
            value: json!({"action": "stop", "ids": id, "filter": "tag=a+b&state=failed"}),
            form: Some(vec![("ids".into(), id.to_string())]),
        };
        match BulkRequest::read(&input).unwrap().selection {
            BulkSelection::Filter(filter) => assert_eq!(filter.tags, ["a b"]),
            other => panic!("{other:?}"),
        }
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
                selection: BulkSelection::Ids(vec![id])
            }
        );
    }
}
