//! Tests `jd-manager configs`: import, show, check, export and delete.

use super::{ask, at, row, run_with};
use crate::harness::{Manager, SECRET_KEY, free_port, solo_config};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_file_comes_in_is_shown_and_goes_out_again() {
    let manager = Manager::start().await;
    assert!(
        ask(&manager, &["configs"])
            .well()
            .contains("no configurations yet")
    );
    let config = solo_config(free_port(), free_port(), 8442);
    let file = manager.scratch().join("jdc.toml");
    fs::write(
        &file,
        format!("# the barn's own\n{}", toml::to_string(&config).unwrap()),
    )
    .unwrap();
    let path = file.to_str().unwrap();
    // A check saves nothing.
    let checked = ask(&manager, &["configs", "check", path]).well();
    assert!(
        checked.contains("warning: ")
            && checked.ends_with("The configuration is valid, with 2 warnings.\n"),
        "{checked}"
    );
    let checked = ask(&manager, &["configs", "check", path, "--json"]).json();
    assert_eq!(checked["valid"], true);
    assert!(
        ask(&manager, &["configs"])
            .well()
            .contains("no configurations yet")
    );
    let imported = ask(
        &manager,
        &["configs", "import", path, "--name", "Home, solo"],
    );
    assert_eq!(
        (imported.code, imported.out.as_str()),
        (0, "\"Home, solo\" was imported.\n"),
        "{imported:?}"
    );
    let table = ask(&manager, &["configs", "list", "--search", "home"]).well();
    let cells = row(&table, "Home, solo");
    assert_eq!(
        (cells[1].as_str(), cells[2].as_str()),
        ("SOLOMINING", config["listening_address"].as_str().unwrap()),
        "{table}"
    );
    assert_eq!(
        ask(&manager, &["configs", "--json"]).json(),
        manager.json("/api/saved-configs").await
    );
    let shown = ask(&manager, &["configs", "show", "home, SOLO"]);
    assert!(
        shown.code == 0
            && shown.out.contains("mode = \"SOLOMINING\"")
            && shown.err.contains("warning: "),
        "{shown:?}"
    );
    let older = ask(
        &manager,
        &["configs", "show", "Home, solo", "--client-version", "0.1.0"],
    )
    .wrong(1);
    assert!(
        older.contains("error: mode: Client 0.1.0 does not support solo mining"),
        "{older}"
    );
    // Exported with its comment and without its key. A check on this manager knows the key.
    let exported = ask(&manager, &["configs", "export", "Home, solo"]).well();
    assert!(
        exported.contains("# the barn's own") && exported.contains("********"),
        "{exported}"
    );
    let again = run_with(at(&manager, &["configs", "check", "-"]), &exported);
    assert!(
        again.code == 0 && again.out.contains("The configuration is valid"),
        "{again:?}"
    );
    let whole = manager.scratch().join("whole.toml");
    let to = whole.to_str().unwrap();
    assert_eq!(
        ask(
            &manager,
            &["configs", "export", "Home, solo", "--with-secret", "-o", to]
        )
        .well(),
        ""
    );
    assert!(fs::read_to_string(&whole).unwrap().contains(SECRET_KEY));
    assert_eq!(
        fs::metadata(&whole).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let said = ask(&manager, &["configs", "export", "Home, solo", "-o", to]).wrong(1);
    assert!(
        said.contains("cannot write ") && said.contains("whole.toml: "),
        "{said}"
    );
    // A client reads it.
    let tried = ask(&manager, &["configs", "try", "Home, solo"]).well();
    assert!(tried.contains("accepts this configuration"), "{tried}");
    // In use it stays; else it goes, if that is meant.
    assert_eq!(
        ask(
            &manager,
            &["instances", "create", "barn", "--config", "Home, solo"]
        )
        .well(),
        "barn was saved.\n"
    );
    let said = ask(&manager, &["configs", "delete", "Home, solo"]).wrong(2);
    assert!(
        said.contains("no terminal") && said.contains("--yes"),
        "{said}"
    );
    let said = ask(&manager, &["configs", "delete", "Home, solo", "--yes"]).wrong(1);
    assert!(said.contains("barn"), "{said}");
    assert_eq!(
        ask(&manager, &["instances", "delete", "barn", "--yes"]).well(),
        "Deleted barn and all its files.\n"
    );
    assert!(
        ask(&manager, &["configs", "rm", "Home, solo", "-y"])
            .well()
            .contains("deleted")
    );
    assert!(
        ask(&manager, &["configs"])
            .well()
            .contains("no configurations yet")
    );
}

#[tokio::test]
async fn a_translators_file_is_added_to_a_configuration_and_exported() {
    let manager = Manager::start().await;
    let config = solo_config(free_port(), free_port(), 8442);
    manager.save_config("home", &config).await;
    let said = ask(
        &manager,
        &["configs", "show", "home", "--program", "translator"],
    )
    .wrong(1);
    assert!(said.contains("no port for Stratum V1 miners"), "{said}");
    let file = manager.scratch().join("translator-config.toml");
    fs::write(&file, include_str!("../../data/translator/beside_jdc.toml")).unwrap();
    let path = file.to_str().unwrap();
    let said = ask(&manager, &["configs", "import", path]).wrong(1);
    assert!(
        said.contains(&format!("jd-manager configs import {path} --into NAME")),
        "{said}"
    );
    let said = ask(&manager, &["configs", "import", path, "--into", "home"]);
    // The configuration has example values, of which it warns.
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out.contains("was saved as revision 2")
            && said
                .out
                .contains("not imported: Line 9, monitoring_cache_refresh_secs: "),
        "{said:?}"
    );
    let shown = ask(
        &manager,
        &["configs", "show", "home", "--program", "translator"],
    )
    .well();
    assert!(shown.contains("downstream_port = 33723"), "{shown}");
    let exported = ask(
        &manager,
        &["configs", "export", "home", "--program", "translator"],
    )
    .well();
    assert_eq!(exported, shown);
    // There is no translator beside the client.
    let tried = ask(&manager, &["configs", "try", "home"]);
    assert_eq!(tried.code, 1, "{tried:?}");
    for part in [
        "accepts this configuration",
        "has no translator",
        "Template provider (127.0.0.1:8442): ",
    ] {
        assert!(tried.out.contains(part), "{part}: {tried:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_key_by_key() {
    let manager = Manager::start().await;
    let mut config = solo_config(free_port(), free_port(), 8442);
    config["mode"] = "SOLO".into();
    config["cert_validity_sec"] = 0.into();
    let toml = toml::to_string(&config).unwrap();
    let checked = run_with(at(&manager, &["configs", "check", "-"]), &toml);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(
        checked.out.contains("error: mode: ") && checked.out.contains("error: cert_validity_sec: "),
        "{checked:?}"
    );
    let checked = run_with(at(&manager, &["configs", "check", "-", "--json"]), &toml);
    let problem: serde_json::Value = serde_json::from_str(&checked.err).unwrap();
    assert_eq!(
        (checked.code, problem["errors"].as_array().map(Vec::len)),
        (1, Some(2)),
        "{problem}"
    );
    let imported = run_with(at(&manager, &["configs", "import", "-"]), &toml).wrong(1);
    assert!(
        imported.contains("Mining mode (mode): “SOLO” is not a mode")
            && imported.contains("Certificate validity (s) (cert_validity_sec): "),
        "{imported}"
    );
    let nonsense = run_with(at(&manager, &["configs", "check", "-"]), "mode = = 1").wrong(1);
    assert!(nonsense.contains("not valid TOML"), "{nonsense}");
    let said = ask(&manager, &["configs", "show", "none"]).wrong(1);
    assert!(said.contains("no configuration \"none\""), "{said}");
    let said = ask(&manager, &["configs", "import", "/nowhere/at/all"]).wrong(1);
    assert!(said.contains("cannot read /nowhere/at/all"), "{said}");
}
