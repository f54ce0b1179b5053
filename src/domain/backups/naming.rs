//! File names of backups. The name contains everything that the list shows, so no file has to be
//! opened and no extra file is needed. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::clock::Timestamp;

/// How a backup was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    /// Manually.
    Manual,
    /// Nightly; deleted when there are enough newer ones.
    Nightly,
}

/// The parts of a backup's name: `nightly-20261128T031000123Z-with-key-logs.tar.gz.age`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "BackupNamed")]
pub struct BackupName {
    /// How it was started.
    pub kind: BackupKind,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Whether the encryption key is included.
    pub holds_key: bool,
    /// Whether the clients' logs are included.
    pub with_logs: bool,
    /// Whether it is encrypted with a passphrase.
    pub encrypted: bool,
}

impl std::fmt::Display for BackupName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.kind == BackupKind::Nightly {
            "nightly"
        } else {
            "manual"
        };
        let stamp: String = self
            .created_at
            .to_string()
            .chars()
            .filter(|c| !matches!(c, '-' | ':' | '.'))
            .collect();
        let key = if self.holds_key { "with" } else { "without" };
        let logs = if self.with_logs { "-logs" } else { "" };
        write!(
            f,
            "{kind}-{stamp}-{key}-key{logs}.tar.gz{}",
            if self.encrypted { ".age" } else { "" }
        )
    }
}

impl std::str::FromStr for BackupName {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (rest, encrypted) = name
            .strip_suffix(".age")
            .map_or((name, false), |rest| (rest, true));
        let rest = rest.strip_suffix(".tar.gz").ok_or(())?;
        let (rest, with_logs) = rest
            .strip_suffix("-logs")
            .map_or((rest, false), |rest| (rest, true));
        let (rest, holds_key) = match (
            rest.strip_suffix("-with-key"),
            rest.strip_suffix("-without-key"),
        ) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => return Err(()),
        };
        let (kind, stamp) = match (rest.strip_prefix("nightly-"), rest.strip_prefix("manual-")) {
            (Some(stamp), _) => (BackupKind::Nightly, stamp),
            (_, Some(stamp)) => (BackupKind::Manual, stamp),
            _ => return Err(()),
        };
        if !stamp.is_ascii() || stamp.len() != 19 {
            return Err(());
        }
        let part = |from: usize, to: usize| &stamp[from..to];
        let moment = format!(
            "{}-{}-{}T{}:{}:{}.{}Z",
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(9, 11),
            part(11, 13),
            part(13, 15),
            part(15, 18)
        );
        let named = Self {
            kind,
            created_at: moment.parse().map_err(drop)?,
            holds_key,
            with_logs,
            encrypted,
        };
        // Only the exact spelling is accepted.
        if named.to_string() == name {
            Ok(named)
        } else {
            Err(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_is_and_nothing_else_is_one() {
        for kind in [BackupKind::Manual, BackupKind::Nightly] {
            for bits in 0..8_u8 {
                let [holds_key, with_logs, encrypted] = [1, 2, 4].map(|bit| bits & bit != 0);
                let named = BackupName {
                    kind,
                    created_at: Timestamp(1_795_835_400_123),
                    holds_key,
                    with_logs,
                    encrypted,
                };
                assert_eq!(named.to_string().parse(), Ok(named));
            }
        }
        let good = "nightly-20261128T031000123Z-with-key.tar.gz";
        assert!(good.parse::<BackupName>().is_ok());
        for bad in [
            "",
            ".part",
            "nightly-20261128T031000123Z-with-key.tar.gz/",
            "../nightly-20261128T031000123Z-with-key.tar.gz",
            ".nightly-20261128T031000123Z-with-key.tar.gz.part",
            "nightly-20261128T031000123Z-with-key.tar",
            "nightly-20261328T031000123Z-with-key.tar.gz",
            "nightly-20261128 031000123Z-with-key.tar.gz",
            "weekly-20261128T031000123Z-with-key.tar.gz",
            "nightly-2026112éT03100012Z-with-key.tar.gz",
            "before-upgrade-1.sqlite3",
        ] {
            assert!(bad.parse::<BackupName>().is_err(), "{bad}");
        }
    }
}
