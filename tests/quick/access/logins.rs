//! Signing in and out: sessions, repeated attempts, information in responses.

use super::{PASSWORD, Visitor, ada, cookie_of, log_in, user, with_admin};
use crate::harness::answer::{Answer, EventStream};
use crate::harness::until;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_cookie_is_for_this_site_and_no_script_alone() {
    let manager = with_admin().await;
    let answer = Visitor::stranger()
        .send(
            &manager,
            "POST",
            "/api/login",
            &json!({ "name": "ADA", "password": PASSWORD }),
        )
        .await;
    let said = answer.json(200);
    assert_eq!(
        (&said["user"]["name"], &said["user"]["role"]),
        (&json!("ada"), &json!("admin")),
        "{said}"
    );
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("jd-manager="), "{cookie}");
    for part in [
        "; HttpOnly",
        "; SameSite=Lax",
        "; Path=/",
        "; Max-Age=2592000",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "this connection is not: {cookie}"
    );
    assert!(
        !answer.text.contains(&cookie["jd-manager=".len()..][..20]),
        "the body does not hold it"
    );
}

#[tokio::test]
async fn a_session_planted_before_is_not_the_one_that_is_logged_in() {
    let manager = with_admin().await;
    let planted = Visitor::with_cookie("jd-manager=planted-by-somebody-else-planted-by-somebody");
    let answer = planted
        .send(
            &manager,
            "POST",
            "/login",
            &json!({ "name": "ada", "password": PASSWORD }),
        )
        .await;
    let cookie = cookie_of(&answer);
    assert!(!cookie.contains("planted"), "{cookie}");
    planted.get(&manager, "/api/instances").await.problem(401);
    // Signing in again ends the current session and starts another.
    let first = Visitor::with_cookie(&cookie);
    let again = first
        .send(
            &manager,
            "POST",
            "/login",
            &json!({ "name": "ada", "password": PASSWORD }),
        )
        .await;
    assert_ne!(cookie_of(&again), cookie);
    first.get(&manager, "/api/instances").await.problem(401);
    Visitor::with_cookie(&cookie_of(&again))
        .get(&manager, "/api/instances")
        .await
        .json(200);
}

#[tokio::test]
async fn a_cookie_is_worth_nothing_after_the_logout() {
    let manager = with_admin().await;
    let visitor = ada(&manager).await;
    visitor.get(&manager, "/api/instances").await.json(200);
    let out = Answer::to(
        visitor
            .request(&manager, "POST", "/logout")
            .header("accept", "text/html"),
    )
    .await;
    assert_eq!((out.status, out.header("location")), (303, Some("/login")));
    assert!(
        out.header("set-cookie")
            .unwrap()
            .starts_with("jd-manager=; ")
            && out.text.is_empty(),
        "{out:?}"
    );
    for path in ["/api/instances", "/instances", "/api/account"] {
        visitor.get(&manager, path).await.problem(401);
    }
}

#[tokio::test]
async fn nothing_tells_a_name_that_exists_from_one_that_does_not() {
    let manager = with_admin().await;
    let attempt = async |name: &str| {
        let begun = Instant::now();
        let answer = log_in(&manager, name, "wrong password, but long")
            .await
            .unwrap_err();
        (answer, begun.elapsed())
    };
    // The very first attempt takes longer, for any name.
    let _ = attempt("warming up").await;
    let (known, time_known) = attempt("ada").await;
    let (unknown, time_unknown) = attempt("eve").await;
    assert_eq!(known.problem(401)["detail"], unknown.problem(401)["detail"]);
    let names = |answer: &Answer| {
        answer
            .headers
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&known), names(&unknown));
    // Without the same work one of them would answer in a fraction of the time; how long it takes
    // on a busy machine is not judged.
    let shortest = Duration::from_millis(4);
    assert!(
        time_known > shortest && time_unknown > shortest,
        "{time_known:?} {time_unknown:?}"
    );
    assert!(!known.text.contains("ada") && !unknown.text.contains("eve"));
}

#[tokio::test]
async fn guessing_is_slowed_and_the_right_one_does_not_get_in_meanwhile() {
    let manager = with_admin().await;
    for _ in 0..5 {
        log_in(&manager, "ada", "wrong password")
            .await
            .unwrap_err()
            .problem(401);
    }
    let refused = log_in(&manager, "ada", PASSWORD).await.unwrap_err();
    let detail = refused.problem(429)["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.starts_with("Too many attempts. Try again in"),
        "{detail}"
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let page = Answer::to(
        manager
            .request("POST", "/login")
            .header("accept", "text/html")
            .form(&[("name", "ada"), ("password", PASSWORD)]),
    )
    .await;
    assert!(page.page(429).one("main").contains("Too many attempts"));
    // A hundred parallel attempts get no advantage.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let many = (0..100).map(|_| log_in(&manager, "ada", "another wrong password"));
    let answers = futures_util::future::join_all(many).await;
    let looked_at = answers
        .iter()
        .filter(|answer| answer.as_ref().is_err_and(|a| a.status == 401))
        .count();
    assert!((1..=2).contains(&looked_at), "{looked_at}");
    // After the reported wait, signing in works.
    let begun = Instant::now();
    let visitor = until("the wait to end", || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        log_in(&manager, "ada", PASSWORD).await.ok()
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    visitor.get(&manager, "/api/instances").await.json(200);
    log_in(&manager, "ada", "wrong once more")
        .await
        .unwrap_err()
        .problem(401);
    // The log combines the attempts in few lines.
    let lines = visitor.get(&manager, "/api/audit").await.json(200);
    let refused: Vec<_> = lines["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["status"] == 401)
        .collect();
    assert!(
        refused
            .iter()
            .any(|line| line["times"].as_u64().unwrap() >= 5 && line["actor"] == "ada"),
        "{lines}"
    );
    assert!(refused.len() <= 3, "{lines}");
}

#[tokio::test]
async fn what_is_typed_is_taken_as_it_is() {
    let manager = with_admin().await;
    for (name, password) in [
        ("ada", ""),
        ("", PASSWORD),
        ("ada' OR '1'='1", PASSWORD),
        ("ada", "x".repeat(900_000).as_str()),
        ("ada\0", PASSWORD),
    ] {
        let status = log_in(&manager, name, password).await.unwrap_err().status;
        assert!([401, 429].contains(&status), "{name} {status}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let odd = [
        json!([]),
        json!({ "name": ["ada"], "password": { "a": 1 } }),
        json!("ada"),
        json!(null),
    ];
    for body in odd {
        let answer = Visitor::stranger()
            .send(&manager, "POST", "/login", &body)
            .await;
        assert!([401, 422, 429].contains(&answer.status), "{answer:?}");
    }
}

#[tokio::test]
async fn another_password_ends_the_other_sessions() {
    let manager = with_admin().await;
    let (one, two) = (ada(&manager).await, ada(&manager).await);
    let wish = |current: &str, password: &str| json!({ "current": current, "password": password });
    let refused = one
        .send(
            &manager,
            "POST",
            "/account/password",
            &wish("not it at all", "a much better one"),
        )
        .await;
    assert_eq!(refused.pointers(), ["/current"]);
    let weak = one
        .send(
            &manager,
            "POST",
            "/account/password",
            &wish(PASSWORD, "short"),
        )
        .await;
    assert_eq!(weak.pointers(), ["/password"]);
    two.get(&manager, "/api/instances").await.json(200);
    one.send(
        &manager,
        "POST",
        "/account/password",
        &wish(PASSWORD, "a much better one"),
    )
    .await
    .json(200);
    two.get(&manager, "/api/instances").await.problem(401);
    one.get(&manager, "/api/instances").await.json(200);
    log_in(&manager, "ada", PASSWORD)
        .await
        .unwrap_err()
        .problem(401);
    log_in(&manager, "ada", "a much better one").await.unwrap();
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_by_their_user_alone() {
    let manager = with_admin().await;
    let (one, two) = (ada(&manager).await, ada(&manager).await);
    let viewer = user(&manager, &one, "viewer").await;
    let account = one.get(&manager, "/api/account").await.json(200);
    let sessions = account["sessions"].as_array().unwrap();
    assert_eq!(
        (
            sessions.len(),
            sessions.iter().filter(|s| s["current"] == true).count()
        ),
        (2, 1),
        "{account}"
    );
    assert!(
        sessions.iter().all(|s| s["address"] == "127.0.0.1"),
        "{account}"
    );
    let other = sessions.iter().find(|s| s["current"] == false).unwrap()["id"]
        .as_str()
        .unwrap();
    let path = format!("/api/account/sessions/{other}");
    viewer
        .send(&manager, "DELETE", &path, &json!({}))
        .await
        .problem(404);
    two.get(&manager, "/api/instances").await.json(200);
    one.send(&manager, "DELETE", &path, &json!({}))
        .await
        .json(200);
    one.send(&manager, "DELETE", &path, &json!({}))
        .await
        .problem(404);
    two.get(&manager, "/api/instances").await.problem(401);
    let page = one.page(&manager, "/account").await.page(200);
    assert!(page.one("main").contains("(this session)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_listener_may_not_listen_any_more() {
    let manager = with_admin().await;
    let visitor = ada(&manager).await;
    let mut stream = EventStream::open(visitor.request(&manager, "GET", "/instances")).await;
    visitor
        .send(&manager, "POST", "/logout", &json!({}))
        .await
        .json(200);
    let over = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), over)
        .await
        .expect("the stream goes on");
}

#[tokio::test]
async fn sessions_and_passwords_are_in_no_file_and_no_log() {
    let manager = with_admin().await;
    let visitor = ada(&manager).await;
    let made = visitor
        .send(
            &manager,
            "POST",
            "/api/tokens",
            &json!({ "name": "t", "role": "viewer" }),
        )
        .await
        .json(201);
    let token = made["token"].as_str().unwrap().to_owned();
    let cookie = visitor.shows.unwrap().1["jd-manager=".len()..].to_owned();
    for secret in [PASSWORD, &cookie, &token] {
        for file in ["jd-manager.sqlite3", "jd-manager.sqlite3-wal"] {
            let bytes = std::fs::read(manager.data_dir().join(file)).unwrap_or_default();
            assert!(
                !bytes.windows(secret.len()).any(|w| w == secret.as_bytes()),
                "{secret} is in {file}"
            );
        }
        assert!(!manager.log().contains(secret));
    }
}
