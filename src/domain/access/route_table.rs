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

/// The operations of the login and of one's own account.
pub fn own_routes<S>() -> RouteTable<S>
where
    S: RouterState,
    Access: FromRef<S>,
{
    let not_by_token = "Not with a token.";
    RouteTable::new()
        .add(
            get("/login", "showLogin", "The login, for people.")
                .asks([text("next", "The page one is sent to then.").like("/")])
                .gives::<LoginPage>(PAGE)
                .for_anybody(),
            routes::login_page,
        )
        .add(
            post(
                "/login",
                "logIn",
                "Begins a session: the answer sets its cookie.",
            )
            .takes([
                name().required(),
                text("password", "The password.").like("…").required(),
                text(
                    "code",
                    "The code of the second factor, for those who have one.",
                ),
                text(
                    "next",
                    "The page a browser is sent to then, a path on this site.",
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
                "The form of the first visit, for people.",
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
                "Makes the first user, an admin, with the code that jd-manager printed.",
            )
            .takes([
                text("code", "The code.").like("…").required(),
                name().required(),
                password("The password.").required(),
            ])
            .does::<LoginResponse>()
            .fails(&[404, 409, 429])
            .for_anybody(),
            routes::first_visit,
        )
        .add(
            post("/logout", "logOut", "Ends the session that asks.")
                .does::<MessageResponse>()
                .for_viewers()
                .audited("logged out"),
            routes::log_out,
        )
        .add(
            get(
                "/account",
                "getAccount",
                "Who asks, with what may be done and where else there is a session.",
            )
            .gives::<AccountPage>(PAGE)
            .fails(&[404]),
            routes::account,
        )
        .add(
            post(
                "/account/password",
                "changePassword",
                "Changes the own password and ends all other sessions.",
            )
            .about(not_by_token)
            .takes([current(), password("The new one.").required()])
            .does::<MessageResponse>()
            .fails(&[404, 409, 429])
            .for_viewers()
            .audited("changed the own password"),
            routes::change_password,
        )
        .add(
            get(
                "/account/second-factor",
                "showSecondFactor",
                "A fresh secret for an authenticator; in force once a code of it is sent back.",
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
                "Sets up a second factor for the own logins.",
            )
            .about(not_by_token)
            .takes([
                text("secret", "The secret.").like("…").required(),
                text("code", "A code of it.").like("123456").required(),
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
                "Takes the own second factor away.",
            )
            .about(not_by_token)
            .takes([current(), text("code", "A code of it.").like("123456")])
            .does::<MessageResponse>()
            .fails(&[404, 409, 429])
            .for_viewers()
            .audited("took the own second factor away"),
            routes::remove_second_factor,
        )
        .add(
            post(
                "/account/sessions/end",
                "endOtherSessions",
                "Ends all own sessions but the one that asks.",
            )
            .about(not_by_token)
            .acts([])
            .does::<MessageResponse>()
            .fails(&[404, 409])
            .for_viewers()
            .audited("ended the own other sessions"),
            routes::end_sessions,
        )
        .add_with_form(
            delete(
                "/account/sessions/{id}",
                "endSession",
                "Ends an own session.",
            )
            .about(not_by_token)
            .does::<MessageResponse>()
            .fails(&[409])
            .for_viewers()
            .audited("ended an own session"),
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
.add(get("/users", "listUsers", "Who may log in.").gives::<UsersPage>(PAGE).for_admins(), routes::users::list)
.add(post(
            "/users",
            "createUser",
            "Makes a user; the first one has to be an admin.",
        )
        .takes([
            name().required(),
            role("What it may do.").required(),
            password("Its password.").required(),
        ])
        .makes::<UserCreatedResponse>()
        .fails(&[409]).for_admins().audited("made a user"), routes::users::create)
.add(get(
            "/users/{id}",
            "getUser",
            "A user; for people the form to change it.",
        )
        .gives::<UserPage>(PAGE).for_admins(), routes::users::show)
.add_with_form(patch(
            "/users/{id}",
            "changeUser",
            "Changes what is mentioned of a user.",
        )
        .takes([
            name(),
            role("What it may do."),
            password("A new one; its sessions end."),
            flag("without_second_factor", "Its second factor is taken away.").or(false),
        ])
        .does::<UserChangeResponse>()
        .fails(&[409]).for_admins().audited("changed a user"), routes::users::change, "/users/{id}")
.add_with_form(delete(
            "/users/{id}",
            "deleteUser",
            "Deletes a user with its sessions and tokens.",
        )
        .does::<MessageResponse>()
        .fails(&[409]).for_admins().audited("deleted a user"), routes::users::delete, "/users/{id}/delete")
.add(get(
            "/users/{id}/delete",
            "askDeleteUser",
            "The question before a user is deleted, for people.",
        )
        .gives::<ConfirmPage<AccessRemoval>>(PAGE).for_admins(), routes::users::ask_delete)
.add(get(
            "/tokens",
            "listTokens",
            "The tokens that one may see: the own ones, an admin all, a token below admin itself.",
        )
        .gives::<TokensPage>(PAGE), routes::tokens::list)
.add(post(
            "/tokens",
            "createToken",
            "Makes a token for a program; the answer shows it, this once.",
        )
        .about("Not with a token.")
        .takes([
            text("name", "What it is called.")
                .longest(64)
                .like("scraper")
                .required(),
            role("What it may do; never more than its user.").required(),
            days(),
        ])
        .answer(
            201,
            "It is made.",
            &[JSON, HTML],
            Some(shape::<TokenPage>()),
        )
        .fails(&[409]).for_viewers().audited("made a token"), routes::tokens::create)
.add_with_form(delete("/tokens/{id}", "revokeToken", "Revokes a token.")
            .about("With a token only itself.")
            .does::<MessageResponse>().for_viewers().audited("revoked a token"), routes::tokens::revoke, "/tokens/{id}/delete")
.add(get(
            "/tokens/{id}/delete",
            "askRevokeToken",
            "The question before a token is revoked, for people.",
        )
        .gives::<ConfirmPage<AccessRemoval>>(PAGE), routes::tokens::ask_revoke)
.add(get(
            "/audit",
            "listAudit",
            "What was done by whom, newest first.",
        )
        .asks([
            whole("limit", "At most so many.", 1, 1000).or(100),
            number("before", "Those before this one."),
            text("actor", "Only of this one.").like("ada"),
        ])
        .gives::<AuditPage>(PAGE).for_admins(), routes::audit)
}
