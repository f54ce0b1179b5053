//! `/instances/{id}/logs` in its four forms, and `/instances/{id}/log.txt`.

use super::bare;
use crate::harness::Manager;
use crate::harness::answer::{Answer, EventStream, Heard};
use serde_json::{Value, json};

/// The number of a numbered line of the simulated client.
fn number(message: &str) -> Option<u64> {
    message
        .split_once("line n=")?
        .1
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn numbers(part: &Value) -> Vec<u64> {
    part["logs"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|record| number(record["message"].as_str().unwrap()))
        .collect()
}

/// A stopped instance whose log contains `lines` numbered lines, besides those of the client and the
/// keeper.
async fn at_rest(lines: u64, flags: &[&str]) -> (Manager, String, String) {
    let total = lines.to_string();
    let manager = Manager::with_simulated(
        &[
            &["--lines-per-second", "max", "--lines-total", &total],
            flags,
        ]
        .concat(),
    )
    .await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let last = format!("line n={lines} ");
    crate::harness::until("the last line", || async {
        manager.log_text(&id).contains(&last).then_some(())
    })
    .await;
    manager.until_state(&id, "running").await;
    manager.act(&format!("/api/instances/{id}/stop")).await;
    manager.until_state(&id, "stopped").await;
    let path = format!("/api/instances/{id}/logs");
    (manager, id, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_hundred_come_oldest_first() {
    let (manager, _, path) = at_rest(500, &[]).await;
    let part = bare(&manager, "GET", &path).await.json(200);
    let logs = part["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 100);
    assert!(logs.is_sorted_by_key(|record| record["seq"].as_u64().unwrap()));
    for record in logs {
        assert!(record["message"].is_string(), "{record}");
        assert!(
            ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
                .contains(&record["level"].as_str().unwrap()),
            "{record}"
        );
        record["timestamp"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap();
    }
    assert_eq!(
        (&part["more"], &part["lost"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(part["last"], logs.last().unwrap()["seq"]);
    let few = bare(&manager, "GET", &format!("{path}?count=7"))
        .await
        .json(200);
    assert_eq!(few["logs"].as_array().unwrap(), &logs[93..]);
    let many = bare(&manager, "GET", &format!("{path}?count=1000"))
        .await
        .json(200);
    assert_eq!(numbers(&many), (1..=500).collect::<Vec<_>>());
    assert_eq!(many["more"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_walked_both_ways_without_gap_or_repeat() {
    let (manager, _, path) = at_rest(700, &[]).await;
    let whole = bare(&manager, "GET", &format!("{path}?count=1000"))
        .await
        .json(200)["logs"]
        .as_array()
        .unwrap()
        .clone();
    let mut back: Vec<Value> = Vec::new();
    let mut query = "count=90".to_owned();
    loop {
        let part = bare(&manager, "GET", &format!("{path}?{query}"))
            .await
            .json(200);
        back.splice(0..0, part["logs"].as_array().unwrap().clone());
        if part["more"] == false {
            break;
        }
        query = format!("count=90&before={}", part["first"]);
    }
    assert_eq!(back, whole);
    let mut forth: Vec<Value> = Vec::new();
    let mut after = json!(0);
    loop {
        let part = bare(&manager, "GET", &format!("{path}?count=90&after={after}"))
            .await
            .json(200);
        let logs = part["logs"].as_array().unwrap();
        if logs.is_empty() {
            assert_eq!(part["last"], after, "there is nothing after it");
            break;
        }
        forth.extend(logs.clone());
        after = part["last"].clone();
    }
    assert_eq!(forth, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn level_and_text_are_looked_for_in_every_form() {
    let (manager, id, path) = at_rest(50, &["--startup-delay", "100ms"]).await;
    // A failed run, for lines at high levels.
    manager.steer(&["--lose-template-provider-after", "100ms"]);
    manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "restart_policy": "never" }))
        .send()
        .await
        .unwrap();
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "failed").await;

    let whole = bare(&manager, "GET", &format!("{path}?count=1000"))
        .await
        .json(200)["logs"]
        .as_array()
        .unwrap()
        .clone();
    let rank = |record: &Value| {
        ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
            .iter()
            .position(|l| record["level"] == **l)
            .unwrap()
    };
    let mut sizes = Vec::new();
    for (level, lowest) in [
        ("trace", 0),
        ("DEBUG", 1),
        ("info", 2),
        ("Warn", 3),
        ("error", 4),
    ] {
        let part = bare(&manager, "GET", &format!("{path}?count=1000&level={level}"))
            .await
            .json(200);
        let expected: Vec<&Value> = whole
            .iter()
            .filter(|record| rank(record) >= lowest)
            .collect();
        assert_eq!(
            part["logs"].as_array().unwrap().iter().collect::<Vec<_>>(),
            expected,
            "{level}"
        );
        sizes.push(expected.len());
    }
    assert!(
        sizes[4] > 0 && sizes[4] < sizes[2],
        "the log holds too little for this test: {sizes:?}"
    );

    for (text, found) in [
        ("line%20n=7", vec![7]),
        ("LINE+N%3D49", vec![49]),
        ("line n=.", vec![]),
        ("%25", vec![]),
        ("n=5%00", vec![]),
    ] {
        let part = bare(&manager, "GET", &format!("{path}?count=1000&q={text}"))
            .await
            .json(200);
        let found_here: Vec<u64> = numbers(&part).into_iter().filter(|n| *n != 70).collect();
        assert_eq!(
            found_here,
            found.iter().flat_map(|n| [*n]).collect::<Vec<u64>>(),
            "{text}"
        );
    }
    let everything = bare(
        &manager,
        "GET",
        &format!("{path}?count=1000&q=&level=&before=&after="),
    )
    .await
    .json(200);
    assert_eq!(
        everything["logs"].as_array().unwrap(),
        &whole,
        "blank fields of a form say nothing"
    );

    let text = manager
        .ask(&format!("{path}?q=line n%3D7 "), "text/plain")
        .await;
    assert_eq!(
        (
            text.status,
            text.text.lines().filter_map(number).collect::<Vec<_>>()
        ),
        (200, vec![7])
    );
    let page = manager
        .ask(
            &format!("/instances/{id}/logs?level=error&q=%22%3E%3Cb%3E"),
            "text/html",
        )
        .await
        .page(200);
    assert_eq!(page.attr("input#q", "value"), "\"><b>");
    assert!(
        page.attr("select#level option[selected]", "value")
            .eq_ignore_ascii_case("error")
    );
    assert!(
        page.texts("p")
            .contains(&"No lines match this filter.".to_owned())
    );
    let next = page.attr("#log-stream", "hx-sse:connect");
    assert!(
        next.contains("level=ERROR") && next.contains("q=%22%3E%3Cb%3E"),
        "{next}"
    );
}

#[tokio::test]
async fn bad_parameters_are_named_in_every_form() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    for (query, pointers) in [
        ("count=0", vec!["/count"]),
        ("count=1001", vec!["/count"]),
        ("count=-5", vec!["/count"]),
        ("count=ten", vec!["/count"]),
        ("level=loud", vec!["/level"]),
        ("before=now", vec!["/before"]),
        ("after=-1", vec!["/after"]),
        ("after=18446744073709551616", vec!["/after"]),
        ("before=5&after=3", vec!["/before"]),
        (
            "count=0&before=x&after=y&level=z",
            vec!["/count", "/before", "/after", "/level"],
        ),
    ] {
        let path = format!("/instances/{id}/logs?{query}");
        assert_eq!(
            manager.ask(&format!("/api{path}"), "*/*").await.pointers(),
            pointers,
            "{query}"
        );
        // Requests for a stream or text get the problem as JSON.
        assert_eq!(
            manager.ask(&path, "text/event-stream").await.pointers(),
            pointers,
            "{query}"
        );
        assert_eq!(
            manager.ask(&path, "text/plain").await.pointers(),
            pointers,
            "{query}"
        );
        // Pages show a sentence for each error, without pointers.
        let (page, notice) = (
            manager.ask(&path, "text/html").await,
            manager.fragment(&path, "div#log").await,
        );
        for told in [
            page.page(422).texts("main .attention"),
            notice.notice(422).texts(".attention"),
        ] {
            assert!(
                pointers.iter().all(|pointer| !told[0].contains(pointer)),
                "{told:?}"
            );
        }
        let sentences = if pointers.len() > 1 {
            pointers.len()
        } else {
            0
        };
        assert_eq!(
            (
                page.page(422).count("main li"),
                notice.notice(422).count("li")
            ),
            (sentences, sentences),
            "{query}"
        );
        // The whole log has no parameters for a range.
        let named = manager
            .ask(
                &format!("/instances/{id}/log.txt?{query}"),
                "application/json",
            )
            .await
            .pointers();
        assert!(
            !named.is_empty() && named.iter().all(|pointer| query.contains(&pointer[1..])),
            "{query}: {named:?}"
        );
    }
}

#[tokio::test]
async fn a_log_that_is_not_there_yet_is_empty_in_every_form() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let path = format!("/instances/{id}/logs");
    for query in [
        "",
        "?before=5",
        "?count=3&level=error",
        "?before=18446744073709551615",
    ] {
        let part = bare(&manager, "GET", &format!("{path}{query}"))
            .await
            .json(200);
        assert_eq!(
            (&part["logs"], &part["more"]),
            (&json!([]), &json!(false)),
            "{query}"
        );
    }
    let text = manager.ask(&path, "text/plain").await;
    assert_eq!((text.status, text.text.as_str()), (200, ""));
    let page = manager.ask(&path, "text/html").await.page(200);
    assert_eq!(
        (
            page.count("#log"),
            page.count("#log .line"),
            page.count("#log-stream")
        ),
        (1, 0, 1)
    );
    assert!(
        page.texts("p")
            .iter()
            .any(|text| text.starts_with("No log yet."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_a_part_and_leads_to_the_others() {
    let (manager, id, path) = at_rest(400, &[]).await;
    let page = manager
        .ask(&format!("/instances/{id}/logs?count=50"), "text/html")
        .await
        .page(200);
    assert_eq!(
        (page.count("#log .line"), page.count("#log-stream")),
        (50, 1)
    );
    assert_eq!(
        page.count("#log .line.INFO > b"),
        page.count("#log .line.INFO")
    );
    let older = page
        .attrs("main p.sub a", "href")
        .into_iter()
        .find(|to| to.contains("before="))
        .unwrap();
    let part = manager.json(&format!("{path}?count=50")).await;
    assert!(
        older.contains(&format!("before={}", part["first"])),
        "{older}"
    );
    let before = manager.ask(&older, "text/html").await.page(200);
    assert_eq!(
        before.count("#log-stream"),
        0,
        "only the newest part goes on"
    );
    let newer = before
        .attrs("main p.sub a", "href")
        .into_iter()
        .find(|to| to.contains("after="))
        .unwrap();
    let shown = |page: &crate::harness::answer::Dom| -> Vec<u64> {
        page.texts("#log .line")
            .iter()
            .filter_map(|text| number(text))
            .collect()
    };
    let after = manager.ask(&newer, "text/html").await.page(200);
    assert_eq!(
        shown(&before).last().map(|n| n + 1),
        shown(&after).first().copied()
    );
    let main = manager
        .fragment(&format!("/instances/{id}/logs?count=5"), "main#main")
        .await
        .fragment(200);
    assert_eq!(
        (main.count("#log .line"), main.count("nav[aria-label=Main]")),
        (5, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_download_is_the_whole_log_as_it_was_written() {
    let (manager, id, path) = at_rest(3000, &[]).await;
    for (path, accept) in [
        (path.clone(), "text/plain"),
        (format!("/instances/{id}/log.txt"), "text/html,*/*;q=0.8"),
        (format!("/api/instances/{id}/log.txt"), "*/*"),
    ] {
        let text = manager.ask(&path, accept).await;
        assert_eq!(
            (text.status, text.header("content-type")),
            (200, Some("text/plain; charset=utf-8"))
        );
        assert_eq!(
            text.header("content-disposition"),
            Some("inline; filename=\"barn.log\"")
        );
        assert_eq!(
            text.text.lines().filter_map(number).collect::<Vec<_>>(),
            (1..=3000).collect::<Vec<_>>(),
            "{path}"
        );
        assert_eq!(text.text, manager.log_text(&id), "{path}");
    }
    manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "name": "Stall \"1\"; x=\u{fc}" }))
        .send()
        .await
        .unwrap();
    let text = manager.ask(&path, "text/plain").await;
    assert_eq!(
        text.header("content-disposition"),
        Some("inline; filename=\"Stall--1---x--.log\"")
    );
}

/// Reads numbered lines off a stream until there are so many; every event has the id of its record
/// and none says that lines were skipped. Gives the last id.
async fn read(stream: &mut EventStream, into: &mut Vec<u64>, until: usize) -> Option<String> {
    let mut last = None;
    while into.len() < until {
        let Some(Heard { event, id, data }) = stream.next().await else {
            break;
        };
        match event.as_str() {
            "" => {
                let record: Value = serde_json::from_str(&data).unwrap();
                assert_eq!(record["seq"].to_string(), id);
                into.extend(number(record["message"].as_str().unwrap()));
                last = Some(id);
            }
            "instance" => {}
            other => panic!("{other}: {data}"),
        }
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_goes_on_where_it_was_over_restarts_of_the_manager() {
    let mut manager = Manager::with_simulated(&["--lines-per-second", "500"]).await;
    let id = manager.instance("barn").await;
    let path = format!("/api/instances/{id}/logs");
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    // Enough lines so that the newest lines are not the first ones.
    crate::harness::until("fifty lines", || async {
        manager
            .log_text_lossy(&id)
            .contains("line n=50 ")
            .then_some(())
    })
    .await;
    let mut heard = Vec::new();
    let mut stream = EventStream::open(manager.request("GET", &format!("{path}?count=3"))).await;
    let mut at = read(&mut stream, &mut heard, 150).await.unwrap();
    for round in 0..3 {
        manager.kill();
        // Events in transit may still arrive; then the stream is cut.
        if let Some(further) = read(&mut stream, &mut heard, usize::MAX).await {
            at = further;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        manager.begin();
        // The header takes precedence over the position in the URL, which is from the first request.
        let request = manager
            .request("GET", &format!("{path}?after=1&count=3"))
            .header("last-event-id", &at);
        stream = EventStream::open(request).await;
        let enough = heard.len() + 300;
        at = read(&mut stream, &mut heard, enough)
            .await
            .unwrap_or_else(|| panic!("round {round}: the stream ended"));
    }
    let first = heard[0];
    assert!(
        first > 1,
        "it began with the newest lines, not with the first"
    );
    assert!(
        heard.iter().copied().eq(first..first + heard.len() as u64),
        "a line is missing or doubled: {heard:?}"
    );
    // The same position as a parameter.
    let mut stream = EventStream::open(manager.request("GET", &format!("{path}?after={at}"))).await;
    let enough = heard.len() + 50;
    read(&mut stream, &mut heard, enough).await.unwrap();
    assert!(
        heard.iter().copied().eq(first..first + heard.len() as u64),
        "a line is missing or doubled: {heard:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_read_is_the_present_end() {
    let (manager, id, path) = at_rest(20, &[]).await;
    let end = manager.json(&path).await["last"].as_u64().unwrap();
    for place in ["", "x", "-1", "18446744073709551616"] {
        let mut stream =
            EventStream::open(manager.request("GET", &path).header("last-event-id", place)).await;
        // The current instance always comes first.
        assert_eq!(stream.next().await.unwrap().event, "instance");
        manager.act(&format!("/api/instances/{id}/start")).await;
        let heard = stream.until(|heard| heard.event.is_empty()).await;
        assert!(
            heard.id.parse::<u64>().unwrap() > end,
            "what was there before is not sent: {heard:?}"
        );
        manager.act(&format!("/api/instances/{id}/stop")).await;
    }
    // Beyond the end: no invented data, and the stream still works.
    EventStream::open(
        manager
            .request("GET", &path)
            .header("last-event-id", "18446744073709551615"),
    )
    .await
    .next()
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_page_gets_lines_to_append_and_the_state_to_swap() {
    let manager = Manager::with_simulated(&["--lines-per-second", "50"]).await;
    let id = manager.instance("barn").await;
    let live = |query: &str| {
        EventStream::open(
            manager
                .request("GET", &format!("/instances/{id}/logs{query}"))
                .header("hx-request", "true"),
        )
    };
    let mut stream = live("").await;
    let first = stream.next().await.unwrap();
    assert!(
        first.event.is_empty()
            && first
                .data
                .starts_with("<hx-partial hx-target=\"#status\" hx-swap=\"outerMorph\">"),
        "{first:?}"
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    // Lines and states arrive in any order.
    let mut has_swapped = false;
    let is_running = |heard: &Heard| {
        heard.data.contains("hx-target=\"#status\"") && heard.data.contains("state running")
    };
    let lines = stream
        .until(|heard| {
            has_swapped |= is_running(heard);
            heard.data.contains("line n=")
        })
        .await;
    assert!(lines.event.is_empty() && !lines.id.is_empty(), "{lines:?}");
    assert!(
        lines
            .data
            .starts_with("<hx-partial hx-target=\"#log\" hx-swap=\"beforeend\"><div class=\"line "),
        "{lines:?}"
    );
    assert!(
        lines.data.trim_end().ends_with("</hx-partial>"),
        "{lines:?}"
    );
    if !has_swapped {
        stream.until(is_running).await;
    }
    let mut filtered = live("?q=n%3D&level=info").await;
    for _ in 0..5 {
        let heard = filtered.until(|heard| heard.data.contains("#log")).await;
        assert_eq!(
            heard.data.matches("class=\"line ").count(),
            heard.data.matches("n=").count(),
            "{heard:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_hears_of_the_instance_in_the_same_stream_and_of_its_lines_through_its_filter() {
    let manager = Manager::with_simulated(&["--lines-per-second", "100"]).await;
    let id = manager.instance("barn").await;
    let mut stream = EventStream::open(
        manager.request("GET", &format!("/api/instances/{id}/logs?q=n%3D1&count=1")),
    )
    .await;
    assert_eq!(stream.next().await.unwrap().json()["status"], "stopped");
    manager.act(&format!("/api/instances/{id}/start")).await;
    stream
        .until(|heard| heard.event == "instance" && heard.json()["status"] == "running")
        .await;
    for _ in 0..20 {
        let heard = stream.until(|heard| heard.event.is_empty()).await;
        assert!(
            heard.json()["message"].as_str().unwrap().contains("n=1"),
            "{heard:?}"
        );
    }
    // The exit of the client is reported first, then the end of the instance.
    assert_eq!(
        manager
            .delete(&format!("/api/instances/{id}"))
            .await
            .status(),
        200
    );
    while let Some(heard) = stream.next().await {
        assert!(heard.event != "skipped", "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_manager_and_hold_nothing_up() {
    let mut manager = Manager::with_simulated(&["--lines-per-second", "100"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let mut streams = Vec::new();
    for path in [
        format!("/api/instances/{id}/logs"),
        format!("/instances/{id}/logs"),
        "/api/instances".to_owned(),
        "/".to_owned(),
    ] {
        streams.push(EventStream::open(manager.request("GET", &path)).await);
    }
    assert!(manager.terminate().success());
    for mut stream in streams {
        while stream.next().await.is_some() {}
    }
    assert!(!manager.log().contains("cut off"), "{}", manager.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_shown_as_text_whatever_is_in_them() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = tempfile::tempdir().unwrap();
    let client = scratch.path().join("client");
    let script = "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'jd_client_sv2 0.6.0'; exit; fi\n\
        printf '2026-01-01T00:00:00.000000Z  INFO jd_client_sv2: <script>alert(1)</script> \"&amp;\\033[31mred<b>\\033[0m\\n'\n\
        printf '2026-01-01T00:00:01.000000Z ERROR jd_client_sv2::</i><u>: bytes \\377\\376 \\000 end\\n'\n\
        trap 'exit 0' INT TERM\nwhile :; do sleep 0.1; done\n";
    std::fs::write(&client, script).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    let manager = Manager::with_client(&client).await;
    let id = manager.instance("barn").await;
    let started = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(started.0, 200, "{started:?}");
    crate::harness::until("both lines", || async {
        manager.log_text_lossy(&id).contains(" end").then_some(())
    })
    .await;
    let path = format!("/instances/{id}/logs");
    let page = manager.ask(&path, "text/html").await.page(200);
    assert_eq!(
        (
            page.count("#log script"),
            page.count("#log .line u"),
            page.count("#log .line b b")
        ),
        (0, 0, 0)
    );
    let lines = page.texts("#log .line");
    assert!(
        lines
            .iter()
            .any(|text| text.contains("<script>alert(1)</script> \"&amp;red<b>")),
        "{lines:?}"
    );
    let mut live = EventStream::open(
        manager
            .request("GET", &format!("{path}?after=0"))
            .header("hx-request", "true"),
    )
    .await;
    let heard = live.until(|heard| heard.data.contains("alert(1)")).await;
    assert!(
        !heard.data.contains("<script") && !heard.data.contains("<u>"),
        "{heard:?}"
    );
    let logs = bare(&manager, "GET", &path).await.json(200);
    assert!(
        logs["logs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["message"] == "<script>alert(1)</script> \"&amp;red<b>"),
        "{logs}"
    );
    // Bytes that are not text are downloaded without changes.
    let raw = Answer::to(manager.request("GET", &path).header("accept", "text/plain")).await;
    assert!(raw.text.contains("<script>") && raw.text.contains(" end"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_compressed_arrives_whole() {
    let (manager, id, _) = at_rest(3000, &[]).await;
    for (query, is_empty) in [
        ("", false),
        ("?q=no+line+says+this", true),
        ("?q=line+n", false),
    ] {
        let path = format!("/instances/{id}/log.txt{query}");
        let plain = manager.ask(&path, "*/*").await.text;
        assert_eq!(plain.is_empty(), is_empty);
        let response = manager
            .request("GET", &path)
            .header("accept-encoding", "gzip")
            .send()
            .await
            .unwrap();
        let compressed = response
            .headers()
            .get("content-encoding")
            .is_some_and(|how| how == "gzip");
        let bytes = response.bytes().await.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*bytes), &mut text)
            .unwrap();
        assert!(compressed && text == plain, "{path}");
    }
    assert!(!manager.log().contains("panicked"), "{}", manager.log());
}
