//! Health checks, their grades and the score. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;

/// Grade of a health check.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[derive(strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum HealthGrade {
    /// Unknown: not running, or not measured yet.
    Unknown,
    /// No problem.
    Healthy,
    /// It works, but needs attention.
    Warning,
    /// It does not work, or earns nothing.
    Unhealthy,
}

impl HealthGrade {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The value in a series: 0 healthy, 1 warning, 2 unhealthy; none if unknown.
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Unknown => None,
            Self::Healthy => Some(0.0),
            Self::Warning => Some(1.0),
            Self::Unhealthy => Some(2.0),
        }
    }
}

// Ordered as on the page: the checks that mining depends on most come first.
/// One thing that is checked.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[derive(strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum HealthCheck {
    /// State of the process, and number of recent starts.
    Process,
    /// The template provider, and the age of the last template.
    Template,
    /// The connection to the pool, or solo mining.
    Upstream,
    /// Whether shares arrive as expected, and how many are rejected.
    Shares,
    /// The translator for Stratum V1 miners. Only instances with one have this check.
    Translator,
    /// Whether monitoring is responding and its metrics are updating.
    Monitoring,
    /// Whether the clocks agree; certificates depend on them.
    Clock,
    /// Memory use compared with the limit, and its growth.
    Memory,
    /// Free disk space for logs and the database.
    Disk,
    /// Rate of errors and of all lines in the log.
    Logs,
    /// Whether a newer client is known.
    Version,
}

impl HealthCheck {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The name on pages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Process => "Process",
            Self::Template => "Templates",
            Self::Upstream => "Pool",
            Self::Shares => "Shares",
            Self::Translator => "Translator",
            Self::Monitoring => "Monitoring",
            Self::Clock => "Clock",
            Self::Memory => "Memory",
            Self::Disk => "Disk",
            Self::Logs => "Log",
            Self::Version => "Version",
        }
    }

    /// Weight in the score. All weights add up to 100, without that of the translator, which not
    /// every instance has. docs/API.md lists them, and a test compares.
    pub const fn weight(self) -> u32 {
        match self {
            Self::Process => 25,
            Self::Template | Self::Upstream => 20,
            Self::Shares | Self::Translator => 15,
            Self::Monitoring | Self::Clock => 5,
            Self::Memory | Self::Disk | Self::Logs => 3,
            Self::Version => 1,
        }
    }
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// The check.
    pub check: HealthCheck,
    /// The grade.
    pub grade: HealthGrade,
    /// The problem and its fix. Contains no values that change all the time.
    pub message: String,
}

/// The stored result of a check, also in JSON.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check.
    pub check_type: HealthCheck,
    /// The grade.
    pub status: HealthGrade,
    /// The problem and its fix.
    pub message: String,
    /// Time of the last check.
    pub timestamp: Timestamp,
    /// Since when the grade is this one.
    pub since: Timestamp,
}

/// The score of an instance from 0 to 100: the weighted mean of all checks with a known result,
/// where healthy counts fully, a warning half and unhealthy nothing. An instance that should be
/// running but is not scores 0. Without templates or without the configured pool the score is at
/// most 50. None if nothing is known, for example for a stopped instance.
pub fn score(results: &[CheckResult]) -> Option<u32> {
    let grade = |check: HealthCheck| {
        results
            .iter()
            .find(|r| r.check_type == check)
            .map_or(HealthGrade::Unknown, |r| r.status)
    };
    if grade(HealthCheck::Process) == HealthGrade::Unknown {
        return None;
    }
    let (mut reached, mut possible) = (0, 0);
    for result in results {
        let halves = match result.status {
            HealthGrade::Unknown => continue,
            HealthGrade::Healthy => 2,
            HealthGrade::Warning => 1,
            HealthGrade::Unhealthy => 0,
        };
        reached += halves * result.check_type.weight();
        possible += 2 * result.check_type.weight();
    }
    let most = match (
        grade(HealthCheck::Process),
        grade(HealthCheck::Template).max(grade(HealthCheck::Upstream)),
    ) {
        (HealthGrade::Unhealthy, _) => 0,
        (_, HealthGrade::Unhealthy) => 50,
        _ => 100,
    };
    (possible > 0).then(|| (100 * reached / possible).min(most))
}

/// The overall grade: the worst check, or unknown if the instance is not rated.
pub fn overall(results: &[CheckResult]) -> HealthGrade {
    if score(results).is_none() {
        return HealthGrade::Unknown;
    }
    results
        .iter()
        .map(|r| r.status)
        .max()
        .unwrap_or(HealthGrade::Unknown)
}

/// The most important problem: the worst check; if several are equal, the one that mining depends
/// on most.
pub fn gravest(results: &[CheckResult]) -> Option<&CheckResult> {
    let grave = results.iter().filter(|r| r.status >= HealthGrade::Warning);
    grave.max_by_key(|r| (r.status, std::cmp::Reverse(r.check_type)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use HealthCheck::{Clock, Disk, Process, Shares, Template, Upstream, Version};
    use HealthGrade::{Healthy, Unhealthy, Unknown, Warning};
    use strum::IntoEnumIterator;

    fn of(results: &[(HealthCheck, HealthGrade)]) -> Vec<CheckResult> {
        let checked = |(check_type, status): &(HealthCheck, HealthGrade)| CheckResult {
            check_type: *check_type,
            status: *status,
            message: String::new(),
            timestamp: Timestamp(2),
            since: Timestamp(1),
        };
        results.iter().map(checked).collect()
    }

    #[test]
    fn the_weights_are_a_hundred_and_stand_in_the_documentation() {
        let all: u32 = HealthCheck::iter().map(HealthCheck::weight).sum();
        assert_eq!(all - HealthCheck::Translator.weight(), 100);
        let told = include_str!("../../../docs/API.md");
        for check in HealthCheck::iter() {
            assert!(
                told.contains(&format!("| `{}` | {} |", check.as_str(), check.weight())),
                "{}",
                check.as_str()
            );
            assert_eq!(check.as_str().parse(), Ok(check));
        }
    }

    #[test]
    fn a_score_is_the_weighted_mean_of_what_can_be_told() {
        assert_eq!(
            score(&of(&[
                (Process, Healthy),
                (Template, Healthy),
                (Clock, Unknown)
            ])),
            Some(100)
        );
        assert_eq!(
            score(&of(&[(Process, Healthy), (Shares, Warning)])),
            Some(81)
        );
        assert_eq!(
            score(&of(&[(Process, Warning), (Disk, Unhealthy)])),
            Some(44)
        );
        assert_eq!(
            score(&of(&[(Process, Healthy), (Version, Warning)])),
            Some(98)
        );
    }

    #[test]
    fn what_earns_nothing_cannot_score_well_and_what_was_stopped_has_no_score() {
        let all_but = |check: HealthCheck, grade| {
            let all: Vec<_> = HealthCheck::iter()
                .map(|c| (c, if c == check { grade } else { Healthy }))
                .collect();
            of(&all)
        };
        assert_eq!(score(&all_but(Upstream, Unhealthy)), Some(50));
        assert_eq!(score(&all_but(Template, Unhealthy)), Some(50));
        assert_eq!(score(&all_but(Process, Unhealthy)), Some(0));
        assert_eq!(
            (
                score(&all_but(Process, Unknown)),
                overall(&all_but(Process, Unknown))
            ),
            (None, Unknown)
        );
        assert_eq!(score(&[]), None);
    }

    #[test]
    fn the_gravest_check_comes_first_and_of_equals_the_one_mining_depends_on() {
        let results = of(&[
            (Process, Healthy),
            (Upstream, Unhealthy),
            (Disk, Unhealthy),
            (Version, Warning),
        ]);
        assert_eq!(gravest(&results).map(|r| r.check_type), Some(Upstream));
        assert_eq!(overall(&results), Unhealthy);
        assert_eq!(gravest(&of(&[(Process, Healthy), (Clock, Unknown)])), None);
    }
}
