//! Settings of nightly backups, and when one is due. Pure except for reading a body.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::web::extract::MemberReader;
use crate::web::openapi::{RequestField, flag, whole};

/// Minimum time between two nightly backups, even on days with a clock change.
const APART: Duration = Duration::from_secs(20 * 3600);
/// A backup that was missed, for example while the machine was off, is due after this time.
const LATE: Duration = Duration::from_secs(30 * 3600);
/// Maximum number of backups to keep.
const MOST_KEPT: i64 = 365;

/// Settings of nightly backups. Default: at 3:00, and the last seven
/// are kept.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct BackupSettings {
    /// Create nightly backups.
    pub nightly: bool,
    /// Hour of the day, in the machine's local time, 0 to 23.
    pub hour: u8,
    /// Number of nightly backups to keep.
    pub keep: u32,
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self {
            nightly: true,
            hour: 3,
            keep: 7,
        }
    }
}

/// The fields of the settings.
pub(super) fn settings_fields() -> [RequestField; 3] {
    [
        flag("nightly", "Create a backup every night.").or(true),
        whole(
            "hour",
            "Hour of the day, in the machine's local time.",
            0,
            23,
        )
        .or(3),
        whole("keep", "Number of nightly backups to keep.", 1, MOST_KEPT).or(7),
    ]
}

impl BackupSettings {
    /// Applies the fields of a body. A form does not send unchecked boxes, so with `is_form` a missing box
    /// means no.
    pub fn changed(&self, value: serde_json::Value, is_form: bool) -> Result<Self> {
        let mut body = MemberReader::of(value, settings_fields())?;
        let mut wanted = self.clone();
        wanted.nightly = body
            .flag("nightly")
            .or(is_form.then_some(false))
            .unwrap_or(self.nightly);
        if let Some(hour) = body.number("hour") {
            wanted.hour = u8::try_from(hour).unwrap_or(self.hour);
        }
        if let Some(keep) = body.number("keep") {
            wanted.keep = u32::try_from(keep).unwrap_or(self.keep);
        }
        body.finish(Some(wanted))
    }

    /// Whether a backup is due at `now`, at the local hour `hour`; `last`: time of the newest
    /// backup.
    pub fn is_due(&self, now: Timestamp, hour: u8, last: Option<Timestamp>) -> bool {
        if !self.nightly {
            return false;
        }
        // A backup from the future was created with a wrong clock.
        let Some(since) = last.filter(|last| *last <= now).map(|last| now.since(last)) else {
            return true;
        };
        since >= LATE || (hour == self.hour && since >= APART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;
    use serde_json::json;

    #[test]
    fn one_a_night_at_its_hour_and_later_if_the_machine_was_off() {
        let wanted = BackupSettings::default();
        let hour = |number: i64| Timestamp(number * 3_600_000);
        assert!(wanted.is_due(hour(3), 3, None) && wanted.is_due(hour(12), 12, None));
        // A week, looked at every hour.
        let mut last = hour(3);
        let mut made = Vec::new();
        for at in 4..(7 * 24) {
            if wanted.is_due(hour(at), u8::try_from(at % 24).unwrap(), Some(last)) {
                last = hour(at);
                made.push(at);
            }
        }
        assert_eq!(made, (1..7).map(|day| day * 24 + 3).collect::<Vec<_>>());
        assert!(
            !wanted.is_due(hour(32), 8, Some(hour(3))) && wanted.is_due(hour(33), 9, Some(hour(3))),
            "it was off at night"
        );
        assert!(
            wanted.is_due(hour(3), 3, Some(hour(500))),
            "one from the future"
        );
        assert!(
            !BackupSettings {
                nightly: false,
                ..wanted
            }
            .is_due(hour(3), 3, None)
        );
    }

    #[test]
    fn what_is_not_mentioned_stays_and_what_is_wrong_is_named() {
        let wanted = BackupSettings::default();
        let changed = wanted
            .changed(json!({ "hour": 23, "keep": "30" }), false)
            .unwrap();
        assert_eq!(
            changed,
            BackupSettings {
                nightly: true,
                hour: 23,
                keep: 30
            }
        );
        assert!(!wanted.changed(json!({}), true).unwrap().nightly);
        let Err(Error::Invalid(errors)) = wanted.changed(
            json!({ "hour": 24, "keep": 0, "nightly": "perhaps", "x": 1 }),
            false,
        ) else {
            panic!()
        };
        assert!(
            errors
                .iter()
                .map(|e| e.pointer.as_str())
                .all(|at| ["/hour", "/keep", "/nightly", "/x"].contains(&at))
                && errors.len() >= 3
        );
    }
}
