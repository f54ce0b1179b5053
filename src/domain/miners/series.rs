//! The time series of a miner, which is known by name and address.

use super::counting::MinerSample;
use super::observation::MinerKey;
use crate::base::ids::InstanceId;
use crate::domain::metrics::MetricWrite;

/// The part of a series' name that stands for a miner: `barn.rig1@192.0.2.7`, and only the name if
/// the address is not known. An address contains no `@`, so the last one divides the two.
pub fn detail(name: &str, address: &str) -> String {
    if address.is_empty() {
        name.to_owned()
    } else {
        format!("{name}@{address}")
    }
}

/// What to write for a sample. Without rejected shares there is no sample of them, which has the
/// same sum and needs no space.
pub fn of_miner(
    instance: InstanceId,
    key: &MinerKey,
    sample: MinerSample,
) -> impl Iterator<Item = MetricWrite> + use<> {
    let miner = detail(&key.name, &key.address);
    let values = [
        ("miner_hashrate", Some(sample.hashrate)),
        ("miner_shares_accepted", Some(sample.accepted as f64)),
        (
            "miner_shares_rejected",
            (sample.rejected > 0).then_some(sample.rejected as f64),
        ),
    ];
    values.into_iter().filter_map(move |(name, value)| {
        Some(MetricWrite {
            instance,
            metric_type: format!("{name}:{miner}"),
            value: value?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::instances::MinerProtocol;

    #[test]
    fn a_series_is_named_by_name_and_address() {
        assert_eq!(detail("barn.rig1", "192.0.2.7"), "barn.rig1@192.0.2.7");
        assert_eq!(detail("a@b", "::1"), "a@b@::1");
        assert_eq!(detail("rig", ""), "rig");
        let key = MinerKey {
            protocol: MinerProtocol::V1,
            address: "192.0.2.7".into(),
            name: "rig".into(),
        };
        let names = |rejected| -> Vec<String> {
            let sample = MinerSample {
                hashrate: 1e12,
                accepted: 0,
                rejected,
            };
            let id = InstanceId::random();
            of_miner(id, &key, sample)
                .map(|write| write.metric_type)
                .collect()
        };
        assert_eq!(
            names(0),
            [
                "miner_hashrate:rig@192.0.2.7",
                "miner_shares_accepted:rig@192.0.2.7"
            ]
        );
        assert_eq!(names(2)[2], "miner_shares_rejected:rig@192.0.2.7");
    }
}
