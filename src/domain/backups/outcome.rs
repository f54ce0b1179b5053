//! Results of the last backups, and failures that still need attention. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::naming::BackupKind;
use super::settings::BackupSettings;
use crate::base::clock::Timestamp;
use crate::infra::notices::ManagerNotice;

/// The result of the last backup of a type.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "BackupEnded")]
pub struct BackupOutcome {
    /// Time of the result.
    pub at: Timestamp,
    /// The backup's name if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The error if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Results of the last backups, by type.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
#[schemars(rename = "LastBackups")]
pub struct BackupOutcomes {
    /// The last manual backup.
    pub manual: Option<BackupOutcome>,
    /// The last nightly backup.
    pub nightly: Option<BackupOutcome>,
}

impl BackupOutcomes {
    /// Adopts newer results from `other`.
    pub fn merged(self, other: Self) -> Self {
        Self {
            manual: other.manual.or(self.manual),
            nightly: other.nightly.or(self.nightly),
        }
    }

    /// Failures without a later success. A later nightly backup also resolves the failure of a manual
    /// one.
    pub fn failures(&self, wanted: &BackupSettings) -> Vec<(BackupKind, &BackupOutcome)> {
        let has_failed = |ended: &&BackupOutcome| ended.error.is_some();
        let made = [&self.manual, &self.nightly]
            .into_iter()
            .flatten()
            .filter(|ended| ended.error.is_none());
        let newest = made.map(|ended| ended.at).max();
        let nightly = self
            .nightly
            .as_ref()
            .filter(has_failed)
            .filter(|_| wanted.nightly);
        let manual = self
            .manual
            .as_ref()
            .filter(has_failed)
            .filter(|ended| newest.is_none_or(|newest| newest < ended.at));
        let nightly = nightly.map(|ended| (BackupKind::Nightly, ended));
        nightly
            .into_iter()
            .chain(manual.map(|ended| (BackupKind::Manual, ended)))
            .collect()
    }
}

impl BackupKind {
    /// The id of the notice about a failed backup of this kind.
    pub(super) const fn notice_id(self) -> &'static str {
        match self {
            Self::Nightly => "nightly-backup-failed",
            Self::Manual => "backup-failed",
        }
    }
}

/// The notice about a failure, with the fix.
pub fn failure_notice(kind: BackupKind, ended: &BackupOutcome) -> ManagerNotice {
    let error = ended
        .error
        .as_deref()
        .unwrap_or_default()
        .trim_end_matches('.');
    let (title, then) = match kind {
        BackupKind::Nightly => (
            "The nightly backup failed",
            " jd-manager will retry every hour.",
        ),
        BackupKind::Manual => ("The manual backup failed", ""),
    };
    let notice = ManagerNotice::new(kind.notice_id(), title, format!("{error}.{then}"))
        .with_link("/backups", "Backups");
    ManagerNotice {
        since: ended.at,
        ..notice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_until_a_success() {
        let ended = |at: i64, error: Option<&str>| {
            Some(BackupOutcome {
                at: Timestamp(at),
                name: None,
                error: error.map(str::to_owned),
            })
        };
        let wanted = BackupSettings::default();
        let kinds = |last: &BackupOutcomes, wanted: &BackupSettings| -> Vec<BackupKind> {
            last.failures(wanted)
                .iter()
                .map(|(kind, _)| *kind)
                .collect()
        };
        let both = BackupOutcomes {
            manual: ended(1, Some("Full.")),
            nightly: ended(2, Some("Full.")),
        };
        assert_eq!(
            kinds(&both, &wanted),
            [BackupKind::Nightly, BackupKind::Manual]
        );
        assert_eq!(
            kinds(
                &both,
                &BackupSettings {
                    nightly: false,
                    ..wanted.clone()
                }
            ),
            [BackupKind::Manual]
        );
        // A nightly backup contains everything that a manual one would have contained, but not the other
        // way round.
        assert_eq!(
            kinds(
                &BackupOutcomes {
                    nightly: ended(3, None),
                    ..both.clone()
                },
                &wanted
            ),
            Vec::<BackupKind>::new()
        );
        assert_eq!(
            kinds(
                &BackupOutcomes {
                    manual: ended(3, None),
                    ..both.clone()
                },
                &wanted
            ),
            [BackupKind::Nightly]
        );
        let older = BackupOutcomes {
            manual: ended(3, Some("Full.")),
            nightly: ended(2, None),
        };
        assert_eq!(kinds(&older, &wanted), [BackupKind::Manual]);
        let notice = failure_notice(BackupKind::Nightly, both.nightly.as_ref().unwrap());
        assert_eq!(
            (notice.id, notice.since),
            ("nightly-backup-failed", Timestamp(2))
        );
        assert_eq!(notice.detail, "Full. jd-manager will retry every hour.");
        let merged = both.merged(BackupOutcomes {
            manual: None,
            nightly: ended(3, None),
        });
        assert!(merged.manual.unwrap().error.is_some() && merged.nightly.unwrap().error.is_none());
    }
}
