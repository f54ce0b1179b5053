//! The routes of the overview: operation, role and handler of each.

use axum::extract::FromRef;

use super::routes;
use super::service::OverviewService;
use super::views::{ConfigurationPage, InstancePage};
use super::widget::StatusWidget;
use crate::web::openapi::{PAGE, PROGRAMS, RouteTable, RouterState, get};

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    OverviewService: FromRef<S>,
{
    RouteTable::new()
        .add(
            get(
                "/instances/{id}",
                "getInstance",
                "Returns an instance, with warnings about its configuration.",
            )
            .gives::<InstancePage>(PAGE),
            routes::show,
        )
        .add(
            get(
                "/instances/{id}/configuration",
                "getInstanceConfiguration",
                "Returns the configuration of an instance as the client will get it, with saved changes that are not running yet.",
            )
            .gives::<ConfigurationPage>(PAGE),
            routes::configuration,
        )
        .add(
            get(
                "/widget",
                "getWidget",
                "Returns hashrate, miners and health of all instances together, if `public_widget` is set.",
            )
            .about("For dashboards that cannot sign in, in the format of Umbrel's widgets.")
            .gives::<StatusWidget>(PROGRAMS)
            .fails(&[404])
            .for_anybody(),
            routes::widget,
        )
}
