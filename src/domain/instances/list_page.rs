//! Builds the page with all instances, for requests and for the event stream, and keeps its JSON for
//! programs that poll.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

use super::service::{InstanceService, InstancesVersion};
use super::views::InstanceListPage;
use crate::base::error::{Error, Result};
use crate::domain::configs::ConfigService;
use crate::infra::notices::{ManagerNotice, ManagerNotices};

/// Maximum number of parts of the list that are kept.
const MOST_PARTS: usize = 8;

/// The services behind the list.
#[derive(Clone, Debug)]
pub struct InstanceListState {
    /// The instances.
    pub instances: InstanceService,
    /// Their configurations.
    pub configs: ConfigService,
    /// Problems with the manager.
    pub notices: ManagerNotices,
    /// Responses that have been serialized.
    pub json: ListCache,
    /// Ends the event streams when the manager stops.
    pub stop: CancellationToken,
}

/// Builds the current page.
pub(super) async fn list_page(
    lists: &InstanceListState,
    is_overview: bool,
    is_html: bool,
) -> Result<InstanceListPage> {
    let instances = lists.instances.list().await?;
    // Only pages show this advice.
    let (has_configs, no_client) = if is_html {
        (
            !instances.is_empty() || !lists.configs.list().await?.is_empty(),
            lists.instances.client().await.err().map(|e| e.to_string()),
        )
    } else {
        (false, None)
    };
    let news = lists.instances.glances().news();
    let notices = lists.notices.list();
    Ok(InstanceListPage {
        is_overview,
        nothing_selected: false,
        has_configs,
        no_client,
        news,
        notices,
        instances,
        miners: Vec::new(),
    })
}

/// A part of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListPart {
    /// Maximum number of instances.
    pub(super) limit: u64,
    /// The number of instances before the part.
    pub(super) offset: u64,
}

impl ListPart {
    /// This part of `all`.
    pub(super) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let rest = all.into_iter().skip(whole(self.offset));
        rest.take(whole(self.limit)).collect()
    }
}

/// The JSON of the parts that programs requested, until something in it may have changed; cheap to
/// clone.
#[derive(Clone, Debug, Default)]
pub struct ListCache(Arc<Mutex<CacheContent>>);

#[derive(Debug, Default)]
struct CacheContent {
    version: InstancesVersion,
    notices: Vec<ManagerNotice>,
    parts: Vec<(ListPart, ListJson)>,
}

/// The JSON of a part of the list.
#[derive(Clone, Debug)]
pub(super) struct ListJson {
    json: Bytes,
    tag: HeaderValue,
}

/// The JSON of a part of the list. Durations in it are at most a second old, everything else is
/// current.
pub(super) async fn list_json(lists: &InstanceListState, part: ListPart) -> Result<ListJson> {
    // Before building: a change in between is noticed with the next request.
    let (version, notices) = (lists.instances.version(), lists.notices.list());
    if let Some(known) = lists.json.get(version, &notices, part) {
        return Ok(known);
    }
    let mut page = list_page(lists, false, false).await?;
    page.instances = part.of(page.instances);
    let json = ListJson::new(serde_json::to_vec(&page).map_err(Error::internal)?)?;
    lists.json.set(version, notices, part, json.clone());
    Ok(json)
}

impl ListCache {
    fn get(
        &self,
        version: InstancesVersion,
        notices: &[ManagerNotice],
        part: ListPart,
    ) -> Option<ListJson> {
        let content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if content.version != version || content.notices != notices {
            return None;
        }
        let mut parts = content.parts.iter();
        let (_, json) = parts.find(|(known, _)| *known == part)?;
        Some(json.clone())
    }

    fn set(
        &self,
        version: InstancesVersion,
        notices: Vec<ManagerNotice>,
        part: ListPart,
        json: ListJson,
    ) {
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if content.version != version || content.notices != notices {
            *content = CacheContent {
                version,
                notices,
                parts: Vec::new(),
            };
        }
        content.parts.truncate(MOST_PARTS - 1);
        content.parts.push((part, json));
    }
}

impl ListJson {
    fn new(json: Vec<u8>) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        // Weak, because the response may be compressed.
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        Ok(Self {
            json: json.into(),
            tag: HeaderValue::try_from(tag).map_err(Error::internal)?,
        })
    }

    /// The response to a request with these headers: 304 if it has the same list.
    pub(super) fn response(self, headers: &HeaderMap) -> Response {
        // RFC 9110, 13.1.2: a list of tags or `*`, compared without the mark of weak ones.
        let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
        let own = opaque(self.tag.to_str().unwrap_or_default());
        let is_known = |given: &str| given == "*" || opaque(given) == own;
        let is_same = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|given| is_known(given.trim()));
        if is_same {
            return (StatusCode::NOT_MODIFIED, [(ETAG, self.tag)]).into_response();
        }
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json), (ETAG, self.tag)], self.json).into_response()
    }
}
