//! Formats metrics for Prometheus, as OpenMetrics 1.0 or in the classic text format. No database, no
//! clock, no HTTP.
//!
//! Names are part of the API and never change. The metrics of an instance have the names of
//! [`super::model`] followed by their unit, according to the conventions of Prometheus: base units,
//! `_total` for counters. The number of series depends only on the number of instances: individual miners
//! have no series.

#[cfg(test)]
mod tests;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use strum::IntoEnumIterator;

use super::model::metric;
use super::translator::TranslatorTotals;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::infra::procfs::ProcessReading;
use crate::keeper::machine::InstanceState;

/// The maximum number of rejection reasons for each instance, most frequent first. Pools may send
/// any text as a reason.
const MOST_REASONS: usize = 32;

/// The gauges of a client by their name in the model, each with its unit.
const GAUGES: &[(&str, &str)] = &[
    ("hashrate_measured", "hashes_per_second"),
    ("hashrate_1h", "hashes_per_second"),
    ("hashrate_miners", "hashes_per_second"),
    ("hashrate_upstream", "hashes_per_second"),
    ("miners", ""),
    ("channels_miners", ""),
    ("channels_upstream", ""),
    ("best_difficulty", ""),
    ("memory_bytes", "bytes"),
    ("memory_private_bytes", "bytes"),
    ("threads", ""),
    ("open_files", ""),
    ("monitoring_up", ""),
    ("health_score", ""),
];
/// The counters of an instance by their name in the model.
const COUNTERS: &[&str] = &[
    "shares_accepted",
    "shares_rejected",
    "shares_submitted",
    "shares_acknowledged",
    "shares_refused",
    "blocks_found",
];
/// The counters that are also exported by reason. These are separate metrics; otherwise sums would
/// count shares twice.
const REASONED: &[&str] = &["shares_rejected", "shares_refused"];
/// The log levels and their counters.
const LEVELS: &[(&str, &str)] = &[
    ("error", "log_errors"),
    ("warn", "log_warnings"),
    ("info", "log_infos"),
    ("debug", "log_debugs"),
    ("other", "log_others"),
];

/// The exposition formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Classic,
}

impl ExpositionFormat {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The metrics of jd-manager.
#[derive(Clone, Copy, Debug)]
pub struct ManagerMetrics {
    /// The version.
    pub version: &'static str,
    /// When it was started.
    pub started: Timestamp,
    /// The process; `None` if `/proc` cannot be read.
    pub process: Option<ProcessReading>,
}

/// The metrics of an instance.
#[derive(Clone, Debug)]
pub struct InstanceMetrics {
    /// The id.
    pub id: InstanceId,
    /// The name.
    pub name: String,
    /// The state.
    pub state: InstanceState,
    /// Total number of automatic restarts.
    pub restarts: u32,
    /// When the current client was started; `None` without a client.
    pub started: Option<Timestamp>,
    /// The uptime of the current client in whole seconds.
    pub uptime: Option<u64>,
    /// The latest readings of the current client by their name in the model; empty without a client.
    pub readings: BTreeMap<String, f64>,
    /// The total of every counter since the instance was created, by its name in the model.
    pub totals: BTreeMap<String, f64>,
    /// The Stratum V1 miners of its translator; none without a translator.
    pub translator: Option<TranslatorTotals>,
}

/// All metrics as text.
///
/// # Errors
/// None in practice; the encoder returns this type.
pub fn text(
    manager: &ManagerMetrics,
    clients: &[InstanceMetrics],
    format: ExpositionFormat,
) -> Result<String, fmt::Error> {
    let mut families = MetricFamilies(Vec::new());
    families.of_manager(manager, clients);
    families.of_clients(clients);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(families));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(match format {
        ExpositionFormat::OpenMetrics => text,
        ExpositionFormat::Classic => classic(&text),
    })
}

type Labels = Vec<(&'static str, String)>;

/// A metric with all its samples.
#[derive(Debug)]
struct MetricFamily {
    /// The name without unit and type suffix.
    name: String,
    help: String,
    /// The unit; may be empty.
    unit: &'static str,
    kind: MetricType,
    samples: Vec<(Labels, f64)>,
}

#[derive(Debug)]
struct MetricFamilies(Vec<MetricFamily>);

impl MetricFamilies {
    fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        kind: MetricType,
        help: &str,
        samples: Vec<(Labels, f64)>,
    ) {
        // A metric without samples is omitted.
        if !samples.is_empty() {
            self.0.push(MetricFamily {
                name: name.into(),
                help: help.into(),
                unit,
                kind,
                samples,
            });
        }
    }

    fn of_manager(&mut self, manager: &ManagerMetrics, clients: &[InstanceMetrics]) {
        use MetricType::{Counter, Gauge, Info};
        let one = |value: f64| vec![(Labels::new(), value)];
        let some = |value: Option<f64>| value.map(one).unwrap_or_default();
        let version = vec![(vec![("version", manager.version.to_owned())], 1.0)];
        self.add(
            "jd_manager_build",
            "",
            Info,
            "Version of jd-manager.",
            version,
        );
        let help = "Start time of jd-manager, in seconds since 1970.";
        self.add(
            "jd_manager_start_time",
            "seconds",
            Gauge,
            help,
            one(seconds(manager.started)),
        );
        let process = manager.process;
        let memory = process.map(|process| process.rss_bytes as f64);
        self.add(
            "jd_manager_resident_memory",
            "bytes",
            Gauge,
            "Physical memory used by jd-manager.",
            some(memory),
        );
        let cpu = process.map(|process| process.cpu_time.as_secs_f64());
        self.add(
            "jd_manager_cpu",
            "seconds",
            Counter,
            "CPU time used by jd-manager.",
            some(cpu),
        );
        let files = process
            .and_then(|process| process.open_files)
            .map(f64::from);
        self.add(
            "jd_manager_open_files",
            "",
            Gauge,
            "Files and sockets that jd-manager has open.",
            some(files),
        );
        let in_state = |state: InstanceState| {
            let count = clients
                .iter()
                .filter(|client| client.state == state)
                .count();
            (
                vec![("state", state.as_str().to_owned())],
                f64::from(u32::try_from(count).unwrap_or(u32::MAX)),
            )
        };
        let states = InstanceState::iter().map(in_state).collect();
        self.add(
            "jd_manager_instances",
            "",
            Gauge,
            "Instances by state.",
            states,
        );
    }

    fn of_clients(&mut self, clients: &[InstanceMetrics]) {
        use MetricType::{Counter, Gauge};
        let each = |of: &dyn Fn(&InstanceMetrics) -> Option<f64>| -> Vec<(Labels, f64)> {
            clients
                .iter()
                .filter_map(|client| Some((client.labels(), of(client)?)))
                .collect()
        };
        let up = each(&|client| Some(truth(client.state == InstanceState::Running)));
        self.add("jd_client_up", "", Gauge, "1 if the client is running.", up);
        let state = |client: &InstanceMetrics, state: InstanceState| {
            (
                client.labelled("state", state.as_str()),
                truth(client.state == state),
            )
        };
        let states = clients
            .iter()
            .flat_map(|client| InstanceState::iter().map(|one| state(client, one)))
            .collect();
        self.add(
            "jd_client_state",
            "",
            Gauge,
            "1 for the current state of the instance, 0 for all other states.",
            states,
        );
        let restarts = each(&|client| Some(f64::from(client.restarts)));
        self.add(
            "jd_client_restarts",
            "",
            Counter,
            "Number of automatic restarts of the client.",
            restarts,
        );
        let started = each(&|client| client.started.map(seconds));
        self.add(
            "jd_client_start_time",
            "seconds",
            Gauge,
            "Start time of the current client, in seconds since 1970.",
            started,
        );
        let uptime = each(&|client| client.uptime.map(|uptime| uptime as f64));
        self.add(
            "jd_client_uptime",
            "seconds",
            Gauge,
            help("uptime_seconds"),
            uptime,
        );

        for (series, unit) in GAUGES {
            let name = series
                .strip_suffix(unit)
                .and_then(|name| name.strip_suffix('_'))
                .unwrap_or(series);
            let readings = each(&|client| client.readings.get(*series).copied());
            self.add(
                &format!("jd_client_{name}"),
                unit,
                Gauge,
                help(series),
                readings,
            );
        }
        let checks = clients.iter().flat_map(|client| {
            let of = |(name, value): (&String, &f64)| {
                Some((
                    client.labelled("check", name.strip_prefix("health:")?),
                    *value,
                ))
            };
            client.readings.iter().filter_map(of).collect::<Vec<_>>()
        });
        self.add(
            "jd_client_health",
            "",
            Gauge,
            help("health"),
            checks.collect(),
        );
        let cpu = each(&|client| {
            client
                .readings
                .get("cpu_percent")
                .map(|percent| percent / 100.0)
        });
        self.add(
            "jd_client_cpu",
            "ratio",
            Gauge,
            "CPU time of the client as a fraction of one core.",
            cpu,
        );

        for series in COUNTERS {
            let totals = each(&|client| client.totals.get(*series).copied());
            self.add(
                &format!("jd_client_{series}"),
                "",
                Counter,
                help(series),
                totals,
            );
        }
        for series in REASONED {
            let reasons = clients
                .iter()
                .flat_map(|client| client.reasons(series))
                .collect();
            let help = help(series).replace('.', ", if the reason is known.");
            self.add(
                &format!("jd_client_{series}_by_reason"),
                "",
                Counter,
                &help,
                reasons,
            );
        }
        self.of_translators(clients);
        let lines = clients.iter().flat_map(|client| {
            let of = |(level, series): &(&'static str, &str)| {
                Some((
                    client.labelled("level", level),
                    *client.totals.get(*series)?,
                ))
            };
            LEVELS.iter().filter_map(of).collect::<Vec<_>>()
        });
        self.add(
            "jd_client_log_lines",
            "",
            Counter,
            "Lines in the client's log, by level.",
            lines.collect(),
        );
    }
}

impl MetricFamilies {
    /// The translators for Stratum V1 miners. Instances without one have no samples here.
    fn of_translators(&mut self, clients: &[InstanceMetrics]) {
        use MetricType::{Counter, Gauge};
        let each = |of: &dyn Fn(&InstanceMetrics) -> Option<f64>| -> Vec<(Labels, f64)> {
            clients
                .iter()
                .filter_map(|client| Some((client.labels(), of(client)?)))
                .collect()
        };
        for (series, name, unit, factor) in [
            ("translator_up", "up", "", 1.0),
            ("translator_memory_bytes", "resident_memory", "bytes", 1.0),
            ("translator_cpu_percent", "cpu", "ratio", 0.01),
        ] {
            let help = match series {
                "translator_cpu_percent" => "CPU time of the translator as a fraction of one core.",
                _ => help(series),
            };
            let readings = each(&|client| client.readings.get(series).map(|value| value * factor));
            self.add(
                &format!("jd_translator_{name}"),
                unit,
                Gauge,
                help,
                readings,
            );
        }
        let restarts = each(&|client| client.totals.get("translator_restarts").copied());
        self.add(
            "jd_translator_restarts",
            "",
            Counter,
            "Number of automatic restarts of the translator.",
            restarts,
        );
        let states = clients.iter().flat_map(|client| {
            let states = client.translator.iter().flat_map(|totals| &totals.states);
            states.map(|(state, count)| (client.labelled("state", state), *count as f64))
        });
        self.add(
            "jd_translator_miners",
            "",
            Gauge,
            "Listed Stratum V1 miners by state.",
            states.collect(),
        );
        let shares = |of: fn(&TranslatorTotals) -> u64| {
            each(&|client| client.translator.as_ref().map(|totals| of(totals) as f64))
        };
        self.add(
            "jd_translator_shares_accepted",
            "",
            Counter,
            "Accepted shares of Stratum V1 miners.",
            shares(|totals| totals.accepted),
        );
        self.add(
            "jd_translator_shares_rejected",
            "",
            Counter,
            "Rejected shares of Stratum V1 miners, including those that the translator rejected.",
            shares(|totals| totals.rejected),
        );
    }
}

impl InstanceMetrics {
    fn labels(&self) -> Labels {
        vec![
            ("instance", self.id.to_string()),
            ("name", self.name.clone()),
        ]
    }

    fn labelled(&self, label: &'static str, value: &str) -> Labels {
        let mut labels = self.labels();
        labels.push((label, value.to_owned()));
        labels
    }

    /// The counts of a counter by reason.
    fn reasons(&self, series: &str) -> Vec<(Labels, f64)> {
        let with_reason = |(name, count): (&'_ String, &f64)| {
            let reason = name.strip_prefix(series)?.strip_prefix(':')?;
            Some((reason.to_owned(), *count))
        };
        let mut reasons: Vec<(String, f64)> = self.totals.iter().filter_map(with_reason).collect();
        reasons.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        reasons.truncate(MOST_REASONS);
        reasons.sort_by(|a, b| a.0.cmp(&b.0));
        reasons
            .into_iter()
            .map(|(reason, count)| (self.labelled("reason", &reason), count))
            .collect()
    }
}

impl Collector for MetricFamilies {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in &self.0 {
            let unit = (!family.unit.is_empty()).then(|| Unit::Other(family.unit.into()));
            let mut metric = encoder.encode_descriptor(
                &family.name,
                &family.help,
                unit.as_ref(),
                family.kind,
            )?;
            for (labels, value) in &family.samples {
                match family.kind {
                    MetricType::Info => metric.encode_info(labels)?,
                    kind if labels.is_empty() => sample(&mut metric, kind, *value)?,
                    kind => sample(&mut metric.encode_family(labels)?, kind, *value)?,
                }
            }
        }
        Ok(())
    }
}

fn sample(metric: &mut MetricEncoder, kind: MetricType, value: f64) -> fmt::Result {
    match kind {
        MetricType::Counter => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None),
        _ => metric.encode_gauge(&value),
    }
}

/// Converts to the classic format: no units, no end marker, and metrics named like their samples. The
/// lines of samples are the same in both formats.
fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = "";
    for line in openmetrics.split_terminator('\n') {
        // Only comments start like this: we choose the names of samples.
        match line
            .strip_prefix("# ")
            .and_then(|comment| comment.split_once(' '))
        {
            Some(("HELP", about)) => help = about.split_once(' ').map_or("", |(_, help)| help),
            Some(("TYPE", about)) => {
                let (name, kind) = about.rsplit_once(' ').unwrap_or((about, "untyped"));
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    other => ("", other),
                };
                text.push_str(&format!(
                    "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"
                ));
            }
            Some(_) => {}
            None if line == "# EOF" => {}
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// The help text of a series.
fn help(series: &str) -> &'static str {
    metric(series).map_or("", |(metric, _)| metric.help)
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

fn seconds(moment: Timestamp) -> f64 {
    moment.0 as f64 / 1000.0
}
