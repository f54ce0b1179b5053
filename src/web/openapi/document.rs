//! The OpenAPI 3.1 document of operations.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::field::RequestField;
use super::operation::{ApiOperation, ResponseSpec, Shape};
use super::{HTML, JSON, PROBLEM};
use crate::base::role::Role;

/// A group of operations.
#[derive(Clone, Debug)]
pub struct OperationGroup {
    /// The tag.
    pub tag: &'static str,
    /// The description of the tag.
    pub about: &'static str,
    /// The operations.
    pub operations: Vec<ApiOperation>,
}

/// The content of a document.
#[derive(Clone, Debug)]
pub struct ApiDocument {
    /// The name of the API.
    pub title: &'static str,
    /// The version.
    pub version: &'static str,
    /// The general description.
    pub about: &'static str,
    /// The prefix of the paths.
    pub prefix: &'static str,
    /// The authentication methods: the fields of `securitySchemes`.
    pub security: Value,
    /// The schema of problem details.
    pub problem: Shape,
    /// The operations.
    pub parts: Vec<OperationGroup>,
}

/// The meaning of each error status.
const PROBLEMS: &[(u16, &str, &str)] = &[
    (
        400,
        "BadRequest",
        "The body is not JSON, not UTF-8, or incomplete.",
    ),
    (401, "Unauthorized", "No valid session or token."),
    (
        403,
        "Forbidden",
        "The role is not sufficient, or the request is from another website.",
    ),
    (404, "NotFound", "Not found."),
    (
        406,
        "NotAcceptable",
        "No acceptable media type is available.",
    ),
    (409, "Conflict", "Conflicts with the current state."),
    (413, "TooLarge", "The body is too large."),
    (
        415,
        "UnsupportedMediaType",
        "The media type of the body is not supported.",
    ),
    (
        421,
        "Misdirected",
        "The `Host` header is not a name that jd-manager accepts.",
    ),
    (
        422,
        "Invalid",
        "The request is not valid; `errors` lists the problems.",
    ),
    (
        429,
        "TooMany",
        "Too many requests; `Retry-After` gives the time to wait.",
    ),
    (
        502,
        "BadGateway",
        "Another server did not complete the request.",
    ),
    (503, "Unavailable", "Temporarily unavailable."),
];

impl ApiDocument {
    /// The document.
    pub fn build(&self) -> Value {
        let mut settings = SchemaSettings::draft2020_12().for_serialize();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        let mut generator = settings.into_generator();
        let mut paths: Map<String, Value> = Map::new();
        for part in &self.parts {
            for operation in &part.operations {
                let path = paths.entry(operation.path).or_insert_with(|| json!({}));
                path[operation.method] = self.operation(part.tag, operation, &mut generator);
            }
        }
        let problem = (self.problem)(&mut generator);
        let problems: Map<String, Value> = PROBLEMS
            .iter()
            .map(|(_, name, about)| {
                let content = json!({ PROBLEM: { "schema": problem }, HTML: { "schema": { "type": "string" } } });
                ((*name).to_owned(), json!({ "description": about, "content": content }))
            })
            .collect();
        let schemas: Map<String, Value> = generator.take_definitions(true);
        json!({
            "openapi": "3.1.0",
            "info": { "title": self.title, "version": self.version, "description": self.about },
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "servers": [{ "url": self.prefix }],
            "security": self.security.as_object().into_iter().flatten().map(|(name, _)| json!({ name: [] })).collect::<Vec<_>>(),
            "tags": self.parts.iter().map(|part| json!({ "name": part.tag, "description": part.about })).collect::<Vec<_>>(),
            "paths": paths,
            "components": { "schemas": schemas, "responses": problems, "securitySchemes": self.security },
        })
    }

    fn operation(
        &self,
        tag: &str,
        operation: &ApiOperation,
        generator: &mut SchemaGenerator,
    ) -> Value {
        let role = operation.role.map(Role::name);
        let needs = match role {
            Some(role) => format!("Requires the {role} role."),
            None => "No sign-in required.".to_owned(),
        };
        let about = if operation.about.is_empty() {
            needs
        } else {
            format!("{}\n\n{needs}", operation.about)
        };
        let mut said = json!({
            "operationId": operation.id,
            "summary": operation.summary,
            "description": about,
            "tags": [tag],
            "x-role": role,
            "responses": responses(operation, generator),
        });
        let fields = operation
            .path_fields
            .iter()
            .map(|field| parameter("path", field));
        let parameters: Vec<Value> = fields
            .chain(
                operation
                    .query
                    .iter()
                    .map(|field| parameter("query", field)),
            )
            .collect();
        if !parameters.is_empty() {
            said["parameters"] = parameters.into();
        }
        if let Some(body) = &operation.body {
            let contents = body
                .contents(operation.has_open_body, generator)
                .into_iter();
            let content: Map<String, Value> = contents
                .map(|(name, schema)| (name.to_owned(), json!({ "schema": schema })))
                .collect();
            said["requestBody"] = json!({ "required": operation.needs_body, "content": content });
        }
        if role.is_none() {
            said["security"] = json!([]);
        }
        said
    }
}

fn parameter(place: &str, field: &RequestField) -> Value {
    json!({ "name": field.name, "in": place, "description": field.about, "required": field.required, "schema": field.schema })
}

fn responses(operation: &ApiOperation, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut all = Map::new();
    for status in operation.all_problems() {
        let name = PROBLEMS
            .iter()
            .find(|known| known.0 == status)
            .map_or("Unavailable", |known| known.1);
        all.insert(
            status.to_string(),
            json!({ "$ref": format!("#/components/responses/{name}") }),
        );
    }
    for answer in &operation.answers {
        all.insert(
            answer.status.to_string(),
            response(operation, answer, generator),
        );
    }
    all
}

fn response(
    operation: &ApiOperation,
    answer: &ResponseSpec,
    generator: &mut SchemaGenerator,
) -> Value {
    let about = if answer.about.is_empty() {
        &operation.summary
    } else {
        answer.about
    };
    let mut said = json!({ "description": about });
    let mut content = Map::new();
    for name in answer.types {
        let schema = match answer.shape.filter(|_| *name == JSON) {
            Some(shape) => Value::from(shape(generator)),
            None => json!({ "type": "string" }),
        };
        content.insert((*name).to_owned(), json!({ "schema": schema }));
    }
    if !content.is_empty() {
        said["content"] = content.into();
    }
    if matches!(answer.status, 201 | 202 | 303) {
        said["headers"] = json!({ "Location": { "schema": { "type": "string" } } });
    }
    said
}

/// A short description of a schema: `text`, `whole number, 1 to 1000`, `list of ApiInstance`.
pub fn short_type(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(all) = schema[keyword].as_array() {
            let words: Vec<String> = all.iter().map(short_type).collect();
            return words.join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|word| {
                word.as_str()
                    .map_or_else(|| word.to_string(), str::to_owned)
            })
            .collect();
        return words.join(", ");
    }
    if let Some(word) = schema.get("const") {
        return word
            .as_str()
            .map_or_else(|| word.to_string(), str::to_owned);
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".into(),
    };
    let words: Vec<String> = kinds
        .into_iter()
        .map(|kind| kind_text(kind, schema))
        .collect();
    words.join(" or ")
}

fn kind_text(kind: &str, schema: &Value) -> String {
    let range =
        |unit: &str, from: &str, to: &str| match (schema[from].as_i64(), schema[to].as_i64()) {
            (Some(least), Some(most)) => format!("{unit}, {least} to {most}"),
            (Some(least), None) if least != 0 => format!("{unit}, from {least}"),
            (None, Some(most)) => format!("{unit}, at most {most}"),
            _ => unit.to_owned(),
        };
    match kind {
        "string" => match schema["format"].as_str() {
            Some("uuid") => "id".into(),
            Some("date-time") => "time".into(),
            _ => match schema["maxLength"].as_u64() {
                Some(most) => format!("text, at most {most} characters"),
                None => "text".into(),
            },
        },
        "integer" => range("whole number", "minimum", "maximum"),
        "number" => range("number", "minimum", "maximum"),
        "boolean" => "true or false".into(),
        "array" => format!("list of {}", short_type(&schema["items"])),
        "null" => "null".into(),
        _ if schema["additionalProperties"].is_object() => {
            format!("{} by name", short_type(&schema["additionalProperties"]))
        }
        other => other.to_owned(),
    }
}
