//! Handlers of `/tokens`: the caller's tokens; an admin sees all.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::LOCATION;

use super::{fix_form, in_person};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::TokenId;
use crate::domain::access::fields;
use crate::domain::access::model::LoginMethod;
use crate::domain::access::service::Access;
use crate::domain::access::tokens::TokenRequest;
use crate::domain::access::views::{self, FormInput, TokenPage, TokensPage};
use crate::web::extract::MemberReader;
use crate::web::{
    Caller, ChangeResponse, MessageResponse, PathId, Reply, RequestContext, RequestInput, Role,
};

const HERE: &str = "/tokens";

/// `GET /tokens`.
pub async fn list(State(access): State<Access>, caller: Caller, want: RequestContext) -> Reply {
    want.respond(&TokensPage::new(
        access.tokens(&caller).await?,
        FormInput::default(),
        Timestamp::now(),
    ))
}

/// `POST /tokens`: only this response contains the token.
pub async fn create(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    caller: Caller,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    in_person(&proof)?;
    let made = match wish(input.value) {
        Ok(wish) => access.create_token(&caller, wish).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => {
            let at = if want.asked.api {
                format!("/api{HERE}")
            } else {
                HERE.into()
            };
            let mut response = want.respond_with(
                StatusCode::CREATED,
                &TokenPage::new(made.token, made.secret),
            )?;
            response.headers_mut().insert(
                LOCATION,
                HeaderValue::try_from(at).map_err(Error::internal)?,
            );
            Ok(response)
        }
        Err(error) => {
            let (status, again) = fix_form(&want, input.form, error)?;
            want.respond_with(
                status,
                &TokensPage::new(access.tokens(&caller).await?, again, Timestamp::now()),
            )
        }
    }
}

fn wish(value: serde_json::Value) -> Result<TokenRequest> {
    let mut members = MemberReader::of(value, [fields::role(""), fields::days()])?;
    let name = members.text("name").unwrap_or_default();
    let role = members.word::<Role>("role");
    if role.is_none() && !members.is_refused("role") {
        members.refuse("role", "role must be viewer, operator or admin.");
    }
    let days = members.number("days");
    let value = role.map(|role| TokenRequest { name, role, days });
    members.finish(value)
}

async fn seen(
    access: &Access,
    caller: &Caller,
    id: TokenId,
) -> Result<crate::domain::access::ApiToken> {
    let mine = access.tokens(caller).await?;
    mine.into_iter()
        .find(|token| token.id == id)
        .ok_or_else(|| Error::not_found("token", id))
}

/// `GET /tokens/{id}/delete`: the confirmation page.
pub async fn ask_revoke(
    State(access): State<Access>,
    caller: Caller,
    want: RequestContext,
    PathId(id): PathId<TokenId>,
) -> Reply {
    want.respond(&views::revoke_page(seen(&access, &caller, id).await?))
}

/// `DELETE /tokens/{id}`, and `POST /tokens/{id}/delete` for forms.
pub async fn revoke(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    caller: Caller,
    want: RequestContext,
    PathId(id): PathId<TokenId>,
) -> Reply {
    // A stolen token must not revoke its owner's other tokens.
    if proof != LoginMethod::Token(id) {
        in_person(&proof)?;
    }
    let gone = access.revoke_token(&caller, id).await?;
    let json = MessageResponse::new(format!("Token \"{}\" was revoked.", gone.name));
    ChangeResponse::new(json, HERE).respond(&want)
}
