//! Which of the known releases is offered on this machine. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{ClientRelease, ReleaseSkip};
use super::tags::order_of_tag;

/// The offer on this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReleaseOffer<'a> {
    /// The latest release that can be installed here; none if there is none. Pre-releases and
    /// skipped releases are not offered.
    pub release: Option<&'a ClientRelease>,
    /// The latest release above it without a file for this machine.
    pub pending: Option<&'a ClientRelease>,
}

/// A newer release that cannot be installed on this machine yet.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct PendingRelease {
    /// Its tag.
    pub tag: String,
    /// The reason, as a sentence.
    pub reason: String,
}

impl PendingRelease {
    /// From a release without its file.
    pub fn of(release: &ClientRelease) -> Self {
        Self {
            tag: release.tag.clone(),
            reason: release.asset.obstacle().unwrap_or_default(),
        }
    }

    /// As text.
    pub fn text(&self) -> String {
        format!(
            "Release {} is not yet available for this machine. {}",
            self.tag, self.reason
        )
    }
}

/// Selects the release to offer. The order of `releases` does not matter.
pub fn choose<'a>(releases: &'a [ClientRelease], skips: &[ReleaseSkip]) -> ReleaseOffer<'a> {
    let newest = |is_ready: bool| {
        releases
            .iter()
            .filter(|release| release.is_final() && release.asset.is_ready() == is_ready)
            .filter(|release| skips.iter().all(|skip| skip.tag != release.tag))
            .max_by_key(|release| order_of_tag(&release.tag))
    };
    let release = newest(true);
    let order = release.and_then(|release| order_of_tag(&release.tag));
    ReleaseOffer {
        release,
        pending: newest(false).filter(|pending| order_of_tag(&pending.tag) > order),
    }
}

/// Selects from several releases that match a request: the latest final one that can be installed
/// here, or else the latest final one, or else the latest. A skip does not count, because the user
/// requested it.
pub fn choose_requested(releases: &[ClientRelease]) -> Option<&ClientRelease> {
    releases.iter().max_by_key(|release| {
        let is_final = release.is_final();
        (
            is_final && release.asset.is_ready(),
            is_final,
            order_of_tag(&release.tag),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::model::ReleaseAsset;
    use super::*;
    use crate::base::clock::Timestamp;

    fn release(tag: &str, asset: ReleaseAsset) -> ClientRelease {
        ClientRelease {
            tag: tag.into(),
            notes: String::new(),
            published_at: None,
            prerelease: false,
            page: String::new(),
            asset,
        }
    }

    fn ready(tag: &str) -> ClientRelease {
        let asset = ReleaseAsset::Ready {
            name: "x".into(),
            url: "https://x".into(),
            size: 1,
            sha256: None,
            signature: None,
        };
        release(tag, asset)
    }

    fn uploading(tag: &str) -> ClientRelease {
        release(tag, ReleaseAsset::Uploading { name: "x".into() })
    }

    fn missing(tag: &str) -> ClientRelease {
        release(tag, ReleaseAsset::Missing { why: "none".into() })
    }

    fn skips(tags: &[&str]) -> Vec<ReleaseSkip> {
        tags.iter()
            .map(|tag| ReleaseSkip {
                tag: (*tag).into(),
                skipped_at: Timestamp(0),
                skipped_by: "ada (page)".into(),
            })
            .collect()
    }

    fn tags(releases: &[ClientRelease], skipped: &[&str]) -> (Option<String>, Option<String>) {
        let offer = choose(releases, &skips(skipped));
        let tag = |release: Option<&ClientRelease>| release.map(|release| release.tag.clone());
        (tag(offer.release), tag(offer.pending))
    }

    #[test]
    fn the_newest_release_with_a_file_for_this_machine_is_offered() {
        let some = |tag: &str| Some(tag.to_owned());
        for (case, releases, offered, pending) in [
            ("none are known", vec![], None, None),
            (
                "the newest is ready",
                vec![ready("v0.8.0"), ready("v0.7.0")],
                some("v0.8.0"),
                None,
            ),
            (
                "ten is more than nine",
                vec![ready("v0.9.0"), ready("v0.10.0")],
                some("v0.10.0"),
                None,
            ),
            (
                "the newest has no file",
                vec![missing("v0.9.0"), ready("v0.8.0")],
                some("v0.8.0"),
                some("v0.9.0"),
            ),
            (
                "the newest is being uploaded",
                vec![uploading("v0.9.0"), ready("v0.8.0")],
                some("v0.8.0"),
                some("v0.9.0"),
            ),
            (
                "two newer ones have none",
                vec![uploading("v0.10.0"), missing("v0.9.0"), ready("v0.8.0")],
                some("v0.8.0"),
                some("v0.10.0"),
            ),
            (
                "an older one has no file",
                vec![ready("v0.8.0"), missing("v0.7.0")],
                some("v0.8.0"),
                None,
            ),
            (
                "none has a file",
                vec![missing("v0.8.0"), missing("v0.7.0")],
                None,
                some("v0.8.0"),
            ),
            (
                "a late patch of an older line",
                vec![ready("v0.7.2"), ready("v0.8.0")],
                some("v0.8.0"),
                None,
            ),
            (
                "a late patch without its file",
                vec![missing("v0.7.2"), ready("v0.8.0")],
                some("v0.8.0"),
                None,
            ),
            (
                "only pre-releases",
                vec![ready("v0.9.0-rc1"), ready("nightly")],
                None,
                None,
            ),
        ] {
            assert_eq!(tags(&releases, &[]), (offered, pending), "{case}");
        }
        let marked = ClientRelease {
            prerelease: true,
            ..ready("v0.9.0")
        };
        assert_eq!(
            tags(&[marked, ready("v0.8.0")], &[]),
            (some("v0.8.0"), None)
        );
    }

    #[test]
    fn a_skipped_release_is_not_offered_and_a_newer_one_is() {
        let releases = [ready("v0.8.0"), ready("v0.7.0")];
        assert_eq!(tags(&releases, &["v0.8.0"]), (Some("v0.7.0".into()), None));
        assert_eq!(tags(&releases, &["v0.8.0", "v0.7.0"]), (None, None));
        let releases = [ready("v0.9.0"), ready("v0.8.0")];
        assert_eq!(tags(&releases, &["v0.8.0"]), (Some("v0.9.0".into()), None));
        let releases = [missing("v0.9.0"), ready("v0.8.0")];
        assert_eq!(tags(&releases, &["v0.9.0"]), (Some("v0.8.0".into()), None));
    }

    #[test]
    fn a_request_that_fits_several_takes_the_newest_that_can_be_installed() {
        let tag = |releases: &[ClientRelease]| choose_requested(releases).unwrap().tag.clone();
        assert_eq!(
            tag(&[missing("v0.3.0"), ready("v0.2.0"), ready("v0.1.0")]),
            "v0.2.0"
        );
        assert_eq!(tag(&[ready("v0.3.0-rc1"), missing("v0.2.0")]), "v0.2.0");
        assert_eq!(tag(&[ready("v0.3.0-rc1"), ready("nightly")]), "v0.3.0-rc1");
        assert_eq!(choose_requested(&[]), None);
    }
}
