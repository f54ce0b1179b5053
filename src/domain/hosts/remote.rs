//! Asks the jd-manager on a host once: over one SSH session, one request after another.

use axum::body::{Body, to_bytes};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::model::HostReport;
use crate::base::clock::Timestamp;
use crate::programs::openssh::{OpenSsh, SshDestination, SshFailure, SshFailureKind, SshSession};

/// The largest response that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// The part of `GET /hosts` about the jd-manager itself.
#[derive(Debug, Deserialize)]
struct RemoteHosts {
    manager: RemoteIdentity,
}

#[derive(Debug, Deserialize)]
struct RemoteIdentity {
    id: String,
    version: String,
    time: String,
}

/// The part of `GET /instances` that is counted.
#[derive(Debug, Deserialize)]
struct RemoteInstances {
    instances: Vec<RemoteInstance>,
    total: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct RemoteInstance {
    status: String,
    hashrate: Option<f64>,
}

/// Asks a host for its version, time and instances.
///
/// # Errors
/// There is no connection, or no usable jd-manager behind it.
pub async fn ask(ssh: &OpenSsh, to: &SshDestination) -> Result<HostReport, SshFailure> {
    let SshSession { stream, process } = ssh.open(to)?;
    let exchange = async {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Dropping it closes the connection.
        let mut requests = Box::pin(report(&mut sender));
        tokio::pin!(connection);
        tokio::select! {
            outcome = &mut requests => outcome,
            closed = &mut connection => match closed {
                Err(error) => Err(error.into()),
                Ok(()) => requests.await,
            },
        }
    };
    match exchange.await {
        Ok(report) => Ok(report),
        Err(RemoteError::Unusable(failure)) => Err(failure),
        Err(RemoteError::Connection(error)) if error.is_parse() => Err(wrong(
            SshFailureKind::WrongCommand,
            "The command did not respond like jd-manager.".into(),
        )),
        Err(RemoteError::Connection(_)) => Err(process.failure().await),
    }
}

#[derive(Debug)]
enum RemoteError {
    /// The connection failed or was closed.
    Connection(hyper::Error),
    /// The response is not that of a usable jd-manager.
    Unusable(SshFailure),
}

impl From<hyper::Error> for RemoteError {
    fn from(error: hyper::Error) -> Self {
        Self::Connection(error)
    }
}

fn wrong(kind: SshFailureKind, messages: String) -> SshFailure {
    SshFailure { kind, messages }
}

async fn report(sender: &mut SendRequest<Body>) -> Result<HostReport, RemoteError> {
    let begun = Timestamp::now();
    let hosts: RemoteHosts = get(sender, "/api/hosts").await?;
    let ended = Timestamp::now();
    let list: RemoteInstances = get(sender, "/api/instances").await?;
    let time = Timestamp::parse_local(&hosts.manager.time);
    // Its clock was read at some time in between.
    let clock_offset_ms = time.map_or(0, |time| match time.0 {
        time if time < begun.0 => time - begun.0,
        time if time > ended.0 => time - ended.0,
        _ => 0,
    });
    let counted = u64::try_from(list.instances.len()).unwrap_or(u64::MAX);
    let running = list.instances.iter().filter(|one| one.status == "running");
    let hashrates: Vec<f64> = list
        .instances
        .iter()
        .filter_map(|one| one.hashrate)
        .collect();
    Ok(HostReport {
        id: hosts.manager.id,
        version: hosts.manager.version,
        clock_offset_ms,
        instances: list.total.unwrap_or(counted),
        running: u64::try_from(running.count()).unwrap_or(u64::MAX),
        hashrate: (!hashrates.is_empty()).then(|| hashrates.iter().sum()),
    })
}

async fn get<T: DeserializeOwned>(
    sender: &mut SendRequest<Body>,
    path: &str,
) -> Result<T, RemoteError> {
    let unusable = |kind, text: String| RemoteError::Unusable(wrong(kind, text));
    let request = Request::get(path)
        .header("host", "localhost")
        .header("accept", "application/json")
        .body(Body::empty())
        .map_err(|e| unusable(SshFailureKind::WrongCommand, e.to_string()))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Err(unusable(
            SshFailureKind::OldProgram,
            format!("It does not know {path}."),
        ));
    }
    let body = to_bytes(Body::new(response.into_body()), LARGEST).await;
    let body = body.map_err(|e| {
        unusable(
            SshFailureKind::Unreachable,
            format!("The response ended early: {e}"),
        )
    })?;
    if !status.is_success() {
        let text = format!("It responded with HTTP status {}.", status.as_u16());
        return Err(unusable(SshFailureKind::WrongCommand, text));
    }
    serde_json::from_slice(&body).map_err(|e| {
        unusable(
            SshFailureKind::WrongCommand,
            format!("The response to {path} cannot be read: {e}"),
        )
    })
}
