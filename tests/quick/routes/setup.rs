//! `/setup`: from nothing to an instance, page by page and in one request.

use super::{NOBODY, bare, form, send};
use crate::harness::answer::{Answer, EventStream};
use crate::harness::node::{FakeNode, NodeBehavior};
use crate::harness::{Manager, PUBLIC_KEY, Plan, SECRET_KEY, clients, free_port, until};
use serde_json::{Value, json};

const PAYOUT: &str = "bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc";
const POOL_KEY: &str = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc";

/// Begins a setup by the form of the first page; returns the path of its pages.
async fn begin(manager: &Manager, mode: &str) -> String {
    let begun = form(manager, "/setup", &[("mode", mode)]).await;
    assert_eq!(begun.status, 303, "{begun:?}");
    let next = begun.header("location").unwrap();
    assert!(
        next.starts_with("/setup/") && next.ends_with("/provider"),
        "{next}"
    );
    next.trim_end_matches("/provider").to_owned()
}

/// Sends a step's form and expects it to lead to another.
async fn go(manager: &Manager, setup: &str, step: &str, fields: &[(&str, &str)], next: &str) {
    let answer = form(manager, &format!("{setup}/{step}"), fields).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(format!("{setup}/{next}").as_str())),
        "{answer:?}"
    );
}

/// Sends a form that is rejected: a redirect leads to the page that says why, so that *Back* does
/// not send it again.
async fn rejected(manager: &Manager, path: &str, fields: &[(&str, &str)]) -> Answer {
    let sent = form(manager, path, fields).await;
    let page = format!("{path}?rejected=true");
    assert_eq!(
        (sent.status, sent.header("location")),
        (303, Some(page.as_str())),
        "{sent:?}"
    );
    manager.ask(&page, "text/html").await
}

/// Sends a step's form and expects these fields to be complained about.
async fn refused(
    manager: &Manager,
    setup: &str,
    step: &str,
    fields: &[(&str, &str)],
    wrong: &[&str],
) -> Answer {
    let path = format!("{setup}/{step}");
    let page = rejected(manager, &path, fields).await;
    let dom = page.page(200);
    let links = dom.attrs(".attention[data-focus] a", "href");
    let wrong: Vec<String> = wrong
        .iter()
        .map(|name| format!("#{}", name.replace('.', "-")))
        .collect();
    assert_eq!(links, wrong, "{fields:?}: {:?}", dom.texts(".attention li"));
    // What was typed is still there, and after coming back, too.
    let typed = fields
        .iter()
        .filter(|(name, text)| !["action", "network"].contains(name) && !text.is_empty());
    for (name, text) in typed {
        assert!(
            page.text.contains(&text.replace('&', "&#38;")),
            "{name} was lost: {page:?}"
        );
    }
    page
}

const PROVIDER: [(&str, &str); 2] = [
    ("template_provider", "sv2tp"),
    ("template_provider_type.Sv2Tp.address", "127.0.0.1:9"),
];

/// Everything up to the review of solo mining; returns the port for miners.
async fn up_to_review(manager: &Manager, setup: &str, name: &str) -> u16 {
    let (listening, monitoring) = (free_port(), free_port());
    go(manager, setup, "provider", &PROVIDER, "payout").await;
    go(
        manager,
        setup,
        "payout",
        &[
            ("coinbase_reward_script", PAYOUT),
            ("network", "mainnet"),
            ("jdc_signature", ""),
        ],
        "name",
    )
    .await;
    let (miners, figures) = (listening.to_string(), monitoring.to_string());
    let fields = [
        ("name", name),
        ("reach", "local"),
        ("listening_port", miners.as_str()),
        ("monitoring_port", figures.as_str()),
    ];
    go(manager, setup, "name", &fields, "review").await;
    listening
}

#[tokio::test]
async fn page_by_page_from_nothing_to_a_client_that_serves_miners() {
    let manager = Manager::start().await;
    assert!(manager.page("/").await.contains("href=\"/setup\""));
    let first = manager.ask("/setup", "text/html").await.page(200);
    assert_eq!(first.count("input[name=mode]"), 3);
    assert_eq!(first.count("input[name=miners]"), 2);
    assert_eq!(first.count("section.attention"), 0, "there is a client");

    let setup = begin(&manager, "SOLOMINING").await;
    // It can be left and come back to.
    let open = manager.ask("/setup", "text/html").await.page(200);
    assert_eq!(
        open.attrs("td a.button", "href"),
        [format!("{setup}/provider")]
    );
    let port = up_to_review(&manager, &setup, "barn").await;
    let review = manager
        .ask(&format!("{setup}/review"), "text/html")
        .await
        .page(200);
    let said = review.one("main");
    for words in [
        "Solo, without a pool",
        "127.0.0.1:9",
        PAYOUT,
        "barn",
        &port.to_string(),
        "refused",
        "output script",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(
        manager.json("/api/instances").await["instances"],
        json!([]),
        "nothing is made before it is asked for"
    );
    assert_eq!(
        manager.json("/api/saved-configs").await["configurations"],
        json!([])
    );

    let made = form(&manager, &format!("{setup}/review"), &[("action", "go")]).await;
    assert_eq!(made.status, 303, "{made:?}");
    let watch = made.header("location").unwrap().to_owned();
    let id = watch.strip_prefix("/setup/watch/").unwrap().to_owned();
    manager.until_state(&id, "running").await;
    let page = manager.ask(&watch, "text/html").await.page(200);
    assert_eq!(page.one("h1"), "barn is running");
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    let config = manager
        .json(&format!(
            "/api/saved-configs/{}",
            instance["config_id"].as_str().unwrap()
        ))
        .await;
    let key = config["config"]["authority_public_key"].as_str().unwrap();
    assert_ne!(key, PUBLIC_KEY);
    assert!(
        page.one("main")
            .contains(&format!("stratum2+tcp://127.0.0.1:{port}/{key}")),
        "{}",
        page.one("main")
    );
    assert_eq!(
        (&instance["autostart"], &config["config"]["jdc_signature"]),
        (&json!(true), &json!(""))
    );

    // Pressed once more it makes nothing new, and the setup is over.
    let again = form(&manager, &format!("{setup}/review"), &[("action", "go")]).await;
    assert_eq!(again.header("location"), Some(watch.as_str()));
    assert_eq!(
        manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(
        manager
            .page(&format!("{setup}/review"))
            .await
            .contains("This setup is complete")
    );
    assert_eq!(
        manager
            .ask("/setup", "text/html")
            .await
            .page(200)
            .count("td a.button"),
        0
    );
}

#[tokio::test]
async fn each_step_refuses_what_cannot_be_meant() {
    let manager = Manager::start().await;
    for fields in [&[("mode", "SOMEHOW")][..], &[]] {
        let page = rejected(&manager, "/setup", fields).await.page(200);
        assert_eq!(page.attrs(".attention[data-focus] a", "href"), ["#mode"]);
    }

    let setup = begin(&manager, "FULLTEMPLATE").await;
    let address = "template_provider_type.Sv2Tp.address";
    for (text, wrong) in [
        ("", address),
        ("nonsense", address),
        ("tp.example.com:8442", address),
    ] {
        refused(
            &manager,
            &setup,
            "provider",
            &[("template_provider", "sv2tp"), (address, text)],
            &[wrong],
        )
        .await;
    }
    refused(
        &manager,
        &setup,
        "provider",
        &[("template_provider", "carrier pigeon")],
        &["template_provider"],
    )
    .await;
    go(&manager, &setup, "provider", &PROVIDER, "pools").await;

    // As the form is sent when nothing was typed.
    for fields in [
        &[("action", "go")][..],
        &[
            ("upstreams.0.pool_address", ""),
            ("upstreams.0.pool_port", ""),
        ],
    ] {
        let page = refused(&manager, &setup, "pools", fields, &["upstreams"])
            .await
            .page(200);
        let said = page.texts(".attention li").join(" ");
        assert!(
            said.contains("Enter a pool, or go back and choose solo mining."),
            "{said}"
        );
        assert!(
            !page.one("main").contains("FULLTEMPLATE") && !page.one("main").contains("SOLOMINING"),
            "{}",
            page.one("main")
        );
    }
    let pool = |field: &'static str, text: &'static str| {
        let fields = [
            ("upstreams.0.pool_address", "pool.attic.localhost"),
            ("upstreams.0.pool_port", "3333"),
            ("upstreams.0.jds_address", "pool.attic.localhost"),
            ("upstreams.0.jds_port", "3334"),
            ("upstreams.0.authority_pubkey", POOL_KEY),
            ("upstreams.0.user_identity", "alice.attic"),
        ];
        fields.map(|(name, old)| {
            if name.ends_with(field) {
                (name, text)
            } else {
                (name, old)
            }
        })
    };
    for (field, text) in [
        ("user_identity", ""),
        ("user_identity", "your_username_here"),
        ("pool_address", "pool.example.com"),
        ("pool_port", "0"),
        (
            "authority_pubkey",
            "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLd",
        ),
    ] {
        refused(
            &manager,
            &setup,
            "pools",
            &pool(field, text),
            &[&format!("upstreams.0.{field}")],
        )
        .await;
    }
    go(&manager, &setup, "pools", &pool("nothing", ""), "payout").await;

    let payout = |text: &'static str, network: &'static str| {
        [("coinbase_reward_script", text), ("network", network)]
    };
    for (text, network) in [
        ("", "mainnet"),
        ("hello", "mainnet"),
        ("bc1q9f9vj7spn8h7qda6pn8d4g4j99f0mn9lhwz55j", "mainnet"),
        ("raw()", "mainnet"),
        ("tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t", "mainnet"),
        (PAYOUT, "signet"),
    ] {
        refused(
            &manager,
            &setup,
            "payout",
            &payout(text, network),
            &["coinbase_reward_script"],
        )
        .await;
    }
    refused(
        &manager,
        &setup,
        "payout",
        &payout(PAYOUT, "moon"),
        &["network"],
    )
    .await;
    // What was typed is judged again by whoever looks at it, with the script it means.
    go(
        &manager,
        &setup,
        "payout",
        &payout(PAYOUT, "mainnet"),
        "name",
    )
    .await;
    let page = manager.page(&format!("{setup}/payout")).await;
    assert!(
        page.contains(
            "a mainnet address, which matches the configured network (mainnet). The output script is 0014"
        ),
        "{page}"
    );

    manager.instance("barn").await;
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port().to_string();
    let (one, other) = (free_port().to_string(), free_port().to_string());
    let name = |name: &'static str, miners: &str, figures: &str| {
        [
            ("name", name.to_owned()),
            ("reach", "local".into()),
            ("listening_port", miners.into()),
            ("monitoring_port", figures.into()),
        ]
    };
    for (fields, wrong) in [
        (name("", &one, &other), &["name"][..]),
        (name("BARN", &one, &other), &["name"]),
        (
            name("attic", "x", "0"),
            &["listening_port", "monitoring_port"],
        ),
        (name("attic", &taken, &other), &["listening_port"]),
        (name("attic", &one, &taken), &["monitoring_port"]),
        (name("attic", &one, &one), &["monitoring_port"]),
    ] {
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let page = refused(&manager, &setup, "name", &fields, wrong).await;
        if fields[2].1 == taken {
            assert!(
                page.text.contains("is already in use by") && page.text.contains("is free"),
                "{page:?}"
            );
        }
    }
    // Whoever goes to the end all the same is told what is missing, with the way there, and nothing
    // is made.
    let page = rejected(&manager, &format!("{setup}/review"), &[("action", "go")])
        .await
        .page(200);
    assert!(
        page.attrs(".attention a", "href")
            .iter()
            .any(|href| href.starts_with(&format!("{setup}/name#")))
    );
    assert_eq!(
        manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn pools_come_from_the_list_and_go_in_any_order() {
    let manager = Manager::start().await;
    let setup = begin(&manager, "FULLTEMPLATE").await;
    go(&manager, &setup, "provider", &PROVIDER, "pools").await;
    let page = manager
        .ask(&format!("{setup}/pools"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("fieldset"), 1);
    assert!(
        page.one("main").contains("✓ supports job declaration")
            && page.one("main").contains("has no job declaration server")
    );
    assert_eq!(page.count("button[value='known.braiins']"), 0);

    go(
        &manager,
        &setup,
        "pools",
        &[("action", "known.sri")],
        "pools",
    )
    .await;
    let page = manager
        .ask(&format!("{setup}/pools"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.attrs("[name='upstreams.0.jds_port']", "value"),
        ["3334"]
    );
    let typed = [
        ("upstreams.0.pool_address", "75.119.150.111"),
        ("upstreams.0.user_identity", "alice"),
        ("action", "add"),
    ];
    go(&manager, &setup, "pools", &typed, "pools").await;
    let typed = [
        ("upstreams.0.user_identity", "alice"),
        ("upstreams.1.user_identity", "bob"),
        ("action", "raise.1"),
    ];
    go(&manager, &setup, "pools", &typed, "pools").await;
    let page = manager
        .ask(&format!("{setup}/pools"), "text/html")
        .await
        .page(200);
    assert_eq!(
        (
            page.attrs("[name$='user_identity']", "value"),
            page.count("fieldset")
        ),
        (vec!["bob".into(), "alice".into()], 2)
    );
    go(
        &manager,
        &setup,
        "pools",
        &[("upstreams.0.user_identity", "bob"), ("action", "remove.0")],
        "pools",
    )
    .await;
    // Back keeps what was typed, right or wrong.
    go(
        &manager,
        &setup,
        "pools",
        &[("upstreams.0.pool_address", "half a"), ("action", "back")],
        "provider",
    )
    .await;
    assert!(
        manager
            .page(&format!("{setup}/pools"))
            .await
            .contains("half a")
    );
}

#[tokio::test]
async fn a_node_on_this_machine_is_found_and_what_is_missing_is_said() {
    let manager = Manager::start().await;
    let setup = begin(&manager, "SOLOMINING").await;
    let core = manager.scratch().join("core");
    std::fs::create_dir_all(core.join("signet")).unwrap();
    let dir = core.to_str().unwrap();
    let kind = "template_provider_type.BitcoinCoreIpc";
    let (network, data_dir) = (format!("{kind}.network"), format!("{kind}.data_dir"));
    let fields = |action: &'static str| {
        let version = ("template_provider_type.BitcoinCoreIpc.version", "31");
        let more = [
            ("template_provider_type.BitcoinCoreIpc.fee_threshold", "100"),
            ("template_provider_type.BitcoinCoreIpc.min_interval", "5"),
        ];
        [
            ("template_provider", "ipc"),
            (network.as_str(), "signet"),
            (data_dir.as_str(), dir),
            version,
            more[0],
            more[1],
            ("action", action),
        ]
    };
    go(&manager, &setup, "provider", &fields("look"), "provider").await;
    let page = manager.page(&format!("{setup}/provider")).await;
    assert!(
        page.contains("does not exist") && page.contains("ipcbind=unix"),
        "{page}"
    );
    let socket = core.join("signet/node.sock");
    let node = FakeNode::start(&socket, NodeBehavior::Answers);
    let page = manager
        .ask(&format!("{setup}/provider"), "text/html")
        .await
        .page(200);
    let button = format!("node.signet.{dir}");
    assert_eq!(
        page.attrs("button[value^='node.']", "value"),
        std::slice::from_ref(&button)
    );
    let json = manager.json(&format!("/api{setup}/provider")).await;
    let signet = json["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["network"] == "signet")
        .unwrap();
    assert_eq!(
        (&signet["standing"], &signet["status"]),
        (&json!("answers"), &json!("connected")),
        "{json}"
    );
    go(
        &manager,
        &setup,
        "provider",
        &[("action", button.as_str())],
        "provider",
    )
    .await;
    go(&manager, &setup, "provider", &fields("go"), "payout").await;
    // The chain is known from the node, so it is not asked for, and the payout is held against it.
    let page = manager
        .ask(&format!("{setup}/payout"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("[name=network]"), 0);
    refused(
        &manager,
        &setup,
        "payout",
        &[("coinbase_reward_script", PAYOUT)],
        &["coinbase_reward_script"],
    )
    .await;
    go(
        &manager,
        &setup,
        "payout",
        &[(
            "coinbase_reward_script",
            "tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t",
        )],
        "name",
    )
    .await;
    drop(node);
    let page = manager.page(&format!("{setup}/provider")).await;
    assert!(
        page.contains("no node is listening") && page.contains("Start the node"),
        "{page}"
    );
}

#[tokio::test]
async fn without_a_client_it_leads_to_one_and_waits() {
    let manager = Manager::with_store("http://127.0.0.1:9", &[]).await;
    let page = manager.ask("/setup", "text/html").await.page(200);
    assert_eq!(page.attrs(".attention a", "href"), ["/updates"]);
    let setup = begin(&manager, "SOLOMINING").await;
    up_to_review(&manager, &setup, "barn").await;
    let page = manager
        .ask(&format!("{setup}/review"), "text/html")
        .await
        .page(200);
    assert!(
        page.one("section.attention")
            .contains("No client is installed")
    );
    assert_eq!(page.count("button.primary"), 0, "there is nothing to start");
    let refused = form(&manager, &format!("{setup}/review"), &[("action", "go")]).await;
    assert_eq!(refused.status, 503);
    let body = everything("barn");
    assert_eq!(
        send(&manager, "POST", "/api/setup", &body)
            .await
            .problem(503)["status"],
        503
    );
    assert_eq!(
        manager.json("/api/saved-configs").await["configurations"],
        json!([]),
        "nothing is left of it"
    );
}

#[tokio::test]
async fn a_client_that_does_not_come_up_says_why_and_what_to_do() {
    let manager =
        Manager::with_simulated(&["--fail-with", "template-provider", "--retry-pause", "10ms"])
            .await;
    let made = send(&manager, "POST", "/api/setup", &everything("barn"))
        .await
        .json(201);
    let id = made["instance_id"].as_str().unwrap();
    manager.until_state(id, "backing-off").await;
    let page = manager
        .ask(&format!("/setup/watch/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(page.one("h1"), "barn failed, retrying …");
    let said = page.one("section.attention");
    assert!(
        said.contains("The template provider refused the connection.")
            && said.contains("jd-manager will retry automatically in "),
        "{said}"
    );
    let json = manager.json(&format!("/api/setup/watch/{id}")).await;
    assert_eq!(
        (&json["status"], &json["miners"]),
        (&json!("backing-off"), &made["miners"])
    );
    assert_eq!(
        bare(&manager, "GET", &format!("/api/setup/watch/{NOBODY}"))
            .await
            .problem(404)["status"],
        404
    );
}

#[tokio::test]
async fn the_page_that_watches_is_told_when_miners_are_served() {
    let manager = Manager::with_simulated(&["--startup-delay", "2s"]).await;
    let made = send(&manager, "POST", "/api/setup", &everything("barn"))
        .await
        .json(201);
    let path = format!("/setup/watch/{}", made["instance_id"].as_str().unwrap());
    let mut stream =
        EventStream::open(manager.request("GET", &path).header("hx-request", "true")).await;
    let first = stream.next().await.unwrap();
    assert!(
        first.data.contains("hx-target=\"#standing\"") && first.data.contains("barn is starting"),
        "{first:?}"
    );
    let seen = stream
        .until(|heard| heard.data.contains("barn is running"))
        .await;
    assert!(seen.data.contains("stratum2+tcp://127.0.0.1:"), "{seen:?}");
    let mut stream = EventStream::open(manager.request("GET", &path)).await;
    let now = stream.next().await.unwrap();
    assert_eq!(
        (now.event.as_str(), &now.json()["status"]),
        ("instance", &json!("running"))
    );
}

#[tokio::test]
async fn setup_ends_with_what_to_enter_in_stratum_v1_miners() {
    let scratch = tempfile::tempdir().unwrap();
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec![
            "--translator".into(),
            clients::idle_translator(scratch.path()),
        ],
    })
    .await;
    let mut body = everything("barn");
    let port = free_port();
    body["translator"] =
        json!({ "enabled": true, "listening_address": format!("127.0.0.1:{port}") });
    let made = send(&manager, "POST", "/api/setup", &body).await.json(201);
    let id = made["instance_id"].as_str().unwrap();
    manager.until_state(id, "running").await;
    let watch = manager.json(&format!("/api/setup/watch/{id}")).await;
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(watch["addresses"], instance["addresses"]);
    let page = manager
        .ask(&format!("/setup/watch/{id}"), "text/html")
        .await
        .page(200);
    let url = format!("stratum+tcp://127.0.0.1:{port}");
    assert_eq!(page.one("#miner-address-v1 .miner-url"), url);
    // Without JavaScript, too: nothing has to be opened first.
    assert_eq!(page.count("#miner-address-v1 > details[open]"), 1);
    for (class, expected) in [
        ("host", "127.0.0.1"),
        ("port", &port.to_string()),
        ("user", "miner1"),
        ("password", "x"),
    ] {
        assert_eq!(
            page.one(&format!("#miner-address-v1 .miner-{class}")),
            expected
        );
    }
    assert_eq!(page.count("#miner-address-v2"), 1);
}

/// Everything at once, as a program sends it.
fn everything(name: &str) -> Value {
    json!({
        "name": name, "mode": "SOLOMINING", "payout": PAYOUT, "network": "mainnet",
        "template_provider": { "Sv2Tp": { "address": "127.0.0.1:9" } },
        "listening_address": format!("127.0.0.1:{}", free_port()), "monitoring_address": format!("127.0.0.1:{}", free_port()),
    })
}

#[tokio::test]
async fn a_program_does_it_in_one_request() {
    let manager = Manager::start().await;
    let mut body = everything("barn");
    body["mode"] = json!("FULLTEMPLATE");
    body["pools"] = json!([{ "pool_address": "127.0.0.1", "pool_port": 9, "jds_address": "127.0.0.1", "jds_port": 10,
        "authority_pubkey": PUBLIC_KEY, "user_identity": "alice" }]);
    let answer = send(&manager, "POST", "/api/setup", &body).await;
    let made = answer.json(201);
    let id = made["instance_id"].as_str().unwrap();
    assert_eq!(
        answer.header("location"),
        Some(format!("/api/instances/{id}").as_str())
    );
    assert_eq!(
        (&made["success"], &made["started"]),
        (&json!(true), &json!(true)),
        "{made}"
    );
    let port = body["listening_address"].as_str().unwrap();
    let key = made["public_key"].as_str().unwrap();
    assert_eq!(
        made["miners"],
        json!([format!("stratum2+tcp://{port}/{key}")])
    );
    manager.until_state(id, "running").await;
    let config = manager
        .json(&format!(
            "/api/saved-configs/{}",
            made["config_id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(
        (&config["name"], &config["config"]["coinbase_reward_script"]),
        (&json!("barn"), &json!(format!("addr({PAYOUT})")))
    );

    // Not started if it is not to be; on all addresses of the machine unless it is said otherwise.
    let mut quiet = everything("attic");
    quiet["start"] = json!(false);
    quiet["listening_address"] = json!(format!("0.0.0.0:{}", free_port()));
    let made = send(&manager, "POST", "/api/setup", &quiet).await.json(201);
    assert_eq!(
        (&made["started"], &made["status"]),
        (&json!(false), &json!("stopped")),
        "{made}"
    );
    assert!(!made["miners"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_programs_mistakes_are_named_where_it_made_them() {
    let manager = Manager::start().await;
    manager.instance("barn").await;
    let pointers = async |change: &dyn Fn(&mut Value)| {
        let mut body = everything("attic");
        change(&mut body);
        send(&manager, "POST", "/api/setup", &body).await.pointers()
    };
    assert_eq!(
        send(&manager, "POST", "/api/setup", &json!({}))
            .await
            .pointers(),
        ["/mode", "/template_provider", "/payout", "/name"]
    );
    assert_eq!(pointers(&|b| b["name"] = json!("Barn")).await, ["/name"]);
    assert_eq!(
        pointers(&|b| b["payout"] = json!("tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t")).await,
        ["/payout"]
    );
    assert_eq!(
        pointers(&|b| b["mode"] = json!("COINBASEONLY")).await,
        ["/pools"]
    );
    assert_eq!(
        pointers(&|b| b["authority_secret_key"] = json!(SECRET_KEY)).await,
        ["/authority_secret_key"]
    );
    // The names in a configuration are not those of this request; the error names what was sent and
    // what to send.
    for (sent, right) in [
        ("upstreams", "pools"),
        ("coinbase_reward_script", "payout"),
        ("template_provider_type", "template_provider"),
    ] {
        let mut body = everything("attic");
        body["mode"] = json!("FULLTEMPLATE");
        body[sent] = json!([]);
        let problem = send(&manager, "POST", "/api/setup", &body)
            .await
            .problem(422);
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!(
            (errors.len(), &errors[0]["pointer"]),
            (1, &json!(format!("/{sent}"))),
            "{problem}"
        );
        assert_eq!(
            errors[0]["detail"],
            format!("Unknown field \"{sent}\". Did you mean \"{right}\"?")
        );
    }
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(
        pointers(&|b| b["listening_address"] = json!(holder.local_addr().unwrap())).await,
        ["/listening_address"]
    );
    assert_eq!(
        send(&manager, "POST", "/api/setup", &json!([]))
            .await
            .status,
        422
    );
    assert_eq!(
        manager.json("/api/saved-configs").await["configurations"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "nothing was saved"
    );
}

#[tokio::test]
async fn setups_are_thrown_away_and_unknown_ones_are_not_there() {
    let manager = Manager::start().await;
    let setup = begin(&manager, "SOLOMINING").await;
    let gone = form(&manager, &format!("{setup}/delete"), &[]).await;
    assert_eq!(
        (gone.status, gone.header("location")),
        (303, Some("/setup"))
    );
    for path in [
        format!("{setup}/mode"),
        format!("/setup/{NOBODY}/mode"),
        "/setup/x/mode".into(),
        format!("{setup}/toml"),
    ] {
        assert_eq!(manager.ask(&path, "text/html").await.status, 404, "{path}");
        assert_eq!(form(&manager, &path, &[]).await.status, 404, "{path}");
    }
    assert_eq!(
        bare(&manager, "POST", &format!("/api{setup}/delete"))
            .await
            .status,
        404
    );

    // Programs may go step by step, too.
    let begun = Answer::to(
        manager
            .request("POST", "/api/setup")
            .form(&[("mode", "SOLOMINING")]),
    )
    .await
    .json(201);
    let next = begun["next"].as_str().unwrap();
    let wrong = send(
        &manager,
        "POST",
        &format!("/api{next}"),
        &json!({ "template_provider": "sv2tp" }),
    )
    .await;
    assert_eq!(wrong.pointers(), ["/template_provider_type/Sv2Tp/address"]);
    let fields = json!({ "template_provider": "sv2tp", "template_provider_type.Sv2Tp.address": "127.0.0.1:9" });
    let right = send(&manager, "POST", &format!("/api{next}"), &fields)
        .await
        .json(200);
    assert!(
        right["next"].as_str().unwrap().ends_with("/payout"),
        "{right}"
    );
    // One that is over goes with its instance.
    let setup = next.trim_end_matches("/provider").to_owned();
    up_to_review(&manager, &setup, "barn").await;
    let made = form(&manager, &format!("{setup}/review"), &[]).await;
    let id = made
        .header("location")
        .unwrap()
        .trim_start_matches("/setup/watch/")
        .to_owned();
    manager.delete(&format!("/api/instances/{id}")).await;
    until("the setup is gone", || async {
        (manager
            .ask(&format!("{setup}/mode"), "text/html")
            .await
            .status
            == 404)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_step_is_judged_while_it_is_being_filled_in() {
    let manager = Manager::start().await;
    let setup = begin(&manager, "SOLOMINING").await;
    let page = manager
        .ask(&format!("{setup}/provider"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.attrs("form#setup > div[hx-post]", "hx-post"),
        [format!("{setup}/provider/check")]
    );
    go(&manager, &setup, "provider", &PROVIDER, "payout").await;
    // Beside each field that was sent, and kept nowhere.
    let typed = [
        ("coinbase_reward_script", "bc1qwrong"),
        ("network", "mainnet"),
        ("jdc_signature", ""),
        ("action", "go"),
    ];
    let notes = super::swap(&manager, &format!("{setup}/payout/check"), "div", &typed).await;
    assert_eq!(notes.status, 200, "{notes:?}");
    for field in ["coinbase_reward_script", "network", "jdc_signature"] {
        assert!(
            notes
                .text
                .contains(&format!("hx-target=\"#{field}-notes\"")),
            "{notes:?}"
        );
    }
    assert_eq!(
        (
            notes.text.matches("class=\"error\"").count(),
            notes.text.matches("<hx-partial").count()
        ),
        (1, 3),
        "{notes:?}"
    );
    let page = manager.ask(&format!("{setup}/payout"), "text/html").await;
    assert!(!page.text.contains("bc1qwrong"), "{page:?}");
    // An address of another chain than the one that is named, and one that is right.
    let path = format!("/api{setup}/payout/check");
    let judged = async |payout: &str, network: &str| {
        let body = json!({ "coinbase_reward_script": payout, "network": network });
        send(&manager, "POST", &path, &body).await.json(200)
    };
    let wrong = judged(PAYOUT, "signet").await;
    assert_eq!(
        (&wrong["valid"], &wrong["errors"][0]["pointer"]),
        (&json!(false), &json!("/coinbase_reward_script")),
        "{wrong}"
    );
    assert_eq!(judged(PAYOUT, "mainnet").await["valid"], true);
    // A plain form comes back with what there is to say.
    let page = form(&manager, &format!("{setup}/payout/check"), &typed)
        .await
        .page(200);
    assert_eq!(page.count("#coinbase_reward_script-notes .error"), 1);
    assert_eq!(
        send(
            &manager,
            "POST",
            &format!("/api/setup/{NOBODY}/payout/check"),
            &json!({})
        )
        .await
        .status,
        404
    );
    // Which chain it is is kept with the configuration, and is ours: the client is not told.
    go(
        &manager,
        &setup,
        "payout",
        &[
            ("coinbase_reward_script", PAYOUT),
            ("network", "mainnet"),
            ("jdc_signature", ""),
        ],
        "name",
    )
    .await;
    up_to_review(&manager, &setup, "barn").await;
    form(&manager, &format!("{setup}/review"), &[]).await;
    let saved = manager.json("/api/saved-configs").await["configurations"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let config = manager.json(&format!("/api/saved-configs/{saved}")).await["config"].clone();
    assert_eq!(
        config["template_provider_type"]["Sv2Tp"]["network"],
        "mainnet"
    );
    let file = manager
        .ask(&format!("/saved-configs/{saved}/toml"), "text/plain")
        .await;
    assert!(!file.text.contains("network"), "{file:?}");
    let mut other = config;
    other["template_provider_type"]["Sv2Tp"]["network"] = json!("moonnet");
    let refused = send(
        &manager,
        "PUT",
        &format!("/api/saved-configs/{saved}"),
        &json!({ "config": other }),
    )
    .await;
    assert_eq!(
        refused.pointers(),
        ["/config/template_provider_type/Sv2Tp/network"]
    );
}

#[tokio::test]
async fn a_list_of_pools_of_ones_own_counts_at_once_and_a_mistake_in_it_is_named() {
    let manager = Manager::start().await;
    let setup = begin(&manager, "FULLTEMPLATE").await;
    go(&manager, &setup, "provider", &PROVIDER, "pools").await;
    let file = manager.data_dir().join("pools.toml");
    let own = format!(
        "[[pool]]\nid = \"attic\"\nname = \"In the <attic>\"\nnetwork = \"regtest\"\npool_address = \"127.0.0.1\"\npool_port = 9\n\
         jds_address = \"127.0.0.1\"\njds_port = 10\nauthority_pubkey = \"{POOL_KEY}\"\n"
    );
    std::fs::write(&file, &own).unwrap();
    let page = manager
        .ask(&format!("{setup}/pools"), "text/html")
        .await
        .page(200);
    assert!(
        page.attrs("button[value^='known.']", "value")
            .contains(&"known.attic".to_owned())
    );
    form(
        &manager,
        &format!("{setup}/pools"),
        &[("action", "known.attic")],
    )
    .await;
    let page = manager
        .ask(&format!("{setup}/pools"), "text/html")
        .await
        .page(200);
    assert!(
        page.attrs("input[name$='authority_pubkey']", "value")
            .contains(&POOL_KEY.to_owned())
    );
    // By its name in one request, too.
    let body = json!({ "name": "x", "mode": "FULLTEMPLATE", "template_provider": { "Sv2Tp": { "address": "127.0.0.1:9" } },
        "pools": [{ "known": "attic", "user_identity": "me" }], "payout": "no payout" });
    assert_eq!(
        send(&manager, "POST", "/api/setup", &body).await.pointers(),
        ["/payout"]
    );
    std::fs::write(&file, own.replace("pool_port = 9", "pool_port = 0")).unwrap();
    for _ in 0..2 {
        let page = manager
            .ask(&format!("{setup}/pools"), "text/html")
            .await
            .page(200);
        assert!(
            page.one("section[aria-labelledby=known] p.warning")
                .contains("pools.toml has an error")
        );
        assert!(
            !page
                .attrs("button[value^='known.']", "value")
                .contains(&"known.attic".to_owned())
        );
    }
    assert_eq!(
        manager.log().matches("pools.toml has an error").count(),
        1,
        "{}",
        manager.log()
    );
}

#[tokio::test]
async fn a_proposed_port_that_was_taken_meanwhile_is_replaced_unless_it_was_changed() {
    let manager = Manager::start().await;
    let setup = begin(&manager, "SOLOMINING").await;
    go(&manager, &setup, "provider", &PROVIDER, "payout").await;
    go(
        &manager,
        &setup,
        "payout",
        &[
            ("coinbase_reward_script", PAYOUT),
            ("network", "mainnet"),
            ("jdc_signature", ""),
        ],
        "name",
    )
    .await;
    let page = manager
        .ask(&format!("{setup}/name"), "text/html")
        .await
        .page(200);
    let value = |name: &str| page.attr(&format!("[name='{name}']"), "value");
    let (listening, monitoring) = (value("listening_port"), value("monitoring_port"));
    assert_eq!(
        (
            value("proposed_listening_port"),
            value("proposed_monitoring_port")
        ),
        (listening.clone(), monitoring.clone())
    );
    // If another test took the port first, it is taken as well.
    let hold = |port: &str| {
        let held = std::net::TcpListener::bind(("0.0.0.0", port.parse::<u16>().unwrap()));
        held.map_err(|e| assert_eq!(e.kind(), std::io::ErrorKind::AddrInUse))
            .ok()
    };
    let fields = [
        ("name", "barn"),
        ("reach", "local"),
        ("listening_port", listening.as_str()),
        ("monitoring_port", monitoring.as_str()),
        ("proposed_listening_port", listening.as_str()),
        ("proposed_monitoring_port", monitoring.as_str()),
    ];
    // What the user typed is not replaced.
    let first = hold(&listening);
    let mut typed = fields;
    typed[4].1 = "1";
    refused(&manager, &setup, "name", &typed, &["listening_port"]).await;
    go(&manager, &setup, "name", &fields, "review").await;
    let page = manager
        .ask(&format!("{setup}/name"), "text/html")
        .await
        .page(200);
    let chosen = page.attr("[name='listening_port']", "value");
    assert_ne!(chosen, listening);
    assert_eq!(page.attr("[name='monitoring_port']", "value"), monitoring);
    // And once more while the last page is looked at.
    let second = hold(&chosen);
    let review = manager
        .ask(&format!("{setup}/review"), "text/html")
        .await
        .page(200);
    assert_eq!(
        review.count(".attention[data-focus]"),
        0,
        "{}",
        review.one("main")
    );
    let made = form(&manager, &format!("{setup}/review"), &[("action", "go")]).await;
    let watch = made
        .header("location")
        .unwrap_or_else(|| panic!("{made:?}"))
        .to_owned();
    let instance = manager
        .until_state(watch.strip_prefix("/setup/watch/").unwrap(), "running")
        .await;
    let port = instance["port"].as_u64().unwrap().to_string();
    assert!(port != listening && port != chosen, "{instance}");

    // A program that leaves the ports to jd-manager gets free ones.
    let third = hold(&(port.parse::<u16>().unwrap() + 1).to_string());
    let mut body = everything("attic");
    for member in ["listening_address", "monitoring_address"] {
        body.as_object_mut().unwrap().remove(member);
    }
    let made = send(&manager, "POST", "/api/setup", &body).await.json(201);
    manager
        .until_state(made["instance_id"].as_str().unwrap(), "running")
        .await;
    drop((first, second, third));
}
