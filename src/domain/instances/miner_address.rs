//! What to enter in the miners of an instance, best first. The same on every page and in the API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::model::Instance;
use super::network::LocalNetwork;
use super::service::InstanceService;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::configs::ClientConfig;
use crate::keeper::machine::InstanceState;

/// An example of a name for a miner. Both programs accept any.
const EXAMPLE_USER: &str = "miner1";

/// The protocol of a port for miners.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum MinerProtocol {
    /// Stratum V1, by the translator.
    V1,
    /// Stratum V2, by the client itself.
    V2,
}

impl MinerProtocol {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    /// The name on pages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::V1 => "Stratum V1",
            Self::V2 => "Stratum V2",
        }
    }
}

/// What to enter in a miner.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct MinerAddress {
    /// The protocol of the miner.
    pub protocol: MinerProtocol,
    /// Everything in one: `stratum2+tcp://host:port/key` or `stratum+tcp://host:port`.
    pub url: String,
    /// The host's name or IP address.
    pub host: String,
    /// The port. While the instance is running, the port in use, which differs from that of the
    /// configuration if another program used that one.
    pub port: u16,
    /// The public key of the client, for Stratum V2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// An example of a user: any name for the miner. A Stratum V1 miner also asks for a password,
    /// which is ignored.
    pub user: String,
    /// The port of the configuration, if it differs.
    #[serde(skip)]
    pub configured_port: Option<u16>,
}

impl MinerAddress {
    /// The addresses for miners of one protocol.
    pub fn of_protocol(all: &[Self], protocol: MinerProtocol) -> Vec<&Self> {
        let is_wanted = |address: &&Self| address.protocol == protocol;
        all.iter().filter(is_wanted).collect()
    }

    /// Only programs on this machine can connect.
    pub fn is_local(&self) -> bool {
        self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// The host is a name of multicast DNS, which does not work in every network.
    pub fn is_local_name(&self) -> bool {
        self.host.ends_with(".local")
    }
}

/// A port for miners.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MinerListener {
    protocol: MinerProtocol,
    address: SocketAddr,
    key: Option<String>,
    configured: SocketAddr,
}

impl MinerListener {
    /// Its addresses, best first. Never empty: without a network it is loopback's.
    fn addresses(&self, network: &LocalNetwork, advertised: Option<&str>) -> Vec<MinerAddress> {
        let mut hosts: Vec<String> = match self.address.ip() {
            any if any.is_unspecified() => {
                let mut lan = network.addresses.iter().map(ToString::to_string);
                match lan.next() {
                    // The name stands for this address in most networks.
                    Some(first) => std::iter::once(first)
                        .chain(network.local_name.clone())
                        .chain(lan)
                        .collect(),
                    None => vec![loopback(any).to_string()],
                }
            }
            one => vec![one.to_string()],
        };
        if let Some(advertised) = advertised.filter(|_| !self.address.ip().is_loopback()) {
            hosts.retain(|host| host != advertised);
            hosts.insert(0, advertised.to_owned());
        }
        hosts
            .into_iter()
            .map(|host| self.address_at(host))
            .collect()
    }

    fn address_at(&self, host: String) -> MinerAddress {
        let port = self.address.port();
        let in_url = match host.parse::<Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]"),
            Err(_) => host.clone(),
        };
        let url = match &self.key {
            Some(key) => format!("stratum2+tcp://{in_url}:{port}/{key}"),
            None => format!("stratum+tcp://{in_url}:{port}"),
        };
        MinerAddress {
            protocol: self.protocol,
            url,
            host,
            port,
            key: self.key.clone(),
            user: EXAMPLE_USER.to_owned(),
            configured_port: Some(self.configured.port()).filter(|configured| *configured != port),
        }
    }
}

fn loopback(any: IpAddr) -> IpAddr {
    match any {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

impl InstanceService {
    /// The addresses for miners of an instance with this saved configuration, those for Stratum V2
    /// miners first, best first within a protocol. While it is running, those of its programs, which
    /// may run with other ports or an older revision.
    pub async fn miner_addresses(
        &self,
        instance: &Instance,
        config: &ClientConfig,
    ) -> Vec<MinerAddress> {
        let network = LocalNetwork::read().await;
        self.addresses_in(&network, instance, config).await
    }

    /// The same for the instances of a page, by the id of the instance. None if there are more than
    /// `most`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn listed_addresses(
        &self,
        instances: &[Instance],
        most: usize,
    ) -> Result<Vec<(InstanceId, String, Vec<MinerAddress>)>> {
        if instances.len() > most {
            return Ok(Vec::new());
        }
        let network = LocalNetwork::read().await;
        let mut listed = Vec::new();
        // Those of other hosts are on their own pages.
        for instance in instances.iter().filter(|one| one.host.is_none()) {
            let config = self.saved_config(instance).await?;
            let addresses = self.addresses_in(&network, instance, &config).await;
            listed.push((instance.id, instance.name.clone(), addresses));
        }
        Ok(listed)
    }

    async fn addresses_in(
        &self,
        network: &LocalNetwork,
        instance: &Instance,
        config: &ClientConfig,
    ) -> Vec<MinerAddress> {
        let listeners = self.miner_listeners(instance, config).await;
        let advertised = self.advertised_host.as_deref();
        listeners
            .iter()
            .flat_map(|listener| listener.addresses(network, advertised))
            .collect()
    }

    async fn miner_listeners(
        &self,
        instance: &Instance,
        config: &ClientConfig,
    ) -> Vec<MinerListener> {
        let mut client = MinerListener {
            protocol: MinerProtocol::V2,
            address: config.listening_address,
            key: Some(config.authority_public_key.clone()),
            configured: config.listening_address,
        };
        let mut translator = config.enabled_translator().map(|settings| MinerListener {
            protocol: MinerProtocol::V1,
            address: settings.listening_address,
            key: None,
            configured: settings.listening_address,
        });
        let runs = instance.running || instance.status == InstanceState::BackingOff;
        if let Some(file) = self.running_file(instance.id).await.filter(|_| runs) {
            let text = |key: &str| file.get(key).and_then(toml::Value::as_str);
            if let Some(address) = text("listening_address").and_then(|text| text.parse().ok()) {
                client.address = address;
            }
            if let Some(key) = text("authority_public_key") {
                client.key = Some(key.to_owned());
            }
        }
        if instance.translator().is_some()
            && let Some(file) = self.translator_file(instance.id).await
        {
            let configured = translator.map_or(file.listening, |saved| saved.configured);
            translator = Some(MinerListener {
                protocol: MinerProtocol::V1,
                address: file.listening,
                key: None,
                configured,
            });
        } else if runs && instance.pid.is_some() {
            // The next start adds it.
            translator = None;
        }
        let mut listeners: Vec<MinerListener> = std::iter::once(client).chain(translator).collect();
        if instance.is_outdated() {
            // Another port is a change that is not applied yet, which the page shows anyway.
            for listener in &mut listeners {
                listener.configured = listener.address;
            }
        }
        listeners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, key: Option<&str>) -> MinerListener {
        let address = address.parse().unwrap();
        MinerListener {
            protocol: if key.is_some() {
                MinerProtocol::V2
            } else {
                MinerProtocol::V1
            },
            address,
            key: key.map(str::to_owned),
            configured: address,
        }
    }

    fn network() -> LocalNetwork {
        LocalNetwork {
            addresses: vec![[192, 168, 7, 20].into(), [10, 0, 0, 5].into()],
            local_name: Some("umbrel.local".into()),
        }
    }

    fn urls(listener: &MinerListener, network: &LocalNetwork, host: Option<&str>) -> Vec<String> {
        let all = listener.addresses(network, host);
        all.into_iter().map(|address| address.url).collect()
    }

    #[test]
    fn the_address_in_the_network_comes_first_and_the_local_name_beside_it() {
        let v1 = listener("0.0.0.0:34255", None);
        assert_eq!(
            urls(&v1, &network(), None),
            [
                "stratum+tcp://192.168.7.20:34255",
                "stratum+tcp://umbrel.local:34255",
                "stratum+tcp://10.0.0.5:34255"
            ]
        );
        let alone = LocalNetwork {
            local_name: None,
            ..network()
        };
        assert_eq!(urls(&v1, &alone, None).len(), 2);
        assert_eq!(
            urls(&listener("[::]:34265", Some("9key")), &network(), None)[0],
            "stratum2+tcp://192.168.7.20:34265/9key"
        );
    }

    #[test]
    fn the_advertised_host_comes_first_unless_only_this_machine_can_connect() {
        let v2 = listener("0.0.0.0:34265", Some("9key"));
        assert_eq!(
            urls(&v2, &network(), Some("miner.example.org"))[..2],
            [
                "stratum2+tcp://miner.example.org:34265/9key",
                "stratum2+tcp://192.168.7.20:34265/9key"
            ]
        );
        assert_eq!(urls(&v2, &network(), Some("192.168.7.20")).len(), 3);
        let [first, ..] = &v2.addresses(&network(), Some("fd00::7"))[..] else {
            panic!("no address");
        };
        assert_eq!(
            (first.url.as_str(), first.host.as_str(), first.port),
            ("stratum2+tcp://[fd00::7]:34265/9key", "fd00::7", 34265)
        );
        assert_eq!(
            urls(&listener("192.168.7.20:1", None), &network(), Some("a.b")),
            ["stratum+tcp://a.b:1", "stratum+tcp://192.168.7.20:1"]
        );
        for loopback in ["127.0.0.1:1", "[::1]:1"] {
            let found = listener(loopback, None).addresses(&network(), Some("a.b"));
            assert!(found.len() == 1 && found[0].is_local(), "{found:?}");
            assert_eq!(found[0].url, format!("stratum+tcp://{loopback}"));
        }
    }

    #[test]
    fn without_a_network_it_is_loopbacks() {
        let nothing = LocalNetwork {
            local_name: Some("umbrel.local".into()),
            ..LocalNetwork::default()
        };
        for (any, expected) in [("0.0.0.0:1", "127.0.0.1"), ("[::]:1", "::1")] {
            let found = listener(any, None).addresses(&nothing, None);
            assert_eq!((found.len(), found[0].host.as_str()), (1, expected));
            assert!(found[0].is_local());
        }
    }

    #[test]
    fn another_port_than_the_configured_one_is_marked() {
        let mut v1 = listener("0.0.0.0:34256", None);
        assert_eq!(v1.addresses(&network(), None)[0].configured_port, None);
        v1.configured.set_port(34255);
        let found = v1.addresses(&network(), None);
        assert!(found.iter().all(|one| one.configured_port == Some(34255)));
        assert!(found[1].is_local_name() && !found[0].is_local_name());
    }
}
