//! The manifest of a backup and its allowed files. Pure.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

use super::error::BackupError;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::vault::KEY_FILE;
use crate::infra::archive::ArchiveMember;
use crate::infra::db;
use crate::keeper::{names, segment};

/// The manifest's name in the archive.
pub const FILE: &str = "manifest.json";
/// The user's own list of pools.
pub const POOLS: &str = "pools.toml";
/// The version of the format.
const FORMAT: u32 = 1;
/// Maximum manifest size in bytes, because it is read into memory. Normal: about 250 bytes per file.
pub const LARGEST: u64 = 64 << 20;

/// Maximum manifest size for this number of files, in bytes.
pub fn largest_for(files: usize) -> u64 {
    LARGEST.min(64 * 1024 + 1024 * files as u64)
}

/// The manifest of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// The version of the format: 1.
    pub format: u32,
    /// The jd-manager version that created the backup.
    pub version: String,
    /// Time of creation.
    pub created_at: Timestamp,
    /// The newest applied database migration.
    pub schema: String,
    /// Whether the encryption key is included.
    pub holds_key: bool,
    /// Whether the secrets in the database are encrypted; false: plain text, in a backup of an
    /// earlier version.
    pub sealed: bool,
    /// Whether the logs of clients and translators are included.
    pub with_logs: bool,
    /// The number of saved configurations.
    pub configurations: i64,
    /// The number of instances.
    pub instances: i64,
    /// All files except the manifest.
    pub files: Vec<BackupMember>,
}

/// A file in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupMember {
    /// The path.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

impl BackupManifest {
    /// A manifest of the current format.
    pub fn new(created_at: Timestamp, schema: String) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            created_at,
            schema,
            holds_key: false,
            sealed: false,
            with_logs: false,
            configurations: 0,
            instances: 0,
            files: Vec::new(),
        }
    }

    /// Parses a manifest.
    ///
    /// # Errors
    /// Not a manifest, or a newer format.
    pub fn read(text: &[u8]) -> Result<Self, BackupError> {
        #[derive(Deserialize)]
        struct ManifestHeader {
            format: u32,
            version: String,
        }
        let head: ManifestHeader = serde_json::from_slice(text).map_err(|e| {
            BackupError::refused(format!(
                "This file is not a valid backup. Its {FILE} cannot be read: {e}."
            ))
        })?;
        if head.format != FORMAT {
            return Err(BackupError::refused(format!(
                "This backup was created by jd-manager {} in format {}, which this version ({}) does not support. Use that version or a newer one.",
                head.version.chars().take(40).collect::<String>(),
                head.format,
                env!("CARGO_PKG_VERSION")
            )));
        }
        serde_json::from_slice(text).map_err(|e| {
            BackupError::refused(format!(
                "This file is not a valid backup. Its {FILE} cannot be read: {e}."
            ))
        })
    }

    /// Checks that the unpacked files match the manifest.
    ///
    /// # Errors
    /// Names the first file that is missing, extra or modified.
    pub fn check(&self, unpacked: &[ArchiveMember]) -> Result<(), BackupError> {
        let wrong = |words: String| {
            Err(BackupError::refused(format!(
                "The backup is damaged or was modified: {words}. Nothing was changed."
            )))
        };
        let mut rest: HashMap<&str, &ArchiveMember> = unpacked
            .iter()
            .map(|one| (one.path.as_str(), one))
            .collect();
        rest.remove(FILE);
        for member in &self.files {
            let Some(found) = rest.remove(member.path.as_str()) else {
                return wrong(format!("{} is missing", member.path));
            };
            if found.size != member.size || hex(&found.sha256) != member.sha256 {
                return wrong(format!("{} was modified", member.path));
            }
        }
        if let Some(more) = rest.keys().min() {
            return wrong(format!("{more} is not listed in its manifest"));
        }
        let has = |path: &str| self.files.iter().any(|member| member.path == path);
        if !has(db::FILE) {
            return wrong("it contains no database".into());
        }
        if has(KEY_FILE) != self.holds_key {
            return wrong("it does not contain the key that it lists".into());
        }
        Ok(())
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file of this path may be in a backup.
pub fn is_member(path: &str) -> bool {
    if [FILE, db::FILE, KEY_FILE, POOLS].contains(&path) {
        return true;
    }
    let Some((id, rest)) = path
        .strip_prefix("instances/")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let is_id = id
        .parse::<InstanceId>()
        .is_ok_and(|parsed| parsed.to_string() == id);
    let is_log = rest.split_once('/').is_some_and(|(dir, name)| {
        [names::LOGS, names::TRANSLATOR_LOGS].contains(&dir)
            && segment::parse_file_name(name).is_some()
    });
    is_id && (is_log || rest == "events.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_backup_has_may_be_in_one() {
        let id = InstanceId::random();
        for good in [
            "manifest.json".to_owned(),
            "jd-manager.sqlite3".into(),
            "secrets.key".into(),
            "pools.toml".into(),
            format!("instances/{id}/events.jsonl"),
            format!("instances/{id}/logs/00000000000000000000.log"),
            format!("instances/{id}/logs-translator/00000000000000000000.log"),
        ] {
            assert!(is_member(&good), "{good}");
        }
        for bad in [
            String::new(),
            "jd-manager.sqlite3-wal".into(),
            "settings.toml".into(),
            "clients/current".into(),
            format!("instances/{id}/config.toml"),
            format!("instances/{id}/keeper.json"),
            format!("instances/{id}/logs/x.log"),
            format!("instances/{id}/work/00000000000000000000.log"),
            format!("instances/{id}/logs/../events.jsonl"),
            format!("instances/{}/events.jsonl", id.to_string().to_uppercase()),
            "instances/x/events.jsonl".into(),
            "instances//events.jsonl".into(),
        ] {
            assert!(!is_member(&bad), "{bad}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let file = |path: &str, byte: u8| ArchiveMember {
            path: path.into(),
            size: 3,
            sha256: [byte; 32],
        };
        let mut manifest = BackupManifest::new(Timestamp(0), "20261128050000".into());
        manifest.files = vec![BackupMember {
            path: "jd-manager.sqlite3".into(),
            size: 3,
            sha256: hex(&[1; 32]),
        }];
        let all = [file("jd-manager.sqlite3", 1), file(FILE, 9)];
        manifest.check(&all).unwrap();
        let said = |manifest: &BackupManifest, files: &[ArchiveMember]| {
            manifest.check(files).unwrap_err().to_string()
        };
        assert!(said(&manifest, &all[1..]).contains("jd-manager.sqlite3 is missing"));
        assert!(said(&manifest, &[file("jd-manager.sqlite3", 2)]).contains("was modified"));
        assert!(
            said(&manifest, &[all[0].clone(), file("pools.toml", 1)])
                .contains("pools.toml is not listed in its manifest")
        );
        let keyed = BackupManifest {
            holds_key: true,
            ..manifest.clone()
        };
        assert!(said(&keyed, &all).contains("does not contain the key"));
        let text = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(BackupManifest::read(&text).unwrap(), manifest);
        let newer = String::from_utf8(text)
            .unwrap()
            .replace("\"format\":1", "\"format\":2");
        assert!(
            BackupManifest::read(newer.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("does not support")
        );
        assert!(BackupManifest::read(b"{}").is_err() && BackupManifest::read(b"\xff").is_err());
    }
}
