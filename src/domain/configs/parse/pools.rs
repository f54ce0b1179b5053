//! Reads the pools of a configuration with their job declaration servers, keys and accounts.

use super::evidence::{KeyEvidence, key_in_address};
use super::table::{ObjectReader, is_blank};
use super::{identity, number};
use crate::domain::configs::model::{ConfigUpstream, MiningMode};
use crate::domain::configs::rules::peer_address::StratumAddress;
use crate::domain::configs::rules::{self, ConfigFindings, MOST_UPSTREAMS, address, scalar};
use serde_json::Value;

/// The default account of all pools, as older clients send it.
pub struct CommonAccount {
    /// The account, if it is present and valid.
    pub identity: Option<String>,
    /// True if it is invalid and has an error already.
    pub wrong: bool,
}

/// Reads all pools in order.
pub fn upstreams(
    top: &mut ObjectReader,
    common: &CommonAccount,
    evidence: &KeyEvidence,
    mode: Option<MiningMode>,
    found: &mut ConfigFindings,
) -> Vec<ConfigUpstream> {
    let mut pools = Vec::new();
    let complaints = found.errors.len();
    let mut sent = 0;
    if top.peek("upstreams").is_none() && top.peek("pool_address").is_some() {
        sent = 1;
        pools.extend(upstream(top, None, common, evidence, found));
    } else if let Some(list) = top.tables("upstreams", MOST_UPSTREAMS, found) {
        sent = list.len();
        for mut pool in list {
            let own = pool.optional("user_identity", found, identity);
            if let Some(own) = &own {
                rules::identity(&pool.at("user_identity"), own, found);
            }
            pools.extend(upstream(&mut pool, own, common, evidence, found));
            pool.warn_of_unknown(found);
        }
    }
    // An invalid list has its own error and is not an empty list.
    if sent > 0 || found.errors.len() == complaints {
        rules::pools(mode, sent, found);
    }
    pools
}

/// Reads a pool with its `own` account or else the default account.
fn upstream(
    pool: &mut ObjectReader,
    own: Option<String>,
    common: &CommonAccount,
    evidence: &KeyEvidence,
    found: &mut ConfigFindings,
) -> Option<ConfigUpstream> {
    let older = pool.peek("jds_address").is_none() && pool.peek("jd_address").is_some();
    let jds_key = if older { "jd_address" } else { "jds_address" };
    let authority_pubkey = authority_key(pool, jds_key, evidence, found);
    let (pool_address, pool_port) = host_and_port(pool, "pool_address", "pool_port", found);
    let has_older_port = pool.peek("jds_port").is_none() && pool.peek("jd_port").is_some();
    let port_key = if has_older_port {
        "jd_port"
    } else {
        "jds_port"
    };
    let (jds_address, jds_port) = host_and_port(pool, jds_key, port_key, found);
    let user_identity = match own.or_else(|| common.identity.clone()) {
        None if !common.wrong && pool.peek("user_identity").is_none_or(is_blank) => {
            pool.required("user_identity", found, identity)
        }
        // An invalid account already has an error.
        known => known,
    };
    Some(ConfigUpstream {
        authority_pubkey: authority_pubkey?,
        pool_address: pool_address?,
        pool_port: pool_port?,
        jds_address: jds_address?,
        jds_port: jds_port?,
        user_identity: user_identity?,
    })
}

/// The key of a pool, from its own field or from an address with a key after a slash.
fn authority_key(
    pool: &mut ObjectReader,
    jds_key: &'static str,
    evidence: &KeyEvidence,
    found: &mut ConfigFindings,
) -> Option<String> {
    let published = ["pool_address", jds_key]
        .into_iter()
        .find_map(|at| Some((at, key_in_address(pool.peek(at))?)));
    let Some((at, published)) = published else {
        return pool.required("authority_pubkey", found, |v| evidence.public_key(v));
    };
    let published = match evidence.public_key(&published.into()) {
        Ok(key) => key,
        Err(fault) => {
            pool.skip("authority_pubkey");
            found.error(pool.at(at), fault);
            return None;
        }
    };
    if pool.peek("authority_pubkey").is_none_or(is_blank) {
        pool.skip("authority_pubkey");
        return Some(published);
    }
    let own = pool.required("authority_pubkey", found, |v| evidence.public_key(v))?;
    if own != published {
        found.error(
            pool.at("authority_pubkey"),
            format!(
                "The address contains a different public key, {published}. Remove the wrong one."
            ),
        );
        return None;
    }
    Some(own)
}

/// A host and its port from two fields or, as in older clients, from one.
fn host_and_port(
    pool: &mut ObjectReader,
    host_key: &'static str,
    port_key: &'static str,
    found: &mut ConfigFindings,
) -> (Option<String>, Option<u16>) {
    let text = pool.peek(host_key).and_then(Value::as_str);
    let text = text.map(scalar::bare).unwrap_or_default();
    let both = match StratumAddress::parse(text) {
        Some(Ok(published)) => Some((published.host, published.port)),
        Some(Err(fault)) => {
            pool.skip(host_key);
            pool.skip(port_key);
            found.error(pool.at(host_key), fault);
            return (None, None);
        }
        None => address::host_port(text)
            .ok()
            .map(|(host, port)| (host, Some(port))),
    };
    let blank_port = pool.peek(port_key).is_none_or(is_blank);
    if let Some((host, None)) = &both {
        pool.skip(host_key);
        let port = pool.required(port_key, found, |v| number(v, 1, u16::MAX));
        return (Some(host.clone()), port);
    }
    if let Some((host, Some(port))) = both {
        if blank_port {
            pool.skip(host_key);
            pool.skip(port_key);
            return (Some(host), Some(port));
        }
        // Old example files contain the port twice, which is an error only if the ports differ.
        let second: Option<u16> = pool.optional(port_key, found, |v| number(v, 1, u16::MAX));
        pool.skip(host_key);
        if second.is_some_and(|second| second != port) {
            found.error(
                pool.at(host_key),
                format!("Port {port} in the address does not match the port field. Enter only the host here."),
            );
            return (None, second);
        }
        return (Some(host), second);
    }
    let host = pool.required(host_key, found, |v| {
        address::host(&scalar::word(v, scalar::LONGEST_TEXT)?)
    });
    (
        host,
        pool.required(port_key, found, |v| number(v, 1, u16::MAX)),
    )
}
