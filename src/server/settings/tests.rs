//! Tests of the settings.

use super::*;

fn from_file(text: &str) -> Result<Settings, String> {
    let given = toml::from_str(text).map_err(|e| e.to_string())?;
    let flags = SettingsInput {
        data_dir: Some("/data".into()),
        ..SettingsInput::default()
    };
    Settings::combine(flags, given).map_err(|e| e.to_string())
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let s = from_file("").unwrap();
    assert_eq!(s.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(
        (
            s.health_interval.as_secs(),
            s.sample_interval.as_secs(),
            s.retention_days
        ),
        (300, 10, 7)
    );
    assert_eq!(s.slow_start.as_secs(), 60);
    assert_eq!(
        (s.on_shutdown, s.log.as_str(), s.log_format),
        (OnShutdown::Stop, "info", LogFormat::Pretty)
    );
    assert_eq!(s.release_api, RELEASE_API);
}

#[test]
fn flags_win_over_the_file() {
    let flags = SettingsInput {
        listen: Some("127.0.0.1:1".parse().unwrap()),
        data_dir: Some("/data".into()),
        ..SettingsInput::default()
    };
    let file =
        toml::from_str("listen = '127.0.0.1:2'\nsample_interval = '1m'\non_shutdown = 'leave'")
            .unwrap();
    let s = Settings::combine(flags, file).unwrap();
    assert_eq!(
        (s.listen.port(), s.sample_interval.as_secs(), s.on_shutdown),
        (1, 60, OnShutdown::Leave)
    );
}

#[test]
fn listen_addresses_are_as_they_are_written() {
    let s = from_file("").unwrap();
    assert_eq!(
        (s.socket_path(), s.max_connections, s.tls),
        (Some("/data/manager.sock".into()), 2048, None)
    );
    assert_eq!(from_file("socket = ''").unwrap().socket_path(), None);
    let s = from_file("socket = '/run/jd/m.sock'\ntrusted_proxies = ['10.1.2.3/8', '::1']\ntls_cert = 'c'\ntls_key = 'k'")
        .unwrap();
    assert_eq!(s.socket_path(), Some("/run/jd/m.sock".into()));
    assert_eq!(
        s.trusted_proxies,
        ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
    );
    assert_eq!(
        s.tls,
        Some(TlsFiles {
            certificate: "c".into(),
            key: "k".into()
        })
    );
    assert_eq!(
        "10.0.0.1, fd00::/8,"
            .parse::<NetworkList>()
            .unwrap()
            .0
            .len(),
        2
    );
    assert_eq!("".parse(), Ok(NetworkList::default()));
}

#[test]
fn the_advertised_host_is_a_name_or_an_address() {
    for (text, expected) in [
        ("", None),
        (" ", None),
        ("umbrel.local", Some("umbrel.local")),
        ("Miner.Example.org.", Some("miner.example.org")),
        ("192.168.7.20", Some("192.168.7.20")),
        ("[fd00::7]", Some("fd00::7")),
    ] {
        let settings = from_file(&format!("advertised_host = '{text}'")).unwrap();
        assert_eq!(settings.advertised_host.as_deref(), expected, "{text}");
    }
    assert_eq!(from_file("").unwrap().advertised_host, None);
}

#[test]
fn the_public_url_is_an_origin_and_its_host_is_accepted() {
    for (text, expected, host) in [
        (
            "https://Miner.Example.org/",
            "https://miner.example.org",
            "miner.example.org",
        ),
        (
            "http://192.168.7.20:3000",
            "http://192.168.7.20:3000",
            "192.168.7.20",
        ),
        ("http://[fd00::7]:3000", "http://[fd00::7]:3000", "fd00::7"),
    ] {
        let settings = from_file(&format!("public_url = '{text}'")).unwrap();
        assert_eq!(settings.public_url.as_deref(), Some(expected));
        assert_eq!(settings.allow_hosts, [host]);
    }
    let settings = from_file("public_url = ' '").unwrap();
    assert_eq!(
        (settings.public_url, settings.allow_hosts),
        (None, Vec::new())
    );
}

#[test]
fn every_mistake_is_named() {
    for (text, says) in [
        ("lisen = '127.0.0.1:1'", "lisen"),
        ("listen = 'here'", "listen"),
        ("allow_hosts = ['a b']", "allow_hosts"),
        ("advertised_host = 'http://umbrel.local'", "advertised_host"),
        (
            "advertised_host = 'umbrel.local:34255'",
            "without scheme and port",
        ),
        ("advertised_host = '192.168.1.300'", "advertised_host"),
        ("advertised_host = '0.0.0.0'", "advertised_host"),
        ("advertised_host = 'a b'", "advertised_host"),
        ("public_url = 'miner.example.org'", "public_url"),
        ("public_url = 'ftp://miner.example.org'", "public_url"),
        ("public_url = 'https://u:p@miner.example.org'", "public_url"),
        (
            "public_url = 'https://miner.example.org/jdm'",
            "without path",
        ),
        (
            "public_url = 'https://miner.example.org/?a=1'",
            "public_url",
        ),
        ("audit_days = 0", "audit_days"),
        ("password_file = '/nowhere/at/all'", "password_file"),
        ("health_interval = '5 parsecs'", "health_interval"),
        ("health_interval = '1ms'", "at least 1s"),
        ("retention_days = 0", "retention_days"),
        ("retention_days = -1", "retention_days"),
        ("release_api = 'ftp://x'", "release_api"),
        ("manager_release_api = 'x'", "manager_release_api"),
        ("miner_ports = '5-4'", "5-4"),
        ("on_shutdown = 'explode'", "on_shutdown"),
        ("log = 'a=b=c'", "log"),
        ("listen = ", "listen"),
        ("tls_cert = 'a'", "tls_key"),
        ("tls_key = 'a'", "tls_cert"),
        ("trusted_proxies = ['10.0.0.0/33']", "10.0.0.0/33"),
        ("trusted_proxies = ['0.0.0.0/0']", "every address"),
        ("trusted_proxies = '10.0.0.1'", "trusted_proxies"),
        ("max_connections = 1", "max_connections"),
    ] {
        let error = from_file(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}
