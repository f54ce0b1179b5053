//! The routes of access: operation, role, audit text and handler of each.

use super::fields::{current, days, name, password, role};
use super::responses::{LoginResponse, UserChangeResponse, UserCreatedResponse};
use super::routes;
use super::service::Access;
use super::views::{
    AccessRemoval, AccountPage, AuditPage, FirstPage, LoginPage, SecondFactorPage, TokenPage,
    TokensPage, UserPage, UsersPage,
};
use crate::web::ConfirmPage;
use crate::web::MessageResponse;
use crate::web::openapi::{
    HTML, JSON, PAGE, RouteTable, RouterState, delete, flag, get, number, patch, post, shape, text,
    whole,
};
use axum::extract::FromRef;

/// The operations of signing in and of your own account.
pub fn own_routes<S>() -> RouteTable<S>
where
    S: RouterState,
    Access: FromRef<S>,
{
    let not_by_token = "Not available with a token.";
    RouteTable::new()
        .add(
            get("/login", "showLogin", "Shows the sign-in page, for browsers.")
                .asks([text("next", "The page to open after signing in.").like("/")])
                .gives::<LoginPage>(PAGE)
                .for_anybody(),
            routes::login_page,
        )
        .add(
            post(
                "/login",
                "logIn",
                "Signs in: starts a session and sets the session cookie.",
            )
            .takes([
                name().required(),
                text("password", "The password.").like("…").required(),
                text(
                    "code",
                    "Second factor code, if the user has set one up.",
                ),
                text(
                    "next",
                    "The page to open next: a path on this site.",
                )
                .like("/"),
            ])
            .does::<LoginResponse>()
            .fails(&[401, 409, 429])
            .for_anybody(),
            routes::log_in,
        )
        .add(
            get(
                "/login/first",
                "showFirstVisit",
                "Shows the form for the first user, for browsers.",
            )
            .gives::<FirstPage>(PAGE)
            .fails(&[404])
            .for_anybody(),
            routes::first_page,
        )
        .add(
            post(
                "/login/first",
                "makeFirstVisit",
                "Creates the first user, an admin, with the code that jd-manager printed.",
            )
            .takes([
                text("code", "The code that jd-manager printed.").like("…").required(),
                name().required(),
                password("The password.").required(),
            ])
            .does::<LoginResponse>()
            .fails(&[404, 409, 429])
            .for_anybody(),
            routes::first_visit,
        )
        .add(
            post("/logout", "logOut", "Signs out: ends the current session.")
                .does::<MessageResponse>()
                .for_viewers()
                .audited("signed out"),
            routes::log_out,
        )
        .add(
            get(
                "/account",
                "getAccount",
                "Returns your account: name, role and sessions.",
            )
            .gives::<AccountPage>(PAGE)
            .fails(&[404]),
            routes::account,
        )
        .add(
            post(
                "/account/password",
                "changePassword",
                "Changes your password and ends your other sessions.",
            )
            .about(not_by_token)
            .takes([current(), password("New password.").required()])
            .does::<MessageResponse>()
            .fails(&[404, 409, 429])
            .for_viewers()
            .audited("changed their password"),
            routes::change_password,
        )
        .add(
            get(
                "/account/second-factor",
                "showSecondFactor",
                "Returns a new secret for an authenticator app. It takes effect after you confirm it with a code.",
            )
            .about(not_by_token)
            .gives::<SecondFactorPage>(PAGE)
            .fails(&[404, 409]),
            routes::second_factor,
        )
        .add(
            post(
                "/account/second-factor",
                "setSecondFactor",
                "Sets up your second factor.",
            )
            .about(not_by_token)
            .takes([
                text("secret", "The secret from GET.").like("…").required(),
                text("code", "A code from the authenticator app.").like("123456").required(),
                current(),
            ])
            .does::<MessageResponse>()
            .fails(&[404, 409, 429])
            .for_viewers()
            .audited("set up a second factor"),
            routes::set_second_factor,
        )
        .add(
            post(
                "/account/second-factor/remove",
                "removeSecondFactor",
                "Removes your second factor.",
            )
            .about(not_by_token)
            .takes([current(), text("code", "A code from the authenticator app.").like("123456")])
            .does::<MessageResponse>()
            .fails(&[404, 409, 429])
            .for_viewers()
            .audited("removed their second factor"),
            routes::remove_second_factor,
        )
        .add(
            post(
                "/account/sessions/end",
                "endOtherSessions",
                "Ends all your sessions except the current one.",
            )
            .about(not_by_token)
            .acts([])
            .does::<MessageResponse>()
            .fails(&[404, 409])
            .for_viewers()
            .audited("ended their other sessions"),
            routes::end_sessions,
        )
        .add_with_form(
            delete(
                "/account/sessions/{id}",
                "endSession",
                "Ends one of your sessions.",
            )
            .about(not_by_token)
            .does::<MessageResponse>()
            .fails(&[409])
            .for_viewers()
            .audited("ended one of their sessions"),
            routes::end_session,
            "/account/sessions/{id}/delete",
        )
}

/// The operations of users, tokens and the audit log.
pub fn user_routes<S>() -> RouteTable<S>
where
    S: RouterState,
    Access: FromRef<S>,
{
    RouteTable::new()
.add(get("/users", "listUsers", "Lists the users.").gives::<UsersPage>(PAGE).for_admins(), routes::users::list)
.add(post(
            "/users",
            "createUser",
            "Creates a user. The first user must be an admin.",
        )
        .takes([
            name().required(),
            role("The user's role.").required(),
            password("The user's password.").required(),
        ])
        .makes::<UserCreatedResponse>()
        .fails(&[409]).for_admins().audited("created a user"), routes::users::create)
.add(get(
            "/users/{id}",
            "getUser",
            "Returns a user; as HTML, the form to edit the user.",
        )
        .gives::<UserPage>(PAGE).for_admins(), routes::users::show)
.add_with_form(patch(
            "/users/{id}",
            "changeUser",
            "Changes the given fields of a user.",
        )
        .takes([
            name(),
            role("The user's role."),
            password("New password. Ends the user's sessions."),
            flag("without_second_factor", "Removes the user's second factor.").or(false),
        ])
        .does::<UserChangeResponse>()
        .fails(&[409]).for_admins().audited("changed a user"), routes::users::change, "/users/{id}")
.add_with_form(delete(
            "/users/{id}",
            "deleteUser",
            "Deletes a user and all their sessions and tokens.",
        )
        .does::<MessageResponse>()
        .fails(&[409]).for_admins().audited("deleted a user"), routes::users::delete, "/users/{id}/delete")
.add(get(
            "/users/{id}/delete",
            "askDeleteUser",
            "Asks for confirmation before deleting a user, for browsers.",
        )
        .gives::<ConfirmPage<AccessRemoval>>(PAGE).for_admins(), routes::users::ask_delete)
.add(get(
            "/tokens",
            "listTokens",
            "Lists your tokens. Admins see all tokens; a token without the admin role sees only itself.",
        )
        .gives::<TokensPage>(PAGE), routes::tokens::list)
.add(post(
            "/tokens",
            "createToken",
            "Creates a token for a program. Only this response contains the token.",
        )
        .about("Not available with a token.")
        .takes([
            text("name", "The token's name.")
                .longest(64)
                .like("scraper")
                .required(),
            role("The token's role, which cannot exceed the role of its user.").required(),
            days(),
        ])
        .answer(
            201,
            "Created.",
            &[JSON, HTML],
            Some(shape::<TokenPage>()),
        )
        .fails(&[409]).for_viewers().audited("created a token"), routes::tokens::create)
.add_with_form(delete("/tokens/{id}", "revokeToken", "Revokes a token.")
            .about("A token can only revoke itself.")
            .does::<MessageResponse>().for_viewers().audited("revoked a token"), routes::tokens::revoke, "/tokens/{id}/delete")
.add(get(
            "/tokens/{id}/delete",
            "askRevokeToken",
            "Asks for confirmation before revoking a token, for browsers.",
        )
        .gives::<ConfirmPage<AccessRemoval>>(PAGE), routes::tokens::ask_revoke)
.add(get(
            "/audit",
            "listAudit",
            "Lists audit log entries, newest first.",
        )
        .asks([
            whole("limit", "Maximum number of entries.", 1, 1000).or(100),
            number("before", "Only entries before this one."),
            text("actor", "Only entries by this user.").like("ada"),
        ])
        .gives::<AuditPage>(PAGE).for_admins(), routes::audit)
}
