//! The translator's monitoring API over the made-up miners: routes, fields and limits of
//! translator_sv2 0.6.0 (stratum-apps 0.8.0, `monitoring/`). Prometheus text and the browsable
//! documentation are not simulated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::miners::{SimulatedMiners, SimulatedSv1Miner};

/// Entries of a list if the request does not say.
const DEFAULT_LIMIT: usize = 25;
/// Entries of a list at most.
const MOST: usize = 100;

/// The miners, shared by log and API.
pub(super) type SharedMiners = Arc<Mutex<SimulatedMiners>>;

#[derive(Clone)]
struct ApiState {
    miners: SharedMiners,
    began: Instant,
}

impl ApiState {
    fn miners(&self) -> SimulatedMiners {
        self.miners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

impl PageQuery {
    fn limit(&self) -> usize {
        self.limit.map_or(DEFAULT_LIMIT, |limit| limit.min(MOST))
    }

    fn of(&self, all: Vec<Value>) -> Vec<Value> {
        all.into_iter()
            .skip(self.offset)
            .take(self.limit())
            .collect()
    }
}

/// The API, its uptime beginning now.
pub(super) fn router(miners: SharedMiners) -> Router {
    Router::new()
        .route("/api/v1/health", get(health))
        .route("/api/v1/global", get(global))
        .route("/api/v1/server", get(server))
        .route("/api/v1/server/channels", get(channels))
        .route("/api/v1/sv1/clients", get(clients))
        .route("/api/v1/sv1/clients/{id}", get(client))
        .with_state(ApiState {
            miners,
            began: Instant::now(),
        })
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

fn totals(miners: &SimulatedMiners) -> (usize, f64) {
    let count = miners.channels().len();
    let mining = miners
        .list
        .iter()
        .filter(|miner| miner.channel.is_some())
        .count();
    (count, f64::from(miners.hashrate) * mining as f64)
}

async fn global(State(state): State<ApiState>) -> Json<Value> {
    let miners = state.miners();
    let (count, hashrate) = totals(&miners);
    Json(json!({
        "server": {
            "total_channels": count, "extended_channels": count, "standard_channels": 0, "total_hashrate": hashrate,
        },
        "sv2_clients": null,
        "sv1_clients": { "total_clients": miners.list.len(), "total_hashrate": hashrate },
        "uptime_secs": state.began.elapsed().as_secs(),
    }))
}

async fn server(State(state): State<ApiState>) -> Json<Value> {
    let (count, hashrate) = totals(&state.miners());
    Json(
        json!({ "extended_channels_count": count, "standard_channels_count": 0, "total_hashrate": hashrate }),
    )
}

async fn channels(State(state): State<ApiState>, Query(page): Query<PageQuery>) -> Json<Value> {
    let miners = state.miners();
    let all: Vec<Value> = miners
        .channels()
        .into_iter()
        .map(|(channel, miner, shares)| {
            json!({
                "channel_id": channel, "user_identity": miners.channel_name(miner), "nominal_hashrate": miners.hashrate,
                "target_hex": "00", "extranonce_prefix_hex": "000000010001", "full_extranonce_size": 20,
                "rollable_extranonce_size": 14, "version_rolling": true, "shares_acknowledged": shares,
                "shares_submitted": shares, "shares_rejected": 0, "shares_rejected_by_reason": {},
                "acknowledged_work_sum": shares, "validated_work_sum": f64::from(shares), "best_diff": 1.0, "blocks_found": 0,
            })
        })
        .collect();
    Json(json!({
        "offset": page.offset, "limit": page.limit(), "total_extended": all.len(), "total_standard": 0,
        "extended_channels": page.of(all), "standard_channels": [],
    }))
}

fn shown(miners: &SimulatedMiners, miner: &SimulatedSv1Miner) -> Value {
    let number = miner.number;
    let is_open = miner.channel.is_some();
    let hashrate = (is_open && miners.has_hashrate).then_some(miners.hashrate);
    let (username, worker) = if is_open {
        (format!("simulated.rig{number}"), format!("rig{number}"))
    } else {
        (String::new(), String::new())
    };
    json!({
        "client_id": number, "channel_id": miner.channel, "connection_ip": "127.0.0.1", "management_ip": null,
        "sv1_username": username, "sv1_worker_name": worker, "target_hex": "00", "hashrate": hashrate,
        "stable_hashrate": miner.shares > 0, "extranonce1_hex": "000000010001", "extranonce2_len": miners.extranonce2_len,
        "version_rolling_mask": null, "version_rolling_min_bit": null, "miner_telemetry": null, "miner_telemetry_status": null,
    })
}

async fn clients(State(state): State<ApiState>, Query(page): Query<PageQuery>) -> Json<Value> {
    let miners = state.miners();
    let all: Vec<Value> = miners
        .list
        .iter()
        .map(|miner| shown(&miners, miner))
        .collect();
    Json(
        json!({ "offset": page.offset, "limit": page.limit(), "total": all.len(), "items": page.of(all) }),
    )
}

async fn client(State(state): State<ApiState>, Path(id): Path<u32>) -> Response {
    let miners = state.miners();
    match miners.list.iter().find(|miner| miner.number == id) {
        Some(miner) => Json(shown(&miners, miner)).into_response(),
        None => {
            let error = format!("Sv1 client {id} not found");
            (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response()
        }
    }
}
