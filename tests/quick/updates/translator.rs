//! Versions with a translator: both programs are installed, switched, rolled back and removed
//! together.

use crate::harness::clients::{
    MEMBER, TRANSLATOR_MEMBER, archive, archive_of_both, pack, printer, sha256, translator, version,
};
use crate::harness::releases::{Offered, Releases};
use crate::harness::update_jobs::{
    begun, current, done, install, over, running_on_the_older, send_files, soon, store, upload,
};
use crate::harness::{Manager, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tar::EntryType;

#[tokio::test]
async fn both_programs_are_installed_switched_rolled_back_and_removed_together() {
    let (client, companion) = (version("0.6.0"), translator("0.6.0"));
    let releases = Releases::serve(vec![
        Offered::of("v0.8.0", archive_of_both(&client, &companion)),
        Offered::new("v0.7.0", &version("0.5.0")),
    ])
    .await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let id = running_on_the_older(&manager).await;

    let dir = manager.data_dir().join("clients/0.6.0");
    let path = dir.join("translator_sv2");
    assert_eq!(fs::read(&path).unwrap(), companion);
    assert_eq!(fs::read(dir.join("jd_client_sv2")).unwrap(), client);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o500);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 3);
    let updates = manager.json("/api/updates").await;
    let installed = &updates["installed"];
    assert_eq!(
        (&installed[0]["translator"], &installed[1]["translator"]),
        (&json!(true), &json!(false)),
        "{installed}"
    );
    assert_eq!(
        installed[0]["manifest"]["translator"],
        json!({ "version": "0.6.0", "sha256": sha256(&companion), "size": companion.len() })
    );
    assert!(installed[1]["manifest"].get("translator").is_none());
    let messages: Vec<&str> = updates["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["message"].as_str().unwrap())
        .collect();
    assert!(
        messages[0].contains("Client 0.6.0 is installed with translator 0.6.0.")
            && messages[1].contains("The archive contains no translator."),
        "{messages:?}"
    );
    let page = manager.ask("/updates", "text/html").await.page(200);
    // The archive of the older one was searched, so installing it again would not help.
    assert_eq!(page.count("a[href='/updates/install?version=v0.7.0']"), 0);
    let notes = page.texts("table.cards small").join("\n");
    assert!(
        notes.contains("with translator")
            && notes.contains("client only")
            && notes.contains(&sha256(&companion)[..12]),
        "{notes}"
    );

    let in_use = || manager.json("/api/updates/version");
    assert!(in_use().await.get("translator").is_none());
    let job = done(&manager, "/api/updates/switch", &soon("0.6.0")).await;
    assert_eq!(job["stage"], "switched", "{job}");
    assert_eq!(
        in_use().await["translator"],
        json!({ "version": "0.6.0", "path": path, "sha256": sha256(&companion) })
    );
    let job = done(&manager, "/api/updates/rollback", &soon("0.5.0")).await;
    assert_eq!(job["stage"], "switched", "{job}");
    assert_eq!(current(&manager).as_deref(), Some("0.5.0"));
    assert!(in_use().await.get("translator").is_none());
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(instance["running_version"], "0.5.0");

    let question = manager
        .ask("/updates/installed/0.6.0/delete", "text/html")
        .await
        .page(200);
    assert!(
        question
            .one("main")
            .contains("This deletes the client and its translator.")
    );
    let removed = manager.delete("/api/updates/installed/0.6.0").await;
    assert_eq!(removed.status(), 200);
    assert!(!dir.exists());
    assert_eq!(store(&manager), ["0.5.0", "current"]);
}

#[tokio::test]
async fn a_translator_that_does_not_belong_to_its_client_fails_the_installation() {
    let client = version("0.6.0");
    let good = translator("0.6.0");
    let other_machine = {
        let mut elf = good.clone();
        elf[18] = if cfg!(target_arch = "aarch64") {
            0x3e
        } else {
            0xb7
        };
        elf
    };
    let both = |translator: &[u8]| archive_of_both(&client, translator);
    let entries = |name: &str, kind, content: &[u8]| {
        pack(&[(MEMBER, EntryType::Regular, &client), (name, kind, content)])
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            both(&translator("0.5.0")),
            "translator_sv2: its version is 0.5.0, but the client is 0.6.0. Both must have the same version.",
        ),
        (both(&translator("v0.8.0")), "looks like a release tag"),
        (both(&printer("")), "the test run failed"),
        (
            both(&client),
            "translator_sv2: the test run failed. The file reported the version \"jd_client_sv2 0.6.0\"",
        ),
        (both(&other_machine), "translator_sv2: it is for "),
        (both(b"#!/bin/sh\necho translator_sv2 0.6.0\n"), "a script"),
        (both(b"text"), "translator_sv2: it is not a program"),
        (
            archive_of_both(&version("0.2.0"), &translator("0.3.0")),
            "It needs a translator older than 0.3.0.",
        ),
        (
            entries(TRANSLATOR_MEMBER, EntryType::Symlink, b""),
            "translator/translator_sv2 is not a regular file",
        ),
        (
            entries("./translator/../../evil", EntryType::Regular, &good),
            "points outside the archive",
        ),
        (
            pack(&[
                (MEMBER, EntryType::Regular, &client),
                (TRANSLATOR_MEMBER, EntryType::Regular, &good),
                (TRANSLATOR_MEMBER, EntryType::Regular, &good),
            ]),
            "it contains translator/translator_sv2 twice",
        ),
        (
            pack(&[(TRANSLATOR_MEMBER, EntryType::Regular, &good)]),
            "does not contain jd-client/jd_client_sv2",
        ),
    ];
    let offered = cases
        .iter()
        .enumerate()
        .map(|(at, (file, _))| Offered::of(&format!("v1.0.{at}"), file.clone()))
        .chain([Offered::of(
            "v0.4.0",
            archive_of_both(&version("0.2.0"), &translator("0.2.5")),
        )]);
    let releases = Releases::serve(offered.collect()).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    for (at, (_, says)) in cases.iter().enumerate() {
        let order = json!({ "version": format!("v1.0.{at}") });
        let job = done(&manager, "/api/updates/install", &order).await;
        let message = job["message"].as_str().unwrap();
        assert_eq!(job["stage"], "failed", "{at}: {message}");
        assert!(
            message.contains(says) && message.contains("Nothing was installed"),
            "{at}: {message}"
        );
        assert_eq!(store(&manager), Vec::<String>::new(), "{at}");
    }
    // Before 0.3.0 the numbers differ.
    let job = install(&manager, "v0.4.0").await;
    let message = job["message"].as_str().unwrap();
    assert!(
        message.contains("Client 0.2.0 is installed with translator 0.2.5."),
        "{message}"
    );
}

#[tokio::test]
async fn a_client_from_before_translators_gets_one_when_its_release_is_installed_again() {
    let client = version("0.6.0");
    let file = archive_of_both(&client, &translator("0.6.0"));
    let releases = Releases::serve(vec![Offered::of("v0.8.0", file)]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    install(&manager, "v0.8.0").await;
    let order = json!({ "version": "v0.8.0" });
    let link = "a[href='/updates/install?version=v0.8.0']";
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.count(link), 0);

    // An earlier jd-manager left the client only, and did not look for a translator.
    let path = manager.data_dir().join("clients/0.6.0/manifest.json");
    let mut manifest: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for name in ["translator", "translator_checked"] {
        assert!(manifest.as_object_mut().unwrap().remove(name).is_some());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, manifest.to_string()).unwrap();
    fs::remove_file(path.with_file_name("translator_sv2")).unwrap();
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.one(link), "Install with translator …");

    let job = install(&manager, "v0.8.0").await;
    let name = job["installed"].as_str().unwrap();
    assert_eq!(name, format!("0.6.0+{}", &sha256(&client)[..8]));
    // The installed one has not changed.
    assert!(!path.with_file_name("translator_sv2").exists());
    assert!(
        manager
            .data_dir()
            .join("clients")
            .join(name)
            .join("translator_sv2")
            .exists()
    );
    assert_eq!(current(&manager).as_deref(), Some("0.6.0"));
    let again = manager.post_json("/api/updates/install", &order).await;
    assert_eq!(again.status(), 409);
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.count(link), 0);
}

#[tokio::test]
async fn an_upload_may_have_a_client_and_a_translator() {
    let releases = Releases::serve(Vec::new()).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.count("input[type=file][name=translator]"), 1);

    let (client, companion) = (version("0.6.0"), translator("0.6.0"));
    let mut other_machine = companion.clone();
    other_machine[18] = if cfg!(target_arch = "aarch64") {
        0x3e
    } else {
        0xb7
    };
    let packed = archive_of_both(&client, &companion);
    for (files, says) in [
        (
            [
                ("file", "jd_client_sv2", companion.as_slice()),
                ("translator", "translator_sv2", client.as_slice()),
            ],
            "the file for the client is translator_sv2. Choose jd_client_sv2 as the client",
        ),
        (
            [
                ("file", "jd_client_sv2", &client),
                ("translator", "translator_sv2", &other_machine),
            ],
            "translator_sv2: it is for ",
        ),
        (
            [
                ("file", "jd_client_sv2", &client),
                ("translator", "translator_sv2", &packed),
            ],
            "translator_sv2: it is a compressed archive",
        ),
        (
            [
                ("file", "miner-apps.tar.gz", &packed),
                ("translator", "translator_sv2", &companion),
            ],
            "miner-apps.tar.gz is an archive, which cannot be combined with a separate translator",
        ),
    ] {
        let job = upload(&manager, &files).await;
        let message = job["message"].as_str().unwrap();
        assert!(
            job["stage"] == "failed" && message.contains(says),
            "{message}"
        );
        assert_eq!(store(&manager), Vec::<String>::new(), "{says}");
    }
    // A translator alone as the client, as a form has it or as the body.
    let job = upload(&manager, &[("file", "translator_sv2", &companion)]).await;
    let message = job["message"].as_str().unwrap();
    assert!(
        message.contains("the file for the client is translator_sv2"),
        "{message}"
    );

    let empty: &[u8] = b"";
    for (files, pointer) in [
        (
            vec![("translator", "translator_sv2", companion.as_slice())],
            "/file",
        ),
        (
            vec![
                ("translator", "translator_sv2", companion.as_slice()),
                ("file", "", empty),
            ],
            "/file",
        ),
        (
            vec![
                ("file", "jd_client_sv2", client.as_slice()),
                ("file", "jd_client_sv2", &client),
            ],
            "/file",
        ),
        (
            vec![
                ("file", "jd_client_sv2", client.as_slice()),
                ("translator", "translator_sv2", empty),
            ],
            "/translator",
        ),
        (
            vec![
                ("translator", "translator_sv2", companion.as_slice()),
                ("translator", "translator_sv2", &companion),
            ],
            "/translator",
        ),
    ] {
        let response = send_files(&manager, &files).await;
        let status = response.status();
        let said: Value = response.json().await.unwrap();
        assert_eq!(status, 422, "{said}");
        assert_eq!(said["errors"][0]["pointer"], pointer, "{said}");
        until("nothing is left", || async {
            let is_idle = manager.json("/api/updates").await["job"].is_null();
            (is_idle && store(&manager).is_empty()).then_some(())
        })
        .await;
    }

    // The fields may have any order, and the job has the name of the client.
    let job = upload(
        &manager,
        &[
            ("translator", "translator_sv2", &companion),
            ("file", "jd_client_sv2", &client),
        ],
    )
    .await;
    assert_eq!(
        (&job["stage"], &job["installed"], &job["version"]),
        (
            &json!("installed"),
            &json!("0.6.0"),
            &json!("jd_client_sv2")
        ),
        "{job}"
    );
    let path = manager.data_dir().join("clients/0.6.0/translator_sv2");
    assert_eq!(fs::read(path).unwrap(), companion);
    // A form whose translator was not chosen, and an archive of both.
    let job = upload(
        &manager,
        &[
            ("file", "jd_client_sv2", &version("0.5.0")),
            ("translator", "", empty),
        ],
    )
    .await;
    assert_eq!(job["installed"], "0.5.0", "{job}");
    let job = upload(&manager, &[("file", "miner-apps.tar.gz", &packed)]).await;
    let message = job["message"].as_str().unwrap();
    assert!(
        message.contains("already installed as 0.6.0"),
        "the programs of the archive are those of the form: {message}"
    );
    let installed = &manager.json("/api/updates").await["installed"];
    assert_eq!(
        (&installed[0]["translator"], &installed[1]["translator"]),
        (&json!(true), &json!(false))
    );
    // The client alone is no other version, also in an archive.
    let job = upload(&manager, &[("file", "client.tar.gz", &archive(&client))]).await;
    assert_eq!(job["installed"], "0.6.0", "{job}");
    assert_eq!(store(&manager), ["0.5.0", "0.6.0", "current"]);
}

#[tokio::test]
async fn cargo_builds_the_translator_in_the_directory_of_the_client() {
    let releases = Releases::serve(Vec::new()).await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    let (bin, built) = (
        manager.scratch().join("bin"),
        manager.scratch().join("built"),
    );
    fs::create_dir(&bin).unwrap();
    fs::create_dir(&built).unwrap();
    for number in ["0.6.0", "0.2.0"] {
        fs::write(
            built.join(format!("jd_client_sv2-{number}")),
            version(number),
        )
        .unwrap();
    }
    let companion = translator("0.6.0");
    fs::write(built.join("translator_sv2-0.6.0"), &companion).unwrap();
    let calls = manager.scratch().join("calls");
    let write = |first_line: &str| {
        let script = format!(
            "#!/bin/sh\nset -e\n{first_line}\necho \"$* $CARGO_TARGET_DIR\" >> {}\nsleep 1\nmkdir -p \"$7/bin\"\ncp {}/\"$2-$4\" \"$7/bin/$2\"\n",
            calls.display(),
            built.display()
        );
        fs::write(bin.join("cargo"), script).unwrap();
        fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("[ \"$2\" = jd_client_sv2 ] || { echo 'error: no such crate' >&2; exit 101; }");
    manager.terminate();
    manager
        .env
        .push(("PATH".into(), format!("{}:/usr/bin:/bin", bin.display())));
    manager.begin();

    let order = |version: &str| json!({ "source": "build", "version": version });
    let job = done(&manager, "/api/updates/install", &order("0.6.0")).await;
    let message = job["message"].as_str().unwrap();
    assert!(
        job["stage"] == "failed"
            && message.contains("cargo install translator_sv2 --version 0.6.0 --locked failed, so nothing was installed"),
        "{job}"
    );
    assert_eq!(job["excerpt"], json!(["error: no such crate"]));
    assert_eq!(store(&manager), Vec::<String>::new());

    fs::remove_file(&calls).unwrap();
    write("");
    let id = begun(&manager, "/api/updates/install", &order("0.6.0")).await;
    let path = format!("/api/updates/jobs/{id}");
    for turn in [
        "cargo install jd_client_sv2 --version 0.6.0 --locked (1 of 2)",
        "cargo install translator_sv2 --version 0.6.0 --locked (2 of 2)",
    ] {
        until(turn, || async {
            let job = manager.json(&path).await;
            job["message"]
                .as_str()
                .unwrap()
                .contains(turn)
                .then_some(())
        })
        .await;
    }
    let job = over(&manager, &id).await;
    assert_eq!(
        (&job["stage"], &job["installed"]),
        (&json!("installed"), &json!("0.6.0")),
        "{job}"
    );
    let dir = manager.data_dir().join("clients/0.6.0");
    assert_eq!(fs::read(dir.join("translator_sv2")).unwrap(), companion);
    let installed = &manager.json("/api/updates").await["installed"][0];
    assert_eq!(
        (
            &installed["manifest"]["proof"],
            &installed["manifest"]["from"]
        ),
        (
            &json!("registry"),
            &json!(
                "cargo install jd_client_sv2 --version 0.6.0 --locked && cargo install translator_sv2 --version 0.6.0 --locked"
            )
        )
    );
    let text = fs::read_to_string(&calls).unwrap();
    let targets: Vec<&str> = text
        .lines()
        .map(|call| call.rsplit(' ').next().unwrap())
        .collect();
    assert!(targets.len() == 2 && targets[0] == targets[1], "{text}");

    // Translators of old clients have other numbers.
    let job = done(&manager, "/api/updates/install", &order("0.2.0")).await;
    let message = job["message"].as_str().unwrap();
    assert!(
        job["stage"] == "installed"
            && message.contains("jd-manager builds translators only for client 0.3.0 and newer."),
        "{job}"
    );
    assert_eq!(
        manager.json("/api/updates").await["installed"][1]["translator"],
        false
    );
}
