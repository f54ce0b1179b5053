//! Views of logs: several instances in one, regular expressions, the place of a time, addresses of lines.

use super::{bare, form};
use crate::harness::Manager;
use crate::harness::answer::{Dom, EventStream};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// Writes a log of a stopped instance whose first byte has this offset.
fn write_log(manager: &Manager, id: &str, offset: u64, text: &[u8]) {
    let dir = manager.instance_dir(id).join("logs");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!("{offset:020}.log")), text).unwrap();
}

fn line(second: u64, text: &str) -> String {
    format!(
        "2026-11-29T09:{:02}:{:02}.000000Z  INFO jd_client_sv2::pool: {text}\n",
        second / 60,
        second % 60
    )
}

/// Three stopped instances. Each third second belongs to one of them.
async fn farm(manager: &Manager, lines: u64) -> Vec<(String, &'static str)> {
    let mut farm = Vec::new();
    for (place, name) in ["barn", "attic", "hall"].into_iter().enumerate() {
        let id = manager.instance(name).await;
        let seconds = (place as u64..lines).step_by(3);
        let text: String = seconds.map(|n| line(n, &format!("at {n}"))).collect();
        write_log(manager, &id, 0, text.as_bytes());
        farm.push((id, name));
    }
    farm
}

fn seconds(part: &Value) -> Vec<u64> {
    let records = part["logs"].as_array().unwrap().iter();
    let second = |record: &Value| {
        let message = record["message"].as_str().unwrap();
        message.strip_prefix("at ").unwrap().parse().unwrap()
    };
    records.map(second).collect()
}

/// The lines of a page.
fn shown(page: &Dom) -> Vec<u64> {
    let texts = page.texts("#log .line").into_iter();
    let second = |text: String| text.rsplit_once("at ").unwrap().1.parse().unwrap();
    texts.map(second).collect()
}

async fn page(manager: &Manager, path: &str) -> Dom {
    manager.ask(path, "text/html").await.page(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_several_instances_are_one_in_the_order_of_time() {
    let manager = Manager::start().await;
    let farm = farm(&manager, 60).await;
    let whole = manager.json("/api/logs").await;
    assert_eq!(seconds(&whole), (0..60).collect::<Vec<_>>());
    for (second, record) in whole["logs"].as_array().unwrap().iter().enumerate() {
        let (id, name) = &farm[second % 3];
        assert_eq!(
            (
                &record["instance_id"],
                &record["instance_name"],
                &record["program"]
            ),
            (&json!(id), &json!(name), &json!("client"))
        );
    }
    assert_eq!(
        whole["instances"][1],
        json!({ "id": farm[1].0, "name": "attic" })
    );
    // By name, by id, by tag; several of one parameter mean any of them.
    let by = async |query: &str| manager.json(&format!("/api/logs?{query}")).await;
    let barn: Vec<u64> = (0..60).step_by(3).collect();
    assert_eq!(seconds(&by("instance=barn").await), barn);
    assert_eq!(seconds(&by(&format!("instance={}", farm[0].0)).await), barn);
    assert_eq!(
        seconds(&by("instance=barn&instance=hall&count=3").await),
        [56, 57, 59]
    );
    let tags = json!({ "tags": ["roof"] });
    let request = manager.request("PATCH", &format!("/api/instances/{}", farm[1].0));
    assert_eq!(request.json(&tags).send().await.unwrap().status(), 200);
    assert_eq!(seconds(&by("tag=roof&count=2").await), [55, 58]);
    assert_eq!(
        seconds(&by("tag=roof&instance=barn").await),
        Vec::<u64>::new()
    );
    assert_eq!(seconds(&by("q=at%2011&state=stopped").await), [11]);
    // Both directions, without a gap and without a repetition.
    let (mut back, mut query) = (Vec::new(), String::new());
    loop {
        let part = by(&format!("count=7{query}")).await;
        back.splice(0..0, seconds(&part));
        if part["more"] == false {
            break;
        }
        query = format!("&before={}", part["first"].as_str().unwrap());
    }
    assert_eq!(back, (0..60).collect::<Vec<_>>());
    let mut forth = seconds(&by(&format!("count=1000{query}")).await);
    let part = by(&format!("count=1000{query}")).await;
    let after = part["last"].as_str().unwrap();
    forth.extend(seconds(&by(&format!("count=1000&after={after}")).await));
    assert_eq!(forth, back);
    // An instance that is not part of a position starts at its beginning.
    let only = by("instance=hall").await;
    let after = only["last"].as_str().unwrap();
    assert_eq!(seconds(&by(&format!("after={after}")).await).len(), 40);

    let text = manager
        .ask("/log.txt?instance=barn&instance=attic", "*/*")
        .await;
    assert_eq!((text.status, text.text.lines().count()), (200, 40));
    assert!(
        text.text.starts_with("barn 2026-11-29T09:00:00"),
        "{text:?}"
    );
    assert_eq!(
        manager
            .ask("/logs", "text/plain")
            .await
            .text
            .lines()
            .count(),
        60
    );

    for (query, pointer) in [
        ("instance=cellar", "/instance"),
        ("instance=barn&instance=cellar", "/instance"),
        ("tag=%00", "/tag"),
        ("state=lost", "/state"),
        ("after=5", "/after"),
        ("before=5-5", "/before"),
        ("at=client-5", "/at"),
        ("q=(&regex=true", "/q"),
        ("regex=maybe", "/regex"),
        ("wrap=maybe", "/wrap"),
    ] {
        let answer = bare(&manager, "GET", &format!("/api/logs?{query}")).await;
        assert_eq!(answer.pointers(), [pointer], "{query}");
    }
    let at = "?at=2026-11-29T09:00:10Z";
    let live = manager
        .ask(&format!("/logs{at}"), "text/event-stream")
        .await;
    assert_eq!(live.pointers(), ["/at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_several_logs_continues_at_the_last_event() {
    let manager = Manager::start().await;
    let farm = farm(&manager, 12).await;
    let open = |last: Option<String>| {
        let request = manager
            .request("GET", "/api/logs?count=3")
            .header("accept", "text/event-stream");
        EventStream::open(match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        })
    };
    let mut stream = open(None).await;
    let (mut seen, mut last) = (Vec::new(), String::new());
    while seen.len() < 2 {
        let event = stream.next().await.unwrap();
        seen.extend(seconds(&json!({ "logs": [event.json()] })));
        last = event.id.clone();
    }
    assert_eq!(seen, [9, 10]);
    drop(stream);
    for (place, (id, _)) in farm.iter().enumerate() {
        let place = place as u64;
        let numbers = (place..15).step_by(3);
        let text: String = numbers.map(|n| line(n, &format!("at {n}"))).collect();
        write_log(&manager, id, 0, text.as_bytes());
    }
    let mut stream = open(Some(last)).await;
    while seen.len() < 6 {
        let event = stream.next().await.unwrap();
        assert!(event.json()["instance_name"].is_string(), "{event:?}");
        seen.extend(seconds(&json!({ "logs": [event.json()] })));
    }
    // Each exactly once; those of one instance in their order.
    let of = |rest: u64| -> Vec<u64> { seen.iter().copied().filter(|n| n % 3 == rest).collect() };
    assert_eq!(
        (of(0), of(1), of(2)),
        (vec![9, 12], vec![10, 13], vec![11, 14])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_several_logs_names_each_and_lets_people_select() {
    let manager = Manager::start().await;
    let empty = page(&manager, "/logs").await;
    assert_eq!(
        (
            empty.count("#log-stream"),
            empty.count("input[name=instance]")
        ),
        (0, 0)
    );
    let farm = farm(&manager, 60).await;
    let view = page(&manager, "/logs?instance=barn&instance=hall&count=6").await;
    assert_eq!(shown(&view), [51, 53, 54, 56, 57, 59]);
    assert_eq!(view.texts("#log .line strong")[..2], ["barn", "hall"]);
    assert_eq!(view.count("details[open]"), 0);
    assert_eq!(
        view.attrs("input[name=instance][checked]", "value").len(),
        2
    );
    let stream = view.attr("#log-stream", "hx-sse:connect");
    assert!(
        stream.starts_with("/logs?after=") && stream.ends_with("instance=barn&instance=hall"),
        "{stream}"
    );
    let links = view.attrs("main p.sub a", "href");
    let older = links.iter().find(|to| to.contains("before=")).unwrap();
    assert_eq!(shown(&page(&manager, older).await).last(), Some(&50));
    // A line leads to its place in the log of its instance.
    let link = view.attrs("#log .line > a", "href").pop().unwrap();
    let (address, anchor) = link.split_once('#').unwrap();
    assert!(
        address.starts_with(&format!("/instances/{}/logs?at=client-", farm[2].0)),
        "{link}"
    );
    let there = page(&manager, address).await;
    assert_eq!(there.attr("#log .target", "id"), anchor);
    assert!(there.one("#log .target").ends_with("at 59"));
    let one = page(&manager, &format!("/logs?instance={}", farm[0].0)).await;
    assert_eq!(one.count("details[open]"), 1);
    let tab = page(&manager, &format!("/instances/{}/logs", farm[0].0)).await;
    let more = format!("a[href='/logs?instance={}']", farm[0].0);
    assert_eq!(tab.one(&more), "Add instances");
    let wrong = manager
        .ask("/logs?instance=cellar", "text/html")
        .await
        .page(422);
    assert!(
        wrong
            .one("main .error")
            .contains("There is no instance \"cellar\".")
    );
    assert_eq!(wrong.count("input[type=checkbox][name=instance]"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_selection_of_a_list_leads_to_its_logs() {
    let manager = Manager::start().await;
    let farm = farm(&manager, 3).await;
    let leads = async |fields: &[(&str, &str)]| {
        let fields = [&[("action", "logs"), ("next", "/instances")], fields].concat();
        let answer = form(&manager, "/instances/actions", &fields).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("location").unwrap().to_owned()
    };
    let (barn, hall) = (farm[0].0.as_str(), farm[2].0.as_str());
    let two = leads(&[("ids", barn), ("ids", hall)]).await;
    assert_eq!(two, format!("/logs?instance={barn}&instance={hall}"));
    assert_eq!(shown(&page(&manager, &two).await), [0, 2]);
    assert_eq!(
        leads(&[("filter", "state=stopped")]).await,
        "/logs?state=stopped"
    );
    // A search in the list is not one in the logs.
    assert_eq!(
        leads(&[("filter", "q=hall")]).await,
        format!("/logs?instance={hall}")
    );
    assert_eq!(leads(&[]).await, "/instances?notice=nothing-selected");
    let list = page(&manager, "/instances").await;
    assert_eq!(list.count("#bulk button[value=logs]"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regular_expression_finds_lines_and_its_matches_are_highlighted() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let text = line(1, "share 17 accepted")
        + &line(2, "<b>bold</b> & \"share\" x1")
        + &line(3, "\u{1b}[31msha\u{1b}[0mre 4 rejected");
    let text = [text.as_bytes(), &b"\xff\xfe last\n"[..]].concat();
    write_log(&manager, &id, 0, &text);
    let path = format!("/instances/{id}/logs");
    let found = async |query: &str| {
        let part = manager.json(&format!("/api{path}?{query}")).await;
        part["logs"].as_array().unwrap().len()
    };
    assert_eq!(found("regex=true&q=SHARE%20%5Cd%2B").await, 2);
    assert_eq!(found("regex=true&q=%5Eshare%20%5Cd%2B").await, 2);
    assert_eq!(found("regex=true&q=accepted%24").await, 1);
    assert_eq!(found("q=share%20.").await, 0, "plain text is the default");
    assert_eq!(found("regex=false&q=share").await, 3);
    let marks = async |query: &str| {
        let page = page(&manager, &format!("{path}?{query}")).await;
        assert_eq!(page.count("#log .line b b"), 0);
        page.texts("#log mark")
    };
    assert_eq!(marks("q=%3CB%3E").await, ["<b>"]);
    assert_eq!(marks("q=%26%20%22").await, ["& \""]);
    assert_eq!(marks("regex=true&q=%3C%2F%3Fb%3E").await, ["<b>", "</b>"]);
    // A match over two colors has two parts.
    assert_eq!(marks("regex=true&q=share%204").await, ["sha", "re 4"]);
    assert_eq!(marks("q=pool&count=1").await, ["pool"], "in the module");
    let form = page(&manager, &format!("{path}?regex=true&q=%5Cd&wrap=off")).await;
    assert_eq!(form.attr("input[name=q]", "value"), "\\d");
    assert_eq!(form.count("input[name=regex][checked]"), 1);
    assert_eq!(form.count("#log.unwrapped"), 1);
    // Live lines are the same.
    let live = manager.request("GET", &format!("{path}?after=0&q=%3Cb%3E"));
    let mut live = EventStream::open(live.header("hx-request", "true")).await;
    let heard = live.until(|heard| heard.data.contains("#log")).await;
    assert!(
        heard.data.contains("<mark>&#60;b&#62;</mark>bold"),
        "{heard:?}"
    );

    for (pattern, text) in [
        ("a(b", "at character 2: unclosed group"),
        ("%5Bz-a%5D", "at character 2"),
        ("*", "at character 1"),
        ("(%3F:a{1000}){1000}", "too complex"),
        (&"a".repeat(501), "at most 500 characters"),
        (&"(".repeat(200), "at character"),
    ] {
        let address = format!("{path}?regex=true&q={pattern}");
        let refused = bare(&manager, "GET", &address).await;
        assert_eq!(refused.pointers(), ["/q"]);
        assert!(
            refused.problem(422).to_string().contains(text),
            "{refused:?}"
        );
        let page = manager.ask(&address, "text/html").await.page(422);
        assert!(page.one("#q-error").contains(text), "{pattern}");
        assert_eq!(page.attr("#q", "aria-invalid"), "true");
        assert_eq!(
            (page.count("#log-stream"), page.count("#log .line")),
            (0, 0)
        );
        let live = manager.ask(&address, "text/event-stream").await;
        assert_eq!(live.pointers(), ["/q"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_expression_takes_long_in_a_long_log() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let text: String = (0..2_000)
        .map(|n| line(n % 3_000, &"a".repeat(500)))
        .collect();
    write_log(&manager, &id, 0, text.as_bytes());
    for pattern in [
        "(a%2B)%2B%24b",
        "(a|a)*b",
        "(.*)*(.*)*b",
        "(a%3F){50}a{50}b",
    ] {
        let begun = Instant::now();
        let path = format!("/api/instances/{id}/logs?regex=true&q={pattern}");
        manager.json(&path).await;
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{pattern}: {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_leads_to_its_lines() {
    let manager = Manager::start().await;
    let farm = farm(&manager, 300).await;
    let id = &farm[0].0;
    let around = async |path: &str, at: &str| {
        seconds(&manager.json(&format!("/api{path}?count=6&at={at}")).await)
    };
    let log = format!("/instances/{id}/logs");
    assert_eq!(
        around(&log, "2026-11-29T09:02:00Z").await,
        [111, 114, 117, 120, 123, 126]
    );
    assert_eq!(
        around(&log, "2026-11-29T09:02:01Z").await,
        [114, 117, 120, 123, 126, 129]
    );
    assert_eq!(
        around("/logs", "2026-11-29T09:02:00Z").await,
        [117, 118, 119, 120, 121, 122]
    );
    let text = |page: &Dom| page.texts("main .notice").concat();
    let middle = page(&manager, &format!("{log}?count=6&at=2026-11-29T09:02:00Z")).await;
    assert_eq!(middle.count("#log #at"), 1);
    assert_eq!(middle.count("#log-stream"), 0);
    assert_eq!(text(&middle), "");
    let links = middle.attrs("main p.sub a", "href");
    let of = |name: &str| links.iter().find(|to| to.contains(name)).unwrap().clone();
    assert_eq!(
        shown(&page(&manager, &of("before=")).await).last(),
        Some(&108)
    );
    assert_eq!(
        shown(&page(&manager, &of("after=")).await).first(),
        Some(&129)
    );
    let wrapped = middle.attrs("main a.button", "href");
    let wrapped = wrapped.iter().find(|to| to.contains("wrap=off")).unwrap();
    let wrapped = page(&manager, wrapped).await;
    assert_eq!(
        (shown(&wrapped), wrapped.count("#log.unwrapped")),
        (shown(&middle), 1)
    );

    let early = page(&manager, &format!("{log}?at=2026-11-01T00:00")).await;
    assert_eq!(shown(&early).first(), Some(&0));
    assert!(
        text(&early).starts_with("The log begins at 2026-11-29 "),
        "{}",
        text(&early)
    );
    let late = page(&manager, &format!("{log}?count=10&at=2027-01-01T00:00")).await;
    assert_eq!(shown(&late).last(), Some(&297));
    assert!(text(&late).contains("The log ends at "), "{}", text(&late));
    let both = page(&manager, "/logs?at=2026-11-01T00:00").await;
    assert!(
        text(&both).starts_with("The logs begin at "),
        "{}",
        text(&both)
    );
    for at in ["yesterday", "2026-13-01T00:00", "client-x", "pool-5"] {
        let page = manager
            .ask(&format!("{log}?at={at}"), "text/html")
            .await
            .page(422);
        assert!(
            page.one("#at-error").starts_with("at must be a time"),
            "{at}"
        );
    }
    for query in ["at=2026-11-29T09:02&before=5", "at=client-5&after=5"] {
        let refused = bare(&manager, "GET", &format!("{log}?{query}")).await;
        assert_eq!(refused.pointers(), ["/at"], "{query}");
    }
    let refused = bare(
        &manager,
        "GET",
        &format!("{log}?at=client-5&program=translator"),
    )
    .await;
    assert_eq!(refused.pointers(), ["/program"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_line_finds_it_after_a_rotation_until_it_is_deleted() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let first: String = (0..100).map(|n| line(n, &format!("at {n}"))).collect();
    write_log(&manager, &id, 0, first.as_bytes());
    let log = format!("/instances/{id}/logs");
    let view = page(&manager, &log).await;
    let links = view.attrs("#log .line > a", "href");
    let address = links[50].split('#').next().unwrap().to_owned();
    // A new file begins.
    let second: String = (100..200).map(|n| line(n, &format!("at {n}"))).collect();
    write_log(&manager, &id, first.len() as u64, second.as_bytes());
    let there = page(&manager, &address).await;
    assert!(there.one("#log .target").ends_with("at 50"));
    assert!(shown(&there).contains(&1) && shown(&there).contains(&100));
    // The first file is deleted.
    let dir = manager.instance_dir(&id).join("logs");
    fs::remove_file(dir.join(format!("{:020}.log", 0))).unwrap();
    let gone = page(&manager, &address).await;
    assert_eq!((gone.count("#log .target"), shown(&gone)[0]), (0, 100));
    assert!(
        gone.one("main .notice")
            .starts_with("The requested lines were deleted")
    );
    let nowhere = page(&manager, &format!("{log}?at=client-{}", first.len() + 200)).await;
    assert_eq!(nowhere.count("#log .target"), 0);
    assert!(
        nowhere
            .one("main .notice")
            .starts_with("There is no line at this position.")
    );
    let future = page(&manager, &format!("{log}?at=client-18446744073709551615")).await;
    assert_eq!(shown(&future).last(), Some(&199));
}
