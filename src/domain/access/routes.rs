//! Handlers of signing in, of your account and of the audit log. Those of users and tokens
//! are in `routes/`.

pub mod tokens;
pub mod users;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{RETRY_AFTER, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect};

use super::authenticate::{Authentication, Credentials, cookie_name};
use super::model::LoginMethod;
use super::pending_form::KeptForm;
use super::responses::LoginResponse;
use super::service::Access;
use super::sessions::{LoginInput, LoginRefusal, NewSession};
use super::views::{
    AccountPage, AuditPage, FirstPage, FormInput, KeptPage, LoginPage, SecondFactorPage,
};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError};
use crate::base::ids::SessionId;
use crate::web::extract::EmptyForm;
use crate::web::respond::next_page;
use crate::web::{
    Caller, ChangeResponse, MessageResponse, PathId, PeerAddress, ProblemResponse, QueryParams,
    Reply, Representation, RequestContext, RequestInput,
};

/// Lifetime of the cookie in seconds: the maximum lifetime of a session.
const KEPT: u64 = super::model::LONGEST.as_secs();

/// Turns an error that the user can fix into a form with error messages. Other errors, and all errors
/// of programs, are returned.
pub(super) fn fix_form(
    want: &RequestContext,
    form: Option<Vec<(String, String)>>,
    error: Error,
) -> Result<(StatusCode, FormInput), Error> {
    let (status, errors) = match (want.form, error) {
        (Representation::Html, Error::Invalid(errors)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, errors)
        }
        (Representation::Html, Error::Conflict(detail)) => {
            (StatusCode::CONFLICT, vec![FieldError::new("/name", detail)])
        }
        (_, error) => return Err(error),
    };
    let is_secret = |name: &str| ["password", "current", "code"].contains(&name);
    let given = form
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| !is_secret(name))
        .collect();
    Ok((status, FormInput { given, errors }))
}

pub(super) fn text(input: &RequestInput, name: &str) -> String {
    // Only text values are used.
    input
        .value
        .get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The text of a name, without surrounding spaces from copying.
pub(super) fn name(input: &RequestInput, field: &str) -> String {
    text(input, field).trim().to_owned()
}

fn program_of(headers: &HeaderMap) -> String {
    headers
        .get(USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

fn cookie(value: &str, kept: u64, peer: PeerAddress) -> HeaderValue {
    let secure = if peer.secure { "; Secure" } else { "" };
    let text = format!(
        "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={kept}{secure}",
        cookie_name(peer.secure)
    );
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The response to a successful sign-in.
fn welcome(want: &RequestContext, begun: NewSession, next: String, peer: PeerAddress) -> Reply {
    let message = format!("Welcome, {}.", begun.user.name);
    let json = LoginResponse {
        message,
        user: begun.user,
    };
    let mut response = ChangeResponse::new(json, next).respond(want)?;
    response
        .headers_mut()
        .append(SET_COOKIE, cookie(&begun.cookie, KEPT, peer));
    Ok(response)
}

/// The reason for a failed sign-in, with its status.
fn why(refused: LoginRefusal) -> Result<(StatusCode, String, Option<u64>), Error> {
    match refused {
        LoginRefusal::Wrong => Ok((
            StatusCode::UNAUTHORIZED,
            "Wrong name, password or code. If you set up a second factor, enter its code.".into(),
            None,
        )),
        LoginRefusal::Wait(wait) => {
            let seconds = wait.as_secs() + 1;
            Ok((
                StatusCode::TOO_MANY_REQUESTS,
                format!("Too many attempts. Try again in {seconds} s."),
                Some(seconds),
            ))
        }
        LoginRefusal::Because(error) => Err(error),
    }
}

pub(super) fn problem(refused: LoginRefusal) -> ProblemResponse {
    match why(refused) {
        Ok((status, detail, wait)) => {
            let problem = ProblemResponse::new(status, detail);
            wait.map_or(problem.clone(), |wait| {
                problem.with_header(RETRY_AFTER, HeaderValue::from(wait))
            })
        }
        Err(error) => error.into(),
    }
}

/// `GET /login`.
pub async fn login_page(
    State(access): State<Access>,
    peer: PeerAddress,
    headers: HeaderMap,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    let next = next_page(params.text("next"), "/");
    let known = access
        .recognise(&Credentials::of(&headers, peer), peer)
        .await?;
    if matches!(known, Authentication::As(_, LoginMethod::Session(_)))
        && want.form == Representation::Html
    {
        return Ok(Redirect::to(&next).into_response());
    }
    let is_led = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site.as_bytes() == b"cross-site");
    let there = (
        access.has_users().await?,
        access.awaits_first_visit().await?,
    );
    want.respond(&LoginPage::new(next, there, is_led))
}

/// `POST /login`.
pub async fn log_in(
    State(access): State<Access>,
    peer: PeerAddress,
    headers: HeaderMap,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let typed = LoginInput {
        name: name(&input, "name"),
        password: text(&input, "password"),
        code: text(&input, "code"),
    };
    let next = next_page(Some(text(&input, "next").as_str()), "/");
    let former = Credentials::of(&headers, peer).session;
    let kept = input.form.as_deref().and_then(KeptForm::read);
    match access
        .log_in(typed.clone(), peer, program_of(&headers), former)
        .await
    {
        Ok(begun) => match kept.filter(|_| want.form == Representation::Html) {
            Some(kept) => {
                let mut response = want.respond(&KeptPage::new(kept))?;
                response
                    .headers_mut()
                    .append(SET_COOKIE, cookie(&begun.cookie, KEPT, peer));
                Ok(response)
            }
            None => welcome(&want, begun, next, peer),
        },
        Err(refused) if want.form == Representation::Html => {
            let (status, detail, wait) = why(refused)?;
            let mut response =
                want.respond_with(status, &LoginPage::refused(next, typed.name, detail, kept))?;
            if let Some(wait) = wait {
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from(wait));
            }
            Ok(response)
        }
        Err(refused) => Err(problem(refused)),
    }
}

/// `GET /login/first`: initial setup.
pub async fn first_page(State(access): State<Access>, want: RequestContext) -> Reply {
    if !access.awaits_first_visit().await? {
        return Err(no_first_visit());
    }
    want.respond(&FirstPage::new(FormInput::default()))
}

fn no_first_visit() -> ProblemResponse {
    ProblemResponse::new(
        StatusCode::NOT_FOUND,
        "Initial setup is not available: a user already exists, or jd-manager was not started with --setup.",
    )
}

/// `POST /login/first`.
pub async fn first_visit(
    State(access): State<Access>,
    peer: PeerAddress,
    headers: HeaderMap,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    if !access.awaits_first_visit().await? {
        return Err(no_first_visit());
    }
    let typed = LoginInput {
        name: name(&input, "name"),
        password: text(&input, "password"),
        code: String::new(),
    };
    let error = match access
        .first_visit(&text(&input, "code"), typed, peer, program_of(&headers))
        .await
    {
        Ok(begun) => return welcome(&want, begun, "/".into(), peer),
        Err(LoginRefusal::Wrong) => Error::invalid(
            "/code",
            "Wrong code. Enter the code that jd-manager printed when it started.",
        ),
        Err(LoginRefusal::Because(error)) => error,
        Err(wait) => return Err(problem(wait)),
    };
    let (status, again) = fix_form(&want, input.form, error)?;
    want.respond_with(status, &FirstPage::new(again))
}

/// `POST /logout`.
pub async fn log_out(
    State(access): State<Access>,
    peer: PeerAddress,
    headers: HeaderMap,
    want: RequestContext,
) -> Reply {
    if let Some(session) = Credentials::of(&headers, peer).session {
        access.log_out(session).await?;
    }
    let json = MessageResponse::new("Signed out.");
    let mut response = ChangeResponse::new(json, "/login").respond(&want)?;
    response
        .headers_mut()
        .append(SET_COOKIE, cookie("", 0, peer));
    Ok(response)
}

fn session_of(proof: &LoginMethod) -> Option<SessionId> {
    match proof {
        LoginMethod::Session(id) => Some(*id),
        _ => None,
    }
}

async fn account_page(
    access: &Access,
    caller: &Caller,
    proof: &LoginMethod,
) -> Result<AccountPage, Error> {
    let has_users = access.has_users().await?;
    let user = match caller.name == Caller::MACHINE {
        true => None,
        false => {
            let user = access.me(caller).await?;
            // Sessions belong to the person: a token can neither end them nor see their
            // addresses.
            let sessions = match in_person(proof) {
                Ok(()) => access.sessions(user.id, session_of(proof)).await?,
                Err(_) => Vec::new(),
            };
            Some((user, sessions))
        }
    };
    Ok(AccountPage::new(
        (caller.name.clone(), caller.role),
        user,
        has_users,
        Timestamp::now(),
    ))
}

/// `GET /account`.
pub async fn account(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    caller: Caller,
    want: RequestContext,
) -> Reply {
    want.respond(&account_page(&access, &caller, &proof).await?)
}

/// Only a signed-in person can change password, sessions, second factor and tokens; a token or an SSH
/// key, which may be stolen, cannot.
pub(super) fn in_person(proof: &LoginMethod) -> Result<(), ProblemResponse> {
    match proof {
        LoginMethod::Token(_) => Err(ProblemResponse::new(
            StatusCode::FORBIDDEN,
            "This is not allowed with a token. Sign in with your name and password.",
        )),
        LoginMethod::Ssh => Err(ProblemResponse::new(
            StatusCode::FORBIDDEN,
            "This is not allowed over SSH. Sign in on the web page with your name and password.",
        )),
        _ => Ok(()),
    }
}

fn done(want: &RequestContext, message: impl Into<String>, next: &str) -> Reply {
    ChangeResponse::new(MessageResponse::new(message), next).respond(want)
}

/// `POST /account/password`.
pub async fn change_password(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    peer: PeerAddress,
    caller: Caller,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    in_person(&proof)?;
    let me = access.me(&caller).await?;
    let at = (peer, session_of(&proof));
    match access
        .change_password(me.id, text(&input, "current"), text(&input, "password"), at)
        .await
    {
        Ok(()) => done(
            &want,
            "Password changed. Your other sessions have been signed out.",
            "/account",
        ),
        Err(LoginRefusal::Because(error)) => {
            let (status, again) = fix_form(&want, input.form, error)?;
            want.respond_with(
                status,
                &account_page(&access, &caller, &proof).await?.again(again),
            )
        }
        Err(refused) => Err(problem(refused)),
    }
}

/// `DELETE /account/sessions/{id}`, and `POST /account/sessions/{id}/delete` for forms.
pub async fn end_session(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    caller: Caller,
    want: RequestContext,
    PathId(id): PathId<SessionId>,
) -> Reply {
    in_person(&proof)?;
    let me = access.me(&caller).await?;
    access.end_session(me.id, id).await?;
    done(&want, "Session signed out.", "/account")
}

/// `POST /account/sessions/end`: all except the current one.
pub async fn end_sessions(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    caller: Caller,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    in_person(&proof)?;
    let me = access.me(&caller).await?;
    let ended = access.end_other_sessions(me.id, session_of(&proof)).await?;
    let message = if ended == 1 {
        "Signed out 1 other session.".into()
    } else {
        format!("Signed out {ended} other sessions.")
    };
    done(&want, message, "/account")
}

/// `GET /account/second-factor`.
pub async fn second_factor(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    caller: Caller,
    want: RequestContext,
) -> Reply {
    in_person(&proof)?;
    let me = access.me(&caller).await?;
    want.respond(&SecondFactorPage::new(
        access.fresh_second_factor()?,
        &me.name,
        FormInput::default(),
    )?)
}

/// `POST /account/second-factor`.
pub async fn set_second_factor(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    peer: PeerAddress,
    caller: Caller,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    in_person(&proof)?;
    let me = access.me(&caller).await?;
    let secret: String = text(&input, "secret")
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let typed = LoginInput {
        name: String::new(),
        password: text(&input, "current"),
        code: text(&input, "code"),
    };
    match access
        .set_second_factor(me.id, typed, secret.clone(), peer)
        .await
    {
        Ok(()) => done(
            &want,
            "Second factor turned on. Signing in now requires a code from your authenticator app.",
            "/account",
        ),
        // Do not draw an invalid secret.
        Err(LoginRefusal::Because(error)) if super::second_factor::is_secret(&secret) => {
            let (status, again) = fix_form(&want, input.form, error)?;
            want.respond_with(status, &SecondFactorPage::new(secret, &me.name, again)?)
        }
        Err(refused) => Err(problem(refused)),
    }
}

/// `POST /account/second-factor/remove`.
pub async fn remove_second_factor(
    State(access): State<Access>,
    Extension(proof): Extension<LoginMethod>,
    peer: PeerAddress,
    caller: Caller,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    in_person(&proof)?;
    let me = access.me(&caller).await?;
    match access
        .remove_second_factor(me.id, text(&input, "current"), peer)
        .await
    {
        Ok(()) => done(
            &want,
            "Second factor removed. Signing in now requires only your password.",
            "/account",
        ),
        Err(LoginRefusal::Because(error)) => {
            let (status, again) = fix_form(&want, input.form, error)?;
            want.respond_with(
                status,
                &account_page(&access, &caller, &proof).await?.again(again),
            )
        }
        Err(refused) => Err(problem(refused)),
    }
}

/// `GET /audit`.
pub async fn audit(
    State(access): State<Access>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let limit = params.number("limit");
    let before = params.get::<i64>("before", "the line number");
    let actor = params.text("actor").map(str::to_owned);
    params.finish()?;
    let (entries, actors) = access
        .entries(i64::try_from(limit).unwrap_or(100), before, actor.clone())
        .await?;
    want.respond_blocking(AuditPage::new(entries, actors, actor, limit))
        .await
}
