//! The client's monitoring API: read-only JSON and Prometheus text over plain HTTP, without
//! authentication.
//!
//! This module only reads statistics that another module refreshes. Routes, fields, defaults and
//! limits are those of `jd_client_sv2` 0.6.0 (`stratum-apps` 0.8.0, `monitoring/`), including the
//! empty sum `-0.0`. Its browsable documentation (`/swagger-ui`, `/api-docs/openapi.json`) is not
//! simulated.

use super::channels::{
    ChannelAccounts, SimulatedMinerChannel, SimulatedMinerConnection, SimulatedUpstreamChannel,
};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// The default number of entries of a list.
const DEFAULT_LIMIT: usize = 25;
/// The maximum number of entries of a list.
const MAX_LIMIT: usize = 100;

/// Reasons for rejecting a share that the Prometheus text shows even if they did not occur.
const REFUSALS: [&str; 8] = [
    "invalid-channel-id",
    "invalid-share",
    "stale-share",
    "invalid-job-id",
    "difficulty-too-low",
    "duplicate-share",
    "bad-extranonce-size",
    "invalid-non-rollable-version-bit",
];

/// What the handlers share.
#[derive(Clone)]
struct SimulatedFigures {
    accounts: watch::Receiver<Arc<ChannelAccounts>>,
    /// Seconds since 1970 at which this server began; a fallback begins a new one.
    began: u64,
    /// The age in seconds from which the metrics no longer change; the age itself continues, as in
    /// the real client.
    still_at: u64,
    still: Arc<OnceLock<Arc<ChannelAccounts>>>,
}

impl SimulatedFigures {
    fn accounts(&self) -> Arc<ChannelAccounts> {
        let present = || Arc::clone(&self.accounts.borrow());
        if self.uptime() < self.still_at {
            present()
        } else {
            Arc::clone(self.still.get_or_init(present))
        }
    }

    fn uptime(&self) -> u64 {
        epoch_seconds().saturating_sub(self.began)
    }
}

/// Whole seconds since 1970.
pub(super) fn epoch_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

/// The API for `accounts`. Its uptime starts now; its metrics stop updating after `still_after`.
pub(super) fn router(
    accounts: watch::Receiver<Arc<ChannelAccounts>>,
    still_after: Option<Duration>,
) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/metrics", get(metrics))
        .route("/api/v1/health", get(health))
        .route("/api/v1/global", get(global))
        .route("/api/v1/server", get(server))
        .route("/api/v1/server/channels", get(server_channels))
        .route("/api/v1/clients", get(clients))
        .route("/api/v1/clients/{client_id}", get(client))
        .route("/api/v1/clients/{client_id}/channels", get(client_channels))
        .route("/api/v1/sv1/clients", get(no_sv1))
        .route("/api/v1/sv1/clients/{client_id}", get(no_sv1))
        .with_state(SimulatedFigures {
            accounts,
            began: epoch_seconds(),
            still_at: still_after.map_or(u64::MAX, |after| after.as_secs()),
            still: Arc::default(),
        })
}

#[derive(Deserialize)]
struct SimulatedPage {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

impl SimulatedPage {
    fn limit(&self) -> usize {
        self.limit
            .map_or(DEFAULT_LIMIT, |limit| limit.min(MAX_LIMIT))
    }

    fn of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let rest = all.get(self.offset..).unwrap_or_default();
        &rest[..rest.len().min(self.limit())]
    }
}

#[derive(Serialize)]
struct SimulatedFailure {
    error: String,
}

fn not_found(error: String) -> Response {
    (StatusCode::NOT_FOUND, Json(SimulatedFailure { error })).into_response()
}

async fn root() -> Json<Value> {
    Json(json!({
        "service": "SRI Monitoring API",
        "version": "0.1.0",
        "endpoints": {
            "/": "This endpoint - API listing",
            "/api/v1/health": "Health check",
            "/api/v1/global": "Global statistics",
            "/api/v1/server": "Server metadata",
            "/api/v1/server/channels": "Server channels (paginated)",
            "/api/v1/clients": "All Sv2 clients metadata (paginated)",
            "/api/v1/clients/{client_id}": "Single Sv2 client metadata",
            "/api/v1/clients/{client_id}/channels": "Sv2 client channels (paginated)",
            "/api/v1/sv1/clients": "Sv1 clients (Translator Proxy only, paginated)",
            "/api/v1/sv1/clients/{client_id}": "Single Sv1 client (Translator Proxy only)",
            "/metrics": "Prometheus metrics",
        },
    }))
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "timestamp": epoch_seconds() }))
}

fn server_hashrate(accounts: &ChannelAccounts) -> f32 {
    accounts
        .server
        .iter()
        .filter_map(|channel| channel.nominal_hashrate)
        .sum()
}

fn clients_hashrate(accounts: &ChannelAccounts) -> f32 {
    accounts
        .clients
        .iter()
        .map(SimulatedMinerConnection::total_hashrate)
        .sum()
}

fn client_channels_count(accounts: &ChannelAccounts) -> usize {
    accounts
        .clients
        .iter()
        .map(|client| client.channels.len())
        .sum()
}

#[derive(Serialize)]
struct GlobalFigures {
    server: ServerSummary,
    sv2_clients: ClientsSummary,
    sv1_clients: Option<()>,
    uptime_secs: u64,
}

#[derive(Serialize)]
struct ServerSummary {
    total_channels: usize,
    extended_channels: usize,
    standard_channels: usize,
    total_hashrate: f32,
}

#[derive(Serialize)]
struct ClientsSummary {
    total_clients: usize,
    total_channels: usize,
    extended_channels: usize,
    standard_channels: usize,
    total_hashrate: f32,
}

async fn global(State(figures): State<SimulatedFigures>) -> Response {
    let accounts = &*figures.accounts();
    let channels = client_channels_count(accounts);
    Json(GlobalFigures {
        server: ServerSummary {
            total_channels: accounts.server.len(),
            extended_channels: accounts.server.len(),
            standard_channels: 0,
            total_hashrate: server_hashrate(accounts),
        },
        sv2_clients: ClientsSummary {
            total_clients: accounts.clients.len(),
            total_channels: channels,
            extended_channels: channels,
            standard_channels: 0,
            total_hashrate: clients_hashrate(accounts),
        },
        sv1_clients: None,
        uptime_secs: figures.uptime(),
    })
    .into_response()
}

#[derive(Serialize)]
struct ServerFigures {
    extended_channels_count: usize,
    standard_channels_count: usize,
    total_hashrate: f32,
}

async fn server(State(figures): State<SimulatedFigures>) -> Response {
    let accounts = &*figures.accounts();
    Json(ServerFigures {
        extended_channels_count: accounts.server.len(),
        standard_channels_count: 0,
        total_hashrate: server_hashrate(accounts),
    })
    .into_response()
}

/// A page of channels, of the pool's or of one miner's.
#[derive(Serialize)]
struct SimulatedChannelPage<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<usize>,
    offset: usize,
    limit: usize,
    total_extended: usize,
    total_standard: usize,
    extended_channels: &'a [T],
    standard_channels: [(); 0],
}

impl<'a, T> SimulatedChannelPage<'a, T> {
    fn new(client_id: Option<usize>, page: &SimulatedPage, all: &'a [T]) -> Self {
        Self {
            client_id,
            offset: page.offset,
            limit: page.limit(),
            total_extended: all.len(),
            total_standard: 0,
            extended_channels: page.of(all),
            standard_channels: [],
        }
    }
}

async fn server_channels(
    Query(page): Query<SimulatedPage>,
    State(figures): State<SimulatedFigures>,
) -> Response {
    Json(SimulatedChannelPage::new(
        None,
        &page,
        &figures.accounts().server,
    ))
    .into_response()
}

#[derive(Serialize)]
struct ShownMiner {
    client_id: usize,
    client_kind: &'static str,
    extended_channels_count: usize,
    standard_channels_count: usize,
    total_hashrate: f32,
    management_ip: Option<()>,
    miner_telemetry: Option<()>,
    miner_telemetry_status: Option<()>,
}

impl From<&SimulatedMinerConnection> for ShownMiner {
    fn from(client: &SimulatedMinerConnection) -> Self {
        Self {
            client_id: client.client_id,
            client_kind: "miner",
            extended_channels_count: client.channels.len(),
            standard_channels_count: 0,
            total_hashrate: client.total_hashrate(),
            management_ip: None,
            miner_telemetry: None,
            miner_telemetry_status: None,
        }
    }
}

#[derive(Serialize)]
struct MinerPage {
    offset: usize,
    limit: usize,
    total: usize,
    items: Vec<ShownMiner>,
}

async fn clients(
    Query(page): Query<SimulatedPage>,
    State(figures): State<SimulatedFigures>,
) -> Response {
    let accounts = &*figures.accounts();
    let all = &accounts.clients;
    let items = page.of(all).iter().map(ShownMiner::from).collect();
    Json(MinerPage {
        offset: page.offset,
        limit: page.limit(),
        total: all.len(),
        items,
    })
    .into_response()
}

async fn client(Path(id): Path<usize>, State(figures): State<SimulatedFigures>) -> Response {
    match figures
        .accounts()
        .clients
        .iter()
        .find(|client| client.client_id == id)
    {
        Some(client) => Json(ShownMiner::from(client)).into_response(),
        None => not_found(format!("Sv2 client {id} not found")),
    }
}

async fn client_channels(
    Path(id): Path<usize>,
    Query(page): Query<SimulatedPage>,
    State(figures): State<SimulatedFigures>,
) -> Response {
    match figures
        .accounts()
        .clients
        .iter()
        .find(|client| client.client_id == id)
    {
        Some(client) => {
            Json(SimulatedChannelPage::new(Some(id), &page, &client.channels)).into_response()
        }
        None => not_found(format!("Sv2 client {id} not found")),
    }
}

async fn no_sv1() -> Response {
    not_found("Sv1 client monitoring not available".to_owned())
}

async fn metrics(State(figures): State<SimulatedFigures>) -> String {
    prometheus(&figures.accounts(), figures.uptime())
}

/// Labels of one value: name and value, ordered by name when written.
type Labels = Vec<(&'static str, String)>;

/// Prometheus text as the client's library writes it: families and labels in the order of their
/// names, every family a gauge, families without a value left out.
fn prometheus(accounts: &ChannelAccounts, uptime: u64) -> String {
    let mut out = ExpositionText::default();
    let channels: Vec<(Labels, &SimulatedMinerChannel)> = accounts
        .clients
        .iter()
        .flat_map(|client| client.channels.iter().map(move |channel| (client, channel)))
        .map(|(client, channel)| {
            let mut labels = channel_labels(channel.channel_id, &channel.user_identity);
            labels.push(("client_id", client.client_id.to_string()));
            (labels, channel)
        })
        .collect();
    let server: Vec<(Labels, &SimulatedUpstreamChannel)> = accounts
        .server
        .iter()
        .map(|channel| {
            (
                channel_labels(channel.channel_id, &channel.user_identity),
                channel,
            )
        })
        .collect();

    let blocks: u32 = channels
        .iter()
        .map(|(_, channel)| channel.blocks_found)
        .sum();
    out.one(
        "sv2_client_blocks_found_total",
        "Total blocks found across all current client channels",
        f64::from(blocks),
    );
    out.family(
        "sv2_client_channel_hashrate",
        "Hashrate for individual client channels",
        channels
            .iter()
            .map(|(at, channel)| (at.clone(), f64::from(channel.nominal_hashrate))),
    );
    out.by_type(
        "sv2_client_channels",
        "Number of client channels by type",
        channels.len(),
    );
    out.one(
        "sv2_client_hashrate_total",
        "Total hashrate for channels opened with clients",
        f64::from(clients_hashrate(accounts)),
    );
    out.family(
        "sv2_client_shares_accepted_total",
        "Total shares accepted per client channel",
        channels
            .iter()
            .map(|(at, channel)| (at.clone(), f64::from(channel.shares_accepted))),
    );
    out.family(
        "sv2_client_shares_rejected_total",
        "Total shares rejected per client channel by error code",
        channels
            .iter()
            .flat_map(|(at, channel)| refusals(at, &channel.shares_rejected_by_reason)),
    );
    out.one(
        "sv2_clients_total",
        "Total number of connected clients",
        accounts.clients.len() as f64,
    );
    let blocks: u32 = server.iter().map(|(_, channel)| channel.blocks_found).sum();
    out.one(
        "sv2_server_blocks_found_total",
        "Total blocks found across all current server channels",
        f64::from(blocks),
    );
    out.family(
        "sv2_server_channel_hashrate",
        "Hashrate for individual server channels",
        server
            .iter()
            .filter_map(|(at, channel)| Some((at.clone(), f64::from(channel.nominal_hashrate?)))),
    );
    out.by_type(
        "sv2_server_channels",
        "Number of server channels by type",
        server.len(),
    );
    out.one(
        "sv2_server_hashrate_total",
        "Total hashrate for channels opened with the server",
        f64::from(server_hashrate(accounts)),
    );
    out.family(
        "sv2_server_shares_accepted_total",
        "Total shares accepted per server channel",
        server
            .iter()
            .map(|(at, channel)| (at.clone(), f64::from(channel.shares_acknowledged))),
    );
    out.family(
        "sv2_server_shares_rejected_total",
        "Total shares rejected per server channel by error code",
        server
            .iter()
            .flat_map(|(at, channel)| refusals(at, &channel.shares_rejected_by_reason)),
    );
    out.one(
        "sv2_uptime_seconds",
        "Server uptime in seconds",
        uptime as f64,
    );
    out.0
}

fn channel_labels(channel_id: u32, user_identity: &str) -> Labels {
    vec![
        ("channel_id", channel_id.to_string()),
        ("user_identity", user_identity.to_owned()),
    ]
}

/// The refused shares of one channel, a value for each reason there is.
fn refusals<'a>(
    at: &'a Labels,
    counted: &'a BTreeMap<&'static str, u32>,
) -> impl Iterator<Item = (Labels, f64)> + 'a {
    REFUSALS.iter().map(move |reason| {
        let mut labels = at.clone();
        labels.push(("error_code", (*reason).to_owned()));
        (labels, f64::from(counted.get(reason).copied().unwrap_or(0)))
    })
}

/// Text under way.
#[derive(Default)]
struct ExpositionText(String);

impl ExpositionText {
    fn family(&mut self, name: &str, help: &str, samples: impl Iterator<Item = (Labels, f64)>) {
        // Writing to a String cannot fail.
        for (i, (mut labels, value)) in samples.enumerate() {
            if i == 0 {
                let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            }
            labels.sort();
            let escaped = |text: &str| {
                text.replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n")
            };
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, text)| format!("{name}=\"{}\"", escaped(text)))
                .collect();
            let braces = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            let _ = writeln!(self.0, "{name}{braces} {value}");
        }
    }

    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, std::iter::once((Vec::new(), value)));
    }

    /// All simulated channels are extended ones.
    fn by_type(&mut self, name: &str, help: &str, extended: usize) {
        let sample = |kind: &str, n: usize| (vec![("channel_type", kind.to_owned())], n as f64);
        self.family(
            name,
            help,
            [sample("extended", extended), sample("standard", 0)].into_iter(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    fn accounts(miners: usize) -> Arc<ChannelAccounts> {
        let clients = (0..miners).map(|client_id| {
            let mut channel = SimulatedMinerChannel::open(
                format!("rig{client_id}.w1"),
                1e14,
                6.0,
                3,
                "00".into(),
            );
            channel.accept(1, 5.0);
            channel.reject("stale-share");
            SimulatedMinerConnection {
                client_id,
                channels: vec![channel],
            }
        });
        Arc::new(ChannelAccounts {
            server: vec![SimulatedUpstreamChannel::open("acct".into(), 1e14, 6.0)],
            clients: clients.collect(),
        })
    }

    async fn text(accounts: Arc<ChannelAccounts>, url: &str) -> (StatusCode, String) {
        let (_, figures) = watch::channel(accounts);
        let response = router(figures, None)
            .oneshot(Request::get(url).body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn body(accounts: Arc<ChannelAccounts>, url: &str) -> Value {
        let (status, text) = text(accounts, url).await;
        assert_eq!(status, StatusCode::OK, "{url}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    #[tokio::test]
    async fn lists_are_cut_to_a_hundred_entries_and_page_on() {
        let accounts = accounts(130);
        let all = body(accounts.clone(), "/api/v1/clients?limit=1000").await;
        assert_eq!((&all["limit"], &all["total"]), (&json!(100), &json!(130)));
        assert_eq!(all["items"].as_array().unwrap().len(), 100);
        let rest = body(accounts.clone(), "/api/v1/clients?limit=1000&offset=100").await;
        assert_eq!(rest["items"].as_array().unwrap().len(), 30);
        assert_eq!(rest["items"][0]["client_id"], 100);
        let usual = body(accounts.clone(), "/api/v1/clients").await;
        assert_eq!(
            (&usual["limit"], usual["items"].as_array().unwrap().len()),
            (&json!(25), 25)
        );
        assert_eq!(
            body(accounts.clone(), "/api/v1/clients?offset=500").await["items"],
            json!([])
        );
        assert_eq!(
            text(accounts, "/api/v1/clients?limit=many").await.0,
            StatusCode::BAD_REQUEST
        );
    }

    #[tokio::test]
    async fn the_routes_have_the_clients_fields() {
        let accounts = accounts(2);
        let keys = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        let global = body(accounts.clone(), "/api/v1/global").await;
        assert_eq!(global["sv2_clients"]["total_clients"], 2);
        assert_eq!(global["server"]["total_channels"], 1);
        assert!(global["sv1_clients"].is_null() && global["uptime_secs"].is_u64());
        let channel =
            &body(accounts.clone(), "/api/v1/clients/1/channels").await["extended_channels"][0];
        assert_eq!(keys(channel).len(), 20);
        assert_eq!(
            (&channel["shares_accepted"], &channel["shares_rejected"]),
            (&json!(1), &json!(1))
        );
        let upstream =
            &body(accounts.clone(), "/api/v1/server/channels").await["extended_channels"][0];
        assert_eq!(keys(upstream).len(), 16);
        assert_eq!(
            keys(&body(accounts.clone(), "/api/v1/clients/0").await).len(),
            8
        );
        assert_eq!(
            body(accounts.clone(), "/api/v1/health").await["status"],
            "ok"
        );
        let listed = body(accounts.clone(), "/").await;
        for url in keys(&listed["endpoints"])
            .iter()
            .filter(|url| !url.contains("sv1"))
        {
            assert_eq!(
                text(accounts.clone(), &url.replace("{client_id}", "1"))
                    .await
                    .0,
                StatusCode::OK,
                "{url}"
            );
        }
        let missing = text(accounts.clone(), "/api/v1/clients/5").await;
        assert_eq!(
            missing,
            (
                StatusCode::NOT_FOUND,
                r#"{"error":"Sv2 client 5 not found"}"#.into()
            )
        );
        let sv1 = text(accounts, "/api/v1/sv1/clients").await;
        assert_eq!(
            sv1,
            (
                StatusCode::NOT_FOUND,
                r#"{"error":"Sv1 client monitoring not available"}"#.into()
            )
        );
    }

    #[tokio::test]
    async fn the_sum_of_nothing_is_minus_zero_as_with_the_real_client() {
        let (_, global) = text(Arc::default(), "/api/v1/global").await;
        assert!(global.contains(r#""total_hashrate":-0.0"#), "{global}");
        let (_, metrics) = text(Arc::default(), "/metrics").await;
        assert!(
            metrics.contains("\nsv2_client_hashrate_total -0\n"),
            "{metrics}"
        );
        assert!(!metrics.contains("sv2_client_channel_hashrate"));
    }

    #[test]
    fn prometheus_text_names_every_reason_and_escapes_names() {
        let mut accounts = ChannelAccounts::clone(&accounts(1));
        accounts.clients[0].channels[0].user_identity = "a\"b".into();
        let text = prometheus(&accounts, 61);
        let accepted = r#"sv2_client_shares_accepted_total{channel_id="2",client_id="0",user_identity="a\"b"} 1"#;
        assert!(text.contains(&format!("\n{accepted}\n")), "{text}");
        let stale =
            r#"{channel_id="2",client_id="0",error_code="stale-share",user_identity="a\"b"} 1"#;
        assert!(
            text.contains(&format!("\nsv2_client_shares_rejected_total{stale}\n")),
            "{text}"
        );
        assert_eq!(text.matches("sv2_client_shares_rejected_total{").count(), 8);
        assert!(text.ends_with(
            "# HELP sv2_uptime_seconds Server uptime in seconds\n# TYPE sv2_uptime_seconds gauge\nsv2_uptime_seconds 61\n"
        ));
    }
}
