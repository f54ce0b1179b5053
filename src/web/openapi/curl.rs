//! The curl command for an operation, with `$API` for the address of the API and `$ID`
//! for ids.

use serde_json::{Map, Value};

use super::field::RequestField;
use super::operation::{ApiOperation, RequestBody};
use super::{FORM, JSON};

/// The command for an operation, with required fields only.
pub fn curl(operation: &ApiOperation) -> String {
    let mut line = String::from("curl");
    let sends_json = matches!(operation.body, Some(RequestBody::Fields(_) | RequestBody::Shaped(..)) if operation.needs_body);
    let sends_file = matches!(operation.body, Some(RequestBody::File(..)));
    let method = operation.method.to_ascii_uppercase();
    // curl sets these two itself.
    if !(method == "GET" || method == "POST" && (sends_json || sends_file)) {
        line.push_str(&format!(" -X {method}"));
    }
    if !operation
        .answers
        .iter()
        .any(|answer| answer.types.contains(&JSON))
    {
        line.push_str(" -OJ");
    }
    line.push_str(&format!(" \"$API{}\"", address(operation)));
    match &operation.body {
        Some(RequestBody::Fields(fields)) if operation.needs_body => {
            line.push_str(&format!(" --json '{}'", object(fields)))
        }
        Some(RequestBody::Shaped(..)) => line.push_str(" --json @body.json"),
        Some(RequestBody::File(_, types, _)) => {
            let kind = types
                .iter()
                .find(|kind| ![JSON, FORM].contains(*kind))
                .copied()
                .unwrap_or(JSON);
            line.push_str(&format!(" -H 'Content-Type: {kind}' --data-binary @file"));
        }
        _ => {}
    }
    line
}

fn address(operation: &ApiOperation) -> String {
    let mut path = operation.path.to_owned();
    for field in &operation.path_fields {
        let is_id = field
            .schema
            .get("format")
            .is_some_and(|format| format == "uuid");
        let value = if is_id {
            format!("${}", field.name.to_ascii_uppercase())
        } else {
            plain(&field.example())
        };
        path = path.replace(&format!("{{{}}}", field.name), &value);
    }
    let required: Vec<String> = operation
        .query
        .iter()
        .filter(|field| field.required)
        .map(|field| format!("{}={}", field.name, plain(&field.example())))
        .collect();
    if required.is_empty() {
        path
    } else {
        format!("{path}?{}", required.join("&"))
    }
}

/// The required fields of a body; if none is required, its first field.
fn object(fields: &[RequestField]) -> String {
    let required: Vec<&RequestField> = fields.iter().filter(|field| field.required).collect();
    let said = if required.is_empty() {
        fields.first().into_iter().collect()
    } else {
        required
    };
    let id = |field: &RequestField| {
        field
            .schema
            .get("format")
            .is_some_and(|format| format == "uuid")
    };
    let value = |field: &RequestField| {
        if id(field) {
            Value::from("…")
        } else {
            field.example()
        }
    };
    let body: Map<String, Value> = said
        .into_iter()
        .map(|field| (field.name.to_owned(), value(field)))
        .collect();
    Value::Object(body).to_string()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
