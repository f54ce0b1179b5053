//! Finds ports that no other saved configuration uses, so that two instances do not conflict by
//! default. Pure: callers pass in the saved ports. Ports of other programs are checked before a
//! start.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::model::ClientConfig;
use crate::base::port_range::PortRange;

/// The ports that a configuration's client and translator listen on.
pub(super) fn of(config: &ClientConfig) -> impl Iterator<Item = u16> {
    [
        Some(config.listening_address),
        config.monitoring_address,
        config
            .translator
            .as_ref()
            .map(|translator| translator.listening_address),
    ]
    .into_iter()
    .flatten()
    .map(|address| address.port())
}

/// Replaces ports of the configuration that are in `taken` with the next free ports, and ports for
/// miners that are not among `miner_ports`. Returns true if any port changed.
pub(super) fn avoid(
    config: &mut ClientConfig,
    taken: &BTreeSet<u16>,
    miner_ports: Option<PortRange>,
) -> bool {
    let mut taken = taken.clone();
    let mut moved = false;
    let v1 = config.translator.as_mut();
    for (address, range) in [
        Some((&mut config.listening_address, miner_ports)),
        config
            .monitoring_address
            .as_mut()
            .map(|address| (address, None)),
        v1.map(|translator| (&mut translator.listening_address, miner_ports)),
    ]
    .into_iter()
    .flatten()
    {
        moved |= choose_other_port(address, &taken, range);
        taken.insert(address.port());
    }
    moved
}

fn choose_other_port(
    address: &mut SocketAddr,
    taken: &BTreeSet<u16>,
    range: Option<PortRange>,
) -> bool {
    let from = address.port();
    let usual = PortRange::new(from.clamp(1, 1024), u16::MAX);
    let free = range
        .or(usual)
        .into_iter()
        .flat_map(|range| range.starting_at(from))
        .find(|port| !taken.contains(port));
    address.set_port(free.unwrap_or(from));
    address.port() != from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    #[test]
    fn ports_step_aside_for_those_taken_and_for_each_other() {
        let mut config = samples::pool();
        let (listening, monitoring) = (
            config.listening_address.port(),
            config.monitoring_address.unwrap().port(),
        );
        assert!(!avoid(&mut config, &BTreeSet::new(), None));
        assert!(avoid(
            &mut config,
            &BTreeSet::from([listening, listening + 1, monitoring]),
            None
        ));
        assert_eq!(
            of(&config).collect::<Vec<_>>(),
            [listening + 2, monitoring + 1]
        );

        let mut config = samples::with_translator();
        assert!(avoid(&mut config, &BTreeSet::from([34255]), None));
        assert_eq!(of(&config).last(), Some(34256));

        // Only the ports for miners stay in the range.
        let mut config = samples::with_translator();
        let monitoring = config.monitoring_address.unwrap().port();
        let range = PortRange::new(40000, 40002);
        assert!(avoid(&mut config, &BTreeSet::from([40000]), range));
        assert_eq!(of(&config).collect::<Vec<_>>(), [40001, monitoring, 40002]);
        assert!(!avoid(&mut config, &BTreeSet::from([40000]), range));

        let mut config = samples::pool();
        config.listening_address.set_port(u16::MAX);
        config
            .monitoring_address
            .as_mut()
            .unwrap()
            .set_port(u16::MAX);
        avoid(&mut config, &BTreeSet::from([1024]), None);
        assert_eq!(of(&config).collect::<Vec<_>>(), [u16::MAX, 1025]);
    }
}
