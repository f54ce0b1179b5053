//! Handlers of `/users`, for admins.

use axum::Extension;
use axum::extract::State;

use super::{fix_form, in_person};
use crate::base::error::{Error, Result};
use crate::base::ids::UserId;
use crate::domain::access::fields;
use crate::domain::access::model::LoginMethod;
use crate::domain::access::responses::{UserChangeResponse, UserCreatedResponse};
use crate::domain::access::service::{Access, UserChange};
use crate::domain::access::views::{self, FormInput, UserPage, UsersPage};
use crate::web::extract::MemberReader;
use crate::web::{
    ChangeResponse, MessageResponse, PathId, Reply, RequestContext, RequestInput, Role,
};

const HERE: &str = "/users";
const ROLES: &str = "viewer, operator or admin";

/// `GET /users`.
pub async fn list(State(access): State<Access>, want: RequestContext) -> Reply {
    want.respond(&UsersPage::new(access.users().await?, FormInput::default()))
}

/// `POST /users`.
pub async fn create(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    in_person(&proof)?;
    let made = match wanted(input.value) {
        Ok((name, role, password)) => access.create_user(name, role, password).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(user) => {
            let message = format!(
                "User \"{}\" was created with the {} role.",
                user.name, user.role
            );
            let at = format!("{HERE}/{}", user.id);
            let json = UserCreatedResponse {
                user_id: user.id,
                message,
                user,
            };
            ChangeResponse::new(json, HERE).created(at).respond(&want)
        }
        Err(error) => {
            let (status, again) = fix_form(&want, input.form, error)?;
            want.respond_with(status, &UsersPage::new(access.users().await?, again))
        }
    }
}

fn wanted(value: serde_json::Value) -> Result<(String, Role, String)> {
    let mut members = MemberReader::of(value, [fields::role("")])?;
    let name = members.text("name").unwrap_or_default();
    let role = members.word::<Role>("role");
    if role.is_none() && !members.is_refused("role") {
        members.refuse("role", format!("role must be {ROLES}."));
    }
    let password = password(&mut members).unwrap_or_default();
    let value = role.map(|role| (name, role, password));
    members.finish(value)
}

/// A password is used unchanged, including spaces.
fn password(members: &mut MemberReader) -> Option<String> {
    match members.take("password")? {
        serde_json::Value::String(text) if text.is_empty() => None,
        serde_json::Value::String(text) => Some(text),
        _ => {
            members.refuse("password", "password must be text.");
            None
        }
    }
}

/// `GET /users/{id}`.
pub async fn show(
    State(access): State<Access>,
    want: RequestContext,
    PathId(id): PathId<UserId>,
) -> Reply {
    want.respond(&UserPage::new(access.user(id).await?, FormInput::default()))
}

/// `PATCH /users/{id}`, and `POST` for forms.
pub async fn change(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    want: RequestContext,
    PathId(id): PathId<UserId>,
    input: RequestInput,
) -> Reply {
    in_person(&proof)?;
    let changed = match wanted_change(input.value) {
        Ok(change) => access.change_user(id, change).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(user) => {
            let message = format!("User \"{}\" was saved.", user.name);
            ChangeResponse::new(UserChangeResponse { message, user }, HERE).respond(&want)
        }
        Err(error @ Error::NotFound { .. }) => Err(error.into()),
        Err(error) => {
            let (status, again) = fix_form(&want, input.form, error)?;
            want.respond_with(status, &UserPage::new(access.user(id).await?, again))
        }
    }
}

fn wanted_change(value: serde_json::Value) -> Result<UserChange> {
    let mut members = MemberReader::of(value, [fields::role("")])?;
    let name = members.text("name");
    let role = members.word::<Role>("role");
    let password = password(&mut members);
    let without_second_factor = members.flag("without_second_factor").unwrap_or(false);
    members.finish(Some(UserChange {
        name,
        role,
        password,
        without_second_factor,
    }))
}

/// `GET /users/{id}/delete`: the confirmation page.
pub async fn ask_delete(
    State(access): State<Access>,
    want: RequestContext,
    PathId(id): PathId<UserId>,
) -> Reply {
    want.respond(&views::delete_page(access.user(id).await?))
}

/// `DELETE /users/{id}`, and `POST /users/{id}/delete` for forms.
pub async fn delete(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    want: RequestContext,
    PathId(id): PathId<UserId>,
) -> Reply {
    in_person(&proof)?;
    let gone = access.delete_user(id).await?;
    let json = MessageResponse::new(format!("User \"{}\" was deleted.", gone.name));
    ChangeResponse::new(json, HERE).respond(&want)
}
