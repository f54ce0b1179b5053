//! Installations that succeed, installations that are rejected, and leftovers, of which there must
//! be none.

use crate::harness::clients::{MEMBER, archive, pack, program, sha256, translator, version};
use crate::harness::disk::SmallDisk;
use crate::harness::releases::{Manner, Offered, Releases};
use crate::harness::update_jobs::{begun, current, done, install, over, store};
use crate::harness::{Manager, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tar::EntryType;

#[tokio::test]
async fn the_first_client_comes_from_an_empty_directory_into_use() {
    let client = version("0.6.0");
    let releases = Releases::serve(vec![Offered::new("v0.8.0", &client)]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;

    // As a person without JavaScript: the question, the answer, the page of the work.
    let question = manager.ask("/updates/install", "text/html").await.page(200);
    assert!(
        question.one("h1").contains("v0.8.0")
            && question.one("dl").contains(&sha256(&archive(&client)))
    );
    let response = manager
        .post_form("/updates/install", &[("version", "v0.8.0")])
        .await;
    assert_eq!(response.status(), 303);
    let page = response.headers()["location"].to_str().unwrap().to_owned();
    let job = over(&manager, page.rsplit('/').next().unwrap()).await;
    assert_eq!(
        (&job["stage"], &job["progress"], &job["installed"]),
        (&json!("installed"), &json!(100), &json!("0.6.0")),
        "{job}"
    );
    assert_eq!(job["actor"], "this machine (page)");
    assert!(
        manager
            .page(&page)
            .await
            .contains("It is the first client, so it is now in use.")
    );

    assert_eq!(
        (store(&manager), current(&manager)),
        (
            vec!["0.6.0".to_owned(), "current".to_owned()],
            Some("0.6.0".into())
        )
    );
    let dir = manager.data_dir().join("clients/0.6.0");
    assert_eq!(fs::read(dir.join("jd_client_sv2")).unwrap(), client);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (
            mode(&dir),
            mode(&dir.join("jd_client_sv2")),
            mode(&dir.join("manifest.json"))
        ),
        (0o700, 0o500, 0o400)
    );
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(dir.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(
        (
            &manifest["tag"],
            &manifest["client"],
            &manifest["origin"],
            &manifest["proof"]
        ),
        (
            &json!("v0.8.0"),
            &json!("0.6.0"),
            &json!("release"),
            &json!("digest")
        )
    );
    assert_eq!(
        (&manifest["sha256"], manifest["size"].as_u64()),
        (&json!(sha256(&client)), Some(client.len() as u64))
    );

    // And it runs.
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let running = manager.until_state(&id, "running").await;
    assert_eq!(running["running_version"], "0.6.0");

    // Twice is once.
    let again = manager
        .post_json("/api/updates/install", &json!({ "version": "v0.8.0" }))
        .await;
    assert_eq!(again.status(), 409);
    // What is in use cannot be removed.
    assert!(
        manager
            .delete("/api/updates/installed/0.6.0")
            .await
            .text()
            .await
            .unwrap()
            .contains("in use")
    );
}

#[tokio::test]
async fn what_is_not_right_is_not_installed_and_leaves_nothing() {
    let good = version("0.6.0");
    let other_machine = {
        let mut elf = good.clone();
        elf[18] = if cfg!(target_arch = "aarch64") {
            0x3e
        } else {
            0xb7
        };
        elf
    };
    let bomb = pack(&[
        ("./big", EntryType::Regular, &vec![0; 1_100_000_000]),
        (MEMBER, EntryType::Regular, &good),
    ]);
    let truncated = {
        let whole = archive(&good);
        whole[..whole.len() / 2].to_vec()
    };
    let wrong_digest = Offered {
        digest: Some(format!("sha256:{}", sha256(b"another"))),
        ..Offered::new("v1.0.0", &good)
    };
    let cases: Vec<(Offered, &str)> = vec![
        (wrong_digest, "does not match release v1.0.0"),
        (Offered::of("v1.0.1", truncated), "damaged or incomplete"),
        (Offered::new("v1.0.2", &other_machine), "this machine is"),
        (
            Offered::of(
                "v1.0.3",
                pack(&[
                    ("../../evil", EntryType::Regular, b"x"),
                    (MEMBER, EntryType::Regular, &good),
                ]),
            ),
            "points outside the archive",
        ),
        (
            Offered::of("v1.0.4", pack(&[(MEMBER, EntryType::Symlink, b"")])),
            "is not a regular file",
        ),
        (
            Offered::of("v1.0.5", bomb),
            "unpacked size exceeds the limit",
        ),
        (
            Offered::of("v1.0.6", pack(&[("./other", EntryType::Regular, b"x")])),
            "does not contain jd-client/jd_client_sv2",
        ),
        (
            Offered::of("v1.0.7", b"<html>not found</html>".to_vec()),
            "damaged or incomplete",
        ),
        (
            Offered {
                manner: Manner::Status(404),
                ..Offered::new("v1.0.8", &good)
            },
            "404",
        ),
        (
            Offered {
                manner: Manner::Redirects("http://192.0.2.1/x".into()),
                ..Offered::new("v1.0.9", &good)
            },
            "without https",
        ),
        (
            Offered {
                size: Some(10),
                ..Offered::new("v1.0.10", &good)
            },
            "expected 10",
        ),
        (
            Offered::new("v1.0.11", &program(&["--pretend-version", "nonsense"])),
            "the test run failed",
        ),
        (
            Offered::new("v1.0.12", &program(&["--no-such-flag"])),
            "the test run failed",
        ),
        (
            Offered::new("v1.0.13", b"#!/bin/sh\necho jd_client_sv2 0.6.0\n"),
            "a script",
        ),
        (Offered::new("v1.0.14", &sleeper()), "within 15 s"),
        (
            Offered {
                manner: Manner::BreaksForGood(1000),
                ..Offered::new("v1.0.15", &good)
            },
            "127.0.0.1",
        ),
    ];
    let releases =
        Releases::serve(cases.iter().map(|(offered, _)| offered.clone()).collect()).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    for (offered, says) in &cases {
        let job = done(
            &manager,
            "/api/updates/install",
            &json!({ "version": offered.tag }),
        )
        .await;
        let message = job["message"].as_str().unwrap();
        assert_eq!(job["stage"], "failed", "{}: {message}", offered.tag);
        assert!(message.contains(says), "{}: {message}", offered.tag);
        assert!(
            !message.contains(manager.data_dir().to_str().unwrap()),
            "a path that is no more: {message}"
        );
        assert_eq!(
            store(&manager),
            Vec::<String>::new(),
            "{} left something",
            offered.tag
        );
    }
    assert_eq!(
        manager.json("/api/updates/history").await["history"]
            .as_array()
            .unwrap()
            .len(),
        cases.len()
    );
}

/// A program that never says anything.
fn sleeper() -> Vec<u8> {
    // The simulated client's way of doing nothing for ever.
    program(&["--sleep-for-ever"])
}

#[tokio::test]
async fn releases_whose_file_is_not_there_are_said_to_be_so_before_anything_begins() {
    let client = version("0.6.0");
    let releases = Releases::serve(vec![
        Offered {
            state: "open",
            ..Offered::new("v0.9.0", &client)
        },
        Offered {
            state: "",
            ..Offered::new("v0.8.0", &client)
        },
        Offered {
            digest: None,
            ..Offered::new("v0.7.0", &version("0.5.0"))
        },
    ])
    .await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    manager.json("/api/updates/check").await;
    for (tag, says) in [
        ("v0.9.0", "still being uploaded"),
        ("v0.8.0", "has no miner-apps-"),
        ("v0.7.0", "no checksum"),
    ] {
        let response = manager
            .post_json("/api/updates/install", &json!({ "version": tag }))
            .await;
        assert_eq!(response.status(), 409, "{tag}");
        let text = response.text().await.unwrap();
        assert!(text.contains(says), "{text}");
        let form = manager
            .post_form("/updates/install", &[("version", tag)])
            .await;
        assert_eq!(form.status(), 409);
        assert!(form.text().await.unwrap().contains(says), "{tag}");
    }
    // Asked for all the same, what has no checksum is taken, and that is said.
    let question = manager
        .ask("/updates/install?version=v0.7.0", "text/html")
        .await
        .page(200);
    assert_eq!(question.count("input[name=accept_unverified]"), 1);
    let job = done(
        &manager,
        "/api/updates/install",
        &json!({ "version": "v0.7.0", "accept_unverified": true }),
    )
    .await;
    assert_eq!(job["stage"], "installed", "{job}");
    assert_eq!(
        manager.json("/api/updates").await["installed"][0]["manifest"]["proof"],
        "none"
    );
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let releases = Releases::serve(vec![Offered {
        manner: Manner::Breaks(150_000),
        ..Offered::new("v0.8.0", &version("0.6.0"))
    }])
    .await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    install(&manager, "v0.8.0").await;
    assert!(
        releases.count("/files") >= 3,
        "{}",
        releases.count("/files")
    );
}

#[tokio::test]
async fn a_slow_download_shows_how_far_it_is_survives_a_reload_and_can_be_cancelled() {
    let slow = Offered {
        manner: Manner::Drips(20_000, Duration::from_millis(150)),
        ..Offered::new("v0.8.0", &version("0.6.0"))
    };
    let total = slow.file.len() as u64;
    let releases = Releases::serve(vec![slow]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let id = begun(
        &manager,
        "/api/updates/install",
        &json!({ "version": "v0.8.0" }),
    )
    .await;
    let path = format!("/api/updates/jobs/{id}");
    let seen = until("bytes of bytes", || async {
        let job = manager.json(&path).await;
        (job["bytes"].as_u64().unwrap_or(0) > 0).then_some(job)
    })
    .await;
    assert_eq!(
        (&seen["stage"], seen["total"].as_u64()),
        (&json!("downloading"), Some(total)),
        "{seen}"
    );
    // The page is the same after a reload, and shows a bar.
    for _ in 0..2 {
        let page = manager
            .ask(&format!("/updates/jobs/{id}"), "text/html")
            .await
            .page(200);
        assert_eq!(page.attr("progress", "max"), "100");
        assert_eq!(page.count("noscript"), 1);
    }
    // Programs follow it.
    let request = manager.request("GET", &path);
    let mut stream = crate::harness::answer::EventStream::open(request).await;
    let first = stream.next().await.unwrap();
    let more = stream
        .until(|heard| heard.json()["bytes"].as_u64() > first.json()["bytes"].as_u64())
        .await;
    assert_eq!(more.json()["id"], id.as_str());
    // One thing at a time.
    let second = manager
        .post_json("/api/updates/install", &json!({ "version": "v0.8.0" }))
        .await;
    assert_eq!(second.status(), 409);
    assert!(
        second
            .text()
            .await
            .unwrap()
            .contains("is still in progress")
    );

    let (status, told) = manager.act(&format!("{path}/cancel")).await;
    assert_eq!(status, 200, "{told}");
    let job = over(&manager, &id).await;
    assert_eq!(
        (&job["stage"], store(&manager)),
        (&json!("cancelled"), Vec::new())
    );
    // The stream says so, too, and ends.
    stream
        .until(|heard| heard.json()["stage"] == "cancelled")
        .await;
    assert!(stream.next().await.is_none());
    assert_eq!(manager.act(&format!("{path}/cancel")).await.0, 409);
}

#[tokio::test]
async fn a_file_comes_in_by_path_by_form_and_as_a_body() {
    let releases = Releases::serve(Vec::new()).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let path = manager.scratch().join("built");
    fs::write(&path, version("0.5.0")).unwrap();
    let job = done(&manager, "/api/updates/install", &json!({ "path": path })).await;
    assert_eq!(
        (&job["stage"], &job["installed"]),
        (&json!("installed"), &json!("0.5.0")),
        "{job}"
    );
    assert!(path.exists(), "the file stays where it was");

    // As a body: an archive of a release.
    let request = manager
        .request("POST", "/api/updates/upload?name=client.tar.gz")
        .header("content-type", "application/octet-stream");
    let response = request
        .body(archive(&version("0.6.0")))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 202);
    let told: Value = response.json().await.unwrap();
    let job = over(&manager, told["job"].as_str().unwrap()).await;
    assert_eq!(
        (&job["stage"], &job["installed"], &job["version"]),
        (
            &json!("installed"),
            &json!("0.6.0"),
            &json!("client.tar.gz")
        ),
        "{job}"
    );

    // By a form, as a browser sends it; the same program is already installed is not installed twice.
    let form = |content: &[u8]| {
        let mut body =
            b"--b0\r\ncontent-disposition: form-data; name=\"file\"; filename=\"C:\\\\x\\\\jd_client_sv2\"\r\n\r\n".to_vec();
        body.extend(content);
        body.extend(b"\r\n--b0--\r\n");
        manager
            .request("POST", "/updates/upload")
            .header("accept", "text/html")
            .header("content-type", "multipart/form-data; boundary=b0")
            .body(body)
    };
    let response = form(&version("0.6.0")).send().await.unwrap();
    assert_eq!(response.status(), 303);
    let at = response.headers()["location"].to_str().unwrap().to_owned();
    let job = over(&manager, at.rsplit('/').next().unwrap()).await;
    assert!(
        job["message"]
            .as_str()
            .unwrap()
            .contains("same program is already installed"),
        "{job}"
    );
    // The same version, another program: both are kept.
    let response = form(&program(&["--pretend-version", "0.6.0", "--miners", "1"]))
        .send()
        .await
        .unwrap();
    let at = response.headers()["location"].to_str().unwrap().to_owned();
    let job = over(&manager, at.rsplit('/').next().unwrap()).await;
    let name = job["installed"].as_str().unwrap().to_owned();
    assert!(name.starts_with("0.6.0+"), "{job}");
    assert_eq!(store(&manager), ["0.5.0", "0.6.0", &name, "current"]);

    for (content, says) in [(b"text".as_slice(), "it is not a program"), (b"", "empty")] {
        let response = form(content).send().await.unwrap();
        if response.status() == 303 {
            let at = response.headers()["location"].to_str().unwrap().to_owned();
            let job = over(&manager, at.rsplit('/').next().unwrap()).await;
            assert!(
                job["stage"] == "failed" && job["message"].as_str().unwrap().contains(says),
                "{job}"
            );
        } else {
            assert!(response.status() == 422 && response.text().await.unwrap().contains(says));
        }
    }
    for path in ["/dev/zero", "/proc/self", "/no/such/file"] {
        let job = done(&manager, "/api/updates/install", &json!({ "path": path })).await;
        assert_eq!(job["stage"], "failed", "{path}: {job}");
    }
    // A page removes what nobody needs, after a question.
    let question = manager
        .ask(
            &format!("/updates/installed/{}/delete", name.replace('+', "%2B")),
            "text/html",
        )
        .await
        .page(200);
    assert!(question.one("h1").contains(&name));
    let response = manager
        .post_form(&question.attr("form", "action"), &[])
        .await;
    assert_eq!(response.status(), 303);
    assert_eq!(store(&manager), ["0.5.0", "0.6.0", "current"]);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let releases = Releases::serve(Vec::new()).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let address = manager.url("").trim_start_matches("http://").to_owned();
    let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/updates/upload HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/octet-stream\r\ncontent-length: 100000\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&[0; 5000]).await.unwrap();
    until("the upload has begun", || async {
        manager.json("/api/updates").await["job"]
            .is_object()
            .then_some(())
    })
    .await;
    drop(connection);
    until("it is over", || async {
        manager.json("/api/updates").await["job"]
            .is_null()
            .then_some(())
    })
    .await;
    until("nothing is left", || async {
        store(&manager).is_empty().then_some(())
    })
    .await;
    // And the next one is taken.
    let path = manager.scratch().join("built");
    fs::write(&path, version("0.6.0")).unwrap();
    assert_eq!(
        done(&manager, "/api/updates/install", &json!({ "path": path })).await["stage"],
        "installed"
    );
}

#[tokio::test]
async fn a_form_that_is_nothing_but_a_long_word_is_not_kept() {
    let releases = Releases::serve(Vec::new()).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let before = resident(&manager);
    let mut body = b"--b0\r\ncontent-disposition: form-data; name=\"switch\"\r\n\r\n".to_vec();
    body.resize(120_000_000, b'x');
    let request = manager
        .request("POST", "/api/updates/upload")
        .header("content-type", "multipart/form-data; boundary=b0");
    // It is refused, or the connection ends, before all of it is sent.
    if let Ok(response) = request.body(body).send().await {
        assert_eq!(response.status(), 400);
    }
    assert!(
        resident(&manager) < before + 20_000_000,
        "{} before, {} after",
        before,
        resident(&manager)
    );
}

/// What the manager has in memory, bytes.
fn resident(manager: &Manager) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", manager.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[tokio::test]
async fn a_manifest_that_was_meddled_with_and_a_link_that_leads_nowhere_are_lived_with() {
    let releases = Releases::serve(vec![
        Offered::new("v0.8.0", &version("0.6.0")),
        Offered::new("v0.7.0", &version("0.5.0")),
    ])
    .await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    install(&manager, "v0.8.0").await;
    install(&manager, "v0.7.0").await;
    let manifest = manager.data_dir().join("clients/0.6.0/manifest.json");
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o600)).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    let mut told: Value = serde_json::from_str(&text).unwrap();
    told["sha256"] = json!("äbc");
    fs::write(&manifest, told.to_string()).unwrap();
    assert!(manager.page("/updates").await.contains("added manually"));
    // The one in use is gone: the page says so, and the next start takes the newest that is there.
    fs::remove_dir_all(manager.data_dir().join("clients/0.6.0")).unwrap();
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.one("h1"), "No client is in use");
    manager.kill();
    manager.begin();
    assert_eq!(
        manager.json("/api/updates/version").await["version"],
        "0.5.0"
    );
}

#[tokio::test]
async fn a_disk_that_fills_up_in_the_middle_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let small = SmallDisk::mount_at(dir.path(), "72m");
    let slow = Offered {
        manner: Manner::Drips(20_000, Duration::from_millis(100)),
        ..Offered::new("v0.8.0", &version("0.6.0"))
    };
    let releases = Releases::serve(vec![slow]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let clients = manager.data_dir().join("clients");
    std::os::unix::fs::symlink(small.path(), &clients).unwrap();
    let id = begun(
        &manager,
        "/api/updates/install",
        &json!({ "version": "v0.8.0" }),
    )
    .await;
    until("it has begun", || async {
        (manager.json(&format!("/api/updates/jobs/{id}")).await["bytes"]
            .as_u64()
            .unwrap_or(0)
            > 0)
        .then_some(())
    })
    .await;
    let filler = small.path().join("filler");
    let mut filling = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut filling, &[1; 65536]).is_ok() {}
    let job = over(&manager, &id).await;
    assert!(
        job["stage"] == "failed"
            && job["message"]
                .as_str()
                .unwrap()
                .contains("Free up disk space"),
        "{job}"
    );
    drop(filling);
    fs::remove_file(filler).unwrap();
    assert_eq!(fs::read_dir(small.path()).unwrap().count(), 0);
    assert_eq!(install(&manager, "v0.8.0").await["installed"], "0.6.0");
}

#[tokio::test]
async fn cargo_builds_a_client_with_progress_and_what_it_says_at_its_end_is_kept() {
    let releases = Releases::serve(Vec::new()).await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    // The real one is run by `scripts/test --updates`; here a stand-in that says what cargo says.
    let bin = manager.scratch().join("bin");
    fs::create_dir(&bin).unwrap();
    let built = manager.scratch().join("built");
    fs::create_dir(&built).unwrap();
    fs::write(built.join("jd_client_sv2"), version("0.5.0")).unwrap();
    fs::write(built.join("translator_sv2"), translator("0.5.0")).unwrap();
    let script = format!(
        "#!/bin/sh\nset -e\n[ \"$*\" = \"install $2 --version 0.5.0 --locked --root ${{CARGO_TARGET_DIR%target}}root\" ] || {{ echo \"error: called with $*\" >&2; exit 101; }}\n\
         env | grep JD_MANAGER_ | grep -vq JD_MANAGER_INSTANCE && exit 3\n\
         printf '   Compiling serde v1.0.0\\n    Building [==>      ] 150/300: serde\\r' >&2\nsleep 1\n\
         mkdir -p \"$7/bin\"; cp {}/\"$2\" \"$7/bin/$2\"\n",
        built.display()
    );
    let write = |text: &str| {
        fs::write(bin.join("cargo"), text).unwrap();
        fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    write(&script);
    manager.terminate();
    manager
        .env
        .push(("PATH".into(), format!("{}:/usr/bin:/bin", bin.display())));
    manager.begin();

    let order = json!({ "source": "build", "version": "0.5.0" });
    let id = begun(&manager, "/api/updates/install", &order).await;
    let job = until("crates of crates", || async {
        let job = manager.json(&format!("/api/updates/jobs/{id}")).await;
        (job["total"] == 300).then_some(job)
    })
    .await;
    assert_eq!(
        (&job["stage"], &job["bytes"], &job["progress"]),
        (&json!("building"), &json!(150), &json!(50))
    );
    let job = over(&manager, &id).await;
    assert_eq!(
        (&job["stage"], &job["installed"]),
        (&json!("installed"), &json!("0.5.0")),
        "{job}"
    );
    assert_eq!(
        manager.json("/api/updates").await["installed"][0]["manifest"]["proof"],
        "registry"
    );
    assert_eq!(store(&manager), ["0.5.0", "current"]);

    write("#!/bin/sh\necho '   Compiling x' >&2\necho 'error: capnp is missing' >&2\nexit 101\n");
    let job = done(&manager, "/api/updates/install", &order).await;
    assert_eq!(
        job["excerpt"].as_array().unwrap().last().unwrap(),
        "error: capnp is missing",
        "{job}"
    );
    assert!(job["stage"] == "failed" && job["message"].as_str().unwrap().contains("apt install"));

    // Cancelled, cargo and what it started are gone.
    write("#!/bin/sh\nsleep 300 &\nwait\n");
    let id = begun(&manager, "/api/updates/install", &order).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    manager.act(&format!("/api/updates/jobs/{id}/cancel")).await;
    assert_eq!(over(&manager, &id).await["stage"], "cancelled");
    let mark = format!(
        "CARGO_TARGET_DIR={}",
        manager
            .data_dir()
            .join("clients/.incoming")
            .join(&id)
            .join("target")
            .display()
    );
    until("no process of the build is left", || async {
        crate::harness::marked(&mark).is_empty().then_some(())
    })
    .await;
    assert_eq!(store(&manager), ["0.5.0", "current"]);

    // Killed, the next manager ends what the build left running, and leaves no litter.
    write(
        "#!/bin/sh\nmkdir -p \"$CARGO_TARGET_DIR\"\nsetsid sh -c 'while sleep 0.05; do mkdir -p \"$CARGO_TARGET_DIR/deps\"; done' &\nwait\n",
    );
    let id = begun(&manager, "/api/updates/install", &order).await;
    until("it builds", || async {
        (crate::harness::marked(&format!("JD_MANAGER_INSTANCE={id}")).len() >= 2).then_some(())
    })
    .await;
    manager.kill();
    manager.begin();
    assert_eq!(over(&manager, &id).await["stage"], "failed");
    assert_eq!(
        crate::harness::marked(&format!("JD_MANAGER_INSTANCE={id}")),
        Vec::<u32>::new()
    );
    assert_eq!(store(&manager), ["0.5.0", "current"]);
}

#[tokio::test]
async fn a_configured_key_has_to_have_signed_what_comes() {
    // Made with minisign's own example key, which signed the four bytes "test".
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let signature = "untrusted comment: signature from minisign secret key\n\
         RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
         trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
         wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";
    let good = version("0.6.0");
    let signed = |tag: &str, file: Vec<u8>| Offered {
        signature: Some(signature.into()),
        digest: None,
        ..Offered::of(tag, file)
    };
    let releases = Releases::serve(vec![
        Offered::new("v1.0.0", &good),
        signed("v1.0.1", archive(&good)),
        signed("v1.0.2", b"test".to_vec()),
    ])
    .await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let saved = manager
        .request("PATCH", "/api/updates/settings")
        .json(&json!({ "signed_by": key }))
        .send()
        .await
        .unwrap();
    assert_eq!(saved.status(), 200);
    for (tag, says) in [
        ("v1.0.0", "has no signature"),
        ("v1.0.1", "the signature does not match"),
        // The signature holds; it is no archive, though, which is found out after.
        ("v1.0.2", "damaged or incomplete"),
    ] {
        let job = done(&manager, "/api/updates/install", &json!({ "version": tag })).await;
        assert!(
            job["stage"] == "failed" && job["message"].as_str().unwrap().contains(says),
            "{tag}: {job}"
        );
    }
    assert_eq!(store(&manager), Vec::<String>::new());
}

#[tokio::test]
async fn a_full_disk_is_said_and_changes_nothing() {
    let small = SmallDisk::mount("2m");
    let releases = Releases::serve(vec![Offered::new("v0.8.0", &version("0.6.0"))]).await;
    // A data directory whose clients lie on a file system of 2 MiB.
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let clients = manager.data_dir().join("clients");
    std::os::unix::fs::symlink(small.path(), &clients).unwrap();
    let job = done(
        &manager,
        "/api/updates/install",
        &json!({ "version": "v0.8.0" }),
    )
    .await;
    assert!(
        job["stage"] == "failed"
            && job["message"]
                .as_str()
                .unwrap()
                .contains("Not enough disk space"),
        "{job}"
    );
    assert_eq!(fs::read_dir(small.path()).unwrap().count(), 0);
    fs::remove_file(&clients).unwrap();
    assert_eq!(install(&manager, "v0.8.0").await["installed"], "0.6.0");
}

#[tokio::test]
async fn the_trial_is_shut_in() {
    // A program that tries to write before it tells its version, and tells by it whether it could.
    let dir = tempfile::tempdir().unwrap();
    let (source, into, mark) = (
        dir.path().join("x.c"),
        dir.path().join("x"),
        dir.path().join("written"),
    );
    let text = format!(
        "#include <stdio.h>\n#include <fcntl.h>\n#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         int main(void) {{\n signal(SIGXFSZ, SIG_IGN);\n int f = open(\"{}\", O_CREAT | O_WRONLY, 0600);\n\
         int wrote = f >= 0 && write(f, \"x\", 1) == 1;\n int took = malloc(1ul << 30) != NULL;\n int knew = getenv(\"JD_MANAGER_TEST_SECRET\") != NULL;\n\
         printf(\"jd_client_sv2 0.%d.0\\n\", 10 + wrote + 2 * took + 4 * knew);\n return 0; }}\n",
        mark.display()
    );
    fs::write(&source, text).unwrap();
    assert!(
        std::process::Command::new("cc")
            .arg("-o")
            .arg(&into)
            .arg(&source)
            .status()
            .unwrap()
            .success()
    );
    let said = |output: std::process::Output| String::from_utf8(output.stdout).unwrap();
    let free = std::process::Command::new(&into)
        .env("JD_MANAGER_TEST_SECRET", "1")
        .output()
        .unwrap();
    assert_eq!(
        said(free).trim(),
        "jd_client_sv2 0.17.0",
        "outside of the box it can do all of that"
    );
    fs::remove_file(&mark).unwrap();

    let releases = Releases::serve(Vec::new()).await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    manager.terminate();
    manager
        .env
        .push(("JD_MANAGER_TEST_SECRET".into(), "1".into()));
    manager.begin();
    let job = done(&manager, "/api/updates/install", &json!({ "path": into })).await;
    assert_eq!(
        (&job["stage"], &job["installed"]),
        (&json!("installed"), &json!("0.10.0")),
        "{job}"
    );
    assert!(fs::metadata(&mark).map_or(0, |meta| meta.len()) == 0);
}
