//! Tests answers of hostile or broken servers: no terminal control sequences get through.

use super::{program, run};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::json;

/// Sequences for red text, clear screen, title, bell, backspace and text direction, and an invalid
/// character.
const NASTY: &str =
    "ba\u{1b}[31mrn\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}1A\r\n\u{8}\u{202e}\u{200b}x\u{2061}";

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

fn nasty_answer(path: &str) -> serde_json::Value {
    let instance = json!({ "id": NASTY, "name": NASTY, "status": NASTY, "config_name": NASTY, "last_error": NASTY,
        "health": { "status": NASTY, "place": NASTY, "trouble": NASTY }, "unheard_of": [1, 2] });
    let finding =
        json!({ "check_type": NASTY, "status": "warning", "message": NASTY, "since": NASTY });
    match path {
        "instances" => json!({ "instances": [instance] }),
        "metrics" => json!({}),
        "saved-configs" => {
            json!({ "configurations": [{ "id": "1", "name": NASTY, "config_json": NASTY, "used_by": [{ "name": NASTY }] }] })
        }
        "updates" => {
            json!({ "current": NASTY, "latest": NASTY, "available": true, "installed": [{ "name": NASTY }], "problem": NASTY,
            "pending": { "tag": NASTY, "reason": NASTY }, "skipped": [{ "tag": NASTY }],
            "job": { "id": NASTY, "message": NASTY }, "releases": [{ "tag": NASTY, "asset": { "state": NASTY, "why": NASTY } }] })
        }
        "alerts" => {
            json!({ "standing": [{ "instance": NASTY, "rule": NASTY }], "mutes": [{ "target": NASTY, "name": NASTY, "until": NASTY, "comment": NASTY }] })
        }
        path if path.ends_with("/logs") => {
            json!({ "last": 1, "logs": [{ "level": NASTY, "timestamp": NASTY, "target": NASTY, "message": NASTY }] })
        }
        path if path.ends_with("/toml") => {
            json!({ "toml": NASTY, "warnings": [{ "pointer": NASTY, "detail": NASTY }] })
        }
        path if path.starts_with("health/") => {
            json!({ "status": NASTY, "score": 3, "place": NASTY, "results": [finding] })
        }
        path if path.starts_with("instances/") => instance,
        _ => json!({ "message": NASTY }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_what_it_says_reaches_the_terminal_as_a_command() {
    let answer = |Path(path): Path<String>| async move { axum::Json(nasty_answer(&path)) };
    let url = serve(Router::new().route("/api/{*path}", get(answer).post(answer))).await;
    let commands: [&[&str]; 11] = [
        &["instances"],
        &["instances", "show", NASTY],
        &["instances", "show", "other"],
        &["configs"],
        &["configs", "show", NASTY],
        &["health"],
        &["health", NASTY],
        &["logs", NASTY],
        &["updates"],
        &["alerts"],
        &["updates", "install", "--no-wait"],
    ];
    for arguments in commands {
        let mut command = program(arguments);
        command.args(["--url", &url]);
        let said = run(command);
        let text = format!("{}{}", said.out, said.err);
        assert!(
            text.contains("barn"),
            "{arguments:?} shows nothing of it: {said:?}"
        );
        let obeyed: Vec<char> = text
            .chars()
            .filter(|c| {
                (c.is_control() && *c != '\n') || matches!(c, '\u{202e}' | '\u{200b}' | '\u{2061}')
            })
            .collect();
        assert!(obeyed.is_empty(), "{obeyed:?} of {arguments:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_a_proxy_and_nonsense_are_told_apart() {
    let ask = |url: &str| {
        let mut command = program(&["instances", "--url", url]);
        command.env("JD_MANAGER_TOKEN", "jdm_secret");
        run(command)
    };
    let login = serve(Router::new().fallback(|| async { Redirect::to("/login?next=%2F") })).await;
    let said = ask(&login).wrong(1);
    assert!(
        said.contains("redirects to /login") && said.contains("JD_MANAGER_TOKEN"),
        "{said}"
    );
    let elsewhere = serve(
        Router::new().fallback(|| async { Redirect::permanent("https://elsewhere.example/") }),
    )
    .await;
    let said = ask(&elsewhere).wrong(1);
    assert!(
        said.contains("https://elsewhere.example/") && said.contains("--url"),
        "{said}"
    );
    let broken =
        serve(Router::new().fallback(|| async { (StatusCode::BAD_GATEWAY, "<html>nginx</html>") }))
            .await;
    let said = ask(&broken).wrong(1);
    assert!(said.contains("502"), "{said}");
    let page = serve(Router::new().fallback(|| async { "<html>hello</html>" })).await;
    let said = ask(&page).wrong(1);
    assert!(said.contains("cannot be read"), "{said}");
    // An older or newer manager sends fewer or more fields.
    let other = serve(Router::new().fallback(|| async {
        axum::Json(json!({ "instances": [{ "name": "barn", "moon": {} }] }))
    }))
    .await;
    let said = ask(&other).well();
    assert!(said.contains("barn"), "{said}");
    let silent: fn() -> std::future::Ready<Response> =
        || std::future::ready(StatusCode::NO_CONTENT.into_response());
    let said = ask(&serve(Router::new().fallback(silent)).await).wrong(1);
    assert!(said.contains("cannot be read"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_read_into_memory() {
    let endless = || async {
        let piece = axum::body::Bytes::from(vec![b' '; 1 << 20]);
        axum::body::Body::from_stream(futures_util::stream::repeat_with(move || {
            Ok::<_, std::io::Error>(piece.clone())
        }))
    };
    let url = serve(Router::new().fallback(endless)).await;
    let said = run(program(&["instances", "--url", &url])).wrong(1);
    assert!(
        said.contains("is too large to come from jd-manager"),
        "{said}"
    );
}
