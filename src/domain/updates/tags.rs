//! Release tags and client versions, which are numbered separately, and the file names of a
//! release. Pure data and rules.
//!
//! Source: `jd_client_sv2 --version` prints the version of its crate; releases of
//! `stratum-mining/sv2-apps` have the tag of the whole repository. The history and issues of that
//! repository (#359, #384, #487, #646) show which tag contains which crate.

use crate::domain::configs::ClientVersion;

/// The client version of each release, oldest first.
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

/// v0.7.0 is the only tag between two releases with known clients.
const BETWEEN: (&str, ClientVersion) = ("v0.7.0", ClientVersion::new(0, 5, 0));

fn known() -> impl Iterator<Item = (&'static str, ClientVersion)> {
    TAGS.into_iter().chain([BETWEEN])
}

/// The client version of a release, if known before installation.
pub fn client_of_tag(tag: &str) -> Option<ClientVersion> {
    known()
        .find(|(known, _)| *known == tag)
        .map(|(_, client)| client)
}

/// The newest known client version of this release and those before it. An unknown release, such as
/// a late patch of an older line, has at least this one. None: the tag is not a version, or older
/// than all known ones.
pub fn least_client_of_tag(tag: &str) -> Option<ClientVersion> {
    let order = order_of_tag(tag)?;
    known()
        .filter(|(known, _)| order_of_tag(known).is_some_and(|known| known <= order))
        .map(|(_, client)| client)
        .max()
}

/// The order of a release tag by semantic versioning: numbers first, and a pre-release before its
/// release. Dates do not count: a patch of an older line is published after newer releases.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagOrder {
    /// Without trailing zeros, so `v0.9` equals `v0.9.0`.
    numbers: Vec<u64>,
    stage: TagStage,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TagStage {
    /// `rc10` is `rc` and 10, so it is after `rc2`.
    PreRelease(Vec<TagPart>),
    Final,
}

/// Numbers come before words, as in semantic versioning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TagPart {
    Number(u64),
    Word(String),
}

impl TagOrder {
    /// It is a final release.
    pub fn is_final(&self) -> bool {
        self.stage == TagStage::Final
    }
}

/// The order of a tag; none if it is not a version (`nightly`, `2026-11-01`).
pub fn order_of_tag(tag: &str) -> Option<TagOrder> {
    let version = tag.strip_prefix(['v', 'V']);
    let text = version.unwrap_or(tag);
    // The part after a plus sign is a build and has no order.
    let text = text.split_once('+').map_or(text, |(text, _)| text);
    let (core, suffix) = match text.split_once('-') {
        Some((core, suffix)) => (core, Some(suffix)),
        None => (text, None),
    };
    let mut numbers = core
        .split('.')
        .map(|part| {
            let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|_| is_number)
        })
        .collect::<Option<Vec<u64>>>()?;
    // A single number is a date or a build.
    if version.is_none() && numbers.len() < 2 {
        return None;
    }
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    let stage = match suffix {
        None => TagStage::Final,
        Some(suffix) => TagStage::PreRelease(suffix.split('.').flat_map(parts_of).collect()),
    };
    Some(TagOrder { numbers, stage })
}

fn parts_of(text: &str) -> Vec<TagPart> {
    let mut runs: Vec<String> = Vec::new();
    let mut was_digit = None;
    for c in text.chars() {
        match runs.last_mut() {
            Some(run) if was_digit == Some(c.is_ascii_digit()) => run.push(c),
            _ => runs.push(c.to_string()),
        }
        was_digit = Some(c.is_ascii_digit());
    }
    runs.into_iter()
        .map(|run| match run.parse() {
            Ok(number) => TagPart::Number(number),
            Err(_) => TagPart::Word(run),
        })
        .collect()
}

/// Whether a text can name a version: a tag, a client version or a directory. Short, and never a
/// path.
pub fn is_name(text: &str) -> bool {
    (1..=48).contains(&text.len())
        && !text.contains("..")
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

/// Name of the release file for this machine, for example
/// `miner-apps-x86_64-unknown-linux-musl.tar.gz`; none if there is none. The programs for Linux are
/// linked statically, so they run with every C library.
pub fn asset_name() -> Option<String> {
    let target = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", arch @ ("x86_64" | "aarch64")) => format!("{arch}-unknown-linux-musl"),
        ("macos", arch @ ("x86_64" | "aarch64")) => format!("{arch}-apple-darwin"),
        _ => return None,
    };
    Some(format!("miner-apps-{target}.tar.gz"))
}

/// Path of the client in that file.
pub const MEMBER: &str = "jd-client/jd_client_sv2";
/// Path of the translator in that file.
pub const TRANSLATOR_MEMBER: &str = "translator/translator_sv2";

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
            "v0.7.0",
            "v0.7.2",
            "v0.8.0-alpha.1",
            "v0.8.0-rc.1",
            "v0.8.0-rc2",
            "v0.8.0-rc10",
            "v0.8.0",
            "v0.8.0.1",
            "v0.9.0-rc2",
            "v0.9.0",
            "v0.10.0",
            "v1",
            "1.0.1",
        ];
        for pair in sorted.windows(2) {
            assert!(order_of_tag(pair[0]) < order_of_tag(pair[1]), "{pair:?}");
        }
        assert_eq!(order_of_tag("v0.9"), order_of_tag("V0.9.0+build.7"));
        for other in [
            "",
            "v",
            "v.1",
            "vv1.0",
            "v0.x",
            "v+1.0",
            "2026-11-01",
            "20261101",
            "jd-client",
            "v99999999999999999999.0",
        ] {
            assert_eq!(order_of_tag(other), None, "{other}");
        }
        assert!(
            order_of_tag("v0.9.0").is_some_and(|order| order.is_final())
                && order_of_tag("v0.9.0-rc1").is_some_and(|order| !order.is_final())
        );
    }

    #[test]
    fn a_release_carries_at_least_the_client_of_those_before_it() {
        assert_eq!(
            least_client_of_tag("v0.7.2"),
            Some(ClientVersion::new(0, 5, 0))
        );
        assert_eq!(
            least_client_of_tag("v1.0.0"),
            Some(ClientVersion::NEWEST_KNOWN)
        );
        assert_eq!(
            least_client_of_tag("v0.8.0-rc1"),
            Some(ClientVersion::new(0, 5, 0))
        );
        assert_eq!(least_client_of_tag("v0.0.1"), None);
        assert_eq!(least_client_of_tag("nightly"), None);
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
