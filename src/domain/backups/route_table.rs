//! The routes of backups: operation, role, audit text and handler of each.

use super::responses::{BackupSettingsResponse, BackupStartResponse};
use super::routes;
use super::service::Backups;
use super::settings::settings_fields;
use super::views::{BackupRemoval, BackupsPage};
use crate::web::ConfirmPage;
use crate::web::MessageResponse;
use crate::web::openapi::{
    PAGE, RequestField, RouteTable, RouterState, delete, flag, get, patch, post, text,
};
use axum::extract::FromRef;

fn name() -> RequestField {
    text("id", "Its name.").like("nightly-20261128T030000123Z-with-key.tar.gz")
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    Backups: FromRef<S>,
{
    RouteTable::new()
        .add(
            get(
                "/backups",
                "getBackups",
                "The backups there are, newest first, and what is wanted every night.",
            )
            .gives::<BackupsPage>(PAGE)
            .for_admins(),
            routes::show,
        )
        .add(
            post("/backups", "createBackup", "Begins to make a backup.")
                .may_take([
                    flag("with_key", "It holds the key of its secrets.").or(true),
                    flag("with_logs", "It holds the logs of clients.").or(false),
                    text("passphrase", "It is encrypted with this.").with("minLength", 8),
                    text("repeat", "For forms: the passphrase once more."),
                ])
                .begins::<BackupStartResponse>()
                .fails(&[409])
                .for_admins()
                .audited("began to make a backup"),
            routes::create,
        )
        .add(
            get("/backups/{id}", "downloadBackup", "A backup as a file.")
                .named(name())
                .gives_file(&["application/gzip", "application/octet-stream"])
                .for_admins()
                .audited("downloaded a backup"),
            routes::download,
        )
        .add_with_form(
            delete("/backups/{id}", "deleteBackup", "Deletes a backup.")
                .named(name())
                .does::<MessageResponse>()
                .fails(&[409])
                .for_admins()
                .audited("deleted a backup"),
            routes::delete,
            "/backups/{id}/delete",
        )
        .add(
            get(
                "/backups/{id}/delete",
                "askDeleteBackup",
                "The question before a backup is deleted, for people.",
            )
            .named(name())
            .gives::<ConfirmPage<BackupRemoval>>(PAGE)
            .for_admins(),
            routes::ask_delete,
        )
        .add(
            patch(
                "/backups/settings",
                "changeBackupSettings",
                "Changes what is mentioned of what is wanted every night.",
            )
            .takes(settings_fields())
            .does::<BackupSettingsResponse>()
            .for_admins()
            .audited("changed what is backed up every night"),
            routes::settings,
        )
        .add(
            post(
                "/backups/settings",
                "changeBackupSettingsByForm",
                "The same as PATCH, for forms: what is not ticked is off.",
            )
            .takes(settings_fields())
            .does::<BackupSettingsResponse>()
            .for_admins()
            .audited("changed what is backed up every night"),
            routes::settings,
        )
}
