//! The report of `jd-manager doctor`, as text and as JSON.

use serde::Serialize;
use std::fmt::Write;

/// The result of a check, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoctorStatus {
    /// Nothing to do.
    Ok,
    /// Not possible here, or not necessary.
    Skipped,
    /// jd-manager starts, but something is missing or will fail later.
    Warning,
    /// jd-manager does not start, or an instance cannot mine.
    Error,
}

impl DoctorStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorCheck {
    /// The kind of check, for programs.
    pub id: &'static str,
    /// What was checked.
    pub title: String,
    /// The result.
    pub status: DoctorStatus,
    /// The result in sentences.
    pub detail: String,
    /// What to do, in sentences; none if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl DoctorCheck {
    fn new(id: &'static str, title: &str, status: DoctorStatus, detail: impl Into<String>) -> Self {
        Self {
            id,
            title: title.into(),
            status,
            detail: detail.into(),
            fix: None,
        }
    }

    /// A check without a problem.
    pub fn ok(id: &'static str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(id, title, DoctorStatus::Ok, detail)
    }

    /// A check that was not made.
    pub fn skipped(id: &'static str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(id, title, DoctorStatus::Skipped, detail)
    }

    /// A problem that lets jd-manager start.
    pub fn warning(id: &'static str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(id, title, DoctorStatus::Warning, detail)
    }

    /// A problem that prevents a start, or mining.
    pub fn error(id: &'static str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(id, title, DoctorStatus::Error, detail)
    }

    /// The same with a fix; an empty text is none.
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()).filter(|fix| !fix.is_empty()),
            ..self
        }
    }
}

/// The whole report.
#[derive(Debug, Serialize)]
pub struct DoctorReport {
    /// The version of this program.
    pub version: &'static str,
    /// Distribution, kernel and architecture.
    pub platform: String,
    /// The data directory.
    pub data_dir: String,
    /// The worst result; `skipped` counts as `ok`.
    pub status: DoctorStatus,
    /// All checks.
    pub checks: Vec<DoctorCheck>,
}

impl DoctorReport {
    /// The report about these checks.
    pub fn new(data_dir: String, checks: Vec<DoctorCheck>) -> Self {
        let worst = checks
            .iter()
            .map(|check| check.status)
            .filter(|status| *status != DoctorStatus::Skipped)
            .max();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            platform: platform(),
            data_dir,
            status: worst.unwrap_or(DoctorStatus::Ok),
            checks,
        }
    }

    /// The text for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "jd-manager {} on {}\nData directory {}\n\n",
            self.version, self.platform, self.data_dir
        );
        for check in &self.checks {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "{:<8} {}: {}",
                check.status.as_str(),
                check.title,
                indented(&check.detail)
            );
            if let Some(fix) = &check.fix {
                let _ = writeln!(text, "{:9}Fix: {}", "", indented(fix));
            }
        }
        let count = |status| {
            self.checks
                .iter()
                .filter(|check| check.status == status)
                .count()
        };
        let number = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let _ = write!(
            text,
            "\n{}, {}.",
            number(count(DoctorStatus::Error), "error"),
            number(count(DoctorStatus::Warning), "warning")
        );
        text
    }
}

/// Further lines below the first.
fn indented(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines.join("\n         ")
}

/// Distribution, kernel and architecture, such as `Debian GNU/Linux 12 (bookworm), Linux 6.1.0,
/// x86_64`.
fn platform() -> String {
    let system = rustix::system::uname();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or("an unknown distribution", |name| name.trim_matches('"'));
    format!(
        "{name}, {} {}, {}",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_decides_and_every_line_of_a_fix_is_shown() {
        let of = |checks| DoctorReport::new("/d".into(), checks).status;
        let ok = DoctorCheck::ok("clock", "Clock", "Fine.");
        let skipped = DoctorCheck::skipped("clock", "Clock", "No.");
        assert_eq!(of(vec![]), DoctorStatus::Ok);
        assert_eq!(of(vec![ok.clone(), skipped.clone()]), DoctorStatus::Ok);
        let warning = DoctorCheck::warning("database", "Database", "Old.").with_fix("");
        assert_eq!(of(vec![warning.clone(), ok.clone()]), DoctorStatus::Warning);
        let error = DoctorCheck::error("disk", "Disk", "Full.").with_fix("Delete.\n\nOr buy.");
        let report = DoctorReport::new("/d".into(), vec![warning, error, skipped]);
        assert_eq!(report.status, DoctorStatus::Error);
        let text = report.text();
        assert!(
            text.contains("\nerror    Disk: Full.\n         Fix: Delete.\n         Or buy.\n"),
            "{text}"
        );
        assert!(text.contains("\nwarning  Database: Old.\nerror"), "{text}");
        assert!(text.ends_with("\n1 error, 1 warning."), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&json["status"], &json["checks"][1]["id"]),
            (&"error".into(), &"disk".into())
        );
        assert!(json["checks"][0].get("fix").is_none());
        assert!(report.platform.contains("Linux"));
    }
}
