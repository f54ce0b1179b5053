//! Builds the page with all instances, for requests and for the event stream.

use tokio_util::sync::CancellationToken;

use super::service::InstanceService;
use super::views::InstanceListPage;
use crate::base::error::Result;
use crate::domain::configs::ConfigService;
use crate::infra::notices::ManagerNotices;

/// The services behind the list.
#[derive(Clone, Debug)]
pub struct InstanceListState {
    /// The instances.
    pub instances: InstanceService,
    /// Their configurations.
    pub configs: ConfigService,
    /// Problems with the manager.
    pub notices: ManagerNotices,
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
            !lists.configs.list().await?.is_empty(),
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
