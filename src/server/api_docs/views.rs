//! The page of the API's documentation; its JSON is the OpenAPI document. No I/O.

use askama::Template;
use serde::Serialize;
use serde_json::Value;

use crate::web::Role;
use crate::web::openapi::{ApiDocument, ApiOperation, RequestField, curl, short_type};

/// `GET /openapi`.
#[derive(Debug, Template, Serialize)]
#[template(path = "api_docs/show.html", blocks = ["main"])]
pub struct ApiPage {
    #[serde(skip)]
    parts: Vec<PartView>,
    #[serde(skip)]
    shapes: Vec<ShapeView>,
    #[serde(flatten)]
    document: Value,
}
crate::view!(ApiPage { "main" => as_main });

#[derive(Debug)]
struct PartView {
    tag: &'static str,
    anchor: String,
    about: &'static str,
    operations: Vec<OperationView>,
}

#[derive(Debug)]
struct OperationView {
    id: String,
    method: String,
    path: &'static str,
    summary: String,
    about: &'static str,
    role: Option<&'static str>,
    parameters: Vec<DocumentedMember>,
    /// The media types of the body.
    bodies: String,
    members: Vec<DocumentedMember>,
    answers: Vec<AnswerView>,
    curl: String,
}

/// A parameter, a field of a body or of a schema.
#[derive(Debug)]
struct DocumentedMember {
    name: String,
    /// A short description of the type.
    kind: Vec<TextWord>,
    about: String,
    required: bool,
    default: Option<String>,
}

/// A piece of text, possibly the name of a schema.
#[derive(Debug)]
struct TextWord {
    text: String,
    is_shape: bool,
}

#[derive(Debug)]
struct AnswerView {
    status: String,
    about: String,
    types: String,
    kind: Vec<TextWord>,
}

/// The fields of an object.
#[derive(Debug)]
struct ShapeView {
    name: String,
    about: String,
    /// The type, if it is not an object.
    kind: Vec<TextWord>,
    rows: Vec<DocumentedMember>,
}

impl ApiPage {
    /// The page of a document.
    pub fn new(documented: ApiDocument) -> Self {
        let document = documented.build();
        let schemas = document["components"]["schemas"].as_object();
        let known: Vec<&str> = schemas
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let shapes = schemas
            .into_iter()
            .flatten()
            .map(|(name, schema)| ShapeView::of(name, schema, &known))
            .collect();
        let parts = documented
            .parts
            .iter()
            .map(|part| PartView {
                tag: part.tag,
                anchor: part.tag.to_ascii_lowercase().replace(' ', "-"),
                about: part.about,
                operations: part
                    .operations
                    .iter()
                    .map(|operation| OperationView::of(operation, &document, &known))
                    .collect(),
            })
            .collect();
        Self {
            parts,
            shapes,
            document,
        }
    }

    /// The default address of the API.
    fn example(&self) -> &'static str {
        "http://127.0.0.1:3000/api"
    }

    fn count(&self) -> usize {
        self.parts.iter().map(|part| part.operations.len()).sum()
    }
}

impl OperationView {
    fn of(operation: &ApiOperation, document: &Value, known: &[&str]) -> Self {
        let said = &document["paths"][operation.path][operation.method];
        let fields = operation.path_fields.iter().chain(&operation.query);
        let members = operation.body.iter().flat_map(|body| body.fields());
        let bodies: Vec<&str> = said["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        Self {
            id: operation.id.to_string(),
            method: operation.method.to_ascii_uppercase(),
            path: operation.path,
            summary: operation.summary.to_string(),
            about: operation.about,
            role: operation.role.map(Role::name),
            parameters: fields
                .map(|field| DocumentedMember::of_field(field, known))
                .collect(),
            bodies: bodies.join(", "),
            members: members
                .map(|field| DocumentedMember::of_field(field, known))
                .collect(),
            answers: said["responses"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(status, answer)| AnswerView::of(status, answer, document, known))
                .collect(),
            curl: curl(operation),
        }
    }
}

impl DocumentedMember {
    fn of_field(field: &RequestField, known: &[&str]) -> Self {
        let schema = Value::Object(field.schema.clone());
        Self::of(field.name, &schema, field.about, field.required, known)
    }

    fn of(name: &str, schema: &Value, about: &str, required: bool, known: &[&str]) -> Self {
        let default = schema.get("default").map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        });
        Self {
            name: name.to_owned(),
            kind: words(schema, known),
            about: about.to_owned(),
            required,
            default,
        }
    }
}

impl AnswerView {
    fn of(status: &str, answer: &Value, document: &Value, known: &[&str]) -> Self {
        // Errors are the same for all operations and are described once.
        let referred = answer["$ref"]
            .as_str()
            .and_then(|path| document.pointer(path.trim_start_matches('#')));
        let answer = referred.unwrap_or(answer);
        let content = answer["content"].as_object();
        let types: Vec<&str> = content
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let json = content.and_then(|all| all.iter().find(|(name, _)| name.ends_with("json")));
        Self {
            status: status.to_owned(),
            about: answer["description"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            types: types.join(", "),
            kind: json
                .map(|(_, content)| words(&content["schema"], known))
                .unwrap_or_default(),
        }
    }
}

impl ShapeView {
    fn of(name: &str, schema: &Value, known: &[&str]) -> Self {
        let text = |value: &Value| value["description"].as_str().unwrap_or_default().to_owned();
        let mut rows = Vec::new();
        // Parts of one object are next to each other or in `allOf`.
        let parts = std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten());
        for part in parts {
            let required: Vec<&str> = part["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for (member, schema) in part["properties"].as_object().into_iter().flatten() {
                rows.push(DocumentedMember::of(
                    member,
                    schema,
                    &text(schema),
                    required.contains(&member.as_str()),
                    known,
                ));
            }
        }
        let kind = if rows.is_empty() {
            words(schema, known)
        } else {
            Vec::new()
        };
        Self {
            name: name.to_owned(),
            about: text(schema),
            kind,
            rows,
        }
    }
}

/// A short description of a schema, with the names of schemas marked.
fn words(schema: &Value, known: &[&str]) -> Vec<TextWord> {
    let text = short_type(schema);
    let pieces = text.split_inclusive(' ').map(|piece| {
        let bare = piece.trim_end().trim_end_matches(',');
        TextWord {
            text: piece.to_owned(),
            is_shape: known.contains(&bare),
        }
    });
    pieces.collect()
}
