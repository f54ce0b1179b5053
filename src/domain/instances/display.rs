//! Text of instances and events for pages. Pure.

use std::borrow::Cow;
use std::time::Duration;

use super::history::InstanceEvent;
use super::list_extras::HealthSummary;
use super::model::Instance;
use super::programs::InstanceProgram;
use crate::base::actor::actor_text;
use crate::base::clock::{Timestamp, human_duration};
use crate::infra::chart::{Unit, format_value};
use crate::keeper::machine::InstanceState;
use crate::keeper::translator_machine::TranslatorState;

/// The start of a health check's text about a translator that exited unexpectedly.
pub const TRANSLATOR_RETRIES: &str = "The translator exited unexpectedly";

impl Instance {
    /// The state as text.
    pub fn state_text(&self) -> &'static str {
        match self.is_reachable() {
            true => state_text(self.status),
            false => "unreachable",
        }
    }

    /// The state whose shape and color it has on pages.
    pub fn shape(&self) -> &'static str {
        match self.is_reachable() {
            true => self.status.as_str(),
            false => InstanceState::BackingOff.as_str(),
        }
    }

    /// The name with its host: `barn/alice-1`.
    pub fn full_name(&self) -> Cow<'_, str> {
        match &self.host {
            Some(host) => Cow::Owned(format!("{host}/{}", self.name)),
            None => Cow::Borrowed(&self.name),
        }
    }

    /// The address of its page, which begins the addresses of its actions.
    pub fn path(&self) -> String {
        match &self.host {
            Some(host) => format!("/hosts/{host}/instances/{}", self.id),
            None => format!("/instances/{}", self.id),
        }
    }

    /// The address of its metrics.
    pub fn metrics_path(&self) -> String {
        match &self.host {
            Some(_) => format!("{}/metrics", self.path()),
            None => format!("/metrics/{}", self.id),
        }
    }

    /// The address of its health checks.
    pub fn health_path(&self) -> String {
        match &self.host {
            Some(_) => format!("{}/health", self.path()),
            None => format!("/health/{}", self.id),
        }
    }

    /// Whether it is known to be in a state now.
    pub fn is_in(&self, state: InstanceState) -> bool {
        self.is_reachable() && self.status == state
    }

    /// Each tag, and the list of the instances with it.
    pub fn tag_links(&self) -> impl Iterator<Item = (&str, String)> {
        self.tags.iter().map(|tag| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("tag", tag);
            (tag, format!("/instances?{}", query.finish()))
        })
    }

    /// Hashrate, average of ten minutes; none if unknown.
    pub fn hashrate_text(&self) -> Option<String> {
        self.hashrate
            .map(|rate| format_value(Unit::HashesPerSecond, rate))
    }

    /// Start of the current state in milliseconds since 1970, for a `time` element that counts up.
    pub fn since_ms(&self) -> Option<i64> {
        self.since.map(|at| at.0)
    }

    /// How long the current state has lasted.
    pub fn since_text(&self) -> Option<String> {
        self.since
            .map(|at| human_duration(Timestamp::now().since(at)))
    }

    /// Time until the next retry.
    pub fn retry_text(&self) -> Option<String> {
        self.retry_at.map(time_left)
    }

    /// The state changes within seconds: a page without JavaScript reloads itself.
    pub fn is_in_motion(&self) -> bool {
        let is_retried_soon = || {
            self.retry_at
                .is_some_and(|at| at.since(Timestamp::now()).as_secs() < 10)
        };
        self.is_in(InstanceState::Starting)
            || self.is_in(InstanceState::Stopping)
            || self.is_reachable() && is_retried_soon()
    }

    /// Why the last client exited, with a capital first letter.
    pub fn cause_text(&self) -> Option<String> {
        self.cause.as_ref().map(|told| capitalised(&told.0.what))
    }

    /// How to fix it.
    pub fn advice(&self) -> Option<&str> {
        self.cause.as_ref().map(|told| told.0.advice.as_str())
    }

    /// The number of the next attempt, including the first start.
    pub fn next_attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    /// The most important problem found by the checks, while it runs.
    pub fn trouble(&self) -> Option<&str> {
        self.health
            .as_ref()
            .filter(|_| self.running)
            .and_then(|health| health.trouble.as_deref())
    }

    /// The same for the top of the page, which shows a translator that is retrying anyway.
    pub fn other_trouble(&self) -> Option<&str> {
        let is_retrying = self.translator().is_some_and(InstanceProgram::is_retrying);
        self.trouble()
            .filter(|text| !(is_retrying && text.starts_with(TRANSLATOR_RETRIES)))
    }

    /// Running, but unhealthy.
    pub fn is_ailing(&self) -> bool {
        self.running && self.health.as_ref().is_some_and(HealthSummary::is_bad)
    }

    /// Not in the desired state.
    pub fn needs_attention(&self) -> bool {
        self.is_in(InstanceState::Failed) || self.is_in(InstanceState::BackingOff)
    }

    /// It asks for attention: not in the desired state, unhealthy, or with a warning. Without a
    /// connection to its host, only the host does.
    pub fn has_problem(&self) -> bool {
        self.needs_attention() || self.current_warning().is_some() || self.is_ailing()
    }

    /// A warning, while there is a connection to its host.
    pub fn current_warning(&self) -> Option<&str> {
        self.warning.as_deref().filter(|_| self.is_reachable())
    }

    /// Its state when its host last responded; none: it responds.
    pub fn last_known_text(&self) -> Option<String> {
        let is_lost = !self.is_reachable();
        is_lost.then(|| format!("last known: {}", state_text(self.status)))
    }

    /// The health in a word.
    pub fn health_word(&self) -> &'static str {
        self.health
            .as_ref()
            .map_or("unknown", |health| health.status)
    }

    /// The version of the client: the one that it was started with, otherwise the pinned one; none: the
    /// version in use at the next start.
    pub fn shown_version(&self) -> Option<&str> {
        self.running_version
            .as_deref()
            .or(self.client_version.as_deref())
    }

    /// The last error of the client, without time stamp and module, short enough for a list.
    pub fn last_output_text(&self) -> Option<String> {
        self.last_error.as_deref().map(short_error)
    }
}

impl InstanceProgram {
    /// It exited unexpectedly and waits for the next attempt.
    pub fn is_retrying(&self) -> bool {
        self.status == TranslatorState::BackingOff.as_str()
    }

    /// Why the last process exited, with a capital first letter.
    pub fn cause_text(&self) -> Option<String> {
        self.cause.as_ref().map(|told| capitalised(&told.0.what))
    }

    /// How to fix it.
    pub fn advice(&self) -> Option<&str> {
        self.cause.as_ref().map(|told| told.0.advice.as_str())
    }

    /// The last error, short enough for a list.
    pub fn error_text(&self) -> Option<String> {
        self.last_error.as_deref().map(short_error)
    }

    /// Time until the next retry.
    pub fn retry_text(&self) -> Option<String> {
        self.retry_at.map(time_left)
    }
}

/// A state as text.
pub fn state_text(state: InstanceState) -> &'static str {
    match state {
        InstanceState::BackingOff => "retrying",
        other => other.as_str(),
    }
}

/// Time until a moment.
fn time_left(at: Timestamp) -> String {
    let left = at.since(Timestamp::now());
    if left < Duration::from_secs(1) {
        "a moment".into()
    } else {
        human_duration(left)
    }
}

/// A text with a capital first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(rest).collect()
    })
}

/// An ERROR line of the client without time stamp, level and module, at most 240 characters.
pub fn short_error(line: &str) -> String {
    let message = crate::keeper::level::header(line.as_bytes())
        .and_then(|header| line.get(header.message..))
        .unwrap_or(line);
    let plain = crate::infra::log_store::ansi::plain(message);
    match plain.char_indices().nth(240) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain.into_owned(),
    }
}

impl InstanceEvent {
    /// The time in the local time zone.
    pub fn local(&self) -> String {
        self.at.local()
    }

    /// The new state as text.
    pub fn to_text(&self) -> &str {
        if self.to_state == "backing-off" {
            "retrying"
        } else {
            &self.to_state
        }
    }

    /// Why the client exited, if known.
    pub fn cause_text(&self) -> Option<&str> {
        self.cause.as_ref().map(|told| told.0.what.as_str())
    }

    /// The cause of the event: `by ada on a page`.
    pub fn actor_text(&self) -> Option<String> {
        actor_text(self.actor.as_deref()?)
    }

    /// How the client exited, if it did and the reason does not say so.
    pub fn end_text(&self) -> Option<String> {
        use crate::keeper::machine::ProcessExit;
        let exit = match (self.exit_code, self.exit_signal) {
            (Some(code), _) => ProcessExit::Code(code).to_string(),
            (None, Some(signal)) => ProcessExit::Signal(signal).to_string(),
            (None, None) => return None,
        };
        Some(exit).filter(|exit| !self.reason.contains(exit))
    }

    /// The last error line, shortened.
    pub fn error_text(&self) -> Option<String> {
        self.last_error.as_deref().map(short_error)
    }

    /// Time from the event to the retry.
    pub fn wait_text(&self) -> Option<String> {
        self.retry_at
            .map(|at| human_duration(at.since(self.at) + Duration::from_millis(500)))
    }
}

/// A log size as text: `12.3 kB`, `4.0 MB`.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        n if n < 1_000_000 => format!(
            "{:.1} kB",
            f64::from(u32::try_from(n).unwrap_or(u32::MAX)) / 1e3
        ),
        n => format!(
            "{:.1} MB",
            f64::from(u32::try_from(n / 1000).unwrap_or(u32::MAX)) / 1e3
        ),
    }
}
