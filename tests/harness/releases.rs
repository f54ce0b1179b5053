//! A release server on loopback that answers as GitHub's API does, and misbehaves on demand.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::clients::{archive, sha256};

/// How a file is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Manner {
    /// As it should be.
    #[default]
    Well,
    /// The connection breaks after so many bytes, each time; the rest can be asked for.
    Breaks(usize),
    /// It breaks there, and ranges are not understood.
    BreaksForGood(usize),
    /// So many bytes, then so long nothing, and so on.
    Drips(usize, Duration),
    /// It lies elsewhere.
    Redirects(String),
    /// This status and nothing else.
    Status(u16),
}

/// A release that is served.
#[derive(Clone, Debug)]
pub struct Offered {
    pub tag: String,
    pub file: Vec<u8>,
    pub digest: Option<String>,
    pub manner: Manner,
    pub prerelease: bool,
    /// `uploaded`, or `open` while it comes in; empty: the release has no file for this machine.
    pub state: &'static str,
    /// Another length is announced than the file has.
    pub size: Option<u64>,
    /// Its minisign signature.
    pub signature: Option<String>,
    /// Its notes; none: some with a script.
    pub notes: Option<String>,
}

impl Offered {
    /// A release with a client, its digest and everything as it should be.
    pub fn new(tag: &str, client: &[u8]) -> Self {
        Self::of(tag, archive(client))
    }

    /// A release with this file.
    pub fn of(tag: &str, file: Vec<u8>) -> Self {
        let digest = Some(format!("sha256:{}", sha256(&file)));
        Self {
            tag: tag.into(),
            file,
            digest,
            manner: Manner::Well,
            prerelease: false,
            state: "uploaded",
            size: None,
            signature: None,
            notes: None,
        }
    }
}

#[derive(Debug, Default)]
struct Script {
    offered: Vec<Offered>,
    /// The answer to questions for releases instead of the list.
    instead: Option<(u16, Vec<(&'static str, String)>)>,
    /// Requests by path, with the authorisation they came with.
    asked: Vec<(String, Option<String>)>,
    unchanged: usize,
    address: Option<SocketAddr>,
}

/// The server; ends with the test.
#[derive(Clone)]
pub struct Releases(Arc<Mutex<Script>>);

impl Releases {
    /// A server with these releases, the newest first.
    pub async fn serve(offered: Vec<Offered>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self(Arc::new(Mutex::new(Script {
            offered,
            address: Some(address),
            ..Script::default()
        })));
        let app = Router::new()
            .route("/repo/releases", get(list))
            .route("/repo/releases/tags/{tag}", get(one))
            .route("/files/{tag}/{name}", get(file))
            .with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        this
    }

    /// What `--release-api` is.
    pub fn base(&self) -> String {
        format!("http://{}/repo", self.address())
    }

    pub fn address(&self) -> SocketAddr {
        self.0.lock().unwrap().address.unwrap()
    }

    /// Has these releases from now on.
    pub fn publish(&self, offered: Vec<Offered>) {
        self.0.lock().unwrap().offered = offered;
    }

    /// Answers questions for releases otherwise from now on.
    pub fn instead(&self, instead: Option<(u16, Vec<(&'static str, String)>)>) {
        self.0.lock().unwrap().instead = instead;
    }

    /// How often something was asked for.
    pub fn count(&self, part: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .asked
            .iter()
            .filter(|(path, _)| path.contains(part))
            .count()
    }

    /// With which authorisations files and lists were asked for.
    pub fn authorisations(&self, part: &str) -> Vec<Option<String>> {
        let script = self.0.lock().unwrap();
        script
            .asked
            .iter()
            .filter(|(path, _)| path.contains(part))
            .map(|(_, with)| with.clone())
            .collect()
    }

    /// How often the answer was that nothing has changed.
    pub fn unchanged(&self) -> usize {
        self.0.lock().unwrap().unchanged
    }

    fn note(&self, path: String, headers: &HeaderMap) {
        let with = headers
            .get(header::AUTHORIZATION)
            .map(|v| v.to_str().unwrap().to_owned());
        self.0.lock().unwrap().asked.push((path, with));
    }
}

/// The name of the file for this machine.
pub fn asset_name() -> String {
    format!(
        "miner-apps-{}-unknown-linux-musl.tar.gz",
        std::env::consts::ARCH
    )
}

fn told(offered: &Offered, address: SocketAddr) -> Value {
    let name = asset_name();
    let url = |name: &str| format!("http://{address}/files/{}/{name}", offered.tag);
    let mut assets = vec![
        json!({ "name": "miner-apps-aarch64-apple-darwin.tar.gz", "state": "uploaded", "size": 5 }),
    ];
    if !offered.state.is_empty() {
        assets.push(json!({
            "name": name, "state": offered.state, "size": offered.size.unwrap_or(offered.file.len() as u64),
            "digest": offered.digest, "browser_download_url": url(&name),
        }));
    }
    if offered.signature.is_some() {
        let name = format!("{name}.minisig");
        assets.push(json!({ "name": name, "state": "uploaded", "size": 300, "browser_download_url": url(&name) }));
    }
    let usual = format!("Notes of {} <script>alert(1)</script>", offered.tag);
    json!({
        "tag_name": offered.tag, "name": offered.tag, "draft": false, "prerelease": offered.prerelease,
        "published_at": "2026-08-01T12:00:00Z", "body": offered.notes.as_ref().unwrap_or(&usual),
        "html_url": "https://example.org/release", "assets": assets,
    })
}

async fn list(State(releases): State<Releases>, headers: HeaderMap) -> Response {
    releases.note("/releases".into(), &headers);
    let mut script = releases.0.lock().unwrap();
    if let Some((status, extra)) = script.instead.clone() {
        let mut response = StatusCode::from_u16(status).unwrap().into_response();
        for (name, value) in extra {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    let address = script.address.unwrap();
    let text = Value::from(
        script
            .offered
            .iter()
            .map(|offered| told(offered, address))
            .collect::<Vec<_>>(),
    )
    .to_string();
    let etag = format!("\"{}\"", &sha256(text.as_bytes())[..16]);
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        script.unchanged += 1;
        return StatusCode::NOT_MODIFIED.into_response();
    }
    (
        [
            (header::ETAG, etag),
            (header::CONTENT_TYPE, "application/json".into()),
        ],
        text,
    )
        .into_response()
}

async fn one(
    State(releases): State<Releases>,
    Path(tag): Path<String>,
    headers: HeaderMap,
) -> Response {
    releases.note(format!("/releases/tags/{tag}"), &headers);
    let script = releases.0.lock().unwrap();
    match script.offered.iter().find(|offered| offered.tag == tag) {
        Some(offered) => axum::Json(told(offered, script.address.unwrap())).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn file(
    State(releases): State<Releases>,
    Path(params): Path<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    releases.note(
        format!("/files/{}/{}", params["tag"], params["name"]),
        &headers,
    );
    let offered = {
        let script = releases.0.lock().unwrap();
        script
            .offered
            .iter()
            .find(|offered| offered.tag == params["tag"])
            .cloned()
    };
    let Some(offered) = offered else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if params["name"].ends_with(".minisig") {
        return offered.signature.unwrap_or_default().into_response();
    }
    let range = headers
        .get(header::RANGE)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let ranges = !matches!(offered.manner, Manner::BreaksForGood(_));
    let from: usize = range.filter(|_| ranges).unwrap_or(0);
    let rest = offered.file[from.min(offered.file.len())..].to_vec();
    let length = rest.len();
    let body = match offered.manner.clone() {
        Manner::Redirects(to) => {
            return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
        }
        Manner::Status(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Manner::Well => Body::from(rest),
        Manner::Breaks(after) | Manner::BreaksForGood(after) if rest.len() > after => {
            let pieces = vec![
                Ok(Bytes::from(rest[..after].to_vec())),
                Err(std::io::Error::other("broken")),
            ];
            // The pieces have to leave before the connection breaks.
            Body::from_stream(futures_util::StreamExt::then(
                futures_util::stream::iter(pieces),
                |piece| async move {
                    if piece.is_err() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    piece
                },
            ))
        }
        Manner::Breaks(_) | Manner::BreaksForGood(_) => Body::from(rest),
        Manner::Drips(bytes, pause) => {
            let pieces: Vec<Bytes> = rest
                .chunks(bytes)
                .map(|piece| Bytes::from(piece.to_vec()))
                .collect();
            Body::from_stream(futures_util::StreamExt::then(
                futures_util::stream::iter(pieces),
                move |piece| async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, std::io::Error>(piece)
                },
            ))
        }
    };
    let total = offered.file.len();
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::ETAG,
        format!("\"{}\"", &sha256(&offered.file)[..16])
            .parse()
            .unwrap(),
    );
    headers.insert(header::CONTENT_LENGTH, length.into());
    if from > 0 {
        headers.insert(
            header::CONTENT_RANGE,
            format!("bytes {from}-{}/{total}", total - 1)
                .parse()
                .unwrap(),
        );
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}
