//! Handlers of `/hosts/{name}/instances/{id}`. Programs get the responses of the host, people pages of
//! this jd-manager.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::forward::{RemoteProblem, RemoteRequest, read_json};
use super::instance_views::{RemoteConfiguration, RemoteInstancePage, RemoteLog, RemoteTab};
use super::remote::known;
use super::service::HostService;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::health::model::CheckResult;
use crate::domain::instances::views::{EventsPage, InstanceFragments, row_id};
use crate::domain::instances::{Instance, InstanceEvent, MinerAddress};
use crate::domain::metrics::views::ChartGroup;
use crate::domain::metrics::{ChartOptions, MetricQuery, REMOTE_SERIES, remote_chart};
use crate::domain::miners::views::MinersPage;
use crate::domain::miners::{MinerFilter, MinerPart};
use crate::domain::overview::views::{InstancePage, OverviewParts};
use crate::web::extract::{EmptyForm, QueryParams};
use crate::web::negotiation::Offers;
use crate::web::respond::{FormattedError, next_page};
use crate::web::{PathId, Reply, Representation, RequestContext, RequestInput};

/// The number of miners and events on the overview.
const OVERVIEW: u64 = 8;

/// A part of an instance's API.
#[derive(Clone, Copy, Debug)]
pub enum InstancePart {
    /// The instance itself.
    Overview,
    /// Its log.
    Logs,
    /// Its miners.
    Miners,
    /// Its metrics.
    Metrics,
    /// Its health checks.
    Health,
    /// Its events.
    Events,
    /// Its configuration.
    Configuration,
}

impl InstancePart {
    /// Its path on the host.
    fn path(self, id: InstanceId) -> String {
        match self {
            Self::Overview => format!("/api/instances/{id}"),
            Self::Logs => format!("/api/instances/{id}/logs"),
            Self::Miners => format!("/api/instances/{id}/miners"),
            Self::Metrics => format!("/api/metrics/{id}"),
            Self::Health => format!("/api/health/{id}"),
            Self::Events => format!("/api/instances/{id}/events"),
            Self::Configuration => format!("/api/instances/{id}/configuration"),
        }
    }
}

/// A host and the id of an instance there.
struct RemoteSource<'a> {
    hosts: &'a HostService,
    host: &'a str,
    id: InstanceId,
}

impl RemoteSource<'_> {
    /// The instance as the host last reported it, or as it reports it now.
    async fn instance(&self) -> Result<Instance> {
        match self.hosts.instance(self.host, self.id) {
            Some(instance) => Ok(instance),
            None => {
                let found: Instance = self.get(InstancePart::Overview, "").await?;
                Ok(found.on_host(self.host))
            }
        }
    }

    /// JSON of the host; `query` begins with a question mark, or is empty.
    async fn get<T: DeserializeOwned>(&self, part: InstancePart, query: &str) -> Result<T> {
        self.at(part.path(self.id) + query).await
    }

    async fn at<T: DeserializeOwned>(&self, path: String) -> Result<T> {
        let request = RemoteRequest::json(Method::GET, path, Bytes::new());
        let response = self.hosts.send(self.host, request).await?;
        let read = read_json(response).await;
        read.map_err(|RemoteProblem { status, detail }| match status {
            StatusCode::NOT_FOUND => Error::not_found("instance", self.id),
            _ => Error::Unavailable {
                detail: format!("{} cannot show this. {detail}", self.host),
                retry_after: None,
            },
        })
    }
}

/// A list in a response, of which the readable entries are used.
#[derive(Debug, Deserialize)]
struct RemoteEntries {
    #[serde(
        alias = "miners",
        alias = "events",
        alias = "results",
        alias = "addresses"
    )]
    entries: Vec<Box<RawValue>>,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    unlisted: u64,
    next: Option<i64>,
}

impl RemoteEntries {
    fn known<T: DeserializeOwned>(&self) -> Vec<T> {
        let entries: Vec<&RawValue> = self.entries.iter().map(AsRef::as_ref).collect();
        known(&entries)
    }
}

/// `GET` of a part of an instance on a host.
pub async fn show<O: Offers>(
    part: InstancePart,
    State(hosts): State<HostService>,
    Path((name, _)): Path<(String, String)>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext<O>,
    RawQuery(query): RawQuery,
    (headers, params): (HeaderMap, QueryParams),
) -> Reply {
    let (host, _) = hosts.get(&name)?;
    let source = RemoteSource {
        hosts: &hosts,
        host: &host.name,
        id,
    };
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    if want.form != Representation::Html {
        let request = RemoteRequest {
            method: Method::GET,
            path: part.path(id) + &query,
            headers,
            body: Bytes::new(),
        };
        return for_program(&hosts, &host.name, request).await;
    }
    let instance = source.instance().await?;
    if want.is_fragment() && want.asked.target.as_deref() == Some("status") {
        return want.respond(&fragments(instance));
    }
    let now = Timestamp::now();
    let tab = match part {
        InstancePart::Overview => {
            return want
                .respond_blocking(overview(&source, instance, now).await?)
                .await;
        }
        InstancePart::Miners => {
            return want.respond(&miners(&source, instance, params, now).await?);
        }
        InstancePart::Events => {
            let found: RemoteEntries = source.get(part, &query).await?;
            let page = EventsPage::remote(instance, found.known(), found.next);
            return want.respond(&page);
        }
        InstancePart::Logs => RemoteTab::Log(log(&source, &query, &params).await?),
        InstancePart::Metrics => metrics(&source, &instance, params, now).await?,
        InstancePart::Health => {
            let found: RemoteEntries = source.get(part, "").await?;
            RemoteTab::Health(found.known::<CheckResult>())
        }
        InstancePart::Configuration => {
            RemoteTab::Configuration(source.get::<RemoteConfiguration>(part, "").await?)
        }
    };
    want.respond_blocking(RemoteInstancePage { instance, tab, now })
        .await
}

/// The response of a host as it is. An error is a problem document already.
async fn for_program(hosts: &HostService, name: &str, request: RemoteRequest) -> Reply {
    let mut response = hosts.send(name, request).await?;
    response.extensions_mut().insert(FormattedError);
    Ok(response)
}

fn fragments(instance: Instance) -> InstanceFragments {
    InstanceFragments {
        row_id: row_id(instance.id),
        here: String::new(),
        instance,
    }
}

async fn overview(
    source: &RemoteSource<'_>,
    instance: Instance,
    now: Timestamp,
) -> Result<InstancePage> {
    if !instance.is_reachable() {
        let parts = OverviewParts {
            now,
            ..OverviewParts::default()
        };
        return Ok(InstancePage::remote(instance, Vec::new(), parts));
    }
    let limit = format!("?limit={OVERVIEW}");
    let found: RemoteEntries = source.get(InstancePart::Overview, "").await?;
    let addresses: Vec<MinerAddress> = found.known();
    let miners: RemoteEntries = source.get(InstancePart::Miners, &limit).await?;
    let events: RemoteEntries = source.get(InstancePart::Events, &limit).await?;
    let choice = ChartOptions::last_day(now).since_creation(instance.created_at);
    let chart = chart(source, "hashrate_measured", &choice).await?;
    let parts = OverviewParts {
        chart: Some(chart),
        miners: miners.known(),
        miner_total: miners.total,
        in_trouble: 0,
        uptime: None,
        events: events.known::<InstanceEvent>(),
        now,
    };
    Ok(InstancePage::remote(instance, addresses, parts))
}

async fn miners(
    source: &RemoteSource<'_>,
    instance: Instance,
    mut params: QueryParams,
    now: Timestamp,
) -> Result<MinersPage> {
    let filter = MinerFilter {
        instance: Some(instance.id),
        protocol: params.get("protocol", "v1 or v2"),
        state: params.get("state", "mining, no-channel, many-rejected or offline"),
    };
    let part = (params.number("limit"), params.number("offset"));
    let pairs = params.pairs().to_vec();
    params.finish()?;
    // An empty choice of the form means all.
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given)
        .finish();
    let query = format!("?{query}");
    let found: RemoteEntries = source.get(InstancePart::Miners, &query).await?;
    let found = MinerPart {
        miners: found.known(),
        total: found.total,
        unlisted: found.unlisted,
    };
    Ok(MinersPage::new(Some(instance), filter, found, part, now))
}

async fn log(source: &RemoteSource<'_>, query: &str, params: &QueryParams) -> Result<RemoteLog> {
    let log: RemoteLog = source.get(InstancePart::Logs, query).await?;
    Ok(RemoteLog {
        search: params.text("q").unwrap_or_default().to_owned(),
        is_newest: params.text("before").is_none() && params.text("at").is_none(),
        ..log
    })
}

async fn metrics(
    source: &RemoteSource<'_>,
    instance: &Instance,
    params: QueryParams,
    now: Timestamp,
) -> Result<RemoteTab> {
    let asked = MetricQuery::read_form(params, now, "24h")?;
    let choice = asked.choice.since_creation(instance.created_at);
    let mut charts = Vec::new();
    for series in REMOTE_SERIES {
        let chart = chart(source, series, &choice).await?;
        if !chart.is_empty() {
            charts.push(chart);
        }
    }
    Ok(RemoteTab::Metrics {
        choice: Box::new(choice),
        charts,
    })
}

async fn chart(
    source: &RemoteSource<'_>,
    series: &str,
    choice: &ChartOptions,
) -> Result<ChartGroup> {
    let path = format!("/api/metrics/{}/{series}/timeseries", source.id);
    let points = source.at(format!("{path}?{}", choice.query())).await?;
    Ok(remote_chart(series, points, choice))
}

/// `POST` of an action: start, stop or restart. Programs get the response of the host; browsers return
/// to their page.
pub async fn act(
    action: &'static str,
    State(hosts): State<HostService>,
    Path((name, _)): Path<(String, String)>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
    RawQuery(query): RawQuery,
    fields: EmptyForm,
) -> Reply {
    let (host, _) = hosts.get(&name)?;
    let name = host.name.as_str();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let path = format!("{}/{action}{query}", InstancePart::Overview.path(id));
    let request = RemoteRequest::json(Method::POST, path, Bytes::new());
    if want.form != Representation::Html {
        return for_program(&hosts, name, request).await;
    }
    let response = hosts.send(name, request).await?;
    read_json::<Value>(response)
        .await
        .map_err(|problem| Error::Conflict(format!("{name}: {}", problem.detail)))?;
    hosts.refresh(&host).await;
    if want.is_fragment() {
        let source = RemoteSource {
            hosts: &hosts,
            host: name,
            id,
        };
        let instance = source.instance().await?;
        let next = fields.text("next").unwrap_or("/instances");
        let here = match want.asked.target.as_deref() == Some(&row_id(id)) {
            true => next_page(Some(next), "/instances"),
            false => String::new(),
        };
        return want.respond(&InstanceFragments {
            here,
            ..fragments(instance)
        });
    }
    let here = format!("/hosts/{name}/instances/{id}");
    want.redirect(&next_page(fields.text("next"), &here))
}

/// `PATCH` of an instance on a host: its response.
pub async fn change(
    State(hosts): State<HostService>,
    Path((name, _)): Path<(String, String)>,
    PathId(id): PathId<InstanceId>,
    // Before the body: what cannot be answered changes nothing.
    _: RequestContext,
    input: RequestInput,
) -> Reply {
    let body = serde_json::to_vec(&input.value).map_err(Error::internal)?;
    let path = InstancePart::Overview.path(id);
    let request = RemoteRequest::json(Method::PATCH, path, body.into());
    for_program(&hosts, &name, request).await
}
