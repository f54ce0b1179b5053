//! Whether somebody listens where a configuration says so.
//!
//! Connects and says nothing: that somebody listens is no proof that it is the right one, and a
//! doubt and never more that nobody does.

use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;
use tokio::net::TcpStream;

use super::node;
use crate::domain::configs::{ClientConfig, TemplateProvider};

/// So long whoever looks at the review waits for an answer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What was tried.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "TriedAddress")]
pub struct ProbeResult {
    /// Who is meant: `Template provider`, `Pool 1`.
    pub what: String,
    /// Where: host and port, or a path.
    pub place: String,
    /// Somebody listens there.
    pub listens: bool,
    /// What happened, and what to do if that was nothing good.
    pub detail: String,
}

/// Tries everybody a configuration's client will connect to, all at once.
pub async fn probe_all(config: &ClientConfig) -> Vec<ProbeResult> {
    let mut places: Vec<(String, String)> = Vec::new();
    let mut tried = Vec::new();
    match &config.template_provider_type {
        TemplateProvider::Sv2Tp { address, .. } => {
            places.push(("Template provider".into(), address.clone()))
        }
        TemplateProvider::BitcoinCoreIpc {
            network, data_dir, ..
        } => {
            let (network, dir) = (*network, data_dir.clone().unwrap_or_default());
            if let Ok(Some(socket)) =
                tokio::task::spawn_blocking(move || node::socket(network, &dir)).await
            {
                let listens = socket.standing == node::NodeSocketState::Answers;
                let advice = socket
                    .advice()
                    .map(|advice| format!(". {advice}"))
                    .unwrap_or_default();
                let detail = format!("The socket {}{advice}", socket.words());
                tried.push(ProbeResult {
                    what: format!("Bitcoin Core, {network}"),
                    place: socket.path,
                    listens,
                    detail,
                });
            }
        }
    }
    for (at, pool) in config
        .upstreams
        .iter()
        .enumerate()
        .filter(|_| config.mode.needs_pool())
    {
        places.push((
            format!("Pool {}", at + 1),
            format!("{}:{}", pool.pool_address, pool.pool_port),
        ));
        places.push((
            format!("Job declarator server {}", at + 1),
            format!("{}:{}", pool.jds_address, pool.jds_port),
        ));
    }
    let tries = places.into_iter().map(|(what, place)| async move {
        let found = connect(&place).await;
        let (listens, detail) = match found {
            Ok(()) => (true, "Somebody listens there.".to_owned()),
            Err(why) => (false, why),
        };
        ProbeResult {
            what,
            place,
            listens,
            detail,
        }
    });
    tried.extend(futures_util::future::join_all(tries).await);
    tried
}

async fn connect(place: &str) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(place)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err("Nobody listens there now: the connection was refused. Is it running, and is the port right?".into())
        }
        Ok(Err(e)) => Err(format!("It cannot be reached now: {e}.")),
        Err(_) => {
            Err(format!("It does not answer within {} s. Is the address right, and is there a firewall?", PATIENCE.as_secs_f32()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_listens_is_told_from_who_does_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string();
        assert_eq!(connect(&place).await, Ok(()));
        drop(listener);
        assert!(connect(&place).await.unwrap_err().contains("refused"));
    }
}
