//! Releases, installed clients and update jobs: values and pure rules.

mod job;

pub use job::{HealthGate, JobStage, JobTask, StepState, SwitchStep, UpdateJob, VersionSwitch};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags::{client_of_tag, least_client_of_tag, order_of_tag};
use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, JobId};
use crate::domain::configs::ClientVersion;

/// A release as its source describes it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct ClientRelease {
    /// Its tag, `v0.8.0`.
    pub tag: String,
    /// What changed, as its makers wrote it; Markdown, not to be trusted.
    pub notes: String,
    /// When it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// Not meant for everybody yet.
    pub prerelease: bool,
    /// Its page.
    pub page: String,
    /// Its file for this machine.
    pub asset: ReleaseAsset,
}

/// The file of a release for this machine.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ReleaseAsset {
    /// It can be downloaded.
    Ready {
        /// Its name.
        name: String,
        /// Where it is.
        url: String,
        /// Its length, bytes.
        size: u64,
        /// Its SHA-256 in hexadecimal; none: the release gives none.
        #[serde(skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// Where its minisign signature is, if it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// It is still being uploaded: files come some minutes after their release.
    Uploading {
        /// Its name.
        name: String,
    },
    /// The release has none for this machine.
    Missing {
        /// What it would be called, or why there is none.
        why: String,
    },
}

impl ReleaseAsset {
    /// It can be downloaded.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// Where it is; empty if nowhere.
    pub fn url(&self) -> &str {
        if let Self::Ready { url, .. } = self {
            url
        } else {
            ""
        }
    }

    /// Its SHA-256 in hexadecimal, if the release gives one.
    pub fn sha256(&self) -> Option<&str> {
        if let Self::Ready { sha256, .. } = self {
            sha256.as_deref()
        } else {
            None
        }
    }

    /// Its length, bytes.
    pub const fn size(&self) -> Option<u64> {
        if let Self::Ready { size, .. } = self {
            Some(*size)
        } else {
            None
        }
    }

    /// Why it cannot be downloaded, in a sentence; none: it can.
    pub fn obstacle(&self) -> Option<String> {
        match self {
            Self::Ready { .. } => None,
            Self::Uploading { name } => Some(format!(
                "{name} is still being uploaded to the release. Try again in a few minutes."
            )),
            Self::Missing { why } => Some(why.clone()),
        }
    }
}

impl ClientRelease {
    /// Which client it carries, as far as is known before it is installed.
    pub fn client(&self) -> Option<ClientVersion> {
        client_of_tag(&self.tag)
    }

    /// It is meant for everybody: not marked as a pre-release, and its tag is a version without a
    /// suffix such as `-rc1`.
    pub fn is_final(&self) -> bool {
        !self.prerelease && order_of_tag(&self.tag).is_some_and(|order| order.is_final())
    }
}

/// A release that a user does not want to be offered.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ReleaseSkip {
    /// Its tag.
    pub tag: String,
    /// Since when.
    pub skipped_at: Timestamp,
    /// By whom, `ada (page)`.
    pub skipped_by: String,
}

/// Whether a release is newer than what is in use. Versions are compared, not dates.
pub fn is_newer(release: &ClientRelease, in_use: &InUse) -> bool {
    let order = order_of_tag(&release.tag);
    if let Some(present) = in_use.tag.as_deref().and_then(order_of_tag) {
        return order > Some(present);
    }
    match release.client() {
        Some(client) => client > in_use.client,
        // A tag that this program does not know carries a client that it does not know, newer than
        // that of the release before it.
        None => least_client_of_tag(&release.tag).is_some_and(|least| in_use.client <= least),
    }
}

/// The client in use, as far as it matters to what is newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The tag of the release it came with.
    pub tag: Option<String>,
    /// The version it tells.
    pub client: ClientVersion,
}

/// Where an installed client came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOrigin {
    /// Downloaded with a release.
    Release,
    /// Built here from the cargo registry.
    Built,
    /// A file somebody gave.
    File,
    /// Put into the directory by hand.
    ByHand,
    /// The program given with `--client`.
    Setting,
}

impl ClientOrigin {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Built => "built here",
            Self::File => "file",
            Self::ByHand => "added manually",
            Self::Setting => "set with --client",
        }
    }
}

/// By what a file was known to be the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileProof {
    /// A signature by the configured key, and the release's digest if it gives one.
    Signature,
    /// The digest its release gives.
    Digest,
    /// The registry's own checksums, which cargo compares.
    Registry,
    /// Nothing: whoever installed it vouches for it.
    None,
}

impl FileProof {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Digest => "release checksum",
            Self::Registry => "cargo",
            Self::None => "not verified",
        }
    }
}

/// What is written beside an installed client. Written once, never changed.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct ClientManifest {
    /// Where it came from.
    pub origin: ClientOrigin,
    /// The tag of its release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The version it tells, `0.6.0`.
    pub client: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its length, bytes.
    pub size: u64,
    /// By what it was known to be the right one.
    pub proof: FileProof,
    /// The address or path it came from, or the command that made it.
    pub from: String,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// The notes of its release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// The work that brought it.
    pub job: JobId,
}

impl ClientManifest {
    /// The beginning of its SHA-256.
    pub fn short_sha256(&self) -> &str {
        self.sha256.get(..12).unwrap_or(&self.sha256)
    }
}

/// An installed client.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct InstalledClient {
    /// Its name in the store, mostly the version it tells.
    pub name: String,
    /// What is known of it; none: it was put there by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ClientManifest>,
    /// Instances that are not pinned run it.
    pub in_use: bool,
    /// The instances that run it, are pinned to it, or try it.
    pub instances: Vec<ClientUser>,
}

/// An instance that needs an installed client.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ClientUser {
    /// Which.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// It is pinned to it.
    pub pinned: bool,
    /// Its present client is this one.
    pub running: bool,
}

impl InstalledClient {
    /// It came with this release.
    pub fn came_with(&self, release: &ClientRelease) -> bool {
        let tag = self.manifest.as_ref().and_then(|m| m.tag.as_ref());
        tag == Some(&release.tag)
    }

    /// Why it cannot be removed, in a sentence; none: it can.
    pub fn obstacle(&self) -> Option<String> {
        if self.in_use {
            return Some(format!(
                "{} is the version in use. Switch to another version first.",
                self.name
            ));
        }
        let names: Vec<&str> = self
            .instances
            .iter()
            .map(|user| user.name.as_str())
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "{} is used by {}. Switch to another version there first.",
                self.name,
                names.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn release(tag: &str, prerelease: bool) -> ClientRelease {
        ClientRelease {
            tag: tag.into(),
            notes: String::new(),
            published_at: None,
            prerelease,
            page: String::new(),
            asset: ReleaseAsset::Uploading { name: "x".into() },
        }
    }

    #[test]
    fn newer_is_judged_by_tags_or_by_what_they_carry() {
        let by_tag = |tag: &str| InUse {
            tag: Some(tag.into()),
            client: ClientVersion::new(0, 6, 0),
        };
        let by_version = |minor| InUse {
            tag: None,
            client: ClientVersion::new(0, minor, 0),
        };
        assert!(is_newer(&release("v0.9.0", false), &by_tag("v0.8.0")));
        assert!(
            !is_newer(&release("v0.8.0", false), &by_tag("v0.8.0"))
                && !is_newer(&release("v0.7.0", false), &by_tag("v0.8.0"))
        );
        assert!(
            is_newer(&release("v0.8.0", false), &by_version(5))
                && !is_newer(&release("v0.8.0", false), &by_version(6))
        );
        // A tag that is not known carries a client that is not known.
        assert!(
            is_newer(&release("v0.9.0", false), &by_version(6))
                && !is_newer(&release("v0.9.0", false), &by_version(7))
        );
        // A late patch of an older line is newer than that line alone.
        for (patch, in_use, newer) in [
            ("v0.7.2", by_version(5), true),
            ("v0.7.2", by_version(6), false),
            ("v0.7.2", by_tag("v0.7.0"), true),
            ("v0.7.2", by_tag("v0.8.0"), false),
            ("v0.0.1", by_version(1), false),
        ] {
            assert_eq!(
                is_newer(&release(patch, false), &in_use),
                newer,
                "{patch} {in_use:?}"
            );
        }
        // With a tag that is no version, the client's version decides.
        assert!(is_newer(
            &release("v0.9.0", false),
            &InUse {
                client: ClientVersion::new(0, 5, 0),
                ..by_tag("nightly")
            }
        ));
        assert!(!is_newer(&release("v0.8.0", false), &by_tag("nightly")));
    }

    #[test]
    fn a_suffix_makes_a_pre_release_as_its_mark_does() {
        assert!(release("v0.9.0", false).is_final());
        for (tag, mark) in [("v0.9.0", true), ("v0.9.0-rc1", false), ("nightly", false)] {
            assert!(!release(tag, mark).is_final(), "{tag}");
        }
    }
}
