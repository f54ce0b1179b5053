//! The handlers of `/saved-configs`. They contain no SQL and no rules: they parse the request, call
//! the service and choose the page.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse};

use super::config_view::ConfigChangeResult;
use super::draft::ConfigDraft;
use super::service::ConfigService;
use super::translator_file::ConfigFileProgram;
use super::views::form::ConfigFormPage;
use super::views::notes::FieldNotes;
use super::views::revisions::{RevisionComparePage, RevisionsPage};
use super::views::secret::{AskSecretPage, SecretPage};
use super::views::show::ShowPage;
use super::views::values::RowEdit;
use super::views::{ConfigListPage, TomlPage, TranslatorFilePage, delete_page};
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::ConfigId;
use crate::programs::jd_client::version::ClientVersion;
use crate::web::extract::EmptyForm;
use crate::web::negotiation::Offers;
use crate::web::respond::next_page;
use crate::web::{
    ChangeResponse, PathId, QueryParams, Reply, Representation, RequestContext, RequestInput,
    TextForms, html,
};

/// The path of the list.
pub(super) const LIST: &str = "/saved-configs";

/// `GET /saved-configs?limit=&offset=&q=`.
pub async fn list(
    State(configs): State<ConfigService>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let part = (params.number("limit"), params.number("offset"));
    let q = params
        .text("q")
        .map(|q| q.trim().to_owned())
        .filter(|q| !q.is_empty());
    params.finish()?;
    let found = configs.page(part.0, part.1, q.clone()).await?;
    want.respond_blocking(ConfigListPage::new(found, part, q, Timestamp::now()))
        .await
}

/// `GET /saved-configs/{id}`.
pub async fn show(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
) -> Reply {
    show_page(&configs, &want, configs.get(id).await?).await
}

/// `GET /saved-configs/active`.
pub async fn active(State(configs): State<ConfigService>, want: RequestContext) -> Reply {
    show_page(&configs, &want, configs.active().await?).await
}

async fn show_page(
    configs: &ConfigService,
    want: &RequestContext,
    saved: super::SavedConfig,
) -> Reply {
    let lost_hosts = configs.lost_hosts(&saved.config).await;
    let remarks = configs.import_remarks(saved.id).await?;
    want.respond(&ShowPage::new(saved, lost_hosts, remarks, Timestamp::now()))
}

/// `GET /saved-configs/new`.
pub async fn new(State(configs): State<ConfigService>, want: RequestContext) -> Reply {
    want.respond(&ConfigFormPage::new(&configs.starting().await?))
}

/// `GET /saved-configs/{id}/edit`.
pub async fn edit(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
) -> Reply {
    want.respond(&ConfigFormPage::edit(&configs.get(id).await?))
}

/// `POST /saved-configs`.
pub async fn create(
    State(configs): State<ConfigService>,
    want: RequestContext,
    actor: Actor,
    input: RequestInput,
) -> Reply {
    save(&configs.by(&actor), &want, None, input).await
}

/// `PUT /saved-configs/{id}`, and `POST` for forms.
pub async fn update(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    actor: Actor,
    input: RequestInput,
) -> Reply {
    save(&configs.by(&actor), &want, Some(id), input).await
}

/// `POST /saved-configs/check`: checks a new configuration without saving it.
pub async fn check(
    State(configs): State<ConfigService>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    judge(&configs, &want, None, input).await
}

/// `POST /saved-configs/{id}/check`: checks a change without saving it.
pub async fn check_saved(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    input: RequestInput,
) -> Reply {
    judge(&configs, &want, Some(id), input).await
}

/// API clients get the findings, a page with scripts gets notes for its fields, and a plain form is
/// shown again with the findings.
async fn judge(
    configs: &ConfigService,
    want: &RequestContext,
    id: Option<ConfigId>,
    input: RequestInput,
) -> Reply {
    let pairs = input
        .form
        .clone()
        .filter(|_| want.form == Representation::Html);
    let verdict = configs.judge(id, ConfigDraft::of(input)?).await?;
    match pairs {
        None => Ok(Json(verdict).into_response()),
        Some(pairs) if want.is_fragment() => Ok(Html(
            html(&FieldNotes::new(&pairs, &verdict.found)).map_err(Error::internal)?,
        )
        .into_response()),
        Some(pairs) => {
            let saved = existing(configs, id).await?;
            want.respond(&ConfigFormPage::checked(
                saved.as_ref(),
                &pairs,
                verdict.found,
            ))
        }
    }
}

/// Saves the form, or shows it again with its pools rearranged or with its errors.
async fn save(
    configs: &ConfigService,
    want: &RequestContext,
    id: Option<ConfigId>,
    input: RequestInput,
) -> Reply {
    let pairs = input
        .form
        .clone()
        .filter(|_| want.form == Representation::Html);
    if let Some(pairs) = &pairs
        && let Some(how) = RowEdit::of(pairs)
    {
        let saved = existing(configs, id).await?;
        return want.respond(&ConfigFormPage::rearranged(saved.as_ref(), pairs, how));
    }
    let draft = ConfigDraft::of(input)?;
    let result = match id {
        Some(id) => configs.update(id, draft).await,
        None => configs.create(draft).await,
    };
    let error = match result {
        Ok(outcome) => return saved(want, outcome, id.is_none(), ""),
        Err(error) => error,
    };
    let (Some(pairs), Some(status)) = (pairs, is_fixable(&error)) else {
        return Err(error.into());
    };
    let saved = existing(configs, id).await?;
    want.respond_with(
        status,
        &ConfigFormPage::refused(saved.as_ref(), &pairs, error),
    )
}

async fn existing(
    configs: &ConfigService,
    id: Option<ConfigId>,
) -> Result<Option<super::SavedConfig>> {
    match id {
        Some(id) => configs.get(id).await.map(Some),
        None => Ok(None),
    }
}

/// The status of an error that the user can fix in the form.
pub(super) fn is_fixable(error: &Error) -> Option<StatusCode> {
    match error {
        Error::Invalid(_) => Some(StatusCode::UNPROCESSABLE_ENTITY),
        Error::Conflict(_) => Some(StatusCode::CONFLICT),
        _ => None,
    }
}

/// The response to a change: browsers are redirected to the configuration's page or to the page
/// `below` it.
pub(super) fn saved<O: Offers>(
    want: &RequestContext<O>,
    outcome: ConfigChangeResult,
    is_new: bool,
    below: &str,
) -> Reply {
    let at = format!("{LIST}/{}", outcome.config_id);
    ChangeResponse::new(outcome, format!("{at}{below}"))
        .created_if(is_new, at)
        .respond(want)
}

/// `GET /saved-configs/{id}/delete`: the confirmation page.
pub async fn ask_delete(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
) -> Reply {
    want.respond(&delete_page(configs.get(id).await?))
}

/// `DELETE /saved-configs/{id}`, and `POST /saved-configs/{id}/delete` for forms.
pub async fn delete(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
) -> Reply {
    ChangeResponse::new(configs.delete(id).await?, LIST).respond(&want)
}

/// `POST /saved-configs/{id}/set-active`.
pub async fn set_active(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    fields: EmptyForm,
) -> Reply {
    let next = next_page(fields.text("next"), &format!("{LIST}/{id}"));
    ChangeResponse::new(configs.set_active(id).await?, next).respond(&want)
}

/// `POST /saved-configs/{id}/duplicate`.
pub async fn duplicate(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    actor: Actor,
) -> Reply {
    saved(
        &want,
        configs.by(&actor).duplicate(id).await?,
        true,
        "/edit",
    )
}

/// `GET /saved-configs/{id}/toml?program=&client_version=&against=`.
pub async fn toml(
    State(configs): State<ConfigService>,
    want: RequestContext<TextForms>,
    PathId(id): PathId<ConfigId>,
    mut params: QueryParams,
) -> Reply {
    let [version, against] = ["client_version", "against"]
        .map(|name| params.get::<ClientVersion>(name, "a version of the client such as 0.6.0"));
    let program = program(&mut params);
    params.finish()?;
    if program == ConfigFileProgram::Translator {
        if version.is_some() || against.is_some() {
            return Err(Error::invalid(
                if version.is_some() { "/client_version" } else { "/against" },
                "The translator's file is the same for all versions. Leave out client_version and against.",
            )
            .into());
        }
        let page = TranslatorFilePage::new(&configs.get(id).await?)?;
        return match want.form {
            Representation::Text => Ok(page.into_text().into_response()),
            _ => want.respond(&page),
        };
    }
    let page = TomlPage::new(
        &configs.get(id).await?,
        version.unwrap_or(ClientVersion::NEWEST_KNOWN),
        against,
    );
    match want.form {
        Representation::Text => Ok(page.into_text()?.into_response()),
        _ => want.respond(&page),
    }
}

/// The program that a file is for; the client by default.
fn program(params: &mut QueryParams) -> ConfigFileProgram {
    params
        .get("program", "client or translator")
        .unwrap_or_default()
}

/// `GET /saved-configs/{id}/secret`: the confirmation page for the secret key.
pub async fn ask_secret(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
) -> Reply {
    want.respond(&AskSecretPage::new(configs.get(id).await?))
}

/// `POST /saved-configs/{id}/secret`: shows the secret key, for admins only.
pub async fn secret(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    actor: Actor,
) -> Reply {
    want.respond(&SecretPage::new(
        configs.by(&actor).reveal(id, "shown").await?,
    ))
}

/// `GET /saved-configs/{id}/export?program=`: the file without the secret.
pub async fn export(
    State(configs): State<ConfigService>,
    PathId(id): PathId<ConfigId>,
    mut params: QueryParams,
) -> Reply {
    let program = program(&mut params);
    params.finish()?;
    match program {
        ConfigFileProgram::Client => as_file(configs.export(id).await?, ""),
        ConfigFileProgram::Translator => {
            let saved = configs.get(id).await?;
            let text = TranslatorFilePage::new(&saved)?.into_text();
            as_file((saved, text), "-translator")
        }
    }
}

/// `POST /saved-configs/{id}/export?secret=include`: the file with the secret, for admins only.
/// Without the parameter, same as `GET`.
pub async fn export_whole(
    State(configs): State<ConfigService>,
    PathId(id): PathId<ConfigId>,
    actor: Actor,
    params: QueryParams,
    fields: EmptyForm,
) -> Reply {
    let wanted = params
        .text("secret")
        .or(fields.text("secret"))
        .map(str::to_owned);
    params.finish()?;
    match wanted.as_deref() {
        None => as_file(configs.export(id).await?, ""),
        Some("include") => as_file(configs.by(&actor).export_whole(id).await?, ""),
        Some(_) => Err(Error::invalid("/secret", "secret must be \"include\" or absent.").into()),
    }
}

/// A download named after the configuration, with this suffix.
fn as_file((saved, text): (super::SavedConfig, String), suffix: &str) -> Reply {
    let name: String = saved
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let disposition =
        HeaderValue::try_from(format!("attachment; filename=\"{name}{suffix}.toml\""))
            .map_err(Error::internal)?;
    Ok((
        [
            (CONTENT_TYPE, HeaderValue::from_static("application/toml")),
            (CONTENT_DISPOSITION, disposition),
        ],
        text,
    )
        .into_response())
}

/// `GET /saved-configs/{id}/revisions?limit=&before=`.
pub async fn revisions(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    mut params: QueryParams,
) -> Reply {
    let (limit, before) = (
        params.number("limit"),
        params.get("before", "a revision number"),
    );
    params.finish()?;
    let page = RevisionsPage::new(
        configs.revisions(id, before, limit).await?,
        Timestamp::now(),
    );
    want.respond_blocking(page).await
}

/// `GET /saved-configs/{id}/compare?from=&to=&client_version=`.
pub async fn compare(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    mut params: QueryParams,
) -> Reply {
    let [from, to] = ["from", "to"].map(|name| params.get(name, "a revision number"));
    let version =
        params.get::<ClientVersion>("client_version", "a version of the client such as 0.6.0");
    params.finish()?;
    let comparison = configs.compare(id, from, to).await?;
    want.respond(&RevisionComparePage::new(
        comparison,
        version.unwrap_or(ClientVersion::NEWEST_KNOWN),
    ))
}

/// `POST /saved-configs/{id}/revisions/{revision}/restore`.
pub async fn restore(
    State(configs): State<ConfigService>,
    want: RequestContext,
    PathId(id): PathId<ConfigId>,
    actor: Actor,
    Path((_, revision)): Path<(String, String)>,
) -> Reply {
    let number = revision
        .parse()
        .map_err(|_| Error::not_found("revision", revision))?;
    saved(
        &want,
        configs.by(&actor).restore(id, number).await?,
        false,
        "",
    )
}
