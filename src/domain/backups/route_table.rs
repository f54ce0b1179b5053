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
    text("id", "The backup's file name.").like("nightly-20261128T030000123Z-with-key.tar.gz")
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
                "Lists the backups, newest first, and the settings of nightly backups.",
            )
            .gives::<BackupsPage>(PAGE)
            .for_admins(),
            routes::show,
        )
        .add(
            post("/backups", "createBackup", "Starts a backup.")
                .may_take([
                    flag("with_key", "Include the key that decrypts the secrets.").or(true),
                    flag("with_logs", "Include the clients' logs.").or(false),
                    text("passphrase", "Encrypt the backup with this passphrase.")
                        .with("minLength", 8),
                    text("repeat", "For forms: the passphrase again."),
                ])
                .begins::<BackupStartResponse>()
                .fails(&[409])
                .for_admins()
                .audited("started a backup"),
            routes::create,
        )
        .add(
            get("/backups/{id}", "downloadBackup", "Downloads a backup.")
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
                "Asks for confirmation before deleting a backup, for browsers.",
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
                "Changes the given settings of nightly backups.",
            )
            .takes(settings_fields())
            .does::<BackupSettingsResponse>()
            .for_admins()
            .audited("changed the nightly backup settings"),
            routes::settings,
        )
        .add(
            post(
                "/backups/settings",
                "changeBackupSettingsByForm",
                "Same as PATCH, for forms: an unchecked box means off.",
            )
            .takes(settings_fields())
            .does::<BackupSettingsResponse>()
            .for_admins()
            .audited("changed the nightly backup settings"),
            routes::settings,
        )
}
