//! The handlers of `/saved-configs/import`: a client's file becomes a saved configuration, and a
//! translator's file becomes a section of one.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;

use super::import_source::ConfigImport;
use super::other_programs::is_translator_file;
use super::routes::{LIST, is_fixable, saved};
use super::service::ConfigService;
use super::views::import::{ImportPage, TranslatorOffer};
use super::views::values::Pairs;
use crate::base::actor::Actor;
use crate::base::error::{Error, Result};
use crate::base::ids::ConfigId;
use crate::web::extract::{MemberReader, PlainText};
use crate::web::{
    ChangeResponse, ProblemResponse, Reply, Representation, RequestContext, RequestInput,
};

/// The `code` of the response to a translator's file that was sent as a client's.
const TRANSLATOR_FILE: &str = "translator-file";

/// `GET /saved-configs/import`.
pub async fn ask_import(want: RequestContext) -> Reply {
    want.respond(&ImportPage::default())
}

/// `POST /saved-configs/import?name=&solo=`: the file itself, or JSON or a form that contains it.
pub async fn import(
    State(configs): State<ConfigService>,
    want: RequestContext,
    actor: Actor,
    sent: SentFile,
) -> Reply {
    let pairs = sent.pairs(&want);
    let import = sent.import()?;
    let is_for_translator = is_translator_file(&import.toml);
    let mut error = match configs.clone().by(&actor).import(import).await {
        Ok(outcome) => return saved(&want, outcome, true, ""),
        Err(error) => error,
    };
    match (pairs, is_fixable(&error)) {
        (Some(pairs), Some(status)) => {
            let mut page = ImportPage::refused(&pairs, error);
            if is_for_translator {
                page = page.with_offer(offer(&configs, &pairs).await?);
            }
            want.respond_with(status, &page)
        }
        _ if is_for_translator => {
            if let Error::Invalid(errors) = &mut error
                && let Some(first) = errors.first_mut()
            {
                first
                    .detail
                    .push_str(" POST /saved-configs/import/translator does that.");
            }
            Err(ProblemResponse::from(error).with_member("code", TRANSLATOR_FILE))
        }
        _ => Err(error.into()),
    }
}

/// `POST /saved-configs/import/translator?config_id=`: adds a translator's file to a saved
/// configuration. The body is the file itself, or JSON or a form that contains it.
pub async fn import_translator(
    State(configs): State<ConfigService>,
    want: RequestContext,
    actor: Actor,
    sent: SentFile,
) -> Reply {
    let pairs = sent.pairs(&want);
    let (id, toml) = sent.translator()?;
    let error = match configs.clone().by(&actor).add_translator(id, &toml).await {
        Ok(outcome) => {
            return ChangeResponse::new(outcome, format!("{LIST}/{id}")).respond(&want);
        }
        Err(error) => error,
    };
    match (pairs, error) {
        (Some(pairs), error @ Error::Invalid(_)) => {
            let page = ImportPage::refused(&pairs, error);
            let offer = offer(&configs, &pairs).await?;
            want.respond_with(StatusCode::UNPROCESSABLE_ENTITY, &page.with_offer(offer))
        }
        (_, error) => Err(error.into()),
    }
}

async fn offer(configs: &ConfigService, pairs: &Pairs) -> Result<TranslatorOffer> {
    Ok(TranslatorOffer::new(pairs, configs.list().await?))
}

/// A file in any supported request format.
pub enum SentFile {
    /// The file itself, with the parameters of the query.
    Alone {
        /// The file.
        toml: String,
        /// Names and values.
        query: Vec<(String, String)>,
    },
    /// JSON or a form that contains it.
    Member(RequestInput),
}

impl SentFile {
    /// The form fields, if a browser sent a form.
    fn pairs(&self, want: &RequestContext) -> Option<Vec<(String, String)>> {
        match self {
            Self::Member(input) if want.form == Representation::Html => input.form.clone(),
            Self::Alone { .. } | Self::Member(_) => None,
        }
    }

    /// The file as a client's.
    fn import(self) -> Result<ConfigImport> {
        let (toml, query) = match self {
            Self::Member(input) => return ConfigImport::of(input),
            Self::Alone { toml, query } => (toml, query),
        };
        let solo = match parameter(&query, "solo") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Error::invalid("/solo", "solo must be true or false.")),
        };
        Ok(ConfigImport {
            name: parameter(&query, "name").map(str::to_owned),
            toml,
            solo,
            ..ConfigImport::default()
        })
    }

    /// The file as a translator's, and the configuration to add it to.
    fn translator(self) -> Result<(ConfigId, String)> {
        const ID: (&str, &str) = ("config_id", "the id of a saved configuration");
        match self {
            Self::Alone { toml, query } => {
                let id = parameter(&query, ID.0).and_then(|id| id.parse().ok());
                let missing =
                    || Error::invalid("/config_id", format!("{} must be {}.", ID.0, ID.1));
                Ok((id.ok_or_else(missing)?, toml))
            }
            Self::Member(input) => {
                let is_form = input.form.is_some();
                let mut body = MemberReader::of(input.value, [])?;
                let id = body.parsed(ID.0, ID.1);
                if id.is_none() && !body.is_refused(ID.0) {
                    body.refuse(ID.0, format!("{} must be {}.", ID.0, ID.1));
                }
                let toml = body
                    .take("toml")
                    .and_then(|toml| toml.as_str().map(str::to_owned));
                if toml.is_none() {
                    body.refuse(
                        "toml",
                        "toml is missing. Send the contents of the translator's configuration file.",
                    );
                }
                // The form of the page also has the fields of a client's file.
                if !is_form {
                    body.refuse_all(body.unknown(&[]));
                }
                body.finish(id.zip(toml))
            }
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for SentFile {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("text/plain");
        let media_type = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if ![
            "text/plain",
            "application/toml",
            "text/x-toml",
            "application/octet-stream",
        ]
        .contains(&media_type.as_str())
        {
            return Ok(Self::Member(
                RequestInput::from_request(request, state).await?,
            ));
        }
        let query = request.uri().query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let PlainText(toml) = PlainText::from_request(request, state).await?;
        Ok(Self::Alone { toml, query })
    }
}

/// A query parameter of a request whose body is a file.
fn parameter<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    query
        .iter()
        .find(|(key, value)| key == name && !value.trim().is_empty())
        .map(|(_, value)| value.trim())
}
