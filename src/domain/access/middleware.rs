//! The access check that every request passes, between the checks of its origin and the handler.
//!
//! It identifies the caller, looks up the role that the route requires, rejects callers without it in
//! the requested representation, writes the audit log, and closes event streams when the caller loses
//! access. It knows no routes except the sign-in routes.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures_util::StreamExt;
use std::time::Duration;

use super::authenticate::{Authentication, Credentials};
use super::model::{AuditEntry, CANCELED, LoginMethod};
use super::pending_form::KeptForm;
use super::permissions::PermissionTable;
use super::service::Access;
use super::views::LoginPage;
use crate::web::negotiation::{Representation, RequestedFormat};
use crate::web::respond::FormattedError;
use crate::web::{AuditText, Caller, PageFrame, PeerAddress, ProblemResponse};

/// Maximum time between access checks of an open stream.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What the check needs.
#[derive(Debug)]
pub struct AccessCheck {
    /// Users, sessions and tokens.
    pub access: Access,
    /// The permissions of all routes.
    pub permissions: PermissionTable,
}

/// Admits or rejects a request; an admitted one is passed to `next`.
pub async fn require_role<F>(
    check: &AccessCheck,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let access = &check.access;
    let pattern = request.extensions().get::<MatchedPath>().map(|path| {
        let path = path.as_str();
        path.strip_prefix("/api")
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(path)
    });
    let permission = check.permissions.get(request.method(), pattern);
    let Some(needed) = permission.role else {
        return next(request).await;
    };
    let peer = PeerAddress::of(request.extensions());
    let shown = Credentials {
        ssh: request.extensions().get().cloned(),
        ..Credentials::of(request.headers(), peer)
    };
    let known = match access.recognise(&shown, peer).await {
        Ok(known) => known,
        Err(error) => return ProblemResponse::from(error).into_response(),
    };
    let (caller, proof) = match known {
        Authentication::As(caller, proof) => (caller, proof),
        Authentication::Nobody { can_log_in } => {
            let wish = UnauthenticatedRequest::of(&request);
            let awaits = !can_log_in && access.awaits_first_visit().await.unwrap_or(false);
            if can_log_in
                && !request.method().is_safe()
                && wish.asked.for_errors() == Representation::Html
            {
                return store_form(request, wish.asked.fragment).await;
            }
            return refuse_unauthenticated(&wish, can_log_in, awaits);
        }
        Authentication::Forwarded => return forwarded().into_response(),
    };
    let audit = permission.audit_action.map(|action| AuditGuard {
        access,
        entry: Some(AuditEntry {
            user: caller.name.clone(),
            actor: caller.title(),
            role: caller.role.name().into(),
            address: peer.address.map(|a| a.to_string()).unwrap_or_default(),
            action: action.into(),
            path: request.uri().path().chars().take(300).collect(),
            status: CANCELED,
        }),
    });
    let frame = request.extensions().get::<PageFrame>().cloned();
    if let Some(frame) = request.extensions_mut().get_mut() {
        set_caller(frame, &caller, &proof);
    }
    let mut response = match caller.must_be(needed) {
        Err(problem) => {
            // A program has no use for the names of people.
            let admins = match proof {
                LoginMethod::Token(_) => Vec::new(),
                _ => access.admin_names().await.unwrap_or_default(),
            };
            problem.with_detail(&admins_text(&admins)).into_response()
        }
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            request.extensions_mut().insert(proof.clone());
            next(request).await
        }
    };
    if let Some(mut audit) = audit {
        if let Some(text) = response.extensions().get::<AuditText>() {
            audit.set_action(text.0.clone());
        }
        // Before the response: a confirmed change is in the audit log.
        audit.record(response.status()).await;
    }
    if response.status().as_u16() >= 400
        && let Some(mut frame) = frame
    {
        // Outer middleware renders error pages.
        set_caller(&mut frame, &caller, &proof);
        response.extensions_mut().insert(frame);
    }
    let is_stream = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|v| v.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        response = while_let_in(access.clone(), response, shown, peer, (caller, proof));
    }
    response
}

/// The audit entry of a request without a response yet. If the client closes the connection, the
/// request is dropped, but its change may have been made: then the entry is recorded as well.
struct AuditGuard<'a> {
    access: &'a Access,
    entry: Option<AuditEntry>,
}

impl AuditGuard<'_> {
    fn set_action(&mut self, action: String) {
        if let Some(entry) = &mut self.entry {
            entry.action = action;
        }
    }

    async fn record(mut self, status: StatusCode) {
        if let Some(mut entry) = self.entry.take() {
            entry.status = status.as_u16();
            self.access.record(entry).await;
        }
    }
}

impl Drop for AuditGuard<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let access = self.access.clone();
            runtime.spawn(async move { access.record(entry).await });
        }
    }
}

/// Who can help a caller without the required role.
fn admins_text(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => format!(" The admin is {name}."),
        names => format!(" Admins: {}.", names.join(", ")),
    }
}

/// Passes the user to the page frame.
fn set_caller(frame: &mut PageFrame, caller: &Caller, proof: &LoginMethod) {
    frame.caller = Some(caller.clone());
    frame.has_session = matches!(proof, LoginMethod::Session(_));
}

/// The request of an unknown caller, as far as the response depends on it.
struct UnauthenticatedRequest {
    asked: RequestedFormat,
    /// The page to open after signing in; `/` for a form's address, because the input of the form would be
    /// lost.
    next: String,
}

impl UnauthenticatedRequest {
    fn of(request: &Request) -> Self {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        Self {
            asked: request
                .extensions()
                .get::<RequestedFormat>()
                .cloned()
                .unwrap_or_default(),
            next: if request.method().is_safe() {
                path.into()
            } else {
                "/".into()
            },
        }
    }
}

/// The response to a form that was sent without a valid session: the sign-in page, which carries the
/// input. For htmx, a notice on the page of the form.
async fn store_form(request: Request, is_fragment: bool) -> Response {
    if is_fragment {
        return ProblemResponse::new(
            StatusCode::UNAUTHORIZED,
            "Your session has ended. Sign in, then try again.",
        )
        .into_response();
    }
    let frame = request
        .extensions()
        .get::<PageFrame>()
        .cloned()
        .unwrap_or_default();
    let page = LoginPage::keeping(KeptForm::of(request).await);
    match crate::web::html_with(&page, &frame) {
        Ok(html) => {
            let mut response = (StatusCode::UNAUTHORIZED, Html(html)).into_response();
            response.extensions_mut().insert(FormattedError);
            response
        }
        Err(error) => ProblemResponse::from(error).into_response(),
    }
}

/// The response to unknown callers: a redirect to the sign-in page for browsers, 401 for programs.
fn refuse_unauthenticated(
    wish: &UnauthenticatedRequest,
    can_log_in: bool,
    awaits: bool,
) -> Response {
    let login = if awaits { "/login/first" } else { "/login" };
    if wish.asked.for_errors() == Representation::Html && (can_log_in || awaits) {
        if wish.asked.fragment {
            let to = HeaderValue::from_static(login);
            return (
                [(HeaderName::from_static("hx-redirect"), to)],
                StatusCode::OK,
            )
                .into_response();
        }
        if wish.next == "/" || awaits {
            return Redirect::to(login).into_response();
        }
        let next: String = form_urlencoded::byte_serialize(wish.next.as_bytes()).collect();
        return Redirect::to(&format!("{login}?next={next}")).into_response();
    }
    let detail = match (can_log_in, awaits) {
        (true, _) => {
            "Sign in at /login, or send a token in the header \"Authorization: Bearer …\"."
        }
        (_, true) => {
            "There are no users yet. Open /login/first in a browser and create the first user with the code that jd-manager printed."
        }
        _ => {
            "There are no users yet, so jd-manager accepts only local requests. On the machine that runs jd-manager, run: jd-manager set-password."
        }
    };
    let problem = ProblemResponse::new(StatusCode::UNAUTHORIZED, detail);
    problem
        .with_header(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"jd-manager\""),
        )
        .into_response()
}

fn forwarded() -> ProblemResponse {
    ProblemResponse::new(
        StatusCode::FORBIDDEN,
        "This request came through a proxy, and there are no users yet: anyone who can reach the proxy could redirect the mining income. Set \
         a password (jd-manager set-password), and add the proxy to the setting trusted_proxies.",
    )
}

/// An event stream that ends when the caller loses access: signed out, token revoked or expired, or
/// role changed.
fn while_let_in(
    access: Access,
    response: Response,
    shown: Credentials,
    peer: PeerAddress,
    was: (Caller, LoginMethod),
) -> Response {
    let mut changed = access.index.changed.subscribe();
    let over = async move {
        loop {
            let _ = tokio::time::timeout(LOOK_AGAIN, changed.changed()).await;
            match access.recognise(&shown, peer).await {
                Ok(Authentication::As(caller, proof))
                    if (&caller.name, caller.role, &proof) == (&was.0.name, was.0.role, &was.1) => {
                }
                // A database that does not respond now does not end access.
                Err(_) => {}
                Ok(_) => return,
            }
        }
    };
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(over))))
}
