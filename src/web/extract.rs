//! Extractors of ids, query parameters and bodies, with the product's own error
//! messages.
//!
//! Independent of domains: a body is a JSON value for both media types.

use axum::RequestExt;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use super::openapi::RequestField;
use super::problem::ProblemResponse;
use crate::base::error::{Error, FieldError};

/// The id in the path. An invalid id is reported as not found.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let not_found =
            || ProblemResponse::new(StatusCode::NOT_FOUND, "There is nothing at this address.");
        let Path(params) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| not_found())?;
        params
            .get("id")
            .and_then(|text| text.parse().ok())
            .map(Self)
            .ok_or_else(not_found)
    }
}

/// The query parameters, read one by one, so that errors name every invalid one.
#[derive(Clone, Debug)]
pub struct QueryParams {
    given: Vec<(String, String)>,
    operation: Option<Arc<OperationFields>>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for QueryParams {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let given = form_pairs(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self {
            given,
            operation: parts.extensions.get().cloned(),
            errors: Vec::new(),
        })
    }
}

impl QueryParams {
    /// The text of a parameter, the last one if it is repeated; empty counts as missing, as in a form
    /// with a blank field.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut given = self.given.iter().rev();
        given
            .find(|(known, _)| known == name)
            .map(|(_, text)| text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// All parameters in their order, for those that can be repeated.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.given
    }

    /// The same without these parameters.
    pub fn without(mut self, names: &[&str]) -> Self {
        self.given
            .retain(|(name, _)| !names.contains(&name.as_str()));
        self
    }

    /// Records errors that another reader found.
    pub fn refuse_all(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.errors.extend(errors);
    }

    /// A parameter of any parsable type; `expected` completes "must be …".
    pub fn get<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?.to_owned();
        let value = text.parse().ok();
        if value.is_none() {
            self.errors.push(FieldError::new(
                format!("/{name}"),
                format!("{name} must be {expected}."),
            ));
        }
        value
    }

    /// A whole number in the documented range, or its default.
    pub fn number(&mut self, name: &str) -> u64 {
        // An unknown parameter was already rejected.
        let operation = self.operation.clone();
        let mut fields = operation.iter().flat_map(|operation| &operation.query);
        let Some(field) = fields.find(|field| field.name == name) else {
            return 0;
        };
        let (from, to) = field.range();
        let default = field.default_number().unwrap_or(from);
        let given = self.text(name).map(str::parse::<i64>);
        let number = given.unwrap_or(Ok(default)).ok();
        if let Some(number) = number.filter(|number| (from..=to).contains(number)) {
            return number.unsigned_abs();
        }
        let expected = field.expected();
        self.errors.push(FieldError::new(
            format!("/{name}"),
            format!("{name} must be {expected}."),
        ));
        default.unsigned_abs()
    }

    /// # Errors
    /// Names every invalid parameter.
    pub fn finish(self) -> Result<(), Error> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.errors))
        }
    }
}

/// Maximum number of unknown names in errors: a body may have a hundred thousand.
pub const MOST_UNKNOWN: usize = 20;

/// The documented fields of an operation. The router puts them into the extensions of each
/// request, in an [`Arc`].
#[derive(Debug)]
pub struct OperationFields {
    /// The parameters in the query.
    pub query: Vec<RequestField>,
    /// The fields of a JSON body; none if they are not listed.
    pub body: Option<Vec<RequestField>>,
}

/// The field with this name; readers use only fields that they were created with.
fn known<'a>(fields: &'a [RequestField], name: &str) -> Option<&'a RequestField> {
    let field = fields.iter().find(|field| field.name == name);
    debug_assert!(field.is_some(), "there is no field {name}");
    field
}

/// The error for an unknown field, with the allowed ones.
pub fn unknown_field(kind: &str, name: &str, known: &[RequestField]) -> FieldError {
    // A longer name, or one with other characters, is not a typing error. It may be a
    // secret in the wrong place.
    let is_plain = name.len() <= 40
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b));
    let hint = match known.iter().find(|field| field.alias == Some(name)) {
        Some(field) => format!("Did you mean \"{}\"?", field.name),
        None if known.is_empty() => String::new(),
        None => format!(
            "Allowed: {}.",
            known
                .iter()
                .map(|field| field.name)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let (pointer, what) = if is_plain {
        (format!("/{name}"), format!("Unknown {kind} \"{name}\"."))
    } else {
        (String::new(), format!("Unknown {kind}."))
    };
    FieldError::new(pointer, format!("{what} {hint}").trim_end().to_owned())
}

/// A JSON or form body as a JSON value. A form's fields are strings with their own names.
#[derive(Debug)]
pub struct RequestInput {
    /// The body.
    pub value: Value,
    /// The submitted fields, if it was a form.
    pub form: Option<Vec<(String, String)>>,
}

impl<S: Send + Sync> FromRequest<S> for RequestInput {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        let media_type = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let is_form = match media_type.as_str() {
            "application/json" => false,
            "application/x-www-form-urlencoded" => true,
            _ => {
                return Err(ProblemResponse::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "Send application/json or application/x-www-form-urlencoded.",
                ));
            }
        };
        let operation = request.extensions().get::<Arc<OperationFields>>().cloned();
        let fields = operation
            .as_ref()
            .and_then(|operation| operation.body.as_deref());
        let body = body(request).await?;
        if is_form {
            let pairs = form_pairs(&body);
            let value = pairs
                .iter()
                .map(|(k, v)| (k.clone(), Value::from(v.clone())))
                .collect::<Map<_, _>>();
            return Ok(Self {
                value: Value::Object(value),
                form: Some(pairs),
            });
        }
        let value: Value = serde_json::from_slice(&body).map_err(|e| {
            ProblemResponse::new(
                StatusCode::BAD_REQUEST,
                format!("The body is not JSON: {e}."),
            )
        })?;
        if let (Some(known), Value::Object(members)) = (fields, &value) {
            let is_unknown =
                |name: &&String| !known.iter().any(|field| field.name == name.as_str());
            let unknown: Vec<FieldError> = members
                .keys()
                .filter(is_unknown)
                .take(MOST_UNKNOWN)
                .map(|name| unknown_field("field", name, known))
                .collect();
            if !unknown.is_empty() {
                return Err(Error::Invalid(unknown).into());
            }
        }
        Ok(Self { value, form: None })
    }
}

/// Like [`RequestInput`] with an optional body: no body is an empty object.
#[derive(Debug)]
pub struct MaybeInput(pub RequestInput);

impl<S: Send + Sync> FromRequest<S> for MaybeInput {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        if request.headers().contains_key(CONTENT_TYPE) {
            return RequestInput::from_request(request, state).await.map(Self);
        }
        if body(request).await?.is_empty() {
            return Ok(Self(RequestInput {
                value: Value::Object(Map::new()),
                form: None,
            }));
        }
        Err(ProblemResponse::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send application/json or application/x-www-form-urlencoded.",
        ))
    }
}

/// The body of an action that needs none: a plain form's hidden fields, or nothing.
#[derive(Debug, Default)]
pub struct EmptyForm(HashMap<String, String>);

impl EmptyForm {
    /// The text of a field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<S: Send + Sync> FromRequest<S> for EmptyForm {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        let is_form = media_type
            .to_ascii_lowercase()
            .starts_with("application/x-www-form-urlencoded");
        let body = body(request).await?;
        Ok(Self(if is_form {
            form_pairs(&body).into_iter().collect()
        } else {
            HashMap::new()
        }))
    }
}

/// A plain text body, for example a TOML file.
#[derive(Debug)]
pub struct PlainText(pub String);

impl<S: Send + Sync> FromRequest<S> for PlainText {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        String::from_utf8(body(request).await?.to_vec())
            .map(Self)
            .map_err(|_| {
                ProblemResponse::new(StatusCode::BAD_REQUEST, "The body is not UTF-8 text.")
            })
    }
}

/// The whole body, within the limit of the router.
///
/// # Errors
/// 413 above the limit; 400 if the connection broke.
pub async fn body(request: Request) -> Result<Bytes, ProblemResponse> {
    request.extract::<Bytes, _>().await.map_err(
        |rejection: axum::extract::rejection::BytesRejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ProblemResponse::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large. The limit is 1 MiB.",
            ),
            _ => ProblemResponse::new(StatusCode::BAD_REQUEST, "The body is incomplete."),
        },
    )
}

fn form_pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

/// Reads the fields of a JSON object one by one, so that errors name every invalid one.
#[derive(Debug)]
pub struct MemberReader {
    members: Map<String, Value>,
    fields: Vec<RequestField>,
    errors: Vec<FieldError>,
}

impl MemberReader {
    /// A reader of these fields.
    ///
    /// # Errors
    /// The value is not an object.
    pub fn of(value: Value, fields: impl Into<Vec<RequestField>>) -> Result<Self, Error> {
        match value {
            Value::Object(members) => Ok(Self {
                members,
                fields: fields.into(),
                errors: Vec::new(),
            }),
            _ => Err(Error::invalid("", "The body must be a JSON object.")),
        }
    }

    /// Whether a field is present, including null.
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Whether a field is empty text.
    pub fn is_empty_text(&self, name: &str) -> bool {
        self.members
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|text| text.trim().is_empty())
    }

    /// Whether a field already has an error.
    pub fn is_refused(&self, name: &str) -> bool {
        self.errors
            .iter()
            .any(|e| e.pointer.strip_prefix('/') == Some(name))
    }

    /// Takes a field out; null counts as missing.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A text field, without surrounding white space; empty counts as missing.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            _ => {
                self.refuse(name, format!("{name} must be text."));
                None
            }
        }
    }

    /// A text field of a parsable type; `expected` completes "must be …".
    pub fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.refuse(name, format!("{name} must be {expected}."));
        }
        value
    }

    /// A boolean field; a form's checkbox sends `on`, `true` or nothing.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            Value::String(text) => match text.as_str() {
                "on" | "true" | "yes" | "1" => Some(true),
                "off" | "false" | "no" | "0" | "" => Some(false),
                _ => {
                    self.refuse(name, format!("{name} must be true or false."));
                    None
                }
            },
            _ => {
                self.refuse(name, format!("{name} must be true or false."));
                None
            }
        }
    }

    /// A whole number in the range of its field, also as text from a form; empty counts as
    /// missing.
    pub fn number(&mut self, name: &str) -> Option<i64> {
        let number = match self.take(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let field = known(&self.fields, name)?;
        let (from, to) = field.range();
        let number = number.filter(|number| (from..=to).contains(number));
        if number.is_none() {
            let expected = field.expected();
            self.refuse(name, format!("{name} must be {expected}."));
        }
        number
    }

    /// One of the allowed words of its field.
    pub fn word<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let expected = known(&self.fields, name)?.expected();
        self.parsed(name, &expected)
    }

    /// Adds an error for each unknown field, that is, each one that was not taken; `known`: fields that
    /// may remain.
    pub fn unknown(&self, known: &[&str]) -> Vec<FieldError> {
        let unknown = self
            .members
            .keys()
            .filter(|name| !known.contains(&name.as_str()));
        unknown
            .take(MOST_UNKNOWN)
            .map(|name| unknown_field("field", name, &[]))
            .collect()
    }

    /// The errors so far.
    pub fn refused(self) -> Vec<FieldError> {
        self.errors
    }

    /// Records an error of a field.
    pub fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors
            .push(FieldError::new(format!("/{name}"), detail));
    }

    /// Records the errors that another reader found in a nested field.
    pub fn refuse_all(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.errors.extend(errors);
    }

    /// The value if there are no errors.
    ///
    /// # Errors
    /// Names every invalid field.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.errors)),
        }
    }
}
