//! Rules for the port for Stratum V1 miners next to the client's ports.

use std::net::SocketAddr;

use super::ConfigFindings;
use crate::base::listeners::overlap;
use crate::domain::configs::model::TranslatorSettings;

/// `client`: where the client listens for miners, and where its monitoring does.
pub fn check(
    translator: Option<&TranslatorSettings>,
    client: [Option<SocketAddr>; 2],
    found: &mut ConfigFindings,
) {
    let Some(translator) = translator.filter(|translator| translator.enabled) else {
        return;
    };
    let (at, own) = (
        "/translator/listening_address",
        translator.listening_address,
    );
    let mut others = client.into_iter().flatten();
    if own.port() < 1024 {
        found.error(
            at,
            format!(
                "Port {} is below 1024. On Linux only root can use such a port, and the translator does not run as root. Choose a port \
                 from 1024 to 65535, such as 34255.",
                own.port()
            ),
        );
    } else if let Some(other) = others.find(|other| overlap(*other, own)) {
        found.error(
            at,
            format!(
                "The client already uses port {}. Choose another port, such as 34255.",
                other.port()
            ),
        );
    }
}
