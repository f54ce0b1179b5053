//! The handlers of `/tokens`: what programs log in with, of whoever asks; an admin sees all.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::LOCATION;

use super::{in_person, mend};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::TokenId;
use crate::domain::access::model::Proof;
use crate::domain::access::service::Access;
use crate::domain::access::tokens::Wish;
use crate::domain::access::views::{Again, DeletePage, TokenPage, TokensPage};
use crate::web::extract::Members;
use crate::web::{Caller, Done, Frame, Id, Input, Reply, Role, Told, Want};

const HERE: &str = "/tokens";

/// `GET /tokens`.
pub async fn list(State(access): State<Access>, Extension(frame): Extension<Frame>, caller: Caller, want: Want) -> Reply {
    want.respond(&TokensPage::new(frame, access.tokens(&caller).await?, Again::default(), Timestamp::now()))
}

/// `POST /tokens`: the answer shows the token, this once.
pub async fn create(
    State(access): State<Access>,
    Extension(frame): Extension<Frame>,
    Extension(proof): Extension<Proof>,
    caller: Caller,
    want: Want,
    input: Input,
) -> Reply {
    in_person(&proof)?;
    let made = match wish(input.value) {
        Ok(wish) => access.create_token(&caller, wish).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => {
            let at = if want.asked.api { format!("/api{HERE}") } else { HERE.into() };
            let mut response = want.respond_with(StatusCode::CREATED, &TokenPage::new(frame, made.token, made.secret))?;
            response.headers_mut().insert(LOCATION, HeaderValue::try_from(at).map_err(Error::internal)?);
            Ok(response)
        }
        Err(error) => {
            let (status, again) = mend(&want, input.form, error)?;
            want.respond_with(status, &TokensPage::new(frame, access.tokens(&caller).await?, again, Timestamp::now()))
        }
    }
}

fn wish(value: serde_json::Value) -> Result<Wish> {
    let mut members = Members::of(value)?;
    let name = members.text("name").unwrap_or_default();
    let role = members.parsed::<Role>("role", "viewer, operator or admin");
    if role.is_none() && !members.is_refused("role") {
        members.refuse("role", "role must be viewer, operator or admin.");
    }
    let days = members.number("days", 1, crate::domain::access::model::LONGEST_TOKEN);
    let value = role.map(|role| Wish { name, role, days });
    members.finish(value)
}

async fn seen(access: &Access, caller: &Caller, id: TokenId) -> Result<crate::domain::access::Token> {
    let mine = access.tokens(caller).await?;
    mine.into_iter().find(|token| token.id == id).ok_or_else(|| Error::not_found("token", id))
}

/// `GET /tokens/{id}/delete`: the question.
pub async fn ask_revoke(
    State(access): State<Access>,
    Extension(frame): Extension<Frame>,
    caller: Caller,
    want: Want,
    Id(id): Id<TokenId>,
) -> Reply {
    want.respond(&DeletePage::of_token(frame, seen(&access, &caller, id).await?))
}

/// `DELETE /tokens/{id}`, and `POST /tokens/{id}/delete` for forms.
pub async fn revoke(
    State(access): State<Access>,
    Extension(proof): Extension<Proof>,
    caller: Caller,
    want: Want,
    Id(id): Id<TokenId>,
) -> Reply {
    // A stolen token must not take away those of its owner.
    if proof != Proof::Token(id) {
        in_person(&proof)?;
    }
    let gone = access.revoke_token(&caller, id).await?;
    let json = Told::new(format!("\"{}\" is revoked.", gone.name));
    Done { json, created: None, next: HERE.into() }.respond(&want)
}
