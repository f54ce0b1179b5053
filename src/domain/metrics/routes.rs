//! The handlers of `/metrics`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::comparison;
use super::exposition::ExpositionFormat;
use super::page_builder;
use super::query_params::{MOMENT, MetricQuery};
use super::responses::{
    MetricTypes, SampleRows, SeriesSummaryResponse, TimeSeries, UptimeResponse,
};
use super::service::{MetricService, SampleRow, SeriesPoint};
use super::views::MetricsComparePage;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::base::role::Role;
use crate::domain::instances::streams::status_part;
use crate::web::negotiation::{MetricForms, Offers, ScrapeForms, SeriesForms};
use crate::web::respond::{WHOLE_LIST_BYTES, count_fitting_in};
use crate::web::sse::SseEvent;
use crate::web::{PathId, QueryParams, Reply, Representation, RequestContext, sse};

/// The default limit of points if neither a limit nor times are given.
const LIMIT: usize = 50;
/// The policy of a chart served as a file: only its own style, identified by hash.
const CHART_POLICY: &str = "default-src 'none'; style-src 'sha256-f2BuzJqKvVjjYs+J6scDYzxOnEDozXiHUMd9BAE1Di0='; frame-ancestors 'none'";
/// The size of a chunk of a table, in bytes.
const CSV_PART: usize = 64 * 1024;
/// The maximum number of instances or names in one request.
const CHOSEN: usize = 50;

/// The state of the handlers.
#[derive(Clone, Debug)]
pub struct MetricsRoutesState {
    /// The metrics.
    pub metrics: MetricService,
    /// Canceled when jd-manager stops.
    pub stop: CancellationToken,
    /// When jd-manager was started.
    pub started: Timestamp,
}

/// The instance and the series in a path.
fn named(path: &HashMap<String, String>) -> Result<(InstanceId, String)> {
    let found = path
        .get("id")
        .and_then(|id| id.parse().ok())
        .zip(path.get("type").cloned());
    found.ok_or_else(|| Error::not_found("instance", path.get("id").map_or("", String::as_str)))
}

/// The time range of a request. A page with a form keeps what was entered.
fn read_query<O: Offers>(
    want: &RequestContext<O>,
    params: QueryParams,
    otherwise: &str,
) -> Result<MetricQuery> {
    let read = if want.form == Representation::Html && !want.is_fragment() {
        MetricQuery::read_form
    } else {
        MetricQuery::read
    };
    read(params, Timestamp::now(), otherwise)
}

/// The status of a page whose form may have errors.
fn page_status(asked: &MetricQuery) -> StatusCode {
    match asked.choice.rejected {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    }
}

/// `GET /metrics/{id}`.
pub async fn show(
    State(board): State<MetricsRoutesState>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext<MetricForms>,
    mut params: QueryParams,
) -> Reply {
    if matches!(
        want.form,
        Representation::Html | Representation::EventStream
    ) {
        let asked = read_query(&want, params, "6h")?;
        if want.form == Representation::EventStream {
            return Ok(follow(board, id, asked, want.page_role()).await?);
        }
        let status = page_status(&asked);
        let page = page_builder::page(
            &board.metrics,
            id,
            (asked.choice, asked.stretch),
            Timestamp::now(),
        )
        .await?;
        return want.respond_blocking_with(status, page).await;
    }
    let metric_type = params.text("metric_type").map(str::to_owned);
    let limit = params.number("limit");
    params.finish()?;
    let rows = board
        .metrics
        .newest(id, metric_type, usize::try_from(limit).unwrap_or(100))
        .await?;
    if want.form == Representation::Csv {
        return Ok(csv_file(
            "id,timestamp,metric_type,value",
            rows.into_iter().map(of_row),
        ));
    }
    Ok(Json(SampleRows { metrics: rows }).into_response())
}

/// `GET /metrics`: several instances in one chart as HTML, the latest values of all instances as
/// JSON or in the formats of Prometheus.
pub async fn compare(
    State(board): State<MetricsRoutesState>,
    want: RequestContext<ScrapeForms>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
    mut params: QueryParams,
) -> Reply {
    let scraped = match want.form {
        Representation::OpenMetrics => Some(ExpositionFormat::OpenMetrics),
        Representation::Prometheus => Some(ExpositionFormat::Classic),
        _ => None,
    };
    if let Some(format) = scraped {
        let text = board
            .metrics
            .exposition(want.frame.version, board.started, format)
            .await?;
        return Ok(([(CONTENT_TYPE, format.content_type())], text).into_response());
    }
    let metric_type = params
        .text("metric")
        .unwrap_or("hashrate_measured")
        .to_owned();
    let has_table = params.get::<bool>("table", "true or false");
    let asked = read_query(&want, params, "24h")?;
    let status = page_status(&asked);
    let given = query.unwrap_or_default();
    let ids = form_urlencoded::parse(given.as_bytes())
        .filter(|(name, _)| name == "ids")
        .take(CHOSEN);
    let chosen = ids.map(|(_, id)| {
        id.parse()
            .map_err(|_| Error::invalid("/ids", "ids must be instance ids."))
    });
    let chosen = chosen.collect::<Result<Vec<InstanceId>>>()?;
    if want.form == Representation::Json {
        let instances = comparison::latest_of_all(&board.metrics).await?;
        return want.respond(&MetricsComparePage::latest(asked.choice, instances));
    }
    let time = (asked.choice, asked.stretch);
    let mut page = comparison::compare(
        &board.metrics,
        (metric_type, chosen),
        time,
        Timestamp::now(),
    )
    .await?;
    page.has_table = has_table.unwrap_or(false);
    want.respond_blocking_with(status, page).await
}

/// `GET /metrics/{id}/latest`.
pub async fn latest(
    State(board): State<MetricsRoutesState>,
    PathId(id): PathId<InstanceId>,
) -> Reply {
    Ok(Json(board.metrics.latest(id).await?).into_response())
}

/// `GET /metrics/{id}/types`.
pub async fn types(
    State(board): State<MetricsRoutesState>,
    PathId(id): PathId<InstanceId>,
) -> Reply {
    let mut names = board.metrics.types(id).await?;
    let all = names.len();
    names.truncate(count_fitting_in(WHOLE_LIST_BYTES, &names, |name| {
        name.len() + 3
    }));
    let omitted = Some(all - names.len()).filter(|omitted| *omitted > 0);
    Ok(Json(MetricTypes {
        metric_types: names,
        omitted,
    })
    .into_response())
}

/// `GET /metrics/{id}/uptime`.
pub async fn uptime(
    State(board): State<MetricsRoutesState>,
    PathId(id): PathId<InstanceId>,
    mut params: QueryParams,
) -> Reply {
    let hours = params.number("hours");
    params.finish()?;
    let share = board.metrics.uptime(id, hours, Timestamp::now()).await?;
    Ok(Json(UptimeResponse {
        uptime: share.percent,
        hours,
        since: share.since,
    })
    .into_response())
}

/// `GET /metrics/{id}/{type}/summary`.
pub async fn summary(
    State(board): State<MetricsRoutesState>,
    Path(path): Path<HashMap<String, String>>,
    mut params: QueryParams,
) -> Reply {
    let (id, name) = named(&path)?;
    let since = params.get::<Timestamp>("since", MOMENT).unwrap_or_default();
    params.finish()?;
    let all = board
        .metrics
        .summary(id, name.clone(), since, Timestamp::now())
        .await?;
    Ok(Json(SeriesSummaryResponse::of(name, all)).into_response())
}

/// `GET /metrics/{id}/{type}/timeseries`.
pub async fn timeseries(
    State(board): State<MetricsRoutesState>,
    Path(path): Path<HashMap<String, String>>,
    want: RequestContext<SeriesForms>,
    params: QueryParams,
) -> Reply {
    let (id, name) = named(&path)?;
    let names = page_builder::names(name, params.text("with"));
    let asked = read_query(&want, params, "24h")?;
    match want.form {
        Representation::Csv => Ok(csv_of(&board.metrics, id, names.1, asked).await?),
        Representation::Json => {
            let (step, time_series) = newest(&board.metrics, id, names.1[0].clone(), asked).await?;
            Ok(Json(TimeSeries { time_series, step }).into_response())
        }
        _ => {
            let status = page_status(&asked);
            let time = (asked.choice, asked.stretch);
            let page = page_builder::series_page(&board.metrics, id, names, time, Timestamp::now())
                .await?;
            want.respond_blocking_with(status, page).await
        }
    }
}

/// `GET /metrics/{id}/{type}/timeseries.csv`: the same as a file, because a link in a browser cannot
/// send `Accept: text/csv`.
pub async fn csv(
    State(board): State<MetricsRoutesState>,
    Path(path): Path<HashMap<String, String>>,
    params: QueryParams,
) -> Reply {
    let (id, name) = named(&path)?;
    let names = page_builder::names(name, params.text("with"));
    let asked = MetricQuery::read(params, Timestamp::now(), "24h")?;
    Ok(csv_of(&board.metrics, id, names.1, asked).await?)
}

/// `GET /metrics/{id}/{type}/chart`: an SVG file for `<img>`.
pub async fn chart(
    State(board): State<MetricsRoutesState>,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
    mut params: QueryParams,
) -> Reply {
    let (id, name) = named(&path)?;
    let width = u32::try_from(params.number("width")).unwrap_or(900);
    let height = u32::try_from(params.number("height")).unwrap_or(280);
    let names = page_builder::names(name, params.text("with"));
    let asked = MetricQuery::read(params, Timestamp::now(), "24h")?;
    let group = page_builder::group(
        &board.metrics,
        id,
        names,
        &asked.choice,
        asked.stretch,
        Timestamp::now(),
    )
    .await?;
    let drawn = tokio::task::spawn_blocking(move || group.chart(width, height).standalone("chart"));
    Ok(svg_file(
        drawn.await.map_err(Error::internal)?,
        &headers,
        board.metrics.interval_s(),
    ))
}

/// The points of a series in the requested time range, or the newest points.
async fn newest(
    metrics: &MetricService,
    id: InstanceId,
    name: String,
    mut asked: MetricQuery,
) -> Result<(i64, Vec<SeriesPoint>)> {
    let now = Timestamp::now();
    if asked.is_open {
        let level = asked
            .stretch
            .level
            .unwrap_or(super::queries::Resolution::Minute);
        let limit = asked.limit.unwrap_or(LIMIT);
        (asked.stretch.level, asked.limit) = (Some(level), Some(limit));
        // A series that ended last week ends there.
        let newest = metrics
            .newest(id, Some(name.clone()), 1)
            .await?
            .first()
            .map(|row| row.timestamp);
        asked.stretch.to = newest.unwrap_or(now).min(now);
        asked.stretch.from = Timestamp(
            asked.stretch.to.0 - i64::try_from(limit).unwrap_or(50) * level.step() * 1000,
        );
    }
    let found = metrics
        .points(id, vec![name], asked.stretch, now)
        .await?
        .into_iter()
        .next();
    let (step, mut points) =
        found.map_or((60, Vec::new()), |(found, _)| (found.step, found.points));
    let over = points
        .len()
        .saturating_sub(asked.limit.unwrap_or(usize::MAX));
    points.drain(..over);
    Ok((step, points))
}

async fn csv_of(
    metrics: &MetricService,
    id: InstanceId,
    names: Vec<String>,
    asked: MetricQuery,
) -> Result<Response> {
    let mut series = Vec::new();
    for name in names {
        let (_, points) = newest(metrics, id, name.clone(), asked.clone()).await?;
        series.push((csv_text(&name), points));
    }
    let lines = series.into_iter().flat_map(|(name, points)| {
        let line = move |p: SeriesPoint| {
            format!(
                "{},{name},{},{},{},{}",
                p.timestamp, p.value, p.count, p.min, p.max
            )
        };
        points.into_iter().map(line)
    });
    Ok(csv_file("timestamp,metric_type,value,count,min,max", lines))
}

fn of_row(row: SampleRow) -> String {
    format!(
        "{},{},{},{}",
        row.id,
        row.timestamp,
        csv_text(&row.metric_type),
        row.value
    )
}

/// A CSV field according to RFC 4180, safe for spreadsheets that read a leading `=` as a formula.
fn csv_text(text: &str) -> String {
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | '/'));
    let is_formula = text.starts_with(['=', '+', '-', '@']);
    match (is_plain, is_formula) {
        (true, false) => text.to_owned(),
        (_, true) => format!("\"'{}\"", text.replace('"', "\"\"")),
        (false, false) => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}

/// A file that is generated while it is sent.
fn csv_file(head: &str, lines: impl Iterator<Item = String> + Send + 'static) -> Response {
    let mut lines = std::iter::once(head.to_owned()).chain(lines).peekable();
    let parts = std::iter::from_fn(move || {
        lines.peek()?;
        let mut part = String::new();
        for line in lines.by_ref() {
            part.push_str(&line);
            part.push_str("\r\n");
            if part.len() >= CSV_PART {
                break;
            }
        }
        Some(Ok::<_, std::convert::Infallible>(part))
    });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"metrics.csv\""),
    ];
    (headers, Body::from_stream(stream::iter(parts))).into_response()
}

fn svg_file(svg: String, headers: &HeaderMap, fresh_s: i64) -> Response {
    let mut hasher = DefaultHasher::new();
    svg.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let is_known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|given| given.as_bytes() == etag.as_bytes());
    let common = [
        (CACHE_CONTROL, format!("private, max-age={fresh_s}")),
        (ETAG, etag),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let own = [
        (CONTENT_TYPE, "image/svg+xml"),
        (CONTENT_SECURITY_POLICY, CHART_POLICY),
    ];
    (common, own, svg).into_response()
}

/// Sends an event after each round of samples: new charts for a page, the latest values for a
/// program. Slow receivers get fewer events.
async fn follow(
    board: MetricsRoutesState,
    id: InstanceId,
    asked: MetricQuery,
    page_role: Option<Role>,
) -> Result<Response> {
    board.metrics.instance(id).await?;
    let rounds = board.metrics.rounds();
    let length = asked.choice.to.since(asked.choice.from);
    let stop = board.stop.clone();
    let events = stream::unfold((board, rounds), move |(board, mut rounds)| {
        let asked = asked.clone();
        async move {
            loop {
                rounds.changed().await.ok()?;
                let event = match page_role {
                    Some(role) => charts(&board, id, asked.clone(), length, role).await,
                    None => figures(&board, id).await,
                };
                match event {
                    Ok(event) => return Some((event, (board, rounds))),
                    // The instance was deleted.
                    Err(Error::NotFound { .. }) => return None,
                    Err(_) => {}
                }
            }
        }
    });
    Ok(sse::respond(events, stop, page_role.is_some()))
}

async fn charts(
    board: &MetricsRoutesState,
    id: InstanceId,
    mut asked: MetricQuery,
    length: Duration,
    role: Role,
) -> Result<Bytes> {
    let now = Timestamp::now();
    if !asked.choice.range.is_empty() {
        // A relative range moves on; fixed times stay.
        let from = Timestamp(now.0 - i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
        (asked.choice.from, asked.choice.to) = (from, now);
        (asked.stretch.from, asked.stretch.to) = (from, now);
    }
    let page = page_builder::page(&board.metrics, id, (asked.choice, asked.stretch), now).await?;
    let status = status_part(page.instance.clone(), role).unwrap_or_default();
    let drawn = tokio::task::spawn_blocking(move || crate::web::html(&page.as_charts()));
    let html = drawn
        .await
        .map_err(Error::internal)?
        .map_err(Error::internal)?;
    Ok(SseEvent::default().data(format!(
        "<hx-partial hx-target=\"#charts\" hx-swap=\"outerMorph\">{html}</hx-partial>{status}"
    )))
}

async fn figures(board: &MetricsRoutesState, id: InstanceId) -> Result<Bytes> {
    let figures = board.metrics.latest(id).await?;
    SseEvent::default()
        .event("metrics")
        .json_data(figures)
        .map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::chart::{PAGE_RULES, STYLE};
    use miniscript::bitcoin::hashes::{Hash as Digest, sha256};

    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let bits = three
                .iter()
                .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
                text.push(if at <= three.len() {
                    char::from(letter)
                } else {
                    '='
                });
            }
        }
        text
    }

    #[test]
    fn a_chart_may_use_its_own_style_and_pages_have_theirs_in_the_sheet() {
        assert_eq!(base64(b"light w"), "bGlnaHQgdw==");
        let hash = base64(&<sha256::Hash as Digest>::hash(STYLE.as_bytes()).to_byte_array());
        assert!(
            CHART_POLICY.contains(&format!("'sha256-{hash}'")),
            "the hash of the style is {hash}"
        );
        assert!(include_str!("../../../static/chart.css").contains(PAGE_RULES));
    }

    #[test]
    fn fields_of_a_table_are_quoted_and_never_formulas() {
        for (text, field) in [
            ("shares_rejected:stale-share", "shares_rejected:stale-share"),
            ("miner_hashrate:a,b\"c", "\"miner_hashrate:a,b\"\"c\""),
            ("=1+1", "\"'=1+1\""),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(csv_text(text), field);
        }
    }
}
