//! Release tags and client versions, which count differently, and the names of a release's files.
//! Pure data and rules.
//!
//! Source: `jd_client_sv2 --version` prints the version of its crate; releases of
//! `stratum-mining/sv2-apps` carry the tag of the whole repository. Which tag carries which crate
//! is in that repository's history and issues (#359, #384, #487, #646).

use crate::domain::configs::ClientVersion;

/// Which client a release carries, oldest first.
const TAGS: [(&str, ClientVersion); 12] = [
    ("v0.1.0", ClientVersion::new(0, 1, 0)),
    ("v0.2.0", ClientVersion::new(0, 1, 0)),
    ("v0.3.0", ClientVersion::new(0, 1, 0)),
    ("v0.3.1", ClientVersion::new(0, 1, 1)),
    ("v0.3.2", ClientVersion::new(0, 1, 2)),
    ("v0.3.3", ClientVersion::new(0, 1, 3)),
    ("v0.3.4", ClientVersion::new(0, 1, 4)),
    ("v0.3.5", ClientVersion::new(0, 1, 5)),
    ("v0.4.0", ClientVersion::new(0, 2, 0)),
    ("v0.5.0", ClientVersion::new(0, 3, 0)),
    ("v0.6.0", ClientVersion::new(0, 4, 0)),
    ("v0.8.0", ClientVersion::new(0, 6, 0)),
];

/// Which client a release carries as far as is known before it is installed; v0.7.0 is the one
/// between two that are known.
pub fn client_of_tag(tag: &str) -> Option<ClientVersion> {
    if tag == "v0.7.0" {
        return Some(ClientVersion::new(0, 5, 0));
    }
    TAGS.iter()
        .find(|(known, _)| *known == tag)
        .map(|(_, client)| *client)
}

/// The order of tags: by their numbers, a pre-release (`v0.9.0-rc1`) before its release, what
/// cannot be read before everything.
pub fn order_of_tag(tag: &str) -> Option<(Vec<u64>, bool)> {
    let (core, pre) = match tag.trim_start_matches(['v', 'V']).split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (tag.trim_start_matches(['v', 'V']), None),
    };
    let numbers = core
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<Vec<u64>>>()?;
    Some((numbers, pre.is_none()))
}

/// A name under which a version may be asked for or stored: of a tag, a client version, a
/// directory. Short, and never a path.
pub fn is_name(text: &str) -> bool {
    (1..=48).contains(&text.len())
        && !text.contains("..")
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

/// The file of a release that is for this machine, e.g.
/// `miner-apps-x86_64-unknown-linux-musl.tar.gz`; none: releases have none for it. The programs for
/// Linux are linked statically, so they run with every C library.
pub fn asset_name() -> Option<String> {
    let target = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", arch @ ("x86_64" | "aarch64")) => format!("{arch}-unknown-linux-musl"),
        ("macos", arch @ ("x86_64" | "aarch64")) => format!("{arch}-apple-darwin"),
        _ => return None,
    };
    Some(format!("miner-apps-{target}.tar.gz"))
}

/// Where the client lies in that file.
pub const MEMBER: &str = "jd-client/jd_client_sv2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_clients_are_told_apart() {
        assert_eq!(client_of_tag("v0.8.0"), Some(ClientVersion::NEWEST_KNOWN));
        assert_eq!(client_of_tag("v0.7.0"), Some(ClientVersion::new(0, 5, 0)));
        assert_eq!(client_of_tag("0.6.0"), None);
        assert_eq!(client_of_tag("v0.9.0"), None);
        assert!(
            TAGS.is_sorted_by_key(|(tag, _)| order_of_tag(tag))
                && TAGS.is_sorted_by_key(|(_, client)| *client)
        );
    }

    #[test]
    fn tags_have_an_order() {
        let sorted = [
            "nightly",
            "v0.8.0-rc1",
            "v0.8.0",
            "v0.9.0-rc2",
            "v0.9.0",
            "v0.10.0",
            "v1.0.0",
        ];
        assert!(sorted.is_sorted_by_key(|tag| order_of_tag(tag)));
    }

    #[test]
    fn a_name_is_never_a_path() {
        for good in ["v0.8.0", "0.6.0", "0.6.0+1a2b3c4d", "v0.9.0-rc1"] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a..b",
            "-x",
            ".hidden",
            "a b",
            "a\n",
            &"a".repeat(49),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn this_machine_has_a_file_in_a_release() {
        let name = asset_name().unwrap();
        assert!(name.starts_with("miner-apps-") && name.contains(std::env::consts::ARCH));
    }
}
