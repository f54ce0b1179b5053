//! Releases, installed clients and update jobs: values and pure rules.

mod job;

pub use job::{HealthGate, JobStage, JobTask, StepState, SwitchStep, UpdateJob, VersionSwitch};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags::{client_of_tag, least_client_of_tag, order_of_tag};
use crate::base::actor::actor_text;
use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, JobId};
use crate::domain::configs::ClientVersion;

/// A release from the release API.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct ClientRelease {
    /// Tag, for example `v0.8.0`.
    pub tag: String,
    /// Release notes in Markdown, not trusted.
    pub notes: String,
    /// When it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// Marked as a pre-release.
    pub prerelease: bool,
    /// Address of the release page.
    pub page: String,
    /// The file for this machine.
    pub asset: ReleaseAsset,
}

/// The file of a release for this machine.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ReleaseAsset {
    /// It can be downloaded.
    Ready {
        /// File name.
        name: String,
        /// Address.
        url: String,
        /// Size in bytes.
        size: u64,
        /// SHA-256 in hexadecimal; none if the release has none.
        #[serde(skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// Address of the minisign signature, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// It is still being uploaded: files can appear minutes after a release.
    Uploading {
        /// File name.
        name: String,
    },
    /// The release has no file for this machine.
    Missing {
        /// Expected file name, or why there is none.
        why: String,
    },
}

impl ReleaseAsset {
    /// It can be downloaded.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// Address; empty if there is none.
    pub fn url(&self) -> &str {
        if let Self::Ready { url, .. } = self {
            url
        } else {
            ""
        }
    }

    /// SHA-256 in hexadecimal, if the release has one.
    pub fn sha256(&self) -> Option<&str> {
        if let Self::Ready { sha256, .. } = self {
            sha256.as_deref()
        } else {
            None
        }
    }

    /// Size in bytes.
    pub const fn size(&self) -> Option<u64> {
        if let Self::Ready { size, .. } = self {
            Some(*size)
        } else {
            None
        }
    }

    /// Why it cannot be downloaded, as a sentence; none if it can.
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
    /// The client version, if known before installation.
    pub fn client(&self) -> Option<ClientVersion> {
        client_of_tag(&self.tag)
    }

    /// A final release: not marked as a pre-release, and its tag is a version without a suffix such
    /// as `-rc1`.
    pub fn is_final(&self) -> bool {
        !self.prerelease && order_of_tag(&self.tag).is_some_and(|order| order.is_final())
    }
}

/// A release that a user skipped.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ReleaseSkip {
    /// Its tag.
    pub tag: String,
    /// Time.
    pub skipped_at: Timestamp,
    /// User, for example `ada (page)`.
    pub skipped_by: String,
}

impl ReleaseSkip {
    /// Who skipped it, in words: `by ada (web page)`.
    pub fn skipper(&self) -> String {
        actor_text(&self.skipped_by).unwrap_or_default()
    }
}

/// Whether a release is newer than the version in use. Compares versions, not dates.
pub fn is_newer(release: &ClientRelease, in_use: &InUse) -> bool {
    let order = order_of_tag(&release.tag);
    if let Some(present) = in_use.tag.as_deref().and_then(order_of_tag) {
        return order > Some(present);
    }
    match release.client() {
        Some(client) => client > in_use.client,
        // An unknown tag has an unknown client, newer than the client of the previous release.
        None => least_client_of_tag(&release.tag).is_some_and(|least| in_use.client <= least),
    }
}

/// The client in use, as needed for the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// Tag of its release.
    pub tag: Option<String>,
    /// Client version.
    pub client: ClientVersion,
}

/// Source of an installed client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOrigin {
    /// Downloaded from a release.
    Release,
    /// Built here from the cargo registry.
    Built,
    /// An uploaded or local file.
    File,
    /// Added to the directory manually.
    ByHand,
    /// Set with `--client`.
    Setting,
}

impl ClientOrigin {
    /// As text.
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

/// How a file was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileProof {
    /// With a signature by the configured key, and the checksum of the release if there is one.
    Signature,
    /// With the checksum of the release.
    Digest,
    /// With the checksums of the cargo registry, verified by cargo.
    Registry,
    /// Not verified.
    None,
}

impl FileProof {
    /// As text.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Digest => "release checksum",
            Self::Registry => "cargo",
            Self::None => "not verified",
        }
    }
}

/// The manifest of an installed client. Written once, never changed.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct ClientManifest {
    /// Source of the client.
    pub origin: ClientOrigin,
    /// Tag of its release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Client version, for example `0.6.0`.
    pub client: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// How it was verified.
    pub proof: FileProof,
    /// Address or path of its source, or the build command.
    pub from: String,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Release notes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Id of the installation job.
    pub job: JobId,
    /// The translator that was installed with it; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translator: Option<TranslatorManifest>,
    /// The installation looked for a translator. False for clients that were installed before
    /// jd-manager could run translators.
    #[serde(default)]
    pub translator_checked: bool,
}

/// The translator of an installed client.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct TranslatorManifest {
    /// Translator version, for example `0.6.0`.
    pub version: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

/// The beginning of a SHA-256 in hexadecimal.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

impl ClientManifest {
    /// The beginning of its SHA-256.
    pub fn short_sha256(&self) -> &str {
        short(&self.sha256)
    }
}

impl TranslatorManifest {
    /// The beginning of its SHA-256.
    pub fn short_sha256(&self) -> &str {
        short(&self.sha256)
    }
}

/// An installed client.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct InstalledClient {
    /// Name in the store, usually the client version.
    pub name: String,
    /// Its manifest; none if it was added manually.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ClientManifest>,
    /// It has a translator for Stratum V1 miners.
    pub translator: bool,
    /// The version in use: instances that are not pinned run it.
    pub in_use: bool,
    /// Instances that run it, are pinned to it, or have it on trial.
    pub instances: Vec<ClientUser>,
}

/// An instance that uses an installed client.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ClientUser {
    /// Id of the instance.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// Pinned to this client.
    pub pinned: bool,
    /// Is running this client now.
    pub running: bool,
}

impl InstalledClient {
    /// Whether it came with this release.
    pub fn came_with(&self, release: &ClientRelease) -> bool {
        let tag = self.manifest.as_ref().and_then(|m| m.tag.as_ref());
        tag == Some(&release.tag)
    }

    /// Whether its release has to be installed again to get the translator: it was installed before
    /// jd-manager could run translators.
    pub fn lacks_translator(&self) -> bool {
        let is_checked = |m: &ClientManifest| m.translator_checked;
        !self.translator && !self.manifest.as_ref().is_some_and(is_checked)
    }

    /// Why it cannot be removed, as a sentence; none if it can.
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
                "{} is used by {}. First select another version in the settings of each instance.",
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
        // An unknown tag has an unknown client.
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
        // If the tag is not a version, the client version decides.
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
