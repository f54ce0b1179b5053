//! A connection to the jd-manager on a host: one SSH session, one request after another.

use axum::body::{Body, Bytes, to_bytes};
use futures_util::StreamExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio_util::task::AbortOnDropHandle;

use super::model::HostReport;
use crate::base::clock::Timestamp;
use crate::domain::instances::Instance;
use crate::programs::openssh::{
    OpenSsh, SshDestination, SshFailure, SshFailureKind, SshProcess, SshSession,
};

/// The largest response that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// The part of `GET /hosts` about the jd-manager itself.
#[derive(Debug, Deserialize)]
struct HostsResponse {
    manager: RemoteIdentity,
}

#[derive(Debug, Deserialize)]
struct RemoteIdentity {
    id: String,
    version: String,
    time: String,
}

/// `GET /instances`. Each instance is read on its own, so one with values of a newer version does not hide
/// the others.
#[derive(Debug, Deserialize)]
struct InstancesResponse<'a> {
    #[serde(borrow)]
    instances: Vec<&'a RawValue>,
}

/// An SSH session with a jd-manager. It ends when this is dropped.
#[derive(Debug)]
pub struct RemoteSession {
    sender: SendRequest<Body>,
    process: Option<SshProcess>,
    _connection: AbortOnDropHandle<Result<(), hyper::Error>>,
}

impl RemoteSession {
    /// Begins a session. Whether the host responds shows with the first request.
    ///
    /// # Errors
    /// `ssh` cannot be run.
    pub async fn open(ssh: &OpenSsh, to: &SshDestination) -> Result<Self, SshFailure> {
        let SshSession { stream, process } = ssh.open(to)?;
        match handshake(TokioIo::new(stream)).await {
            Ok((sender, connection)) => Ok(Self {
                sender,
                process: Some(process),
                _connection: AbortOnDropHandle::new(tokio::spawn(connection)),
            }),
            Err(_) => Err(process.failure().await),
        }
    }

    /// Sends a request and waits for the start of the response.
    ///
    /// # Errors
    /// There is no connection, or no jd-manager behind it.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, SshFailure> {
        let sent = match self.sender.ready().await {
            Ok(()) => self.sender.send_request(request).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(response) => Ok(response),
            Err(error) if error.is_parse() => Err(SshFailure {
                kind: SshFailureKind::WrongCommand,
                messages: "The command did not respond like jd-manager.".into(),
            }),
            Err(error) => Err(match self.process.take() {
                Some(process) => process.failure().await,
                None => unreachable(error.to_string()),
            }),
        }
    }

    /// The JSON at a path.
    ///
    /// # Errors
    /// There is no connection, or the response is not that of a usable jd-manager.
    pub async fn get(&mut self, path: &str) -> Result<Bytes, SshFailure> {
        let wrong = |kind, messages| SshFailure { kind, messages };
        let request = Request::get(path)
            .header("host", "localhost")
            .header("accept", "application/json")
            .body(Body::empty())
            .map_err(|e| wrong(SshFailureKind::WrongCommand, e.to_string()))?;
        let response = self.send(request).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            let text = format!("It does not know {path}.");
            return Err(wrong(SshFailureKind::OldProgram, text));
        }
        let body = to_bytes(Body::new(response.into_body()), LARGEST).await;
        let body = body.map_err(|e| unreachable(format!("The response ended early: {e}")))?;
        if !status.is_success() {
            let text = format!("It responded with HTTP status {}.", status.as_u16());
            return Err(wrong(SshFailureKind::WrongCommand, text));
        }
        Ok(body)
    }

    /// The body of a response as it arrives. The session lasts as long.
    pub fn into_body(self, body: Incoming) -> Body {
        let pieces = Body::new(body).into_data_stream();
        Body::from_stream(pieces.map(move |piece| {
            let _session = &self;
            piece
        }))
    }
}

fn unreachable(messages: String) -> SshFailure {
    SshFailure {
        kind: SshFailureKind::Unreachable,
        messages,
    }
}

/// Reads a response.
///
/// # Errors
/// It has another shape.
pub fn parse<'a, T: Deserialize<'a>>(path: &str, body: &'a [u8]) -> Result<T, SshFailure> {
    serde_json::from_slice(body).map_err(|e| SshFailure {
        kind: SshFailureKind::WrongCommand,
        messages: format!("The response to {path} cannot be read: {e}"),
    })
}

/// Those entries of a list that can be read.
pub fn known<T: DeserializeOwned>(entries: &[&RawValue]) -> Vec<T> {
    let known = |entry: &&RawValue| serde_json::from_str(entry.get()).ok();
    entries.iter().filter_map(known).collect()
}

/// Asks a host for its version, time and instances. `host`: its name.
///
/// # Errors
/// There is no connection, or no usable jd-manager behind it.
pub async fn ask(ssh: &OpenSsh, to: &SshDestination, host: &str) -> Result<HostReport, SshFailure> {
    let mut session = RemoteSession::open(ssh, to).await?;
    let begun = Timestamp::now();
    let hosts = session.get("/api/hosts").await?;
    let ended = Timestamp::now();
    let list = session.get("/api/instances").await?;
    let manager = parse::<HostsResponse>("/api/hosts", &hosts)?.manager;
    // Its clock was read at some time in between.
    let clock_offset_ms = match Timestamp::parse_local(&manager.time) {
        Some(time) if time.0 < begun.0 => time.0 - begun.0,
        Some(time) if time.0 > ended.0 => time.0 - ended.0,
        _ => 0,
    };
    let list: InstancesResponse<'_> = parse("/api/instances", &list)?;
    let all: Vec<Instance> = known(&list.instances);
    let unreadable = list.instances.len() - all.len();
    // Instances of its own hosts are not its own.
    let own = all.into_iter().filter(|one| one.host.is_none());
    let own = own.map(|one| one.on_host(host));
    Ok(HostReport {
        id: manager.id,
        version: manager.version,
        clock_offset_ms,
        instances: own.collect(),
        unreadable: u64::try_from(unreadable).unwrap_or(u64::MAX),
    })
}
