//! Responses with the list of instances, kept as bytes until something in them may have changed, for
//! programs and people that poll.
//!
//! The version decides, in one place (`InstancesVersion` and the notices): whatever lists show has a
//! part in it. What changes without a sign, such as durations, is at most a second old, because the
//! version contains the second of the clock.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::list_query::ListQuery;
use crate::base::error::{Error, Result};
use crate::infra::db::DatabaseVersion;
use crate::infra::notices::ManagerNotice;
use crate::web::PageFrame;

/// Maximum number of responses that are kept, and their bytes in total. One more would only be
/// rendered again.
const MOST_RESPONSES: usize = 16;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What distinguishes two responses of the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListView {
    /// JSON, the same for every caller: each role may read all instances.
    Json,
    /// A whole page.
    Page {
        /// After a bulk action without a selection.
        nothing_selected: bool,
        /// What the page shows of its caller: name, role, session.
        frame: PageFrame,
    },
}

impl ListView {
    fn media_type(&self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Page { .. } => "text/html; charset=utf-8",
        }
    }
}

/// The version of everything that lists show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InstancesVersion {
    pub(super) second: i64,
    pub(super) data: DatabaseVersion,
    pub(super) status_changes: u64,
    pub(super) extra_changes: u64,
    pub(super) remote_changes: u64,
}

/// The version of everything that a response shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ListVersion {
    /// The instances and their configurations.
    pub(super) instances: InstancesVersion,
    /// Problems with jd-manager.
    pub(super) notices: Vec<ManagerNotice>,
}

/// The responses of the latest version; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ListCache(Arc<Mutex<CacheContent>>);

#[derive(Debug, Default)]
struct CacheContent {
    version: ListVersion,
    /// The last ones that were asked for first.
    responses: VecDeque<(ListQuery, ListView, ListResponse)>,
}

impl ListCache {
    /// The response of this version, if it is kept.
    pub(super) fn get(
        &self,
        version: &ListVersion,
        query: &ListQuery,
        view: &ListView,
    ) -> Option<ListResponse> {
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if content.version != *version {
            return None;
        }
        let is_same = |one: &(ListQuery, ListView, _)| one.0 == *query && one.1 == *view;
        let at = content.responses.iter().position(is_same)?;
        // What is asked for again stays, however many other queries there are.
        let found = content.responses.remove(at)?;
        let response = found.2.clone();
        content.responses.push_front(found);
        Some(response)
    }

    /// Keeps a response; `version` was read before it was rendered.
    pub(super) fn set(
        &self,
        version: ListVersion,
        query: ListQuery,
        view: ListView,
        response: ListResponse,
    ) {
        if response.body.len() > MOST_BYTES {
            return;
        }
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if content.version != version {
            *content = CacheContent {
                version,
                responses: VecDeque::new(),
            };
        }
        let responses = &mut content.responses;
        // Another request may have rendered the same at the same time.
        responses.retain(|(other, kept_view, _)| *other != query || *kept_view != view);
        responses.push_front((query, view, response));
        responses.truncate(MOST_RESPONSES);
        let mut room = MOST_BYTES;
        let fits = |(_, _, kept): &(_, _, ListResponse)| {
            let left = room.checked_sub(kept.body.len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let count = responses.iter().map(fits).take_while(|fits| *fits).count();
        responses.truncate(count);
    }
}

/// A response with the list.
#[derive(Clone, Debug)]
pub(super) struct ListResponse {
    media_type: &'static str,
    body: Bytes,
    tag: HeaderValue,
}

impl ListResponse {
    /// A response with this body.
    pub(super) fn new(view: &ListView, body: impl Into<Bytes>) -> Result<Self> {
        let body = body.into();
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        // Weak, because the response may be compressed.
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        Ok(Self {
            media_type: view.media_type(),
            body,
            tag: HeaderValue::try_from(tag).map_err(Error::internal)?,
        })
    }

    /// The response to a request with these headers: 304 if it has the same list.
    pub(super) fn respond(self, headers: &HeaderMap) -> Response {
        let mut response = if self.is_known(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let media_type = HeaderValue::from_static(self.media_type);
            ([(CONTENT_TYPE, media_type)], self.body).into_response()
        };
        response.headers_mut().insert(ETAG, self.tag);
        response
    }

    /// RFC 9110, 13.1.2: a list of tags or `*`, compared without the mark of weak ones.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        fn opaque(tag: &str) -> &str {
            tag.trim_start_matches("W/")
        }
        let own = opaque(self.tag.to_str().unwrap_or_default());
        headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|given| given == "*" || opaque(given) == own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: i64) -> ListVersion {
        let mut version = ListVersion::default();
        version.notices.push(ManagerNotice {
            id: "test",
            title: String::new(),
            detail: String::new(),
            since: crate::base::clock::Timestamp(number),
            link: None,
        });
        version
    }

    fn part(offset: u64) -> ListQuery {
        ListQuery::WHOLE.at(offset)
    }

    fn keep(cache: &ListCache, number: i64, offset: u64, bytes: usize) {
        let response = ListResponse::new(&ListView::Json, vec![b' '; bytes]).unwrap();
        cache.set(version(number), part(offset), ListView::Json, response);
    }

    fn kept(cache: &ListCache, number: i64) -> Vec<u64> {
        let version = version(number);
        let is_kept = |offset: &u64| {
            cache
                .get(&version, &part(*offset), &ListView::Json)
                .is_some()
        };
        (0..100).filter(is_kept).collect()
    }

    #[test]
    fn the_newest_responses_of_one_version_are_kept_up_to_a_number_and_a_size() {
        let cache = ListCache::default();
        for offset in 0..20 {
            keep(&cache, 1, offset, 10);
        }
        assert_eq!(kept(&cache, 1), (4..20).collect::<Vec<_>>());
        assert!(kept(&cache, 2).is_empty());
        keep(&cache, 2, 1, 10);
        assert_eq!((kept(&cache, 1), kept(&cache, 2)), (Vec::new(), vec![1]));
        keep(&cache, 2, 2, MOST_BYTES / 2);
        keep(&cache, 2, 3, MOST_BYTES / 2);
        assert_eq!(kept(&cache, 2), [2, 3]);
        keep(&cache, 2, 3, 10);
        assert_eq!(kept(&cache, 2), [2, 3]);
        keep(&cache, 2, 4, MOST_BYTES + 1);
        assert_eq!(kept(&cache, 2), [2, 3]);
    }

    #[test]
    fn a_response_that_is_asked_for_again_outlives_other_queries() {
        let cache = ListCache::default();
        for offset in 0..90 {
            keep(&cache, 1, offset, 10);
            assert!(cache.get(&version(1), &part(0), &ListView::Json).is_some());
        }
        assert_eq!(kept(&cache, 1).len(), MOST_RESPONSES);
    }

    #[test]
    fn a_page_is_kept_for_those_who_see_the_same_page() {
        let cache = ListCache::default();
        let page = |name: &str, role, has_session| ListView::Page {
            nothing_selected: false,
            frame: PageFrame {
                caller: Some(crate::web::Caller {
                    name: name.into(),
                    token: None,
                    ssh: None,
                    role,
                    address: None,
                }),
                has_session,
                ..PageFrame::default()
            },
        };
        use crate::web::Role;
        let ada = page("ada", Role::Viewer, true);
        let response = ListResponse::new(&ada, "ada's page").unwrap();
        cache.set(version(1), part(0), ada.clone(), response);
        let is_kept = |view: &ListView| cache.get(&version(1), &part(0), view).is_some();
        assert!(is_kept(&ada));
        for other in [
            page("bob", Role::Viewer, true),
            page("ada", Role::Operator, true),
            page("ada", Role::Viewer, false),
            ListView::Json,
        ] {
            assert!(!is_kept(&other), "{other:?}");
        }
    }
}
