//! Which of a client's connections come from a translator, not from a miner.

use super::config::TranslatorConfig;
use crate::programs::jd_client::monitoring::MinerReading;

/// Whether a connection to the client comes from a translator. `beside`: the file of the
/// translator beside the client. Clients before 0.5.0 do not report the kind of a connection; then
/// the identities of its channels decide, which a translator derives from its own
/// (`sv2/channel_manager` of translator_sv2). A translator without miners has no channel; a miner opens
/// its channel at once.
pub fn is_translator(client: &MinerReading, beside: Option<&TranslatorConfig>) -> bool {
    if let Some(known) = client.is_translator {
        return known;
    }
    let Some(beside) = beside else { return false };
    client
        .channels
        .iter()
        .all(|channel| is_derived(&channel.user_identity, &beside.user_identity))
}

fn is_derived(identity: &str, own: &str) -> bool {
    let account = own.split('.').next().unwrap_or_default();
    let is_numbered = identity
        .strip_prefix(own)
        .and_then(|rest| rest.strip_prefix(".miner"))
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    let is_shared = identity.strip_prefix(account) == Some(".translator-proxy");
    is_numbered || is_shared || (identity == own && own.starts_with("sri/"))
}
