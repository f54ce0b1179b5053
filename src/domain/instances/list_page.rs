//! Builds the page with all instances, for requests and for the event stream, and its responses.

use bytes::Bytes;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use super::filter_choices::FilterChoices;
use super::list_cache::{ListCache, ListResponse, ListVersion, ListView};
use super::list_filter::{InstanceFilter, PoolTexts};
use super::list_groups;
use super::list_query::ListQuery;
use super::list_view::{FleetSummary, InstanceListPage, PageNotes};
use super::model::Instance;
use super::service::InstanceService;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::configs::ConfigService;
use crate::infra::notices::ManagerNotices;
use crate::web::html_with;

/// The `notice` of a list after an action on several instances without a selection.
pub const NOTHING_SELECTED: &str = "nothing-selected";
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

impl InstanceListServices {
    /// The instances that a query selects, in its order and in all parts; `all`: oldest first.
    pub(super) async fn select(
        &self,
        query: &ListQuery,
        all: Vec<Instance>,
        is_page: bool,
    ) -> Result<Vec<Instance>> {
        let pools = self.pools(query).await?;
        Ok(query.select(all, &pools, is_page))
    }

    /// All instances: those of this machine, oldest first, and those of other hosts.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn all(&self) -> Result<Vec<Instance>> {
        let mut all = self.instances.list().await?;
        all.extend(self.instances.remote().all());
        Ok(all)
    }

    /// An instance of this machine or of another host.
    ///
    /// # Errors
    /// There is none with this id, or the database cannot be read.
    pub async fn get(&self, id: InstanceId) -> Result<Instance> {
        match self.instances.remote().get(id) {
            Some(instance) => Ok(instance),
            None => self.instances.get(id).await,
        }
    }

    /// The instances that match a filter, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn matching(&self, filter: InstanceFilter) -> Result<Vec<Instance>> {
        let all = self.all().await?;
        let query = ListQuery::WHOLE.with_filter(filter);
        self.select(&query, all, false).await
    }

    /// The addresses of pools, if the query searches for text.
    pub(super) async fn pools(&self, query: &ListQuery) -> Result<PoolTexts> {
        if query.filter.search.is_empty() {
            return Ok(PoolTexts::new());
        }
        let pools = self.configs.list().await?.into_iter().map(|saved| {
            let upstreams = saved.config.upstreams.iter();
            let addresses: Vec<String> = upstreams
                .map(|pool| format!("{}:{}", pool.pool_address, pool.pool_port))
                .collect();
            (saved.id, addresses.join("\n").to_lowercase())
        });
        Ok(pools.collect())
    }
}

/// Builds the JSON of a part of the list.
pub(super) async fn list_json(
    lists: &InstanceListServices,
    query: &ListQuery,
) -> Result<InstanceListPage> {
    let is_whole = query.filter.is_empty() && query.sort.is_none();
    let (instances, total) = if is_whole && !lists.instances.remote().is_used() {
        lists.instances.list_part(query).await?
    } else {
        let all = lists.all().await?;
        let found = lists.select(query, all, false).await?;
        (query.part_of(&found).to_vec(), found.len())
    };
    let notices = lists.notices.list();
    Ok(InstanceListPage::new(
        query,
        instances,
        total,
        PageNotes::of(notices),
    ))
}

/// Builds the page with a part of the list.
pub(super) async fn list_page(
    lists: &InstanceListServices,
    query: &ListQuery,
) -> Result<InstanceListPage> {
    let all = lists.all().await?;
    let notes = PageNotes {
        nothing_selected: false,
        has_configs: !all.is_empty() || !lists.configs.list().await?.is_empty(),
        no_client: lists.instances.client().await.err().map(|e| e.to_string()),
        news: lists.instances.glances().news(),
        jobs: lists.instances.glances().jobs(),
        hosts: lists.instances.remote().problems(),
        ..PageNotes::of(lists.notices.list())
    };
    let fleet = FleetSummary::of(&all);
    let choices = FilterChoices::of(&all);
    let found = lists.select(query, all, true).await?;
    let page = if query.group.is_some() {
        let all = list_groups::by_tag(&found);
        let rows = list_groups::row_count(&all);
        let (part, groups) = list_groups::part_of(&all, &found, query);
        InstanceListPage::new(query, part, rows, notes).with_groups(groups, found.len())
    } else {
        let part = query.part_of(&found).to_vec();
        InstanceListPage::new(query, part, found.len(), notes)
    };
    Ok(page.with_fleet(fleet, choices, &found))
}

/// A part of the list as JSON or as a whole page. Durations in it, and on pages whether there is a
/// client program and the addresses of this machine, are at most a second old; everything else is
/// current.
pub(super) async fn list_response(
    lists: &InstanceListServices,
    query: ListQuery,
    view: ListView,
) -> Result<ListResponse> {
    // Before building: a change in between is noticed with the next request.
    let version = ListVersion {
        instances: lists.instances.version(),
        notices: lists.notices.list(),
    };
    if let Some(kept) = lists.responses.get(&version, &query, &view) {
        return Ok(kept);
    }
    let body: Bytes = match &view {
        ListView::Json => {
            let page = list_json(lists, &query).await?;
            serde_json::to_vec(&page).map_err(Error::internal)?.into()
        }
        ListView::Page {
            nothing_selected,
            frame,
        } => {
            let page = full_page(lists, &query, *nothing_selected).await?;
            html_with(&page, frame).map_err(Error::internal)?.into()
        }
    };
    let response = ListResponse::new(&view, body)?;
    lists.responses.set(version, query, view, response.clone());
    Ok(response)
}

/// The page with the parts that a browser needs once.
pub(super) async fn full_page(
    lists: &InstanceListServices,
    query: &ListQuery,
    nothing_selected: bool,
) -> Result<InstanceListPage> {
    let mut page = list_page(lists, query).await?;
    page.notes.nothing_selected = nothing_selected;
    page.miners = lists
        .instances
        .listed_addresses(&page.instances, MOST_ADDRESSES)
        .await?;
    Ok(page)
}
