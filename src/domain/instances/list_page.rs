//! Builds the page with all instances, for requests and for the event stream, and its responses.

use bytes::Bytes;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use super::list_cache::{ListCache, ListResponse, ListVersion, ListView};
use super::model::ListPart;
use super::service::InstanceService;
use super::views::InstanceListPage;
use crate::base::error::{Error, Result};
use crate::domain::configs::ConfigService;
use crate::infra::notices::ManagerNotices;
use crate::web::sse::SseEvent;
use crate::web::{html, html_with};

/// A list of more instances does not show their addresses for miners.
pub(super) const MOST_ADDRESSES: usize = 20;

/// The services behind the list; cheap to clone, because the router clones it for each request.
#[derive(Clone, Debug)]
pub struct InstanceListState(Arc<InstanceListServices>);

impl From<InstanceListServices> for InstanceListState {
    fn from(services: InstanceListServices) -> Self {
        Self(Arc::new(services))
    }
}

impl Deref for InstanceListState {
    type Target = InstanceListServices;

    fn deref(&self) -> &InstanceListServices {
        &self.0
    }
}

/// The services behind the list.
#[derive(Debug)]
pub struct InstanceListServices {
    /// The instances.
    pub instances: InstanceService,
    /// Their configurations.
    pub configs: ConfigService,
    /// Problems with the manager.
    pub notices: ManagerNotices,
    /// Responses that have been rendered.
    pub responses: ListCache,
    /// Ends the event streams when the manager stops.
    pub stop: CancellationToken,
}

/// Builds the current page with a part of the list.
pub(super) async fn list_page(
    lists: &InstanceListServices,
    is_overview: bool,
    is_html: bool,
    part: ListPart,
) -> Result<InstanceListPage> {
    let (instances, is_empty) = lists.instances.list_part(part).await?;
    // Only pages show this advice.
    let (has_configs, no_client) = if is_html {
        (
            !is_empty || !lists.configs.list().await?.is_empty(),
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

/// A part of the list as JSON or as a whole page. Durations in it, and on pages whether there is a
/// client program and the addresses of this machine, are at most a second old; everything else is
/// current.
pub(super) async fn list_response(
    lists: &InstanceListServices,
    part: ListPart,
    view: ListView,
) -> Result<ListResponse> {
    // Before building: a change in between is noticed with the next request.
    let version = ListVersion {
        instances: lists.instances.version(),
        notices: lists.notices.list(),
    };
    if let Some(kept) = lists.responses.get(&version, part, &view) {
        return Ok(kept);
    }
    let body: Bytes = match &view {
        ListView::Json => {
            let page = list_page(lists, false, false, part).await?;
            serde_json::to_vec(&page).map_err(Error::internal)?.into()
        }
        ListView::Page {
            is_overview,
            nothing_selected,
            frame,
        } => {
            let mut page = list_page(lists, *is_overview, true, part).await?;
            page.nothing_selected = *nothing_selected;
            page.miners = lists
                .instances
                .listed_addresses(&page.instances, MOST_ADDRESSES)
                .await?;
            html_with(&page, frame).map_err(Error::internal)?.into()
        }
        ListView::Table { is_overview } => {
            let page = list_page(lists, *is_overview, true, part).await?;
            let table = html(&page.as_table()).map_err(Error::internal)?;
            SseEvent::default().data(format!(
                "<hx-partial hx-target=\"#table\" hx-swap=\"outerMorph\">{table}</hx-partial>"
            ))
        }
    };
    let response = ListResponse::new(&view, body)?;
    lists.responses.set(version, part, view, response.clone());
    Ok(response)
}
