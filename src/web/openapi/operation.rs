//! One operation of an API: method, path, request and responses.

use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;

use super::field::{RequestField, id as id_of, object};
use super::{FORM, HTML, JSON};
use crate::base::role::Role;
use crate::web::respond::SuccessResponse;

/// Creates the schema of a type; named types are added once to the components and
/// referred to.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a serialized type.
pub fn shape<T: JsonSchema>() -> Shape {
    |generator| generator.subschema_for::<T>()
}

/// The body of a request.
#[derive(Clone, Debug)]
pub enum RequestBody {
    /// An object with these fields, as JSON or as a form.
    Fields(Vec<RequestField>),
    /// The fields of a form; programs send no body.
    Form(Vec<RequestField>),
    /// JSON with its own schema, or a form with these fields.
    Shaped(Shape, Vec<RequestField>),
    /// JSON with these fields, or a file in one of these media types. A form may have further files,
    /// with their names and descriptions.
    File(
        Vec<RequestField>,
        &'static [&'static str],
        Vec<(&'static str, &'static str)>,
    ),
}

/// A response: status, meaning, media types and JSON schema.
#[derive(Clone, Debug)]
pub struct ResponseSpec {
    /// The HTTP status.
    pub status: u16,
    /// The meaning.
    pub about: &'static str,
    /// The media types of the body; none: no body.
    pub types: &'static [&'static str],
    /// The schema of the JSON.
    pub shape: Option<Shape>,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct ApiOperation {
    /// `get`, `post`, …
    pub method: &'static str,
    /// The path without prefix, as in the router.
    pub path: &'static str,
    /// The unique name.
    pub id: Cow<'static, str>,
    /// A one-sentence summary.
    pub summary: Cow<'static, str>,
    /// Further description.
    pub about: &'static str,
    /// Parameters in the path.
    pub path_fields: Vec<RequestField>,
    /// Parameters in the query.
    pub query: Vec<RequestField>,
    /// The body.
    pub body: Option<RequestBody>,
    /// Whether the body is required.
    pub needs_body: bool,
    /// Whether the body may have fields that are not listed.
    pub has_open_body: bool,
    /// The responses of success, and operation-specific errors.
    pub answers: Vec<ResponseSpec>,
    /// Error statuses, in addition to those derived from the rest.
    pub problems: Vec<u16>,
    /// The required role. `None`: no sign-in required.
    pub role: Option<Role>,
    /// The text for the audit log, in the past tense. `None`: it changes nothing.
    pub audit_action: Option<&'static str>,
    /// Whether the body is a large file, with its own limits.
    pub is_upload: bool,
}

macro_rules! method {
    ($($name:ident),+) => {$(
        #[doc = concat!("An operation with the method `", stringify!($name), "`: path, name, summary.")]
        pub fn $name(path: &'static str, id: &'static str, summary: &'static str) -> ApiOperation {
            ApiOperation::new(stringify!($name), path, id, summary)
        }
    )+};
}
method!(get, post, put, patch, delete);

impl ApiOperation {
    fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let path_fields = path
            .split('/')
            .filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| id_of(name, "The id.").required())
            .collect();
        // Safe defaults: reading requires a viewer, changes require an admin.
        let reads = method == "get";
        Self {
            method,
            path,
            id: id.into(),
            summary: summary.into(),
            about: "",
            path_fields,
            query: Vec::new(),
            body: None,
            needs_body: false,
            has_open_body: false,
            answers: Vec::new(),
            problems: Vec::new(),
            role: Some(if reads { Role::Viewer } else { Role::Admin }),
            audit_action: (!reads).then_some("changed something"),
            is_upload: false,
        }
    }

    /// The same operation for forms, by POST at `path`.
    pub(super) fn by_form(self, path: &'static str) -> Self {
        Self {
            method: "post",
            path,
            id: format!("{}ByForm", self.id).into(),
            summary: format!("The same as {}, for forms.", self.method.to_uppercase()).into(),
            ..self
        }
    }

    /// The method.
    pub fn http_method(&self) -> Method {
        match self.method {
            "post" => Method::POST,
            "put" => Method::PUT,
            "patch" => Method::PATCH,
            "delete" => Method::DELETE,
            // The only remaining method.
            _ => Method::GET,
        }
    }

    /// No sign-in required.
    pub fn for_anybody(mut self) -> Self {
        self.role = None;
        self.audit_action = None;
        self
    }

    /// Requires a viewer.
    pub fn for_viewers(mut self) -> Self {
        self.role = Some(Role::Viewer);
        self.audit_action = None;
        self
    }

    /// Requires an operator.
    pub fn for_operators(mut self) -> Self {
        self.role = Some(Role::Operator);
        self.audit_action = None;
        self
    }

    /// Requires an admin.
    pub fn for_admins(mut self) -> Self {
        self.role = Some(Role::Admin);
        self.audit_action = None;
        self
    }

    /// Sets the text for the audit log, in the past tense.
    pub fn audited(mut self, action: &'static str) -> Self {
        self.audit_action = Some(action);
        self
    }

    /// The body is a large file.
    pub fn uploads(mut self) -> Self {
        self.is_upload = true;
        self
    }

    /// Further description.
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Describes a path parameter; the default is an id.
    pub fn named(mut self, field: RequestField) -> Self {
        let field = field.required();
        match self
            .path_fields
            .iter_mut()
            .find(|known| known.name == field.name)
        {
            Some(known) => *known = field,
            // The document test catches a parameter that is not in the path.
            None => self.path_fields.push(field),
        }
        self
    }

    /// Parameters in the query.
    pub fn asks(mut self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        self.query.extend(fields);
        self
    }

    /// A required body with these fields, as JSON or as a form.
    pub fn takes(mut self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        let fields: Vec<RequestField> = fields.into_iter().collect();
        self.needs_body = true;
        self.body = Some(RequestBody::Fields(fields));
        self
    }

    /// The same, but the body is optional.
    pub fn may_take(self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        let mut this = self.takes(fields);
        this.needs_body = false;
        this
    }

    /// The body may have fields that are not listed.
    pub fn open(mut self) -> Self {
        self.has_open_body = true;
        self
    }

    /// More fields of the body.
    pub fn more(mut self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        match &mut self.body {
            Some(
                RequestBody::Fields(all)
                | RequestBody::Form(all)
                | RequestBody::Shaped(_, all)
                | RequestBody::File(all, ..),
            ) => all.extend(fields),
            None => return self.takes(fields),
        }
        self
    }

    /// An action that needs no body; a form may have these fields.
    pub fn acts(mut self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        self.body = Some(RequestBody::Form(fields.into_iter().collect()));
        self
    }

    /// A JSON body with its own schema, or a form of which only these fields are documented.
    pub fn takes_shape(
        mut self,
        shape: Shape,
        fields: impl IntoIterator<Item = RequestField>,
    ) -> Self {
        self.needs_body = true;
        self.body = Some(RequestBody::Shaped(shape, fields.into_iter().collect()));
        self
    }

    /// A file as the body in one of these media types, or JSON or a form with the file as a field.
    pub fn takes_file(
        mut self,
        types: &'static [&'static str],
        fields: impl IntoIterator<Item = RequestField>,
    ) -> Self {
        self.needs_body = true;
        self.body = Some(RequestBody::File(
            fields.into_iter().collect(),
            types,
            Vec::new(),
        ));
        self
    }

    /// A form may have another file in the field `name`.
    pub fn and_file(mut self, name: &'static str, about: &'static str) -> Self {
        if let Some(RequestBody::File(_, _, others)) = &mut self.body {
            others.push((name, about));
        }
        self
    }

    /// 200 in these media types; the JSON is a `T`.
    pub fn gives<T: JsonSchema>(self, types: &'static [&'static str]) -> Self {
        self.answer(200, "", types, Some(shape::<T>()))
    }

    /// 200 as a file, independent of `Accept`.
    pub fn gives_file(self, types: &'static [&'static str]) -> Self {
        self.answer(200, "", types, None)
    }

    /// A change: 200 with a `T` for programs, 303 for a form that requests HTML.
    pub fn does<T: JsonSchema>(self) -> Self {
        self.answer(200, "Done.", &[JSON], Some(shape::<SuccessResponse<T>>()))
            .or_next_page()
    }

    /// Something is created: 201 with a `T` and its address in `Location`, 303 for a form that requests
    /// HTML.
    pub fn makes<T: JsonSchema>(self) -> Self {
        self.answer(
            201,
            "Created; `Location` has the address.",
            &[JSON],
            Some(shape::<SuccessResponse<T>>()),
        )
        .or_next_page()
    }

    /// A job starts: 202 with a `T` and its address in `Location`, 303 for a form that requests
    /// HTML.
    pub fn begins<T: JsonSchema>(self) -> Self {
        self.answer(
            202,
            "Started; `Location` has the address of its progress.",
            &[JSON],
            Some(shape::<SuccessResponse<T>>()),
        )
        .or_next_page()
    }

    /// 303 for a form that requests HTML.
    pub fn or_next_page(self) -> Self {
        self.answer(
            303,
            "For a form that requests HTML: the next page.",
            &[],
            None,
        )
    }

    /// Any other response.
    pub fn answer(
        mut self,
        status: u16,
        about: &'static str,
        types: &'static [&'static str],
        shape: Option<Shape>,
    ) -> Self {
        self.answers.push(ResponseSpec {
            status,
            about,
            types,
            shape,
        });
        self
    }

    /// Error statuses, in addition to those derived from the rest.
    pub fn fails(mut self, statuses: &[u16]) -> Self {
        self.problems.extend_from_slice(statuses);
        self
    }

    /// Whether `Accept` selects the response, so that none may be acceptable.
    pub(super) fn negotiates(&self) -> bool {
        let (changes, several) = (
            self.answers.iter().any(|a| a.status == 303),
            self.answers.iter().any(|a| a.types.len() > 1),
        );
        changes || several || self.answers.iter().any(|a| a.types.contains(&HTML))
    }

    /// All error statuses, in order.
    pub(super) fn all_problems(&self) -> Vec<u16> {
        let mut all = self.problems.clone();
        // Errors of host, origin and access; a disk or database may be full or busy at any time.
        // An unknown query parameter is rejected.
        all.extend([421, 422, 503]);
        if self.role.is_some() {
            all.extend([401, 403]);
        }
        if self.method != "get" {
            all.push(403);
        }
        if self.negotiates() {
            all.push(406);
        }
        if !self.path_fields.is_empty() {
            all.push(404);
        }
        match &self.body {
            Some(RequestBody::Form(_)) => all.extend([400, 413]),
            Some(_) => all.extend([400, 413, 415]),
            None => {}
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl RequestBody {
    /// The possible media types, with the schema of each.
    pub(super) fn contents(
        &self,
        is_open: bool,
        generator: &mut SchemaGenerator,
    ) -> Vec<(&'static str, Schema)> {
        match self {
            Self::Fields(fields) => {
                let mut json = object(fields);
                if !is_open {
                    // A form may have more fields, such as its button.
                    json.insert("additionalProperties".into(), false.into());
                }
                vec![(JSON, json), (FORM, object(fields))]
            }
            Self::Form(fields) => vec![(FORM, object(fields))],
            Self::Shaped(shape, fields) => vec![(JSON, shape(generator)), (FORM, object(fields))],
            Self::File(fields, types, others) => {
                let file = schemars::json_schema!({ "type": "string" });
                let mut properties = serde_json::json!({ "file": { "type": "string", "contentMediaType": "application/octet-stream" } });
                for (name, about) in others {
                    properties[*name] = serde_json::json!({ "type": "string", "contentMediaType": "application/octet-stream", "description": about });
                }
                let form = schemars::json_schema!({ "type": "object", "properties": properties, "required": ["file"] });
                let of = |name: &str| {
                    if name == "multipart/form-data" {
                        form.clone()
                    } else {
                        file.clone()
                    }
                };
                let mut all: Vec<_> = types.iter().map(|name| (*name, of(name))).collect();
                if !fields.is_empty() {
                    all.splice(0..0, [(JSON, object(fields)), (FORM, object(fields))]);
                }
                all
            }
        }
    }

    /// The documented fields.
    pub fn fields(&self) -> &[RequestField] {
        match self {
            Self::Fields(fields)
            | Self::Form(fields)
            | Self::Shaped(_, fields)
            | Self::File(fields, ..) => fields,
        }
    }
}
