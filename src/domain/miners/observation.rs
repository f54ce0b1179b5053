//! Who is there, from what the translator and the client say. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::instances::MinerProtocol;
use crate::programs::jd_client::monitoring::{MinerReading, MonitoringReading};
use crate::programs::translator::config::TranslatorConfig;
use crate::programs::translator::monitoring::TranslatorReading;
use crate::programs::translator::recognition::is_translator;

/// What no two miners of an instance share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MinerKey {
    /// The protocol.
    pub protocol: MinerProtocol,
    /// The IP address; empty if it is not known.
    pub address: String,
    /// The user name or identity, at most 128 characters.
    pub name: String,
}

/// A miner in one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinerObservation {
    /// The program's numbers of its connections.
    pub connections: BTreeSet<u64>,
    /// It has at least one channel.
    pub has_channel: bool,
    /// Its channels, as far as their shares are counted.
    pub channels: Vec<ChannelObservation>,
    /// The hashrate that the program estimates, H/s; none if no share has confirmed it.
    pub estimate: Option<f64>,
}

/// The counters of one channel, which begin with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelObservation {
    /// The number of the connection.
    pub connection: u64,
    /// The number of the channel.
    pub channel: u32,
    /// Accepted shares.
    pub accepted: Option<u64>,
    /// Rejected shares.
    pub rejected: Option<u64>,
    /// The rejected shares by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Sum of the difficulties of accepted shares.
    pub work: Option<f64>,
}

/// The miners of one reading.
pub type MinerObservations = BTreeMap<MinerKey, MinerObservation>;

/// The miners that are connected to a translator.
pub fn of_translator(reading: &TranslatorReading) -> MinerObservations {
    let mut all = MinerObservations::new();
    for miner in &reading.miners {
        let key = MinerKey {
            protocol: MinerProtocol::V1,
            address: miner
                .address
                .map(|ip| ip.to_canonical().to_string())
                .unwrap_or_default(),
            name: miner.username.clone(),
        };
        let known = all.entry(key).or_default();
        known.connections.insert(miner.client_id);
        known.has_channel |= miner.channel_id.is_some();
        let estimate = miner.hashrate.filter(|_| !miner.is_unsettled());
        known.add_estimate(estimate);
        if let (Some(channel), Some(shares)) = (miner.channel_id, &miner.shares) {
            known.channels.push(ChannelObservation {
                connection: miner.client_id,
                channel,
                accepted: shares.accepted,
                rejected: shares.rejected,
                reasons: shares.rejected_by_reason.clone(),
                work: shares.accepted_work,
            });
        }
    }
    all
}

/// The miners that are connected to a client itself. `translator`: the file of the translator
/// beside it, by which old clients' connections from it are recognized.
pub fn of_client(
    reading: &MonitoringReading,
    translator: Option<&TranslatorConfig>,
) -> MinerObservations {
    let mut all = MinerObservations::new();
    let is_miner = |client: &&MinerReading| !is_translator(client, translator);
    for client in reading.clients.iter().filter(is_miner) {
        let address = client
            .address
            .map(|ip| ip.to_canonical().to_string())
            .unwrap_or_default();
        for channel in &client.channels {
            let key = MinerKey {
                protocol: MinerProtocol::V2,
                address: address.clone(),
                name: channel.user_identity.clone(),
            };
            let known = all.entry(key).or_default();
            known.connections.insert(client.client_id);
            known.has_channel = true;
            let estimate = channel.nominal_hashrate.filter(|_| !channel.is_unsettled());
            known.add_estimate(estimate);
            known.channels.push(ChannelObservation {
                connection: client.client_id,
                channel: channel.channel_id,
                accepted: channel.shares_accepted,
                rejected: channel.shares_rejected,
                reasons: channel.rejected_by_reason.clone(),
                work: channel.share_work,
            });
        }
    }
    all
}

impl MinerObservation {
    fn add_estimate(&mut self, estimate: Option<f64>) {
        if let Some(rate) = estimate {
            *self.estimate.get_or_insert_default() += rate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::jd_client::monitoring::MinerChannelReading;
    use crate::programs::translator::monitoring::{Sv1MinerReading, Sv1ShareCounts};

    fn translator() -> TranslatorConfig {
        TranslatorConfig::beside_client(
            "127.0.0.1".into(),
            34265,
            String::new(),
            "acct.farm".into(),
        )
    }

    fn client(is_translator: Option<bool>, identities: &[&str]) -> MonitoringReading {
        let channel = |(number, identity): (usize, &&str)| MinerChannelReading {
            channel_id: u32::try_from(number).unwrap(),
            user_identity: (*identity).to_owned(),
            shares_accepted: Some(3),
            ..MinerChannelReading::default()
        };
        MonitoringReading {
            clients: vec![MinerReading {
                is_translator,
                channels: identities.iter().enumerate().map(channel).collect(),
                ..MinerReading::default()
            }],
            ..MonitoringReading::default()
        }
    }

    #[test]
    fn a_translator_is_not_a_miner() {
        let file = translator();
        let listed = |reading: &MonitoringReading| of_client(reading, Some(&file)).len();
        assert_eq!(listed(&client(Some(true), &["rig"])), 0);
        // A client that does not say.
        assert_eq!(
            listed(&client(None, &["acct.farm.miner1", "acct.farm.miner22"])),
            0
        );
        assert_eq!(listed(&client(None, &["acct.translator-proxy"])), 0);
        // Miners that only look like it.
        assert_eq!(listed(&client(Some(false), &["acct.farm.miner1"])), 1);
        assert_eq!(
            listed(&client(None, &["acct.farm.miner1", "acct.farm.miner"])),
            2
        );
        assert_eq!(listed(&client(None, &["acct.farm.miner1x"])), 1);
        assert_eq!(listed(&client(None, &["acct.farm"])), 1);
        assert_eq!(
            of_client(&client(None, &["acct.farm.miner1"]), None).len(),
            1
        );
    }

    #[test]
    fn miners_are_told_apart_by_address_and_name() {
        let miner = |client_id, last: u8, channel_id| Sv1MinerReading {
            client_id,
            channel_id,
            username: "acct.rig".into(),
            address: Some(format!("192.0.2.{last}").parse().unwrap()),
            hashrate: Some(1e12),
            shares: channel_id.map(|_| Sv1ShareCounts {
                accepted: Some(5),
                ..Sv1ShareCounts::default()
            }),
            ..Sv1MinerReading::default()
        };
        let reading = TranslatorReading {
            miners: vec![
                miner(1, 7, Some(3)),
                miner(2, 8, None),
                miner(3, 7, Some(4)),
            ],
            ..TranslatorReading::default()
        };
        let found: Vec<_> = of_translator(&reading)
            .into_iter()
            .map(|(key, miner)| {
                (
                    key.address,
                    miner.connections.len(),
                    miner.has_channel,
                    miner.channels.len(),
                    miner.estimate,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("192.0.2.7".to_owned(), 2, true, 2, Some(2e12)),
                ("192.0.2.8".to_owned(), 1, false, 0, Some(1e12)),
            ]
        );
    }
}
