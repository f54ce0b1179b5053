//! What the settings for Stratum V1 miners must obey together with those of the client.
//!
//! Sources: the source of translator_sv2 0.6.0 and its observed behavior.

use std::net::SocketAddr;

use super::{ConfigFindings, address};
use crate::domain::configs::model::TranslatorSettings;

/// Bytes of the extranonce that each Stratum V1 miner rolls. cgminer and its descendants take at most 8.
pub const MINER_EXTRANONCE: u8 = 4;
/// Bytes that a shared channel needs in addition, to tell its miners apart.
pub const SHARED_CHANNEL_EXTRANONCE: u8 = 2;

/// `client`: where the client listens for miners, and where its monitoring does. `reserved`: bytes of
/// the extranonce that the client keeps for miners (8 if it is not set).
pub fn check(
    translator: Option<&TranslatorSettings>,
    client: [Option<SocketAddr>; 2],
    reserved: Option<u8>,
    found: &mut ConfigFindings,
) {
    let Some(translator) = translator.filter(|translator| translator.enabled) else {
        return;
    };
    let (at, address) = (
        "/translator/listening_address",
        translator.listening_address,
    );
    if address.port() < 1024 {
        found.error(
            at,
            format!("Port {} is reserved for privileged programs. Choose a port from 1024 on, such as 34255.", address.port()),
        );
    } else if let Some(other) = client
        .into_iter()
        .flatten()
        .find(|other| address::overlap(*other, address))
    {
        found.error(
            at,
            format!(
                "The client already uses port {}. Choose another port, such as 34255.",
                other.port()
            ),
        );
    }
    let needed = needed_extranonce(translator.aggregate_channels);
    if let Some(reserved) = reserved.filter(|reserved| *reserved < needed) {
        found.error(
            "/reserved_downstream_rollable_extranonce_size",
            format!(
                "Stratum V1 miners need {needed} bytes of the extranonce, and {reserved} are reserved for miners. The translator \
                 would exit at the first miner. Enter at least {needed}, or leave this empty."
            ),
        );
    }
}

/// Bytes of the extranonce that the translator requests for a channel.
fn needed_extranonce(is_shared: bool) -> u8 {
    MINER_EXTRANONCE
        + if is_shared {
            SHARED_CHANNEL_EXTRANONCE
        } else {
            0
        }
}
