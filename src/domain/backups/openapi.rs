//! What the API's documentation says of backups.

use super::responses::{BackupSettingsResponse, BackupStartResponse};
use super::views::{BackupDeletePage, BackupsPage};
use crate::web::MessageResponse;
use crate::web::openapi::{
    ApiOperation, PAGE, RequestField, delete, flag, get, patch, post, text, whole,
};

fn name() -> RequestField {
    text("id", "Its name.").like("nightly-20261128T030000123Z-with-key.tar.gz")
}

fn wanted() -> [RequestField; 3] {
    [
        flag("nightly", "One is made every night.").or(true),
        whole("hour", "At this hour of the machine's day.", 0, 23).or(3),
        whole("keep", "So many of these are kept.", 1, 365).or(7),
    ]
}

/// The operations.
pub fn operations() -> Vec<ApiOperation> {
    vec![
        get(
            "/backups",
            "getBackups",
            "The backups there are, newest first, and what is wanted every night.",
        )
        .gives::<BackupsPage>(PAGE),
        post("/backups", "createBackup", "Begins to make a backup.")
            .may_take([
                flag("with_key", "It holds the key of its secrets.").or(true),
                flag("with_logs", "It holds the logs of clients.").or(false),
                text("passphrase", "It is encrypted with this.").with("minLength", 8),
                text("repeat", "For forms: the passphrase once more."),
            ])
            .begins::<BackupStartResponse>()
            .fails(&[409]),
        get("/backups/{id}", "downloadBackup", "A backup as a file.")
            .named(name())
            .gives_file(&["application/gzip", "application/octet-stream"]),
        delete("/backups/{id}", "deleteBackup", "Deletes a backup.")
            .named(name())
            .does::<MessageResponse>()
            .fails(&[409]),
        get(
            "/backups/{id}/delete",
            "askDeleteBackup",
            "The question before a backup is deleted, for people.",
        )
        .named(name())
        .gives::<BackupDeletePage>(PAGE),
        post(
            "/backups/{id}/delete",
            "deleteBackupByForm",
            "The same as DELETE, for forms.",
        )
        .named(name())
        .does::<MessageResponse>()
        .fails(&[409]),
        patch(
            "/backups/settings",
            "changeBackupSettings",
            "Changes what is mentioned of what is wanted every night.",
        )
        .takes(wanted())
        .does::<BackupSettingsResponse>(),
        post(
            "/backups/settings",
            "changeBackupSettingsByForm",
            "The same as PATCH, for forms: what is not ticked is off.",
        )
        .takes(wanted())
        .does::<BackupSettingsResponse>(),
    ]
}
