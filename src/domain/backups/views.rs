//! Pages of backups and their JSON.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

use super::naming::BackupKind;
use super::outcome::{BackupOutcome, BackupOutcomes};
use super::service::{Backup, BackupJob, BackupOverview};
use super::settings::BackupSettings;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::FieldError;
use crate::web::{ConfirmPage, ConfirmQuestion};

/// `GET /backups`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "backups/show.html", blocks = ["main", "backups"])]
#[schemars(rename = "Backups")]
pub struct BackupsPage {
    #[serde(skip)]
    now: Timestamp,
    /// The existing backups, newest first.
    backups: Vec<Backup>,
    /// The running backup, or null.
    making: Option<BackupJob>,
    /// The settings of nightly backups.
    settings: BackupSettings,
    /// Results of the last backups.
    last: BackupOutcomes,
    /// The directory on the machine that runs jd-manager.
    directory: String,
    #[serde(skip)]
    errors: Vec<FieldError>,
}

crate::view!(BackupsPage { "main" => as_main, "backups" => as_backups });

impl BackupsPage {
    /// The page; `errors`: errors of a form.
    pub fn new(all: BackupOverview, errors: Vec<FieldError>, now: Timestamp) -> Self {
        let directory = all.dir.display().to_string();
        Self {
            now,
            backups: all.backups,
            making: all.making,
            settings: all.wanted,
            last: all.last,
            directory,
            errors,
        }
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn error(&self, pointer: &str) -> Option<Cow<'_, str>> {
        self.errors
            .iter()
            .find(|error| error.pointer == pointer)
            .map(|error| self.error_text(error))
    }

    fn error_text<'a>(&self, error: &'a FieldError) -> Cow<'a, str> {
        let label = (error.pointer == "/keep").then_some("Nightly backups to keep");
        error.page_text_as(label)
    }

    fn size(&self, bytes: &u64) -> String {
        size(*bytes)
    }

    /// The unresolved failures, with their titles.
    fn failures(&self) -> Vec<(&'static str, &BackupOutcome)> {
        let named = |(kind, ended)| match kind {
            BackupKind::Nightly => ("The last nightly backup", ended),
            BackupKind::Manual => ("The last manual backup", ended),
        };
        self.last
            .failures(&self.settings)
            .into_iter()
            .map(named)
            .collect()
    }

    fn hours(&self) -> Vec<(String, String)> {
        (0..24)
            .map(|hour| (hour.to_string(), format!("{hour:02}:00")))
            .collect()
    }
}

/// A backup to be deleted.
#[derive(Debug, JsonSchema, Serialize)]
pub struct BackupRemoval {
    #[serde(flatten)]
    backup: Backup,
    /// Number of other backups.
    others: usize,
}

/// `GET /backups/{name}/delete`: the confirmation page.
pub(super) fn delete_page(backup: Backup, others: usize) -> ConfirmPage<BackupRemoval> {
    let left = match others {
        0 => "There are no other backups.".to_owned(),
        1 => "1 other backup will be kept.".to_owned(),
        _ => format!("{others} other backups will be kept."),
    };
    let made = backup.named.created_at.local();
    let size = size(backup.size);
    let question = ConfirmQuestion {
        title: "Delete this backup?".into(),
        nav: "backups",
        texts: vec![format!(
            "{}, created {made}, {size}. This cannot be undone. {left}",
            backup.name
        )],
        action: Some((
            format!("/backups/{}/delete", backup.name),
            "Delete backup".into(),
        )),
        back: "/backups".into(),
        ..ConfirmQuestion::default()
    };
    ConfirmPage::new(BackupRemoval { backup, others }, question)
}

/// `3.4 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
