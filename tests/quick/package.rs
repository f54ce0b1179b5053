//! The Debian package: its files exist, and unit, user, paths and settings match the program. (Installing, upgrading
//! and removing it needs a Debian system, see packaging/README.md.)

use crate::harness::{PROGRAM, free_port};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DATA: &str = "/var/lib/jd-manager";
const SETTINGS: &str = "etc/jd-manager/settings.toml";
/// Sources below it are written by `scripts/deb`.
const GENERATED: &str = "target/release/package/";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn manifest() -> toml::Table {
    toml::from_str(&text("Cargo.toml")).unwrap()
}

/// The files of the package: source, destination.
fn assets() -> Vec<(String, String)> {
    let all = manifest()["package"]["metadata"]["deb"]["assets"].clone();
    all.as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let source = one[0].as_str().unwrap().to_owned();
            let name = source.rsplit('/').next().unwrap().to_owned();
            let mut destination = one[1].as_str().unwrap().to_owned();
            if destination.ends_with('/') {
                destination.push_str(&name);
            }
            (source, destination)
        })
        .collect()
}

/// The source of an installed file.
fn source_of(destination: &str) -> String {
    let found = assets().into_iter().find(|(_, to)| to == destination);
    found.unwrap_or_else(|| panic!("no {destination}")).0
}

/// A value of the service, which occurs once.
fn unit(key: &str) -> String {
    let all = text("contrib/systemd/jd-manager.service");
    let mut found = all
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = found.next().unwrap_or_else(|| panic!("no {key}"));
    assert!(found.next().is_none(), "{key} twice");
    value.to_owned()
}

#[test]
fn every_packaged_file_exists_or_is_generated() {
    let script = text("scripts/deb");
    for (source, destination) in assets() {
        assert!(!destination.starts_with('/'), "{destination}");
        if source == "target/release/jd-manager" {
            assert_eq!(destination, "usr/bin/jd-manager");
        } else if let Some(name) = source.strip_prefix(GENERATED) {
            let written = name.split('/').next().unwrap();
            assert!(
                script.contains(&format!("\"$generated/{written}\"")),
                "scripts/deb does not write {source}"
            );
        } else if let Some((dir, end)) = source.split_once('*') {
            let names = fs::read_dir(path(dir)).unwrap();
            let has_one = names
                .map(|entry| entry.unwrap().file_name())
                .any(|name| name.to_str().unwrap().ends_with(end));
            assert!(has_one, "{source}");
        } else {
            assert!(path(&source).is_file(), "{source}");
        }
    }
}

#[test]
fn unit_user_and_paths_of_the_package_belong_together() {
    assert_eq!(unit("ExecStart"), "/usr/local/bin/jd-manager serve");
    assert!(text("scripts/deb").contains("s#^ExecStart=/usr/local/bin/#ExecStart=/usr/bin/#"));
    // An upgrade kills the manager, and must not kill the keepers.
    assert_eq!(unit("KillMode"), "process");
    let user = unit("User");
    assert_eq!((user.as_str(), unit("Group")), ("jd-manager", user.clone()));
    assert_eq!(format!("/var/lib/{}", unit("StateDirectory")), DATA);
    let environment = unit("Environment");
    assert!(environment.contains("JD_MANAGER_DATA_DIR=%S/jd-manager "));
    assert!(environment.ends_with(" XDG_CONFIG_HOME=/etc"));
    source_of(SETTINGS);
    source_of("usr/lib/systemd/system/jd-manager.service");

    let users = text(&source_of("usr/lib/sysusers.d/jd-manager.conf"));
    assert!(users.contains(&format!("\nu {user} - ")) && users.contains(DATA));
    let directories = text(&source_of("usr/lib/tmpfiles.d/jd-manager.conf"));
    let mode = unit("StateDirectoryMode");
    assert!(directories.contains(&format!("\nd {DATA} {mode} {user} {user} -\n")));

    let script = |name: &str| text(&format!("packaging/debian/{name}"));
    for name in ["config", "postinst", "prerm", "postrm"] {
        let status = Command::new("sh")
            .arg("-n")
            .arg(path(&format!("packaging/debian/{name}")))
            .status();
        assert!(status.unwrap().success(), "{name}");
        assert!(
            name == "config" || script(name).contains("jd-manager.service"),
            "{name}"
        );
    }
    assert!(script("postrm").contains(&format!("\nDATA={DATA}\n")));
    assert!(script("prerm").contains(DATA) && script("prerm").contains(" */bin/jd-manager | "));
    assert!(script("templates").contains("Template: jd-manager/delete-data\n"));
    assert!(script("templates").contains("\nDefault: false\n"));
}

#[test]
fn the_program_accepts_the_packaged_settings_and_those_they_suggest() {
    let packaged = text(&source_of(SETTINGS));
    let suggested: String = packaged
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(suggested, packaged);
    for (settings, is_accepted) in [
        (packaged.as_str(), true),
        (&suggested, true),
        ("on_shutdowm = \"leave\"", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.toml");
        fs::write(&file, settings).unwrap();
        let output = Command::new(PROGRAM)
            .args(["healthcheck", "--data-dir"])
            .arg(dir.path().join("data"))
            .arg("--settings")
            .arg(&file)
            .args(["--listen", &format!("127.0.0.1:{}", free_port())])
            .env_clear()
            .output()
            .unwrap();
        // 1: nothing runs there. 2: usage error.
        let code = if is_accepted { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{settings}: {output:?}");
    }
}

#[test]
fn the_changelog_of_the_package_has_its_version() {
    let manifest = manifest();
    let package = &manifest["package"];
    let first = format!(
        "jd-manager ({}-{}) ",
        package["version"].as_str().unwrap(),
        package["metadata"]["deb"]["revision"].as_str().unwrap()
    );
    let changelog = text("packaging/debian/changelog");
    assert!(changelog.starts_with(&first), "{first}");
    let maintainer = package["metadata"]["deb"]["maintainer"].as_str().unwrap();
    assert!(changelog.contains(&format!("\n -- {maintainer}  ")));
}

/// The packages for Umbrel and StartOS have the version of the program, the same ports for miners, and only
/// settings that the program knows.
#[test]
fn packages_of_app_stores_match_the_program() {
    let manifest = manifest();
    let version = manifest["package"]["version"].as_str().unwrap();
    let umbrel = "packaging/umbrel/jd-manager/";
    let compose = text(&format!("{umbrel}docker-compose.yml"));
    let app = text(&format!("{umbrel}umbrel-app.yml"));
    assert!(
        app.contains(&format!("\nversion: \"{version}\"\n")),
        "{app}"
    );
    assert!(
        compose.contains(&format!(" image: jd-manager:{version}")),
        "{compose}"
    );
    let startos = "packaging/startos/startos/";
    let versions = text(&format!("{startos}versions/index.ts"));
    assert!(
        versions.contains(&format!("version: '{version}:")),
        "{versions}"
    );

    let constants = text(&format!("{startos}constants.ts"));
    assert!(
        constants.contains("firstMinerPort = 34200\n")
            && constants.contains("minerPortCount = 100\n")
    );
    assert!(compose.contains("JD_MANAGER_MINER_PORTS: \"34200-34299\"\n"));
    assert!(compose.contains("- \"34200-34299:34200-34299\"\n"));
    assert!(constants.contains(&format!("dataDir = '{DATA}'\n")));
    assert!(compose.contains(&format!("/data:{DATA}\n")));
    // The widget asks the service by its name and port.
    assert!(
        app.contains("endpoint: \"manager:3000/widget\"") && compose.contains("\n  manager:\n")
    );

    let help = Command::new(PROGRAM)
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let main = text(&format!("{startos}main.ts"));
    let words = compose.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let more = main.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let variables: Vec<&str> = words
        .chain(more)
        .filter(|word| word.starts_with("JD_MANAGER_"))
        .collect();
    assert!(variables.len() > 8, "{variables:?}");
    for variable in variables {
        assert!(help.contains(variable), "{variable} is no setting");
    }
}
