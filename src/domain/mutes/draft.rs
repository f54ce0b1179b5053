//! What a user sent to mute something, checked.

use serde_json::Value;
use std::time::Duration;

use super::model::MuteScope;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::web::extract::MemberReader;
use crate::web::openapi::{RequestField, text, whole};

/// The durations that the form offers, in minutes.
const MINUTES: [i64; 5] = [30, 120, 480, 1440, 10_080];
/// The longest mute: a longer one would be forgotten.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The longest comment in characters.
const LONGEST_COMMENT: usize = 500;

/// The durations that forms offer: minutes and text.
pub fn mute_durations() -> Vec<(String, String)> {
    let text = |minutes: i64| match minutes {
        ..60 => format!("{minutes} minutes"),
        60 => "1 hour".into(),
        61..1440 => format!("{} hours", minutes / 60),
        1440 => "1 day".into(),
        _ => format!("{} days", minutes / 1440),
    };
    let options = MINUTES.into_iter();
    options
        .map(|minutes| (minutes.to_string(), text(minutes)))
        .collect()
}

/// The fields of a request that say until when and why.
pub fn mute_fields() -> [RequestField; 4] {
    [
        text(
            "from",
            "When it starts: RFC 3339, or local time as in 2026-11-22T14:02. Default: now.",
        )
        .like("2026-11-22T22:00:00Z"),
        text(
            "until",
            "When it ends, in the same formats. It counts before minutes.",
        )
        .like("2026-11-23T06:00:00Z"),
        whole("minutes", "Duration in minutes.", 1, 527_040).like(120),
        text("comment", "The reason, at most 500 characters.").like("Moving the rack"),
    ]
}

/// From when until when, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuteDraft {
    /// When it starts.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Why; may be empty.
    pub comment: String,
}

impl MuteDraft {
    /// Takes `from`, `until`, `minutes` and `comment` out of the fields of a request and adds their
    /// errors to its errors.
    pub fn take(members: &mut MemberReader, now: Timestamp) -> Option<Self> {
        let mut time = |name: &'static str| {
            let text = members.text(name)?;
            let at = Timestamp::parse_local(&text);
            if at.is_none() {
                members.refuse(
                    name,
                    format!(
                        "{name} must be a time such as 2026-11-22T14:02 or 2026-11-22T14:02:00Z."
                    ),
                );
            }
            at
        };
        let (from, until) = (time("from"), time("until"));
        // A mute that would have started earlier starts now.
        let from = from.unwrap_or(now).max(now);
        let minutes = members.number("minutes");
        let until = until.or_else(|| {
            let minutes = u64::try_from(minutes?).ok()?;
            Some(from.after(Duration::from_secs(minutes * 60)))
        });
        let comment = members.text("comment").unwrap_or_default();
        if comment.chars().count() > LONGEST_COMMENT {
            members.refuse(
                "comment",
                format!("comment can be at most {LONGEST_COMMENT} characters long."),
            );
        }
        let is_refused = members.is_refused("until") || members.is_refused("minutes");
        match until {
            None if !is_refused => {
                members.refuse("until", "until or minutes must say when the mute ends.")
            }
            Some(until) if until <= from => members.refuse(
                "until",
                if from > now {
                    "until must be after from."
                } else {
                    "until must be in the future."
                },
            ),
            Some(until) if until.since(from) > LONGEST => {
                members.refuse("until", "until can be at most one year after the start.");
            }
            _ => {}
        }
        Some(Self {
            from,
            until: until?,
            comment,
        })
    }
}

/// What to mute and the rest of a request to `POST /alerts/mutes`.
///
/// # Errors
/// Names every invalid field.
pub(super) fn read(value: Value, now: Timestamp) -> Result<(MuteScope, MuteDraft)> {
    let mut members = MemberReader::of(value, mute_fields())?;
    let target = members.text("target");
    let scope = target.as_deref().and_then(|text| text.parse().ok());
    if scope.is_none() && !members.is_refused("target") {
        members.refuse(
            "target",
            "target must be all, instance:ID, tag:NAME or rule:ID.",
        );
    }
    let draft = MuteDraft::take(&mut members, now);
    members.finish(scope.zip(draft))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn read_one(value: Value) -> std::result::Result<(MuteScope, MuteDraft), Vec<String>> {
        read(value, NOW).map_err(|e| match e {
            Error::Invalid(errors) => errors.into_iter().map(|e| e.pointer).collect(),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_mute_has_a_target_and_an_end() {
        let after = |minutes: u64| NOW.after(Duration::from_secs(minutes * 60));
        let (scope, draft) = read_one(json!({ "target": "all", "minutes": 30 })).unwrap();
        assert_eq!(scope, MuteScope::All);
        let expected = MuteDraft {
            from: NOW,
            until: after(30),
            comment: String::new(),
        };
        assert_eq!(draft, expected);
        // As a form sends it: the end counts before the duration.
        let form = json!({ "target": "tag:barn", "minutes": "120", "from": "", "until": after(60).to_string(), "comment": " moving " });
        let (scope, draft) = read_one(form).unwrap();
        assert_eq!(
            (scope, draft.until),
            (MuteScope::Tag("barn".into()), after(60))
        );
        assert_eq!(draft.comment, "moving");
        // It starts later, and an earlier start is now.
        let later = json!({ "target": "all", "from": after(10).to_string(), "minutes": 5 });
        let (_, draft) = read_one(later).unwrap();
        assert_eq!((draft.from, draft.until), (after(10), after(15)));
        let earlier = json!({ "target": "all", "from": "2020-01-01T00:00:00Z", "minutes": 5 });
        assert_eq!(read_one(earlier).unwrap().1.from, NOW);
    }

    #[test]
    fn every_invalid_field_is_named() {
        let past = "2020-01-01T00:00:00Z";
        for (value, pointers) in [
            (json!({}), vec!["/target", "/until"]),
            (
                json!({ "target": "barn", "minutes": 0 }),
                vec!["/target", "/minutes"],
            ),
            (json!({ "target": "all", "until": "soon" }), vec!["/until"]),
            (json!({ "target": "all", "until": past }), vec!["/until"]),
            (
                json!({ "target": "all", "until": "2099-01-01T00:00:00Z" }),
                vec!["/until"],
            ),
            (
                json!({ "target": "all", "minutes": 527_041 }),
                vec!["/minutes"],
            ),
            (
                json!({ "target": "all", "minutes": 5, "from": 7 }),
                vec!["/from"],
            ),
            (
                json!({ "target": 7, "minutes": 5, "comment": "x".repeat(501) }),
                vec!["/target", "/comment"],
            ),
            (
                json!({ "target": "all", "from": "2027-02-01T00:00:00Z", "until": "2027-01-31T00:00:00Z" }),
                vec!["/until"],
            ),
        ] {
            assert_eq!(read_one(value.clone()).unwrap_err(), pointers, "{value}");
        }
    }
}
