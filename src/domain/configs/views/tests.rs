use super::form::ConfigFormPage;
use super::import::{ImportPage, without_secrets};
use super::notes::FieldNotes;
use super::revisions::{RevisionChange, RevisionComparePage, RevisionsPage};
use super::show::ShowPage;
use super::values::RowEdit;
use super::*;
use crate::domain::configs::config_view::{ConfigRevision, RevisionComparison};
use crate::domain::configs::draft::ConfigDraft;
use crate::domain::configs::samples;
use crate::domain::configs::{FieldDifference, differences};
use crate::domain::keys::MASK;
use crate::web::PageView;
use scraper::{ElementRef, Html, Selector};
use std::collections::HashSet;

fn saved(config: &ClientConfig) -> SavedConfig {
    SavedConfig {
        id: ConfigId::random(),
        name: "<home> & \"pool\"".into(),
        description: "two\nlines <b>".into(),
        revision: 5,
        is_active: true,
        config: config.clone(),
        created_at: Timestamp(1_000),
        updated_at: Timestamp(61_000),
        used_by: vec![ConfigUser {
            id: crate::base::ids::InstanceId::random(),
            name: "barn".into(),
        }],
    }
}

fn select(css: &str) -> Selector {
    Selector::parse(css).unwrap()
}

fn all<'p>(page: &'p Html, css: &str) -> Vec<ElementRef<'p>> {
    page.select(&select(css)).collect()
}

fn text(element: ElementRef) -> String {
    element
        .text()
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// What holds for every page; returns it parsed.
fn sound(view: &impl PageView) -> Html {
    let html = view
        .render_with_values(&crate::web::PageFrame {
            caller: Some(crate::web::Caller::machine(
                crate::web::PeerAddress::default(),
            )),
            ..crate::web::PageFrame::default()
        })
        .unwrap();
    assert!(!html.contains(samples::SECRET), "{html}");
    assert!(
        !serde_json::to_string(view)
            .unwrap()
            .contains(samples::SECRET)
    );
    let page = Html::parse_document(&html);
    let mut ids = HashSet::new();
    for element in all(&page, "*") {
        for (name, value) in element.value().attrs() {
            assert!(name != "style" && !name.starts_with("on"), "{name}={value}");
        }
        if let Some(id) = element.attr("id") {
            assert!(ids.insert(id), "the id {id} is there twice");
        }
    }
    assert!(
        all(&page, "script")
            .iter()
            .all(|script| script.attr("src").is_some() && text(*script).is_empty())
    );
    assert!(all(&page, "style").is_empty());
    assert_eq!(all(&page, "h1").len(), 1);
    for field in all(&page, "input:not([type=hidden]), select, textarea") {
        let id = field.attr("id").unwrap_or_default();
        let is_inside = field
            .ancestors()
            .filter_map(ElementRef::wrap)
            .any(|outer| outer.value().name() == "label");
        let labels = all(&page, "label")
            .into_iter()
            .filter(|label| label.attr("for") == Some(id) && !text(*label).is_empty())
            .count();
        assert!(
            is_inside || labels == 1,
            "{} has {labels} labels",
            field.html()
        );
    }
    for (attribute, css) in [
        ("href", "a[href^='#']"),
        ("aria-describedby", "[aria-describedby]"),
        ("aria-labelledby", "[aria-labelledby]"),
    ] {
        for element in all(&page, css) {
            let target = element.attr(attribute).unwrap().trim_start_matches('#');
            assert!(ids.contains(target), "{attribute}={target} leads nowhere");
        }
    }
    for button in all(&page, "button") {
        assert!(!text(button).is_empty());
    }
    page
}

/// What a browser would send for the page's main form.
fn submitted(page: &Html) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for field in all(
        page,
        "form#form input, form#form select, form#form textarea",
    ) {
        let name = field.attr("name").unwrap().to_owned();
        let value = match field.value().name() {
            "textarea" => field.text().collect(),
            "select" => {
                let chosen = field
                    .select(&select("option[selected]"))
                    .next()
                    .or_else(|| field.select(&select("option")).next());
                chosen.unwrap().attr("value").unwrap().to_owned()
            }
            _ => field.attr("value").unwrap_or_default().to_owned(),
        };
        pairs.push((name, value));
    }
    pairs
}

fn set(pairs: &mut Vec<(String, String)>, name: &str, value: &str) {
    pairs.retain(|(known, _)| known != name);
    pairs.push((name.into(), value.into()));
}

/// The page with which a form is answered that was found wrong.
fn answered(saved: Option<&SavedConfig>, pairs: Vec<(String, String)>) -> ConfigFormPage {
    let error = ConfigDraft::of_form(pairs.clone())
        .check(saved)
        .err()
        .expect("something is wrong in it");
    ConfigFormPage::refused(saved, &pairs, error)
}

#[test]
fn every_page_is_sound_and_keeps_the_secret() {
    for config in samples::all() {
        let saved = saved(&config);
        let summary = ConfigSummary::from(saved.clone());
        sound(&ConfigListPage::new(
            (vec![summary], 3),
            (1, 0),
            None,
            Timestamp(0),
        ));
        sound(&ShowPage::new(
            saved.clone(),
            Vec::new(),
            Vec::new(),
            Timestamp(99_000),
        ));
        sound(&ConfigFormPage::new(&config));
        sound(&ConfigFormPage::edit(&saved));
        sound(&delete_page(saved.clone()));
        sound(&delete_page(SavedConfig {
            used_by: Vec::new(),
            ..saved.clone()
        }));
        for version in ClientVersion::KNOWN {
            sound(&TomlPage::new(&saved, version, None));
            sound(&TomlPage::new(
                &saved,
                version,
                Some(ClientVersion::NEWEST_KNOWN),
            ));
        }
        let revision = ConfigRevision {
            revision: 5,
            name: saved.name.clone(),
            description: String::new(),
            created_at: Timestamp(0),
            author: "api".into(),
            changes: differences(&samples::pool(), &config),
            config,
        };
        sound(&RevisionsPage::new((saved, vec![revision]), Timestamp(0)));
    }
    sound(&ConfigListPage::new(
        (Vec::new(), 0),
        (1000, 0),
        None,
        Timestamp(0),
    ));
    sound(&ImportPage::default());
}

#[test]
fn the_form_sent_back_unchanged_is_the_configuration_it_showed() {
    for config in samples::all() {
        let mut saved = saved(&config);
        saved.config.upstreams = if config.upstreams.is_empty() {
            Vec::new()
        } else {
            config.upstreams.clone()
        };
        let page = sound(&ConfigFormPage::edit(&saved));
        let checked = ConfigDraft::of_form(submitted(&page))
            .check(Some(&saved))
            .unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(
            (checked.name, checked.description, checked.config),
            (saved.name, saved.description, saved.config)
        );
    }
}

#[test]
fn a_new_form_needs_a_name_a_payout_and_a_pool_and_nothing_else() {
    let starting = ClientConfig {
        coinbase_reward_script: String::new(),
        upstreams: Vec::new(),
        ..samples::pool()
    };
    let mut pairs = submitted(&sound(&ConfigFormPage::new(&starting)));
    let page = sound(&answered(None, pairs.clone()));
    let links: Vec<String> = all(&page, "section.attention a")
        .into_iter()
        .map(|link| link.attr("href").unwrap().to_owned())
        .collect();
    assert_eq!(links, ["#name", "#upstreams", "#coinbase_reward_script"]);
    set(&mut pairs, "name", "home solo");
    set(&mut pairs, "mode", "SOLOMINING");
    set(&mut pairs, "coinbase_reward_script", samples::REWARD);
    assert!(ConfigDraft::of_form(pairs).check(None).is_ok());
}

#[test]
fn what_is_wrong_stands_beside_its_field_and_in_the_summary_and_nothing_typed_is_lost() {
    let saved = saved(&samples::pool());
    let mut pairs = submitted(&sound(&ConfigFormPage::edit(&saved)));
    let long = "x".repeat(71);
    let wrong = [
        ("cert_validity_sec", "soon"),
        ("jdc_signature", long.as_str()),
        ("upstreams.0.pool_port", "0"),
        ("name", "<i>\u{7}"),
    ];
    for (name, value) in wrong {
        set(&mut pairs, name, value);
    }
    set(&mut pairs, "authority_secret_key", samples::SECRET);
    let page = sound(&answered(Some(&saved), pairs));
    let summary = all(&page, "section[data-focus][tabindex='-1']");
    assert_eq!(summary.len(), 1);
    let links: Vec<(String, String)> = summary[0]
        .select(&select("a"))
        .map(|link| (link.attr("href").unwrap().to_owned(), text(link)))
        .collect();
    let expected = [
        ("#name", "Name"),
        ("#upstreams-0-pool_port", "Pool 1: Pool port"),
        ("#jdc_signature", "Coinbase tag"),
        ("#cert_validity_sec", "Certificate validity (s)"),
        ("#authority_secret_key", "Secret key"),
    ];
    assert_eq!(
        links,
        expected.map(|(href, label)| (href.to_owned(), label.to_owned()))
    );
    for (name, value) in wrong {
        let id = name.replace('.', "-");
        let field = all(&page, &format!("#{id}"))[0];
        assert_eq!(
            (field.attr("value"), field.attr("aria-invalid")),
            (Some(value), Some("true")),
            "{name}"
        );
        assert_eq!(all(&page, &format!("#{id}-help .error")).len(), 1, "{name}");
    }
    assert!(all(&page, "details.rare")[0].attr("open").is_some());
    assert_eq!(all(&page, "#authority_secret_key")[0].attr("value"), None);
    // What is right stays as it was typed.
    assert_eq!(
        all(&page, "#upstreams-0-pool_address")[0].attr("value"),
        Some("pool.attic.localhost")
    );
    assert_eq!(
        all(&page, "input[name=revision]")[0].attr("value"),
        Some("5")
    );
}

#[test]
fn a_secret_in_the_wrong_field_is_not_sent_back_either() {
    let saved = saved(&samples::pool());
    let mut pairs = submitted(&sound(&ConfigFormPage::edit(&saved)));
    set(&mut pairs, "authority_public_key", samples::SECRET);
    set(&mut pairs, "description", samples::SECRET);
    let page = sound(&answered(Some(&saved), pairs));
    assert_eq!(all(&page, "#authority_public_key[aria-invalid]").len(), 1);
}

#[test]
fn pools_are_added_raised_and_removed_without_losing_anything() {
    let saved = saved(&samples::with_everything());
    let pairs = submitted(&sound(&ConfigFormPage::edit(&saved)));
    let hosts = |how: RowEdit, pairs: &[(String, String)]| {
        let page = sound(&ConfigFormPage::rearranged(Some(&saved), pairs, how));
        let hosts: Vec<String> = all(&page, "input[id$=-pool_address]")
            .into_iter()
            .map(|field| field.attr("value").unwrap().to_owned())
            .collect();
        let focus: Vec<String> = all(&page, "[autofocus]")
            .into_iter()
            .map(|field| field.attr("id").unwrap().to_owned())
            .collect();
        (hosts.join(" "), focus.join(" "))
    };
    let (first, second) = ("pool.attic.localhost", "fd12::7");
    assert_eq!(
        hosts(RowEdit::Add, &pairs),
        (
            format!("{first} {second} "),
            "upstreams-2-pool_address".into()
        )
    );
    assert_eq!(
        hosts(RowEdit::Raise(1), &pairs),
        (
            format!("{second} {first}"),
            "upstreams-0-pool_address".into()
        )
    );
    assert_eq!(
        hosts(RowEdit::Remove(0), &pairs),
        (second.into(), "upstreams-0-pool_address".into())
    );
    for nonsense in [RowEdit::Raise(0), RowEdit::Raise(9), RowEdit::Remove(9)] {
        assert_eq!(hosts(nonsense, &pairs).0, format!("{first} {second}"));
    }
    // The last row is emptied, not taken away; a full list takes no more.
    assert_eq!(
        hosts(
            RowEdit::Remove(0),
            &[("upstreams.0.pool_address".into(), "x".into())]
        )
        .0,
        ""
    );
    let many: Vec<(String, String)> = (0..40)
        .map(|row| (format!("upstreams.{row}.pool_address"), format!("h{row}")))
        .collect();
    assert_eq!(hosts(RowEdit::Add, &many).0.split(' ').count(), 17);

    for (action, how) in [
        ("add-upstream", Some(RowEdit::Add)),
        ("remove-upstream.3", Some(RowEdit::Remove(3))),
        ("raise-upstream.1", Some(RowEdit::Raise(1))),
        ("raise-upstream.x", None),
        ("save", None),
    ] {
        assert_eq!(
            RowEdit::of(&[("action".into(), action.into())]),
            how,
            "{action}"
        );
    }
}

#[test]
fn complaints_count_the_rows_that_are_left() {
    let saved = saved(&samples::with_everything());
    let mut pairs = submitted(&sound(&ConfigFormPage::edit(&saved)));
    for field in [
        "pool_address",
        "pool_port",
        "jds_address",
        "jds_port",
        "user_identity",
        "authority_pubkey",
    ] {
        set(&mut pairs, &format!("upstreams.0.{field}"), " ");
    }
    set(&mut pairs, "upstreams.1.pool_port", "x");
    let page = sound(&answered(Some(&saved), pairs));
    assert_eq!(
        all(&page, "#upstreams-0-pool_port[aria-invalid]")[0].attr("value"),
        Some("x")
    );
    assert!(all(&page, "#upstreams-1-pool_port").is_empty());
}

#[test]
fn a_conflict_is_shown_at_the_name_or_as_what_happened_meanwhile() {
    let saved = saved(&samples::pool());
    let pairs = submitted(&sound(&ConfigFormPage::edit(&saved)));
    let refused = |saved: &SavedConfig, pairs: &[(String, String)], error| {
        sound(&ConfigFormPage::refused(Some(saved), pairs, error))
    };
    let page = refused(&saved, &pairs, Error::Conflict("It is taken.".into()));
    assert_eq!(text(all(&page, "#name-help .error")[0]), "It is taken.");

    let newer = SavedConfig {
        revision: 6,
        ..saved.clone()
    };
    let page = refused(&newer, &pairs, Error::Conflict("Meanwhile.".into()));
    assert!(all(&page, ".error").is_empty());
    assert_eq!(
        text(all(&page, "section.attention li")[0]),
        "History: Meanwhile."
    );
    assert_eq!(
        all(&page, "input[name=revision]")[0].attr("value"),
        Some("6")
    );
    // As long as they were not told, the form stays based on what they saw.
    let page = refused(&newer, &pairs, Error::invalid("/name", "No."));
    assert_eq!(
        all(&page, "input[name=revision]")[0].attr("value"),
        Some("5")
    );
}

#[test]
fn an_imported_file_comes_back_without_its_secrets() {
    let mistyped = &samples::SECRET[..40];
    for (sent, back) in [
        (
            format!(
                "a = 1\nauthority_secret_key = \"{}\"\nb = 2",
                samples::SECRET
            ),
            "a = 1\nauthority_secret_key = \"********\"\nb = 2",
        ),
        (
            format!("AUTHORITY_SECRET_KEY='{mistyped}' # mine\r\nb = 2"),
            "AUTHORITY_SECRET_KEY= \"********\"\r\nb = 2",
        ),
        (
            format!("authority_secret_key = \"\"\"\n{mistyped}\n\"\"\"\nb = 2"),
            "authority_secret_key = \"********\"\nb = 2",
        ),
        (
            format!("authority_secret_key = '''\n{mistyped}"),
            "authority_secret_key = \"********\"",
        ),
        (
            format!("      JDC__AUTHORITY_SECRET_KEY: {mistyped}\n"),
            "      JDC__AUTHORITY_SECRET_KEY: \"********\"\n",
        ),
        (
            format!("x = [\"{}\"]", samples::SECRET),
            "x = [\"********\"]",
        ),
        (
            format!("# {} in a remark", samples::SECRET),
            "# ******** in a remark",
        ),
    ] {
        assert_eq!(without_secrets(&sent), (back.to_owned(), true), "{sent}");
    }
    for kept in [
        samples::POOL_FILE.replace("mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n", MASK),
        String::new(),
        "é=\"ü\"\n".into(),
    ] {
        assert_eq!(without_secrets(&kept), (kept.clone(), false));
    }
    let pairs = [
        (
            "toml".to_owned(),
            format!("authority_secret_key = \"{}\"", samples::SECRET),
        ),
        ("name".to_owned(), "barn".to_owned()),
    ];
    let errors = vec![
        FieldError::new("/mode", "Line 1: no."),
        FieldError::new("/name", "No."),
    ];
    let page = sound(&ImportPage::refused(&pairs, Error::Invalid(errors)));
    assert_eq!(
        text(all(&page, "textarea#toml")[0]),
        "authority_secret_key = \"********\""
    );
    assert_eq!(all(&page, "section.attention li").len(), 3);
    assert_eq!(all(&page, "#name")[0].attr("value"), Some("barn"));
}

#[test]
fn versions_are_told_in_ranges() {
    let mut two_accounts = samples::pool();
    two_accounts
        .upstreams
        .push(crate::domain::configs::ConfigUpstream {
            user_identity: "bob".into(),
            ..two_accounts.upstreams[0].clone()
        });
    let core = |version: u8| ClientConfig {
        template_provider_type: crate::domain::configs::TemplateProvider::BitcoinCoreIpc {
            version,
            network: crate::domain::configs::BitcoinNetwork::Mainnet,
            data_dir: None,
            fee_threshold: 1,
            min_interval: 1,
        },
        ..samples::pool()
    };
    for (config, words) in [
        (samples::pool(), "0.1.0–0.6.0"),
        (samples::solo(), "0.1.3–0.6.0"),
        (two_accounts, "0.3.0–0.6.0"),
        (core(30), "0.1.0–0.1.5 and 0.4.0–0.6.0"),
        (core(31), "0.2.0–0.6.0"),
        (core(99), "none"),
    ] {
        assert_eq!(versions_text(&config), words);
    }
}

#[test]
fn the_list_says_where_work_goes_and_what_is_active() {
    let summary = |config: &ClientConfig| ConfigSummary::from(saved(config));
    let list = vec![
        summary(&samples::with_everything()),
        summary(&samples::solo()),
    ];
    let page = sound(&ConfigListPage::new(
        (list, 9),
        (2, 0),
        None,
        Timestamp(181_000),
    ));
    let cells: Vec<String> = all(&page, "td[data-label='Pool']")
        .into_iter()
        .map(text)
        .collect();
    assert_eq!(
        cells,
        [
            "pool.attic.localhost:3333, 1 more Pool, coinbase only",
            "Solo"
        ]
    );
    assert_eq!(text(all(&page, "time")[0]), "2 min");
    assert_eq!(all(&page, "td .state").len(), 2);
    assert_eq!(
        all(&page, "a[href='/saved-configs?limit=2&offset=2']").len(),
        1
    );
    let empty = sound(&ConfigListPage::new(
        (Vec::new(), 0),
        (1000, 0),
        None,
        Timestamp(0),
    ));
    assert_eq!(
        all(&empty, "main section a[href='/saved-configs/new']").len(),
        1
    );
}

#[test]
fn the_json_of_one_holds_the_row_and_the_configuration() {
    let saved = saved(&samples::pool());
    let json = serde_json::to_value(ShowPage::new(
        saved.clone(),
        Vec::new(),
        Vec::new(),
        Timestamp(0),
    ))
    .unwrap();
    assert_eq!(json["config"], samples::pool().masked());
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(json["config_json"].as_str().unwrap()).unwrap(),
        json["config"]
    );
    assert_eq!(
        (json["id"].clone(), json["created_at"].clone()),
        (
            saved.id.to_string().into(),
            "1970-01-01T00:00:01.000Z".into()
        )
    );
    for member in [
        "name",
        "description",
        "is_active",
        "updated_at",
        "revision",
        "used_by",
        "errors",
        "warnings",
        "hints",
        "client_versions",
    ] {
        assert!(!json[member].is_null(), "{member}");
    }
}

#[test]
fn a_file_is_shown_for_the_version_asked_for_or_why_not() {
    let saved = saved(&samples::solo());
    let page = TomlPage::new(&saved, ClientVersion::OLDEST, None);
    assert!(
        matches!(page.into_text(), Err(Error::Invalid(errors)) if errors[0].pointer == "/config/mode")
    );
    let text = TomlPage::new(&saved, ClientVersion::NEWEST_KNOWN, None)
        .into_text()
        .unwrap();
    assert!(
        text.contains("authority_secret_key = \"********\"")
            && text.contains("mode = \"SOLOMINING\"")
    );
    let newer = sound(&TomlPage::new(&saved, ClientVersion::new(1, 2, 3), None));
    assert_eq!(
        all(&newer, "option[selected]")
            .into_iter()
            .map(self::text)
            .collect::<Vec<_>>(),
        ["1.2.3"]
    );
}

#[test]
fn changes_are_told_with_the_labels_of_the_form() {
    let told = |path: &str| {
        RevisionChange::of(&FieldDifference {
            path: path.into(),
            from: None,
            to: None,
        })
        .label
    };
    assert_eq!(told("/upstreams/1/jds_port"), "Pool 2: JDS port");
    assert_eq!(told("/supported_extensions/0"), "Supported extensions");
    assert_eq!(told("/name"), "Name");
    assert_eq!(told("/unheard_of"), "unheard_of");
}

#[test]
fn what_there_is_to_say_is_told_by_kind() {
    let mut config = samples::pool();
    config.jdc_signature = "x".repeat(60);
    config.coinbase_reward_script = "addr(tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t)".into();
    let lost = vec![FieldError::new("/config/upstreams/0/pool_address", "lost")];
    let page = sound(&ShowPage::new(
        saved(&config),
        lost,
        Vec::new(),
        Timestamp(0),
    ));
    let list = |id: &str| {
        all(&page, &format!("section[aria-labelledby={id}] li"))
            .into_iter()
            .map(text)
            .collect::<Vec<_>>()
    };
    let doubts = list("doubts");
    assert!(
        doubts.len() == 2 && doubts[0].starts_with("Coinbase tag: "),
        "{doubts:?}"
    );
    assert_eq!(doubts[1], "Pool 1: Pool address: lost");
    let hints = list("hints");
    assert!(
        hints.len() == 1 && hints[0].contains("This is a testnet or signet address"),
        "{hints:?}"
    );
    assert!(all(&page, "#errors").is_empty());

    // Saved before there was a rule against it.
    config.jdc_signature = "x".repeat(65);
    let page = ShowPage::new(saved(&config), Vec::new(), Vec::new(), Timestamp(0));
    assert_eq!(
        serde_json::to_value(&page).unwrap()["errors"][0]["pointer"],
        "/config/jdc_signature"
    );
    assert_eq!(
        all(&sound(&page), "section[aria-labelledby=errors] li").len(),
        1
    );
}

#[test]
fn a_field_that_is_being_filled_in_is_told_of_alone() {
    let mut pairs = submitted(&sound(&ConfigFormPage::new(&samples::solo())));
    set(&mut pairs, "name", "");
    set(&mut pairs, "listening_address", "nowhere");
    set(
        &mut pairs,
        "coinbase_reward_script",
        "tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t",
    );
    set(&mut pairs, "<script>", "x");
    let found = ConfigDraft::of_form(pairs.clone())
        .judge(None)
        .unwrap()
        .found;
    let html = FieldNotes::new(&pairs, &found).render().unwrap();
    let part = |id: &str| {
        let from = html
            .find(&format!("hx-target=\"#{id}-notes\""))
            .unwrap_or_else(|| panic!("{id} is not told: {html}"));
        html[from..from + html[from..].find("</hx-partial>").unwrap()].to_owned()
    };
    assert!(part("listening_address").contains("class=\"error\""));
    assert!(part("coinbase_reward_script").contains("This is a testnet or signet address"));
    assert!(
        !part("name").contains("class="),
        "an empty field is not told that it is empty"
    );
    assert!(!part("jdc_signature").contains("class="));
    assert!(!html.contains("script>") && !html.contains(samples::SECRET));
    // Each has its place on the page.
    let page = sound(&ConfigFormPage::new(&samples::solo()));
    for (name, _) in pairs
        .iter()
        .filter(|(name, _)| !name.contains('<') && name != "revision")
    {
        assert_eq!(
            all(&page, &format!("[id='{}-notes']", name.replace('.', "-"))).len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn clients_that_make_the_same_of_it_stand_together() {
    let rows = |config: &ClientConfig| -> Vec<String> {
        let page = sound(&ShowPage::new(
            saved(config),
            Vec::new(),
            Vec::new(),
            Timestamp(0),
        ));
        all(&page, "section[aria-labelledby=clients] tbody tr")
            .into_iter()
            .map(text)
            .collect()
    };
    let pool = rows(&samples::pool());
    assert_eq!(pool.len(), 2, "{pool:?}");
    assert!(
        pool[0].starts_with("0.3.0–0.6.0✓ yes File for 0.6.0"),
        "{pool:?}"
    );
    assert!(
        pool[1].starts_with("0.1.0–0.2.0✓ yes")
            && pool[1].contains("+ user_identity − upstreams[].user_identity"),
        "{pool:?}"
    );
    let solo = rows(&samples::solo());
    assert!(
        solo[2].starts_with("0.1.0–0.1.2✗ no: Client 0.1.2 does not support solo mining"),
        "{solo:?}"
    );
    let everything = rows(&samples::with_everything());
    assert!(
        everything
            .iter()
            .any(|row| row.contains("Client 0.4.0 does not support max_past_jobs")),
        "{everything:?}"
    );
}

#[test]
fn what_a_file_becomes_for_another_version_is_shown_line_by_line() {
    let saved = saved(&samples::pool());
    let compare = |version: &str, against: &str| {
        TomlPage::new(
            &saved,
            version.parse().unwrap(),
            Some(against.parse().unwrap()),
        )
    };
    let page = sound(&compare("0.2.0", "0.6.0"));
    let lines = |css: &str| all(&page, css).into_iter().map(text).collect::<Vec<_>>();
    assert_eq!(lines("pre ins"), ["+ user_identity = \"alice.attic\""]);
    assert_eq!(lines("pre del"), ["- user_identity = \"alice.attic\""]);
    assert_eq!(lines("#against option[selected]"), ["0.6.0"]);
    let same = sound(&compare("0.5.0", "0.6.0"));
    assert!(text(all(&same, "section[aria-labelledby=difference]")[0]).contains("No differences."));
    let json = serde_json::to_value(compare("0.2.0", "0.6.0")).unwrap();
    let lines = json["difference"].as_array().unwrap();
    let marks: Vec<&str> = lines
        .iter()
        .map(|line| line["mark"].as_str().unwrap())
        .filter(|mark| *mark != " ")
        .collect();
    assert_eq!(
        (marks, json["against"].as_str()),
        (vec!["+", "-"], Some("0.6.0"))
    );
}

#[test]
fn a_file_without_a_pool_is_offered_for_solo_mining() {
    let file = samples::SOLO_FILE.replace("mode = \"SOLOMINING\"\n", "");
    let page = |file: &str, solo: &str| {
        let pairs =
            [("toml", file), ("solo", solo)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let import = crate::domain::configs::import_source::ConfigImport {
            toml: file.to_owned(),
            solo: !solo.is_empty(),
            ..Default::default()
        };
        let error = import
            .check(&std::collections::HashMap::new())
            .err()
            .unwrap();
        sound(&ImportPage::refused(&pairs, error))
    };
    let button = "button[name=solo][form=import]";
    assert_eq!(all(&page(&file, ""), button).len(), 1);
    let broken = file.replace("share_batch_size = 3", "share_batch_size = 0");
    let refused = page(&broken, "on");
    assert!(all(&refused, button).is_empty());
    assert_eq!(all(&refused, "input[name=solo][checked]").len(), 1);
    assert!(all(&page("barn = [", ""), button).is_empty());
}

#[test]
fn secrets_of_json_are_taken_out_whole_or_broken() {
    for (text, clean) in [
        (
            "{\"authority_secret_key\": \"abc\", \"x\": 1}",
            "{\"authority_secret_key\": \"********\", \"x\": 1}",
        ),
        (" {\"SECRET\" :\"abc\"", " {\"SECRET\" :\"********\""),
        ("{\"secret\": \"abc", "{\"secret\": \"********"),
        (
            "{\"secret\": \"\", \"note\": \"my secret\"}",
            "{\"secret\": \"\", \"note\": \"my secret\"}",
        ),
        (
            "{\"secret\": 7, \"a\": [\"secret\"",
            "{\"secret\": 7, \"a\": [\"secret\"",
        ),
        ("{\"é_secret\": \"ü\"}", "{\"é_secret\": \"********\"}"),
    ] {
        assert_eq!(without_secrets(text).0, clean);
    }
}

#[test]
fn two_revisions_are_compared_field_by_field_and_line_by_line() {
    let compare = |former: &ClientConfig, config: &ClientConfig| {
        let changes = differences(former, config);
        let comparison = RevisionComparison {
            config_id: ConfigId::random(),
            name: "home".into(),
            from: 3,
            to: 5,
            changes,
            former: former.clone(),
            config: config.clone(),
        };
        RevisionComparePage::new(comparison, ClientVersion::NEWEST_KNOWN)
    };
    let old = samples::pool();
    let new = ClientConfig {
        share_batch_size: 77,
        ..old.clone()
    };
    let page = compare(&old, &new);
    let json = serde_json::to_value(&page).unwrap();
    assert_eq!(
        (&json["restart_needed"], &json["from"], &json["to"]),
        (&true.into(), &3.into(), &5.into())
    );
    assert_eq!(json["changes"][0]["path"], "/share_batch_size");
    let page = sound(&page);
    assert_eq!(text(all(&page, "pre ins")[0]), "+ share_batch_size = 77");
    assert!(text(all(&page, "h1")[0]).ends_with("from revision 3 to 5"));
    // Pools that are kept and not used are no reason to restart, and neither is nothing.
    let solo = samples::solo();
    let kept = ClientConfig {
        upstreams: old.upstreams.clone(),
        ..solo.clone()
    };
    for (one, other, needed) in [
        (&solo, &kept, false),
        (&old, &old, false),
        (&old, &solo, true),
    ] {
        let page = compare(one, other);
        assert_eq!(
            serde_json::to_value(&page).unwrap()["restart_needed"],
            needed
        );
        sound(&page);
    }
}
