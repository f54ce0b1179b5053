use super::*;
use crate::base::ids::InstanceId;
use crate::domain::configs::import_source::ConfigImport;
use crate::domain::configs::samples;
use crate::domain::keys::{MASK, pair_matches};
use crate::web::RequestInput;
use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use serde_json::{Value, json};

struct World {
    configs: ConfigService,
    db: Db,
    _dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    World {
        configs: ConfigService::new(db.clone(), Vault::of_a_test()),
        db,
        _dir: dir,
    }
}

fn body(value: Value) -> ConfigDraft {
    ConfigDraft::of(RequestInput { value, form: None }).unwrap()
}

fn form(pairs: &[(&str, &str)]) -> ConfigDraft {
    ConfigDraft::of_form(
        pairs
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect(),
    )
}

fn named(name: &str) -> ConfigDraft {
    body(json!({"name": name, "config": samples::pool().to_stored_value()}))
}

fn pointers<T>(result: Result<T>) -> Vec<String> {
    match result {
        Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

impl World {
    async fn made(&self, name: &str) -> ConfigId {
        self.configs.create(named(name)).await.unwrap().config_id
    }

    /// An instance of this name that runs the configuration.
    async fn instance(&self, name: &'static str, config: ConfigId) {
        let id = InstanceId::random();
        self.db
            .write(move |c| {
                diesel::sql_query("INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES (?, ?, ?, 0, 0)")
                    .bind::<Text, _>(id)
                    .bind::<Text, _>(name)
                    .bind::<Text, _>(config)
                    .execute(c)?;
                Ok(())
            })
            .await
            .unwrap();
    }

    async fn active_ones(&self) -> Vec<ConfigId> {
        self.configs
            .list()
            .await
            .unwrap()
            .into_iter()
            .filter(|one| one.is_active)
            .map(|one| one.id)
            .collect()
    }
}

#[tokio::test]
async fn what_is_saved_is_listed_newest_first_with_its_secret_masked() {
    let w = world();
    for name in ["first", "second", "third"] {
        w.made(name).await;
    }
    let list = w.configs.list().await.unwrap();
    assert_eq!(
        list.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
        ["third", "second", "first"]
    );
    let json = serde_json::to_value(&list[0]).unwrap();
    let inner: Value = serde_json::from_str(json["config_json"].as_str().unwrap()).unwrap();
    assert_eq!(inner, samples::pool().masked());
    assert_eq!(
        (
            json["is_active"].clone(),
            json["revision"].clone(),
            json["used_by"].clone()
        ),
        (json!(false), json!(1), json!([]))
    );
    let (part, total) = w.configs.page(1, 1, None).await.unwrap();
    assert_eq!((part[0].name.as_str(), part.len(), total), ("second", 1, 3));
    assert_eq!(
        w.configs.get(list[0].id).await.unwrap().config,
        samples::pool()
    );
}

#[tokio::test]
async fn everything_wrong_is_named_at_once() {
    let w = world();
    let mut config = samples::pool().to_stored_value();
    config["upstreams"][0]["pool_port"] = json!(70_000);
    config["authority_secret_key"] = json!(null);
    let sent = json!({"name": 7, "description": "\u{7}", "revision": "x", "config": config});
    let wrong = pointers(w.configs.create(body(sent)).await);
    assert_eq!(
        wrong,
        [
            "/name",
            "/revision",
            "/description",
            "/config/authority_secret_key",
            "/config/upstreams/0/pool_port"
        ]
    );
    assert_eq!(
        pointers(w.configs.create(body(json!({}))).await),
        ["/config", "/name"]
    );
    assert!(
        ConfigDraft::of(RequestInput {
            value: json!([]),
            form: None
        })
        .is_err()
    );
    assert!(w.configs.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn programs_that_send_no_keys_are_told_who_makes_them() {
    let w = world();
    let mut config = samples::pool().to_stored_value();
    config["authority_public_key"] = json!("");
    config
        .as_object_mut()
        .unwrap()
        .remove("authority_secret_key");
    let Err(Error::Invalid(errors)) = w
        .configs
        .create(body(json!({"name": "x", "config": config})))
        .await
    else {
        panic!()
    };
    assert_eq!(errors.len(), 2);
    assert!(
        errors
            .iter()
            .all(|error| error.detail.contains("POST /keys/generate")),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_name_is_taken_whatever_its_case() {
    let w = world();
    let id = w.made("Home pool").await;
    assert!(
        matches!(w.configs.create(named("home POOL")).await, Err(Error::Conflict(text)) if text.contains("home POOL"))
    );
    let other = w.made("other").await;
    assert!(matches!(
        w.configs.update(other, named("HOME pool")).await,
        Err(Error::Conflict(_))
    ));
    assert_eq!(
        w.configs
            .update(id, named("HOME pool"))
            .await
            .unwrap()
            .revision,
        2
    );
}

#[tokio::test]
async fn a_change_is_a_new_revision_and_a_masked_secret_stays() {
    let w = world();
    let id = w.made("home pool").await;
    let mut config = samples::pool().masked();
    config["share_batch_size"] = json!(11);
    let outcome = w
        .configs
        .update(
            id,
            body(json!({"config": config.clone(), "description": "in the attic"})),
        )
        .await
        .unwrap();
    assert_eq!(outcome.revision, 2);
    let saved = w.configs.get(id).await.unwrap();
    assert_eq!(
        (
            saved.name.as_str(),
            saved.description.as_str(),
            saved.revision
        ),
        ("home pool", "in the attic", 2)
    );
    assert_eq!(saved.config.authority_secret_key.reveal(), samples::SECRET);
    assert_eq!(saved.config.share_batch_size, 11);
    assert!(saved.updated_at >= saved.created_at);

    // The same again changes nothing; a description that is not mentioned stays, an empty one goes.
    assert_eq!(
        w.configs
            .update(id, body(json!({"config": config.clone()})))
            .await
            .unwrap()
            .revision,
        2
    );
    assert_eq!(
        w.configs
            .update(
                id,
                body(json!({"config": config.clone(), "description": ""}))
            )
            .await
            .unwrap()
            .revision,
        3
    );
    assert_eq!(w.configs.get(id).await.unwrap().description, "");

    // Another public key needs its own secret; an unknown id is not found.
    config["authority_public_key"] = json!(samples::POOL_KEY);
    assert_eq!(
        pointers(
            w.configs
                .update(id, body(json!({"config": config.clone()})))
                .await
        ),
        ["/config/authority_secret_key"]
    );
    let unknown = w
        .configs
        .update(ConfigId::random(), body(json!({"config": config})))
        .await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn what_was_saved_meanwhile_is_not_overwritten_unknowingly() {
    let w = world();
    let id = w.made("home pool").await;
    let change = |batch: u32, revision: i32| {
        let mut config = samples::pool().masked();
        config["share_batch_size"] = json!(batch);
        w.configs
            .update(id, body(json!({"config": config, "revision": revision})))
    };
    assert_eq!(change(11, 1).await.unwrap().revision, 2);
    assert!(
        matches!(change(12, 1).await, Err(Error::Conflict(text)) if text.contains("revision 2"))
    );
    assert_eq!(w.configs.get(id).await.unwrap().config.share_batch_size, 11);
    assert_eq!(change(12, 2).await.unwrap().revision, 3);
}

#[tokio::test]
async fn warnings_come_with_the_success() {
    let w = world();
    let mut config = samples::pool().to_stored_value();
    config["monitoring_address"] = json!("0.0.0.0:9091");
    config["jdc_signature"] = json!("x".repeat(60));
    let outcome = w
        .configs
        .create(body(json!({"name": "open", "config": config})))
        .await
        .unwrap();
    let told: Vec<&str> = outcome
        .warnings
        .iter()
        .map(|warning| warning.pointer.as_str())
        .collect();
    assert_eq!(
        told,
        ["/config/monitoring_address", "/config/jdc_signature"]
    );
}

#[tokio::test]
async fn one_in_use_is_not_deleted_and_says_who_uses_it() {
    let w = world();
    let id = w.made("home pool").await;
    w.instance("barn", id).await;
    w.instance("attic", id).await;
    assert_eq!(
        w.configs.list().await.unwrap()[0]
            .used_by
            .iter()
            .map(|user| user.name.as_str())
            .collect::<Vec<_>>(),
        ["attic", "barn"]
    );
    assert!(
        matches!(w.configs.delete(id).await, Err(Error::Conflict(text)) if text.contains("\"attic\", \"barn\""))
    );
    w.db.write(|c| Ok(diesel::sql_query("DELETE FROM instances").execute(c)?))
        .await
        .unwrap();
    w.configs.delete(id).await.unwrap();
    assert!(matches!(
        w.configs.get(id).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        w.configs.delete(id).await,
        Err(Error::NotFound { .. })
    ));
    // Nothing of it is left, revisions included.
    let left =
        w.db.read(move |c| Ok(queries::revisions(c, id, None, 10, usize::MAX)?.0.len()))
            .await
            .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_active_one_changes_only_to_one_that_exists() {
    let w = world();
    assert!(matches!(
        w.configs.active().await,
        Err(Error::NotFound { .. })
    ));
    let (first, second) = (w.made("first").await, w.made("second").await);
    assert!(w.active_ones().await.is_empty());
    w.configs.set_active(first).await.unwrap();
    w.configs.set_active(second).await.unwrap();
    w.configs.set_active(second).await.unwrap();
    assert_eq!(w.active_ones().await, [second]);
    assert!(matches!(
        w.configs.set_active(ConfigId::random()).await,
        Err(Error::NotFound { .. })
    ));
    assert_eq!(w.configs.active().await.unwrap().id, second);
    w.configs.delete(second).await.unwrap();
    assert!(w.active_ones().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_any_moment_of_a_rush_exactly_one_is_active() {
    let w = world();
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(w.made(name).await);
    }
    w.configs.set_active(ids[0]).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..60 {
        let (configs, id) = (w.configs.clone(), ids[n % 4]);
        tasks.spawn(async move {
            match n % 5 {
                0 => assert!(configs.set_active(ConfigId::random()).await.is_err()),
                1 => assert_eq!(
                    configs
                        .list()
                        .await
                        .unwrap()
                        .iter()
                        .filter(|one| one.is_active)
                        .count(),
                    1
                ),
                _ => assert!(configs.set_active(id).await.is_ok()),
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(w.active_ones().await.len(), 1);
}

#[tokio::test]
async fn an_earlier_revision_is_told_apart_and_comes_back_as_a_new_one() {
    let w = world();
    let id = w.made("home pool").await;
    let mut config = samples::pool().masked();
    config["upstreams"][0]["pool_port"] = json!(4444);
    w.configs
        .update(id, body(json!({"name": "renamed", "config": config})))
        .await
        .unwrap();

    let (saved, history) = w.configs.revisions(id, None, 10).await.unwrap();
    assert_eq!(
        (
            saved.revision,
            history.iter().map(|one| one.revision).collect::<Vec<_>>()
        ),
        (2, vec![2, 1])
    );
    let changes: Vec<&str> = history[0]
        .changes
        .iter()
        .map(|change| change.path.as_str())
        .collect();
    assert_eq!(changes, ["/name", "/upstreams/0/pool_port"]);
    assert!(history[1].changes.is_empty());
    // A part of the history still knows what its oldest revision changed.
    let (_, part) = w.configs.revisions(id, None, 1).await.unwrap();
    assert_eq!((part.len(), part[0].changes.len()), (1, 2));
    assert_eq!(
        w.configs.revisions(id, Some(2), 10).await.unwrap().1[0].revision,
        1
    );

    assert_eq!(w.configs.restore(id, 1).await.unwrap().revision, 3);
    let restored = w.configs.get(id).await.unwrap();
    assert_eq!(
        (restored.name.as_str(), restored.config),
        ("renamed", samples::pool())
    );
    // The present state restored is nothing new.
    assert_eq!(w.configs.restore(id, 3).await.unwrap().revision, 3);
    assert!(matches!(
        w.configs.restore(id, 99).await,
        Err(Error::NotFound {
            what: "revision",
            ..
        })
    ));
    assert!(matches!(
        w.configs.revisions(ConfigId::random(), None, 10).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn a_copy_has_the_same_configuration_under_a_name_of_its_own() {
    let w = world();
    let id = w.made("home pool").await;
    let copies = [
        w.configs.duplicate(id).await.unwrap(),
        w.configs.duplicate(id).await.unwrap(),
    ];
    for (copy, (name, step)) in copies
        .iter()
        .zip([("home pool copy", 1), ("home pool copy 2", 2)])
    {
        let saved = w.configs.get(copy.config_id).await.unwrap();
        // The same but for the ports: both can run side by side.
        let mut config = samples::pool();
        config
            .listening_address
            .set_port(config.listening_address.port() + step);
        let monitoring = config.monitoring_address.as_mut().unwrap();
        monitoring.set_port(monitoring.port() + step);
        assert_eq!(
            (
                saved.name.as_str(),
                saved.config,
                saved.is_active,
                saved.revision
            ),
            (name, config, false, 1)
        );
    }
    assert!(matches!(
        w.configs.duplicate(ConfigId::random()).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn a_file_is_imported_or_every_problem_named_with_its_line() {
    let w = world();
    let file = |toml: &str| ConfigImport {
        toml: toml.into(),
        ..ConfigImport::default()
    };
    let first = w.configs.import(file(samples::POOL_FILE)).await.unwrap();
    w.configs.import(file(samples::SOLO_FILE)).await.unwrap();
    let names: Vec<String> = w
        .configs
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(
        names,
        ["Imported configuration 2", "Imported configuration"]
    );
    assert_eq!(
        w.configs
            .get(first.config_id)
            .await
            .unwrap()
            .config
            .upstreams[0]
            .pool_port,
        25333
    );
    // The published example pair and payout are worth a warning, with line and key.
    assert!(
        first.warnings.iter().any(|one| one
            .detail
            .starts_with("Line 4, Public key (authority_public_key): ")),
        "{:?}",
        first.warnings
    );

    let wrong = samples::POOL_FILE
        .replace("pool_port = 25333", "pool_port = 0")
        .replace("share_batch_size = 3", "share_batch_size = \"x\"");
    let Err(Error::Invalid(errors)) = w.configs.import(file(&wrong)).await else {
        panic!()
    };
    let told: Vec<(&str, &str)> = errors
        .iter()
        .map(|one| (one.pointer.as_str(), one.detail.split(": ").next().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "/share_batch_size",
                "Line 8, Shares per acknowledgment (share_batch_size)"
            ),
            (
                "/upstreams/0/pool_port",
                "Line 17, Pool port (upstreams[0].pool_port)"
            )
        ]
    );
    let Err(Error::Invalid(errors)) = w.configs.import(file("a = \"b")).await else {
        panic!()
    };
    assert!(
        errors[0].detail.starts_with("Line 1: Invalid TOML"),
        "{errors:?}"
    );

    let named = ConfigImport {
        name: Some("imported CONFIGURATION".into()),
        ..file(samples::POOL_FILE)
    };
    assert!(matches!(
        w.configs.import(named).await,
        Err(Error::Conflict(_))
    ));
    let bad_name = ConfigImport {
        name: Some("a\u{202e}b".into()),
        ..file("x = 1")
    };
    assert_eq!(pointers(w.configs.import(bad_name).await)[0], "/name");
}

#[tokio::test]
async fn an_imported_file_can_get_keys_of_its_own() {
    let w = world();
    let masked =
        samples::SOLO_FILE.replace("mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n", MASK);
    let refused = w
        .configs
        .import(ConfigImport {
            toml: masked.clone(),
            ..ConfigImport::default()
        })
        .await;
    assert_eq!(pointers(refused), ["/authority_secret_key"]);
    let outcome = w
        .configs
        .import(ConfigImport {
            toml: masked,
            fresh_keys: true,
            ..ConfigImport::default()
        })
        .await
        .unwrap();
    let config = w.configs.get(outcome.config_id).await.unwrap().config;
    assert_ne!(
        config.authority_public_key,
        crate::domain::keys::EXAMPLE_PUBLIC_KEY
    );
    assert!(pair_matches(
        &config.authority_public_key,
        &config.authority_secret_key
    ));
}

fn imported(text: &str, solo: bool) -> ConfigImport {
    ConfigImport {
        toml: text.to_owned(),
        solo,
        ..ConfigImport::default()
    }
}

/// Everything that is wrong with a file, each with its pointer.
async fn complaints(w: &World, text: &str) -> Vec<String> {
    let Err(Error::Invalid(errors)) = w.configs.import(imported(text, false)).await else {
        panic!("it should be refused: {text}")
    };
    errors
        .into_iter()
        .map(|one| format!("{} {}", one.pointer, one.detail))
        .collect()
}

#[tokio::test]
async fn variables_of_docker_compose_are_a_configuration() {
    let w = world();
    let compose = format!(
        "services:\n  jdc:\n    image: stratumv2/jd_client_sv2:v0.8.0\n    environment:\n      JDC__LISTENING_ADDRESS: 0.0.0.0:34000\n      \
         JDC__MAX_SUPPORTED_VERSION: 2\n      JDC__MIN_SUPPORTED_VERSION: 2\n      JDC__AUTHORITY_PUBLIC_KEY: {}\n      \
         JDC__AUTHORITY_SECRET_KEY: \"{}\"\n      JDC__CERT_VALIDITY_SEC: 1800\n      JDC__SHARES_PER_MINUTE: 9.5\n      \
         JDC__SHARE_BATCH_SIZE: 4\n      JDC__MODE: FULLTEMPLATE\n      JDC__JDC_SIGNATURE: barn\n      JDC__COINBASE_REWARD_SCRIPT: {}\n      \
         JDC__SUPPORTED_EXTENSIONS: 2,3\n      JDC__TEMPLATE_PROVIDER_TYPE__BITCOINCOREIPC__VERSION: 31\n      \
         JDC__TEMPLATE_PROVIDER_TYPE__BITCOINCOREIPC__NETWORK: mainnet\n      JDC__TEMPLATE_PROVIDER_TYPE__BITCOINCOREIPC__FEE_THRESHOLD: 7\n      \
         JDC__TEMPLATE_PROVIDER_TYPE__BITCOINCOREIPC__MIN_INTERVAL: 9\n      JDC__UPSTREAM_02__AUTHORITY_PUBKEY: {key}\n      \
         JDC__UPSTREAM_02__POOL_ADDRESS: loft.localhost\n      JDC__UPSTREAM_02__POOL_PORT: 4200\n      JDC__UPSTREAM_02__JDS_ADDRESS: loft.localhost\n      \
         JDC__UPSTREAM_02__JDS_PORT: 4201\n      JDC__UPSTREAM_02__USER_IDENTITY: bob\n      JDC__UPSTREAM_01__AUTHORITY_PUBKEY: {key}\n      \
         JDC__UPSTREAM_01__POOL_ADDRESS: barn.localhost\n      JDC__UPSTREAM_01__POOL_PORT: 4100\n      JDC__UPSTREAM_01__JDS_ADDRESS: barn.localhost\n      \
         JDC__UPSTREAM_01__JDS_PORT: 4101\n      JDC__UPSTREAM_01__USER_IDENTITY: alice\n",
        samples::PUBLIC,
        samples::SECRET,
        samples::REWARD,
        key = samples::POOL_KEY
    );
    let outcome = w.configs.import(imported(&compose, false)).await.unwrap();
    let config = w.configs.get(outcome.config_id).await.unwrap().config;
    let pools: Vec<(&str, u16, &str)> = config
        .upstreams
        .iter()
        .map(|pool| {
            (
                pool.pool_address.as_str(),
                pool.pool_port,
                pool.user_identity.as_str(),
            )
        })
        .collect();
    assert_eq!(
        pools,
        [
            ("barn.localhost", 4100, "alice"),
            ("loft.localhost", 4200, "bob")
        ]
    );
    assert_eq!(
        (
            config.supported_extensions.as_slice(),
            config.shares_per_minute
        ),
        (&[2, 3][..], 9.5)
    );

    let wrong = compose
        .replace("POOL_PORT: 4100", "POOL_PORT: 0")
        .replace("      JDC__UPSTREAM_02__USER_IDENTITY: bob\n", "");
    let told = complaints(&w, &wrong).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("Line 28, JDC__UPSTREAM_01__POOL_PORT: "),
        "{told:?}"
    );
    assert!(
        told[1].contains("Line 21, JDC__UPSTREAM_02.user_identity: Enter your pool account"),
        "{told:?}"
    );
    let template = compose.replace("barn.localhost", "${BARN_HOST}");
    let told = complaints(&w, &template).await;
    assert!(
        told.len() == 1 && told[0].contains("${BARN_HOST} on line 28"),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_import_says_what_a_file_is_and_what_to_write() {
    let w = world();
    let translator = "downstream_port = 34255\naggregate_channels = false\n";
    let told = complaints(&w, translator).await;
    assert!(
        told.len() == 1
            && told[0]
                .contains("Line 2: aggregate_channels shows that this is a configuration file for the translator"),
        "{told:?}"
    );
    let older = samples::SOLO_FILE
        .replace(
            "listening_address = \"127.0.0.1:25265\"",
            "downstream_address = \"127.0.0.9\"\ndownstream_port = 34000",
        )
        .replace("share_batch_size = 3", "share_batch_size = 0");
    let told = complaints(&w, &older).await;
    assert!(
        told[0].starts_with("/downstream_address Line 1, downstream_address: ")
            && told[0].contains("listening_address = \"127.0.0.9:34000\""),
        "{told:?}"
    );
    assert!(
        told.iter().any(|one| one.starts_with("/share_batch_size ")),
        "{told:?}"
    );

    let solo = samples::SOLO_FILE.replace("mode = \"SOLOMINING\"\n", "");
    let told = complaints(&w, &solo).await;
    assert!(
        told.len() == 1 && told[0].starts_with("/mode ") && told[0].contains("solo = true"),
        "{told:?}"
    );
    let outcome = w.configs.import(imported(&solo, true)).await.unwrap();
    let config = w.configs.get(outcome.config_id).await.unwrap().config;
    assert_eq!(config.mode, crate::domain::configs::MiningMode::SoloMining);
}

#[tokio::test]
async fn a_pool_without_a_declaration_server_is_flagged_wherever_it_is_entered() {
    let w = world();
    let known = crate::domain::configs::pool_list::built_in();
    let pyblock = known.get("pyblock").unwrap();
    let file = samples::POOL_FILE
        .replace(
            "pool_address = \"127.0.0.1\"",
            &format!("pool_address = \"{}\"", pyblock.pool_address),
        )
        .replace("25333", &pyblock.pool_port.to_string())
        .replace(
            "authority_pubkey = \"9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72\"",
            &format!("authority_pubkey = \"{}\"", pyblock.authority_pubkey),
        );
    let imported = w.configs.import(imported(&file, false)).await.unwrap();
    let says = "PyBLØCK has no job declaration server";
    let flagged = |warnings: &[FieldError]| warnings.iter().any(|one| one.detail.contains(says));
    assert!(flagged(&imported.warnings), "{:?}", imported.warnings);
    let config = w.configs.get(imported.config_id).await.unwrap().config;
    let sent = json!({ "name": "by the API", "config": config.to_stored_value() });
    let created = w.configs.create(body(sent)).await.unwrap();
    assert!(flagged(&created.warnings), "{:?}", created.warnings);
    let saved = w.configs.get(created.config_id).await.unwrap();
    assert!(flagged(
        &crate::domain::configs::judged(&saved.config).warnings
    ));
}

#[test]
fn the_body_of_an_import_is_read_member_by_member() {
    let json = |value| ConfigImport::of(RequestInput { value, form: None });
    let import = json(json!({"name": " barn ", "toml": "x = 1\n", "fresh_keys": true})).unwrap();
    assert_eq!(
        (
            import.name.as_deref(),
            import.toml.as_str(),
            import.fresh_keys
        ),
        (Some("barn"), "x = 1\n", true)
    );
    assert_eq!(pointers(json(json!({"name": 7}))), ["/toml", "/name"]);
    let form = RequestInput {
        value: json!({"listening_address = \"x\"": ""}),
        form: Some(Vec::new()),
    };
    assert!(
        matches!(ConfigImport::of(form), Err(Error::Invalid(errors)) if errors[0].detail.contains("text/plain"))
    );
}

#[tokio::test]
async fn a_form_makes_its_keys_and_takes_a_bare_address() {
    let w = world();
    let common = [
        ("name", " home solo "),
        ("description", "two\r\nlines"),
        ("action", "save"),
        ("listening_address", "0.0.0.0:34265"),
        ("min_supported_version", "2"),
        ("max_supported_version", "2"),
        ("authority_secret_key", ""),
        ("cert_validity_sec", "3600"),
        ("shares_per_minute", "6"),
        ("share_batch_size", "10"),
        ("mode", "SOLOMINING"),
        ("jdc_signature", ""),
        (
            "coinbase_reward_script",
            "bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc",
        ),
        ("template_provider", "sv2tp"),
        ("template_provider_type.Sv2Tp.address", "127.0.0.1:8442"),
    ];
    let with = |more: &[(&'static str, &'static str)]| form(&[&common[..], more].concat());
    let id = w
        .configs
        .create(with(&[("authority_public_key", " ")]))
        .await
        .unwrap()
        .config_id;
    let saved = w.configs.get(id).await.unwrap();
    assert_eq!(
        (saved.name.as_str(), saved.description.as_str()),
        ("home solo", "two\nlines")
    );
    assert_eq!(saved.config.coinbase_reward_script, samples::REWARD);
    let first = saved.config.authority_public_key;
    assert!(pair_matches(&first, &saved.config.authority_secret_key));

    // An empty secret beside the public key keeps the pair; both empty make a new one; a public key
    // alone is not enough for a new thing.
    let kept = ConfigDraft::of_form(vec![("name".into(), "home solo".into())]);
    assert!(pointers(w.configs.update(id, kept).await).contains(&"/config/mode".to_owned()));
    let same: &'static str = first.clone().leak();
    assert_eq!(
        w.configs
            .update(id, with(&[("authority_public_key", same)]))
            .await
            .unwrap()
            .revision,
        1
    );
    assert_eq!(
        w.configs
            .update(id, with(&[("authority_public_key", "")]))
            .await
            .unwrap()
            .revision,
        2
    );
    assert_ne!(
        w.configs.get(id).await.unwrap().config.authority_public_key,
        first
    );
    let alone = w
        .configs
        .create(with(&[("name", "other"), ("authority_public_key", same)]))
        .await;
    assert_eq!(pointers(alone), ["/config/authority_secret_key"]);
}

#[tokio::test]
async fn no_answer_holds_the_secret() {
    let w = world();
    let created = w.configs.create(named("home pool")).await.unwrap();
    let id = created.config_id;
    let mut config = samples::pool().masked();
    config["authority_secret_key"] = json!(samples::POOL_KEY);
    let refused = w
        .configs
        .update(id, body(json!({"config": config})))
        .await
        .unwrap_err();
    let mut told = vec![format!("{refused} {refused:?}")];
    told.push(serde_json::to_string(&created).unwrap());
    told.push(serde_json::to_string(&w.configs.list().await.unwrap()).unwrap());
    let saved = w.configs.get(id).await.unwrap();
    told.push(serde_json::to_string(&saved).unwrap());
    told.push(format!("{saved:?} {:?}", w.configs));
    told.push(serde_json::to_string(&w.configs.revisions(id, None, 9).await.unwrap().1).unwrap());
    for text in told {
        assert!(!text.contains(samples::SECRET), "{text}");
    }
}

#[tokio::test]
async fn what_is_exported_is_taken_back_here_though_its_secret_stayed() {
    let w = world();
    let file = format!(
        "# my words\n{}",
        samples::POOL_FILE.replace("share_batch_size", "unheard_of = 1 # too\nshare_batch_size")
    );
    let first = w
        .configs
        .import(ConfigImport {
            toml: file.clone(),
            ..ConfigImport::default()
        })
        .await
        .unwrap()
        .config_id;
    let copy = w.configs.duplicate(first).await.unwrap().config_id;
    let (saved, out) = w.configs.export(first).await.unwrap();
    assert!(
        out.starts_with("# my words\n") && out.contains("unheard_of = 1 # too\n"),
        "{out}"
    );
    assert!(
        out.contains(MASK) && !out.contains(saved.config.authority_secret_key.reveal()),
        "{out}"
    );
    assert!(
        w.configs
            .export(copy)
            .await
            .unwrap()
            .1
            .contains("# my words"),
        "a copy keeps them"
    );

    let again = w
        .configs
        .import(ConfigImport {
            toml: out.clone(),
            ..ConfigImport::default()
        })
        .await
        .unwrap()
        .config_id;
    assert_eq!(w.configs.get(again).await.unwrap().config, saved.config);
    assert_eq!(w.configs.export(again).await.unwrap().1, out);
    // Elsewhere nobody knows the secret.
    let elsewhere = world()
        .configs
        .import(ConfigImport {
            toml: out,
            ..ConfigImport::default()
        })
        .await;
    assert_eq!(pointers(elsewhere), ["/authority_secret_key"]);
    // One that was not imported goes out, too.
    let made = w.made("made here").await;
    let (_, out) = w.configs.export(made).await.unwrap();
    assert!(out.starts_with("listening_address = "), "{out}");
    for id in [first, copy, again, made] {
        w.configs.delete(id).await.unwrap();
    }
    let left =
        w.db.read(move |c| Ok(queries::file(c, first)?))
            .await
            .unwrap();
    assert_eq!(left, None, "its file goes with it");
}

#[tokio::test]
async fn the_previous_generations_json_is_imported() {
    let w = world();
    let old = json!({
        "listening_address": "127.0.0.1:34265", "max_supported_version": 2, "min_supported_version": 2,
        "authority_public_key": samples::PUBLIC, "authority_secret_key": samples::SECRET, "cert_validity_sec": 3600,
        "user_identity": "alice.attic", "shares_per_minute": 6, "share_batch_size": 10, "mode": "FULLTEMPLATE", "jdc_signature": "barn",
        "coinbase_reward_script": samples::REWARD,
        "upstreams": [{"authority_pubkey": samples::POOL_KEY, "pool_address": "localhost:3333", "jd_address": "localhost:3334"}],
        "template_provider_type": "Sv2Tp", "sv2_tp": {"address": "127.0.0.1:8442"},
    });
    let row = json!({"id": 7, "name": "Barn", "description": "old", "config_json": old.to_string(), "is_active": 1});
    for (body, name, description) in [
        (old.clone(), "Imported configuration", ""),
        (json!({"name": "Attic", "config": old.clone()}), "Attic", ""),
        (row.clone(), "Barn", "old"),
        (json!({"configurations": [row.clone()]}), "Barn 2", "old"),
    ] {
        // As a text of its own, and as the body of a request.
        let texts = [
            ConfigImport {
                toml: format!("\n {body}"),
                ..ConfigImport::default()
            },
            ConfigImport::of(RequestInput {
                value: body,
                form: None,
            })
            .unwrap(),
        ];
        for (import, end) in texts.into_iter().zip(["", " again"]) {
            let import = if end.is_empty() {
                import
            } else {
                ConfigImport {
                    name: Some(format!("{name}{end}")),
                    ..import
                }
            };
            let id = w.configs.import(import).await.unwrap().config_id;
            let saved = w.configs.get(id).await.unwrap();
            assert_eq!(
                (saved.name, saved.description.as_str()),
                (format!("{name}{end}"), description)
            );
            assert_eq!(
                (
                    saved.config.upstreams[0].jds_port,
                    saved.config.upstreams[0].user_identity.as_str()
                ),
                (3334, "alice.attic")
            );
        }
    }
    let mut wrong = old.clone();
    wrong["mode"] = json!("independent");
    let import = |text: String| {
        w.configs.import(ConfigImport {
            toml: text,
            ..ConfigImport::default()
        })
    };
    assert_eq!(pointers(import(wrong.to_string()).await), ["/mode"]);
    assert_eq!(
        pointers(import(json!({ "config": wrong }).to_string()).await),
        ["/config/mode"]
    );
    assert_eq!(
        pointers(import(json!({ "config_json": "{" }).to_string()).await),
        ["/config_json"]
    );
    assert_eq!(
        pointers(import(json!({ "configurations": [row.clone(), row] }).to_string()).await),
        ["/configurations"]
    );
    let Err(Error::Invalid(errors)) = import("{\n\n \"a\": }".into()).await else {
        panic!()
    };
    assert!(
        errors[0].detail.starts_with("Line 3: invalid JSON"),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_list_can_be_looked_through() {
    let w = world();
    for name in ["Barn", "attic", "garage"] {
        w.made(name).await;
    }
    let mut config = samples::solo().to_stored_value();
    config["jdc_signature"] = json!("Ziege");
    w.configs
        .create(body(
            json!({"name": "alone", "description": "in the BARN", "config": config}),
        ))
        .await
        .unwrap();
    let names = async |q: &str, limit, offset| {
        let (found, total) = w
            .configs
            .page(limit, offset, Some(q.to_owned()))
            .await
            .unwrap();
        (
            found.into_iter().map(|one| one.name).collect::<Vec<_>>(),
            total,
        )
    };
    assert_eq!(
        names("barn", 9, 0).await,
        (vec!["alone".to_owned(), "Barn".to_owned()], 2)
    );
    assert_eq!(names("barn", 1, 1).await, (vec!["Barn".to_owned()], 2));
    assert_eq!(names("pool.attic.localhost", 9, 0).await.1, 3);
    assert_eq!(names("ziege", 9, 0).await.0, ["alone"]);
    assert_eq!(
        names(samples::SECRET, 9, 0).await.1,
        0,
        "a secret is not looked for"
    );
    assert_eq!(names("%", 9, 0).await.1, 0);
}

#[tokio::test]
async fn the_secret_is_stored_sealed_for_its_configuration_and_revision() {
    let w = world();
    let (id, other) = (w.made("one").await, w.made("two").await);
    let mut config = samples::pool().to_stored_value();
    config["share_batch_size"] = json!(7);
    w.configs
        .update(id, body(json!({ "config": config })))
        .await
        .unwrap();
    let stored =
        w.db.read(|c| Ok(queries::stored(c)?.concat()))
            .await
            .unwrap();
    assert_eq!(stored.len(), 5);
    for (_, _, text) in &stored {
        // All but the secret can be read and searched.
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(
            value["authority_secret_key"]
                .as_str()
                .unwrap()
                .starts_with("sealed:1:")
                && value["mode"] == "FULLTEMPLATE",
            "{text}"
        );
        assert!(!text.contains(&samples::SECRET[..16]));
    }
    // Nothing is left to seal; one that was moved elsewhere does not open.
    let vault = Vault::of_a_test();
    assert_eq!(
        w.db.write(move |c| crate::domain::configs::seal(c, &vault))
            .await
            .unwrap(),
        0
    );
    let moved = stored
        .iter()
        .find(|(of, _, _)| *of == id)
        .unwrap()
        .2
        .clone();
    w.db.write(move |c| Ok(queries::set_stored(c, other, 1, &moved)?))
        .await
        .unwrap();
    let error = w.configs.get(other).await.unwrap_err().to_string();
    assert!(
        error.contains("cannot decrypt") && !error.contains("sealed:1:"),
        "{error}"
    );
    assert_eq!(
        w.configs
            .get(id)
            .await
            .unwrap()
            .config
            .authority_secret_key
            .reveal(),
        samples::SECRET
    );
}

/// A configuration of about 17 kB: as many pools as there may be, with long names.
fn long(number: usize) -> Value {
    let mut config = samples::pool().to_stored_value();
    let host = format!("{}localhost", format!("{}.", "h".repeat(60)).repeat(4));
    let mut pool = config["upstreams"][0].clone();
    (pool["pool_address"], pool["jds_address"]) = (json!(host[10..]), json!(host[10..]));
    pool["user_identity"] = json!("u".repeat(255));
    config["upstreams"] = json!(vec![pool; 16]);
    config["share_batch_size"] = json!(number + 1);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_long_ones_comes_in_smaller_parts_without_gap_or_repeat() {
    let w = world();
    for number in 0..80 {
        let text = "ü".repeat(1000);
        let sent =
            json!({"name": format!("n{number}"), "description": text, "config": long(number)});
        w.configs.create(body(sent)).await.unwrap();
    }
    let expected: Vec<String> = (0..80).rev().map(|number| format!("n{number}")).collect();
    for q in [None, Some("ÜÜ".to_owned())] {
        let (mut names, mut parts) = (Vec::new(), 0);
        loop {
            let (part, total) = w
                .configs
                .page(1000, names.len() as u64, q.clone())
                .await
                .unwrap();
            let bytes = serde_json::to_string(&part).unwrap().len();
            assert!(bytes < 1_300_000, "{bytes}");
            names.extend(part.into_iter().map(|one| one.name));
            parts += 1;
            if names.len() as i64 == total {
                break;
            }
        }
        assert_eq!(names, expected, "{q:?}");
        assert!(parts > 1, "{q:?}: {parts}");
        let (part, total) = w.configs.page(3, 70, q).await.unwrap();
        assert_eq!(
            (
                part.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
                total
            ),
            (vec!["n9", "n8", "n7"], 80)
        );
    }
    // What needs all of them gets all of them.
    assert_eq!(w.configs.list().await.unwrap().len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_long_revisions_comes_in_smaller_parts_that_know_what_changed() {
    let w = world();
    let id = w
        .configs
        .create(body(json!({"name": "one", "config": long(0)})))
        .await
        .unwrap()
        .config_id;
    for number in 1..50 {
        w.configs
            .update(id, body(json!({ "config": long(number) })))
            .await
            .unwrap();
    }
    let (mut numbers, mut parts) = (Vec::new(), 0);
    while numbers.last() != Some(&1) {
        let (_, part) = w
            .configs
            .revisions(id, numbers.last().copied(), 1000)
            .await
            .unwrap();
        assert!(serde_json::to_string(&part).unwrap().len() < 400_000);
        assert!(
            part.iter()
                .all(|one| one.changes.len() == usize::from(one.revision > 1)),
            "{}",
            part.len()
        );
        numbers.extend(part.iter().map(|one| one.revision));
        parts += 1;
    }
    assert_eq!(numbers, (1..=50).rev().collect::<Vec<_>>());
    assert!(parts > 2, "{parts}");
    let (_, part) = w.configs.revisions(id, Some(50), 3).await.unwrap();
    assert_eq!(
        part.iter().map(|one| one.revision).collect::<Vec<_>>(),
        [49, 48, 47]
    );
}
