//! The update settings: daily checks, automatic updates, required signature. Pure except for
//! reading a body.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::infra::verify::public_key;
use crate::web::extract::MemberReader;

/// Update settings. By default jd-manager checks for releases daily and installs nothing.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateSettings {
    /// Check for releases once a day.
    pub check_daily: bool,
    /// Install new releases with a checksum and switch to them automatically.
    pub automatic: bool,
    /// Start of the time window in minutes of the local day, 0 to 1439 (as text `02:00`).
    #[serde(with = "time_of_day")]
    #[schemars(with = "String", regex(pattern = "^[0-2][0-9]:[0-5][0-9]$"))]
    pub window_from: u16,
    /// End of the time window; may be after midnight.
    #[serde(with = "time_of_day")]
    #[schemars(with = "String", regex(pattern = "^[0-2][0-9]:[0-5][0-9]$"))]
    pub window_to: u16,
    /// Required minisign public key of releases; none: signatures are not required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            check_daily: true,
            automatic: false,
            window_from: 120,
            window_to: 300,
            signed_by: None,
        }
    }
}

impl UpdateSettings {
    /// Applies the given settings. An unchecked box of a form is missing, so `is_form` makes it
    /// false.
    pub fn changed(&self, value: serde_json::Value, is_form: bool) -> Result<Self> {
        let mut body = MemberReader::of(value, [])?;
        let mut wanted = self.clone();
        let no = is_form.then_some(false);
        wanted.check_daily = body.flag("check_daily").or(no).unwrap_or(self.check_daily);
        wanted.automatic = body.flag("automatic").or(no).unwrap_or(self.automatic);
        for (name, minute) in [
            ("window_from", &mut wanted.window_from),
            ("window_to", &mut wanted.window_to),
        ] {
            if let Some(text) = body.text(name) {
                match minute_of(&text) {
                    Some(given) => *minute = given,
                    None => {
                        body.refuse(name, format!("{name} must be a time of day such as 02:00."))
                    }
                }
            }
        }
        if body.has("signed_by") {
            let text = body.text("signed_by");
            if let Some(Err(why)) = text.as_deref().map(public_key) {
                body.refuse("signed_by", format!("signed_by: {why}."));
            }
            wanted.signed_by = text.as_deref().and_then(|text| {
                text.lines()
                    .rfind(|line| !line.trim().is_empty())
                    .map(|line| line.trim().to_owned())
            });
        }
        if wanted.window_from == wanted.window_to {
            body.refuse(
                "window_to",
                "The start and end of the time window are the same. Choose a different end time.",
            );
        }
        body.finish(Some(wanted))
    }

    /// Whether a minute of the local day is in the time window.
    pub const fn is_time(&self, minute: u16) -> bool {
        if self.window_from < self.window_to {
            self.window_from <= minute && minute < self.window_to
        } else {
            minute >= self.window_from || minute < self.window_to
        }
    }

    /// Start and end of the time window as text.
    pub fn window(&self) -> (String, String) {
        (text_of(self.window_from), text_of(self.window_to))
    }
}

fn text_of(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Minutes of a day as text.
mod time_of_day {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(minute: &u16, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::text_of(*minute))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u16, D::Error> {
        super::minute_of(&String::deserialize(d)?)
            .ok_or_else(|| D::Error::custom("not a time of day"))
    }
}

fn minute_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, below: u16| {
        text.parse::<u16>()
            .ok()
            .filter(|n| *n < below && text.len() == 2)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

/// Parses a stored key.
///
/// # Errors
/// The stored key is not valid.
pub fn key_of(wanted: &UpdateSettings) -> Result<Option<minisign_verify::PublicKey>> {
    wanted
        .signed_by
        .as_deref()
        .map(public_key)
        .transpose()
        .map_err(|why| {
            Error::invalid(
                "/signed_by",
                format!("The configured key is invalid: {why}."),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_mentioned_stays_and_what_is_wrong_is_named() {
        let wanted = UpdateSettings::default();
        assert!(wanted.check_daily && !wanted.automatic);
        let changed = wanted
            .changed(
                json!({"automatic": true, "window_from": "23:30", "window_to": "01:00"}),
                false,
            )
            .unwrap();
        assert!(changed.check_daily && changed.automatic);
        assert!(
            changed.is_time(23 * 60 + 30)
                && changed.is_time(0)
                && !changed.is_time(60)
                && !changed.is_time(12 * 60)
        );
        assert_eq!(changed.window(), ("23:30".to_owned(), "01:00".to_owned()));
        assert!(!wanted.changed(json!({}), true).unwrap().check_daily);
        let wrong =
            json!({"window_from": "25:00", "window_to": "2", "signed_by": "me", "automatic": 5});
        let Err(Error::Invalid(errors)) = wanted.changed(wrong, false) else {
            panic!()
        };
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert!(
            wanted
                .changed(json!({"window_from": "02:00", "window_to": "02:00"}), false)
                .is_err()
        );
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let signed = wanted
            .changed(
                json!({"signed_by": format!("untrusted comment: x\n{key}")}),
                false,
            )
            .unwrap();
        assert_eq!(signed.signed_by.as_deref(), Some(key));
        assert!(key_of(&signed).unwrap().is_some());
        // It is read as it is shown and stored.
        let told = serde_json::to_value(&signed).unwrap();
        assert_eq!(told["window_from"], "02:00");
        assert_eq!(
            serde_json::from_value::<UpdateSettings>(told).unwrap(),
            signed
        );
        assert_eq!(
            signed
                .changed(json!({"signed_by": ""}), false)
                .unwrap()
                .signed_by,
            None
        );
    }
}
