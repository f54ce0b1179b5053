//! What a round learns of an instance's translator, and the samples from it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::counters::Samples;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceService};
use crate::infra::procfs::ProcessReading;
use crate::programs::jd_client::monitoring::{MonitoringClient, MonitoringReading};
use crate::programs::translator::config::TranslatorConfig;
use crate::programs::translator::monitoring::{self, TranslatorReading};
use crate::programs::translator::recognition::is_translator;

/// The state of a translator that is ready for miners.
const RUNNING: &str = "running";

/// A translator's process: when it was started, milliseconds since 1970, and its file if it can be
/// read.
pub(super) type TranslatorRun = (i64, Option<TranslatorConfig>);

/// The translator of an instance in a round.
#[derive(Clone, Debug)]
pub struct TranslatorObservation {
    /// When the process was started, milliseconds since 1970.
    pub run: i64,
    /// Its file; none: it could not be read.
    pub file: Option<TranslatorConfig>,
    /// What its monitoring API said; none: it was not asked.
    pub reading: Option<std::result::Result<Arc<TranslatorReading>, String>>,
}

impl TranslatorObservation {
    /// What its monitoring API said, if it was asked and answered.
    pub fn answer(&self) -> Option<&TranslatorReading> {
        self.reading.as_ref()?.as_deref().ok()
    }
}

/// Asks the translator of an instance, if it is ready for miners. `known`: what was found in the
/// round before. None: it has no process.
pub(super) async fn observe(
    instances: &InstanceService,
    client: &MonitoringClient,
    instance: &Instance,
    known: Option<TranslatorRun>,
) -> Option<TranslatorObservation> {
    let program = instance.translator()?;
    let run = program.started_at?.0;
    let is_running = program.status == RUNNING;
    let file = match known {
        Some((of, Some(file))) if of == run => Some(file),
        _ => instances.translator_file(instance.id).await,
    };
    let address = file
        .as_ref()
        .and_then(|file| Some((file.monitoring?, file.aggregate)));
    let reading = match address {
        Some((address, aggregate)) if is_running => {
            let read = monitoring::read(client, address, aggregate).await;
            Some(read.map(Arc::new).map_err(|error| error.to_string()))
        }
        _ => None,
    };
    Some(TranslatorObservation { run, file, reading })
}

/// How many miners are connected to the client and its translator; none if that is not known. The
/// translator is no miner, and its miners are not counted by their channels with the client.
pub(super) fn miner_count(
    reading: &MonitoringReading,
    translator: Option<&TranslatorObservation>,
) -> Option<f64> {
    let file = translator.and_then(|translator| translator.file.as_ref());
    let (proxies, own): (Vec<_>, Vec<_>) = reading
        .clients
        .iter()
        .partition(|client| is_translator(client, file));
    let behind = match translator.and_then(TranslatorObservation::answer) {
        Some(answer) => answer.miner_count(),
        None if proxies.is_empty() => 0,
        // Its API does not answer, or it is the translator of another machine. It has a channel for
        // each miner, or one for all of them.
        None if is_shared(file, &proxies) => return None,
        None => proxies.iter().map(|proxy| proxy.channels.len()).sum(),
    };
    u32::try_from(own.len() + behind).ok().map(f64::from)
}

/// Whether all miners of the translators share one channel.
fn is_shared(
    file: Option<&TranslatorConfig>,
    proxies: &[&crate::programs::jd_client::monitoring::MinerReading],
) -> bool {
    file.is_some_and(|file| file.aggregate)
        || proxies.iter().any(|proxy| {
            proxy
                .channels
                .iter()
                .any(|channel| channel.user_identity.ends_with(".translator-proxy"))
        })
}

/// The readings of a translator; none if the instance has no translator.
pub(super) fn samples(
    instance: &Instance,
    observation: Option<&TranslatorObservation>,
    process: Option<(Option<f64>, ProcessReading)>,
) -> Samples {
    let mut samples = Samples::new();
    let Some(program) = instance.translator() else {
        return samples;
    };
    let is_up = program.status == RUNNING;
    samples.insert("translator_up".into(), f64::from(u8::from(is_up)));
    if let Some(answer) = observation.and_then(TranslatorObservation::answer)
        && let Ok(count) = u32::try_from(answer.miner_count())
    {
        samples.insert("translator_miners".into(), f64::from(count));
    }
    if let Some((cpu, process)) = process {
        samples.insert("translator_memory_bytes".into(), process.rss_bytes as f64);
        if let Some(percent) = cpu {
            samples.insert("translator_cpu_percent".into(), percent);
        }
    }
    samples
}

/// The Stratum V1 miners of an instance, as far as they are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TranslatorTotals {
    /// How many miners are in each state, by the state's name in the API.
    pub states: BTreeMap<&'static str, u64>,
    /// Shares accepted since the instance was created.
    pub accepted: u64,
    /// Shares rejected since the instance was created, by the client or by the translator.
    pub rejected: u64,
}

/// The [`TranslatorTotals`] of all instances with a translator; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TranslatorBoard(Arc<RwLock<HashMap<InstanceId, TranslatorTotals>>>);

impl TranslatorBoard {
    /// Replaces all of them.
    pub fn replace(&self, all: HashMap<InstanceId, TranslatorTotals>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    pub(super) fn of(&self, id: InstanceId) -> Option<TranslatorTotals> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::jd_client::monitoring::{MinerChannelReading, MinerReading};
    use crate::programs::translator::monitoring::Sv1MinerReading;

    fn connection(is_translator: Option<bool>, identities: &[&str]) -> MinerReading {
        let channel = |identity: &&str| MinerChannelReading {
            user_identity: (*identity).to_owned(),
            ..MinerChannelReading::default()
        };
        MinerReading {
            is_translator,
            channels: identities.iter().map(channel).collect(),
            ..MinerReading::default()
        }
    }

    fn reading(clients: Vec<MinerReading>) -> MonitoringReading {
        MonitoringReading {
            clients,
            ..MonitoringReading::default()
        }
    }

    fn translator(aggregate: bool, miners: Option<&[(u8, &str)]>) -> TranslatorObservation {
        let miner = |(client_id, (last, name)): (usize, &(u8, &str))| Sv1MinerReading {
            client_id: client_id as u64,
            username: (*name).to_owned(),
            address: Some(format!("192.0.2.{last}").parse().unwrap()),
            ..Sv1MinerReading::default()
        };
        let answer = miners.map(|miners| TranslatorReading {
            miners: miners.iter().enumerate().map(miner).collect(),
            ..TranslatorReading::default()
        });
        TranslatorObservation {
            run: 1,
            file: Some(TranslatorConfig {
                aggregate,
                ..TranslatorConfig::beside_client(
                    "127.0.0.1".into(),
                    34265,
                    String::new(),
                    "acct".into(),
                )
            }),
            reading: Some(answer.map(Arc::new).ok_or_else(|| "no answer".to_owned())),
        }
    }

    #[test]
    fn a_translator_s_miners_are_counted_instead_of_its_connection_and_channels() {
        let v2 = connection(Some(false), &["rig"]);
        let old = connection(None, &["rig"]);
        let two = connection(Some(true), &["acct.miner1", "acct.miner2"]);
        let unknown_two = connection(None, &["acct.miner1", "acct.miner2"]);
        let shared = connection(Some(true), &["acct.translator-proxy"]);
        let unknown_none = connection(None, &[]);
        let three: &[(u8, &str)] = &[(1, "rig"), (2, "rig"), (2, "other")];
        // Two connections of one miner, and one that has not given a name yet.
        let again: &[(u8, &str)] = &[(1, "rig"), (1, "rig"), (1, "")];
        for (clients, behind, expected) in [
            (vec![v2.clone()], None, Some(1.0)),
            (vec![old.clone(), v2.clone()], None, Some(2.0)),
            (
                vec![v2.clone(), two.clone()],
                Some(translator(false, Some(three))),
                Some(4.0),
            ),
            (
                vec![old.clone(), unknown_two],
                Some(translator(false, Some(three))),
                Some(4.0),
            ),
            // An old client's translator without a miner yet, and a connection beside no translator.
            (
                vec![old.clone(), unknown_none.clone()],
                Some(translator(false, Some(&[]))),
                Some(1.0),
            ),
            (vec![old.clone(), unknown_none], None, Some(2.0)),
            (
                vec![shared.clone()],
                Some(translator(true, Some(three))),
                Some(3.0),
            ),
            (
                vec![shared.clone()],
                Some(translator(true, Some(again))),
                Some(2.0),
            ),
            (
                vec![two.clone()],
                Some(translator(false, Some(&[]))),
                Some(0.0),
            ),
            // Without an answer, a channel stands for a miner, and a shared one for any number.
            (
                vec![v2.clone(), two.clone()],
                Some(translator(false, None)),
                Some(3.0),
            ),
            (
                vec![v2.clone(), shared.clone()],
                Some(translator(true, None)),
                None,
            ),
            // A translator on another machine.
            (vec![v2.clone(), two], None, Some(3.0)),
            (vec![v2, shared], None, None),
            (Vec::new(), Some(translator(true, None)), Some(0.0)),
        ] {
            assert_eq!(
                miner_count(&reading(clients.clone()), behind.as_ref()),
                expected,
                "{clients:?}"
            );
        }
    }
}
