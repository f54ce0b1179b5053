//! One operation of an API: a method on a path, what it is sent and what it answers.

use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;

use super::field::{RequestField, id as id_of, object};
use super::{FORM, HTML, JSON};
use crate::base::role::Role;
use crate::web::respond::SuccessResponse;

/// Makes the schema of a type; types that have a name are put beside the operations once and
/// referred to.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The shape of a type that is serialised.
pub fn shape<T: JsonSchema>() -> Shape {
    |generator| generator.subschema_for::<T>()
}

/// What a request's body may be.
#[derive(Clone, Debug)]
pub enum RequestBody {
    /// An object of these members, as JSON or as a form.
    Fields(Vec<RequestField>),
    /// The fields of a form; whoever is no form sends nothing.
    Form(Vec<RequestField>),
    /// JSON of another shape, or a form of the fields that are said.
    Shaped(Shape, Vec<RequestField>),
    /// JSON of these members, or a file as one of these media types.
    File(Vec<RequestField>, &'static [&'static str]),
}

/// What may be answered: a status, what it means, in which media types, with which JSON.
#[derive(Clone, Debug)]
pub struct ResponseSpec {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub about: &'static str,
    /// In which media types its body comes; none: no body.
    pub types: &'static [&'static str],
    /// The shape of its JSON.
    pub shape: Option<Shape>,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct ApiOperation {
    /// `get`, `post`, …
    pub method: &'static str,
    /// Its path without prefix, as the router has it.
    pub path: &'static str,
    /// Its name, unique.
    pub id: Cow<'static, str>,
    /// What it does, one sentence.
    pub summary: Cow<'static, str>,
    /// What else there is to know.
    pub about: &'static str,
    /// Parameters in the path.
    pub path_fields: Vec<RequestField>,
    /// Parameters in the query.
    pub query: Vec<RequestField>,
    /// Its body.
    pub body: Option<RequestBody>,
    /// The request is refused without a body.
    pub needs_body: bool,
    /// Its body may have fields that are not listed.
    pub has_open_body: bool,
    /// What it answers when it works, and problems of its own.
    pub answers: Vec<ResponseSpec>,
    /// Statuses of problems, besides those that follow from the rest.
    pub problems: Vec<u16>,
    /// The lowest role that may call it. `None`: it needs no login.
    pub role: Option<Role>,
    /// The audit log's words for it, in the past tense. `None`: it changes nothing.
    pub audit_action: Option<&'static str>,
    /// Its body is a large file: of other limits than the rest.
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
        // What says nothing else is safe: reading is for viewers, changes are for admins.
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
            summary: format!(
                "The same as {}, for HTML forms.",
                self.method.to_uppercase()
            )
            .into(),
            ..self
        }
    }

    /// Its method.
    pub fn http_method(&self) -> Method {
        match self.method {
            "post" => Method::POST,
            "put" => Method::PUT,
            "patch" => Method::PATCH,
            "delete" => Method::DELETE,
            // The only one left that an operation can be made with.
            _ => Method::GET,
        }
    }

    /// It needs no login.
    pub fn for_anybody(mut self) -> Self {
        self.role = None;
        self.audit_action = None;
        self
    }

    /// Viewers may call it.
    pub fn for_viewers(mut self) -> Self {
        self.role = Some(Role::Viewer);
        self.audit_action = None;
        self
    }

    /// Operators and admins may call it.
    pub fn for_operators(mut self) -> Self {
        self.role = Some(Role::Operator);
        self.audit_action = None;
        self
    }

    /// Only admins may call it.
    pub fn for_admins(mut self) -> Self {
        self.role = Some(Role::Admin);
        self.audit_action = None;
        self
    }

    /// What the audit log says was done, in the past tense.
    pub fn audited(mut self, action: &'static str) -> Self {
        self.audit_action = Some(action);
        self
    }

    /// Its body is a large file.
    pub fn uploads(mut self) -> Self {
        self.is_upload = true;
        self
    }

    /// What else there is to know.
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// What a parameter in the path is; without this it is the id of something.
    pub fn named(mut self, field: RequestField) -> Self {
        let field = field.required();
        match self
            .path_fields
            .iter_mut()
            .find(|known| known.name == field.name)
        {
            Some(known) => *known = field,
            // Caught by the test of documents: a parameter that the path does not have.
            None => self.path_fields.push(field),
        }
        self
    }

    /// Parameters in the query.
    pub fn asks(mut self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        self.query.extend(fields);
        self
    }

    /// A body of these members, as JSON or as a form; it has to be there if one of them has.
    pub fn takes(mut self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        let fields: Vec<RequestField> = fields.into_iter().collect();
        self.needs_body = true;
        self.body = Some(RequestBody::Fields(fields));
        self
    }

    /// The same, and no body at all will do.
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

    /// More members of the body.
    pub fn more(mut self, fields: impl IntoIterator<Item = RequestField>) -> Self {
        match &mut self.body {
            Some(
                RequestBody::Fields(all)
                | RequestBody::Form(all)
                | RequestBody::Shaped(_, all)
                | RequestBody::File(all, _),
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

    /// A body of JSON of a shape of its own, or a form of which only these fields are said.
    pub fn takes_shape(
        mut self,
        shape: Shape,
        fields: impl IntoIterator<Item = RequestField>,
    ) -> Self {
        self.needs_body = true;
        self.body = Some(RequestBody::Shaped(shape, fields.into_iter().collect()));
        self
    }

    /// A file as the body in one of these media types, or JSON or a form with it as a member.
    pub fn takes_file(
        mut self,
        types: &'static [&'static str],
        fields: impl IntoIterator<Item = RequestField>,
    ) -> Self {
        self.needs_body = true;
        self.body = Some(RequestBody::File(fields.into_iter().collect(), types));
        self
    }

    /// 200 in these media types, the JSON of which is a `T`.
    pub fn gives<T: JsonSchema>(self, types: &'static [&'static str]) -> Self {
        self.answer(200, "", types, Some(shape::<T>()))
    }

    /// 200 as a file, for whatever is accepted.
    pub fn gives_file(self, types: &'static [&'static str]) -> Self {
        self.answer(200, "", types, None)
    }

    /// A change: 200 with a `T` for programs, 303 for a form that asks for HTML.
    pub fn does<T: JsonSchema>(self) -> Self {
        self.answer(200, "Done.", &[JSON], Some(shape::<SuccessResponse<T>>()))
            .or_next_page()
    }

    /// Something is made: 201 with a `T` and its address in `Location`, 303 for a form that asks
    /// for HTML.
    pub fn makes<T: JsonSchema>(self) -> Self {
        self.answer(
            201,
            "Created; `Location` has the address.",
            &[JSON],
            Some(shape::<SuccessResponse<T>>()),
        )
        .or_next_page()
    }

    /// Work begins: 202 with a `T` and its address in `Location`, 303 for a form that asks for
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

    /// 303 for a form that asks for HTML.
    pub fn or_next_page(self) -> Self {
        self.answer(
            303,
            "For a form that asks for HTML: the next page.",
            &[],
            None,
        )
    }

    /// Any other answer.
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

    /// Statuses of problems, besides those that follow from the rest.
    pub fn fails(mut self, statuses: &[u16]) -> Self {
        self.problems.extend_from_slice(statuses);
        self
    }

    /// The answer is chosen by `Accept`, so there may be none that fits.
    pub(super) fn negotiates(&self) -> bool {
        let (changes, several) = (
            self.answers.iter().any(|a| a.status == 303),
            self.answers.iter().any(|a| a.types.len() > 1),
        );
        changes || several || self.answers.iter().any(|a| a.types.contains(&HTML))
    }

    /// The statuses of every problem it may answer with, in order.
    pub(super) fn all_problems(&self) -> Vec<u16> {
        let mut all = self.problems.clone();
        // Who asks from where; and a disk or a database may be full or busy at any time.
        // An unknown query parameter is refused.
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
    /// In which media types it may come, with the schema of each.
    pub(super) fn contents(
        &self,
        is_open: bool,
        generator: &mut SchemaGenerator,
    ) -> Vec<(&'static str, Schema)> {
        match self {
            Self::Fields(fields) => {
                let mut json = object(fields);
                if !is_open {
                    // A form may have more, such as its button.
                    json.insert("additionalProperties".into(), false.into());
                }
                vec![(JSON, json), (FORM, object(fields))]
            }
            Self::Form(fields) => vec![(FORM, object(fields))],
            Self::Shaped(shape, fields) => vec![(JSON, shape(generator)), (FORM, object(fields))],
            Self::File(fields, types) => {
                let file = schemars::json_schema!({ "type": "string" });
                let form = schemars::json_schema!({ "type": "object", "properties": { "file": { "type": "string", "contentMediaType": "application/octet-stream" } }, "required": ["file"] });
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

    /// The fields that are said of it.
    pub fn fields(&self) -> &[RequestField] {
        match self {
            Self::Fields(fields)
            | Self::Form(fields)
            | Self::Shaped(_, fields)
            | Self::File(fields, _) => fields,
        }
    }
}
