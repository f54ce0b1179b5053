//! Fields of requests: a parameter in the path or the query, or a field
//! of a body.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// A field of a request.
#[derive(Clone, Debug)]
pub struct RequestField {
    /// The name.
    pub name: &'static str,
    /// A short description.
    pub about: &'static str,
    /// The JSON Schema.
    pub schema: Map<String, Value>,
    /// Whether it is required.
    pub required: bool,
    /// A name used elsewhere. The error for that name suggests the right one.
    pub alias: Option<&'static str>,
}

/// A field of any schema.
pub fn member(name: &'static str, about: &'static str, schema: Value) -> RequestField {
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    RequestField {
        name,
        about,
        schema,
        required: false,
        alias: None,
    }
}

/// Text.
pub fn text(name: &'static str, about: &'static str) -> RequestField {
    member(name, about, json!({ "type": "string" }))
}

/// A whole number in a range.
pub fn whole(name: &'static str, about: &'static str, from: i64, to: i64) -> RequestField {
    member(
        name,
        about,
        json!({ "type": "integer", "minimum": from, "maximum": to }),
    )
}

/// A whole number that is the id or the number of something.
pub fn number(name: &'static str, about: &'static str) -> RequestField {
    member(name, about, json!({ "type": "integer", "format": "int64" }))
}

/// A boolean.
pub fn flag(name: &'static str, about: &'static str) -> RequestField {
    member(name, about, json!({ "type": "boolean" }))
}

/// One of a list of words.
pub fn one_of(name: &'static str, about: &'static str, words: &[&str]) -> RequestField {
    member(name, about, json!({ "type": "string", "enum": words }))
}

/// An id: a UUID.
pub fn id(name: &'static str, about: &'static str) -> RequestField {
    member(name, about, json!({ "type": "string", "format": "uuid" }))
}

/// A time, RFC 3339.
pub fn moment(name: &'static str, about: &'static str) -> RequestField {
    member(
        name,
        about,
        json!({ "type": "string", "format": "date-time" }),
    )
}

/// A list of ids.
pub fn list(name: &'static str, about: &'static str) -> RequestField {
    member(
        name,
        about,
        json!({ "type": "array", "items": { "type": "string", "format": "uuid" } }),
    )
}

/// A JSON object of such fields.
pub fn object(fields: &[RequestField]) -> Schema {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.schema.clone();
        schema.insert("description".into(), field.about.into());
        properties.insert(field.name.into(), schema.into());
    }
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.into()
}

/// `a, b or c`.
pub(crate) fn any_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

impl RequestField {
    /// Whether it is required.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// A name used elsewhere.
    pub fn also_called(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// The default value.
    pub fn or(self, default: impl Into<Value>) -> Self {
        self.with("default", default)
    }

    /// An example value.
    pub fn like(self, example: impl Into<Value>) -> Self {
        self.with("examples", vec![example.into()])
    }

    /// Length limits: at least one character, and this maximum.
    pub fn longest(self, most: u64) -> Self {
        self.with("minLength", 1).with("maxLength", most)
    }

    /// Null is allowed.
    pub fn or_null(self) -> Self {
        match self.schema.get("type").cloned() {
            Some(kind @ Value::String(_)) => self.with("type", vec![kind, "null".into()]),
            _ => self,
        }
    }

    /// Adds a JSON Schema keyword.
    pub fn with(mut self, keyword: &str, value: impl Into<Value>) -> Self {
        self.schema.insert(keyword.into(), value.into());
        self
    }

    /// The minimum and maximum of a whole number.
    pub(crate) fn range(&self) -> (i64, i64) {
        let bound = |keyword: &str, none: i64| {
            let bound = self.schema.get(keyword).and_then(Value::as_i64);
            bound.unwrap_or(none)
        };
        (bound("minimum", i64::MIN), bound("maximum", i64::MAX))
    }

    /// The default number.
    pub(crate) fn default_number(&self) -> Option<i64> {
        self.schema.get("default").and_then(Value::as_i64)
    }

    /// The expected value, to complete "must be …".
    pub(crate) fn expected(&self) -> String {
        let words: Vec<&str> = self
            .schema
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if words.is_empty() {
            let (from, to) = self.range();
            return format!("a whole number from {from} to {to}");
        }
        any_of(&words)
    }

    /// An example value: the given example, the default, or a value of its type.
    pub fn example(&self) -> Value {
        let first = |keyword: &str| {
            self.schema
                .get(keyword)
                .and_then(Value::as_array)
                .and_then(|all| all.first())
                .cloned()
        };
        let given = first("examples")
            .or_else(|| self.schema.get("default").cloned())
            .or_else(|| first("enum"));
        given.unwrap_or_else(|| match self.schema.get("type").and_then(Value::as_str) {
            Some("integer") => self
                .schema
                .get("minimum")
                .cloned()
                .unwrap_or_else(|| 1.into()),
            Some("boolean") => true.into(),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => "…".into(),
        })
    }
}
