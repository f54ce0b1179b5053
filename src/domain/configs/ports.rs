//! Finds ports that no other saved configuration uses, so that two instances do not conflict by
//! default. Pure: callers pass in the saved ports. Ports of other programs are checked before a
//! start.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::model::ClientConfig;

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

/// Replaces ports of the configuration that are in `taken` with the next free ports. Returns true
/// if any port changed.
pub(super) fn avoid(config: &mut ClientConfig, taken: &BTreeSet<u16>) -> bool {
    let mut taken = taken.clone();
    let mut moved = false;
    for address in [
        Some(&mut config.listening_address),
        config.monitoring_address.as_mut(),
        config
            .translator
            .as_mut()
            .map(|translator| &mut translator.listening_address),
    ]
    .into_iter()
    .flatten()
    {
        moved |= choose_other_port(address, &taken);
        taken.insert(address.port());
    }
    moved
}

fn choose_other_port(address: &mut SocketAddr, taken: &BTreeSet<u16>) -> bool {
    let from = address.port();
    let free = (from..=u16::MAX)
        .chain(1024..from)
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
        assert!(!avoid(&mut config, &BTreeSet::new()));
        assert!(avoid(
            &mut config,
            &BTreeSet::from([listening, listening + 1, monitoring])
        ));
        assert_eq!(
            of(&config).collect::<Vec<_>>(),
            [listening + 2, monitoring + 1]
        );

        let mut config = samples::with_translator();
        assert!(avoid(&mut config, &BTreeSet::from([34255])));
        assert_eq!(of(&config).last(), Some(34256));

        let mut config = samples::pool();
        config.listening_address.set_port(u16::MAX);
        config
            .monitoring_address
            .as_mut()
            .unwrap()
            .set_port(u16::MAX);
        avoid(&mut config, &BTreeSet::from([1024]));
        assert_eq!(of(&config).collect::<Vec<_>>(), [u16::MAX, 1025]);
    }
}
