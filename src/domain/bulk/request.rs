//! Reads the body of an action on several instances. Pure.

use serde_json::Value;
use strum::VariantNames;

use super::action::{BulkAction, BulkActionKind};
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::InstanceFilter;
use crate::web::RequestInput;
use crate::web::openapi::any_of;

/// The instances of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BulkSelection {
    /// These.
    Ids(Vec<InstanceId>),
    /// Those that match now, in the order of their creation.
    Filter(InstanceFilter),
}

impl BulkSelection {
    /// Reads `ids`, `all` or `filter`.
    pub(super) fn read(input: &RequestInput, errors: &mut Vec<FieldError>) -> Self {
        match read_filter(input, errors) {
            Some(filter) => Self::Filter(filter),
            None => read_ids(input, errors),
        }
    }
}

/// An action and its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BulkRequest {
    pub(super) kind: BulkActionKind,
    /// None: a form without the parameters of the action.
    pub(super) action: Option<BulkAction>,
    pub(super) selection: BulkSelection,
    /// The number of instances that the caller expects.
    pub(super) count: Option<usize>,
    /// A person has seen the instances of the action: [`set_mark`](super::question::set_mark) of them.
    pub(super) confirmation: Option<String>,
    /// A page can ask for what is missing.
    pub(super) is_page: bool,
    /// The errors in the parameters of a form, which is shown again.
    pub(super) errors: Vec<FieldError>,
}

impl BulkRequest {
    /// Reads `{action, ids: [...]}`, `{action, all: true}` or `{action, filter: {...}}` with the
    /// parameters of the action, or a form with `action` and one `ids` for each checked instance, or
    /// `all`, or `filter` with the query of a list.
    /// `is_page`: the response is a page, which asks for what is missing.
    pub(super) fn read(input: &RequestInput, is_page: bool) -> Result<Self> {
        let is_page = is_page && input.form.is_some();
        let mut errors = Vec::new();
        let kind: Option<BulkActionKind> = input
            .value
            .get("action")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok());
        if kind.is_none() {
            let known = any_of(BulkActionKind::VARIANTS);
            let detail = format!("action must be {known}.");
            errors.push(FieldError::new("/action", detail));
        }
        let selection = BulkSelection::read(input, &mut errors);
        let mut wrong = Vec::new();
        let action = kind.and_then(|kind| BulkAction::read(kind, input, is_page, &mut wrong));
        let count = read_count(input, &mut wrong);
        // A form that only lacks a value is shown again.
        if !is_page || !errors.is_empty() {
            errors.append(&mut wrong);
        }
        let mark = input.value.get("confirm").and_then(Value::as_str);
        match kind {
            Some(kind) if errors.is_empty() => Ok(Self {
                kind,
                action,
                selection,
                count,
                confirmation: mark.filter(|_| is_page).map(str::to_owned),
                is_page,
                errors: wrong,
            }),
            _ => Err(Error::Invalid(errors)),
        }
    }
}

/// The number of instances, without separators between its digits.
fn read_count(input: &RequestInput, errors: &mut Vec<FieldError>) -> Option<usize> {
    let number = match input.value.get("count")? {
        Value::Null => return None,
        Value::String(text) if input.form.is_some() && text.trim().is_empty() => return None,
        Value::String(text) if input.form.is_some() => {
            let is_separator = |c: char| matches!(c, ',' | '.' | ' ' | '\u{a0}' | '\'');
            let digits: String = text.chars().filter(|c| !is_separator(*c)).collect();
            digits.parse().ok()
        }
        number => number.as_u64(),
    };
    let count = number.and_then(|number| usize::try_from(number).ok());
    if count.is_none() {
        errors.push(FieldError::new("/count", "count must be a whole number."));
    }
    count
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
    let (mut ids, mut known) = (Vec::new(), std::collections::HashSet::new());
    for (at, id) in given.into_iter().enumerate() {
        match id.parse() {
            Ok(id) if known.insert(id) => ids.push(id),
            Ok(_) => {}
            Err(_) => errors.push(FieldError::new(
                format!("/ids/{at}"),
                "ids must be a list of instance ids.",
            )),
        }
    }
    BulkSelection::Ids(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> std::result::Result<BulkRequest, Vec<String>> {
        BulkRequest::read(&RequestInput { value, form: None }, true).map_err(|e| match e {
            Error::Invalid(errors) => errors.into_iter().map(|e| e.pointer).collect(),
            other => panic!("{other}"),
        })
    }

    fn read_form(pairs: &[(&str, &str)]) -> BulkRequest {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let form: Vec<(String, String)> = pairs.iter().map(owned).collect();
        let members = form
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.clone())));
        let input = RequestInput {
            value: Value::Object(members.collect()),
            form: Some(form),
        };
        BulkRequest::read(&input, true).unwrap()
    }

    #[test]
    fn a_selection_or_all_but_never_nobody() {
        let id = InstanceId::random();
        let stop = read(json!({"action": "stop", "ids": [id, id]})).unwrap();
        assert_eq!(stop.action, Some(BulkAction::Stop));
        assert_eq!(stop.selection, BulkSelection::Ids(vec![id]));
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
        let id = id.to_string();
        let both = [
            ("action", "stop"),
            ("ids", &*id),
            ("filter", "tag=a+b&state=failed"),
        ];
        match read_form(&both).selection {
            BulkSelection::Filter(filter) => assert_eq!(filter.tags, ["a b"]),
            other => panic!("{other:?}"),
        }
        let twice = read_form(&[("action", "restart"), ("ids", &id), ("ids", &id)]);
        assert_eq!(
            (twice.action, twice.selection),
            (
                Some(BulkAction::Restart),
                BulkSelection::Ids(vec![id.parse().unwrap()])
            )
        );
    }

    #[test]
    fn a_count_is_a_whole_number_and_a_form_may_write_it_as_people_do() {
        let id = InstanceId::random();
        for (count, wanted) in [
            (json!(12), Ok(Some(12))),
            (json!(null), Ok(None)),
            (json!(0), Ok(Some(0))),
            (json!("12"), Err(())),
            (json!(1.5), Err(())),
            (json!(-1), Err(())),
        ] {
            let body = json!({"action": "delete", "ids": [id], "count": count});
            let read = read(body).map(|request| request.count);
            let wanted = wanted.map_err(|()| vec!["/count".to_owned()]);
            assert_eq!(read, wanted, "{count}");
        }
        let id = id.to_string();
        for (count, wanted) in [("1,200", Some(1200)), (" 7 ", Some(7)), ("", None)] {
            let form = read_form(&[
                ("action", "delete"),
                ("confirm", ""),
                ("ids", &id),
                ("count", count),
            ]);
            assert_eq!(form.count, wanted);
            assert!(form.errors.is_empty());
        }
        let wrong = read_form(&[("action", "delete"), ("ids", &id), ("count", "all")]);
        assert_eq!((wrong.action, wrong.errors.len()), (None, 1));
    }
}
