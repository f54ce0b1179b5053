//! The routes of the original API: operation, role, audit text and handler of each.

use super::routes;
use super::service::FirstGeneration;
use super::views::{LegacyConfig, LegacyStatus, NoLog, ValidPage};
use crate::domain::configs::ConfigChangeResult as Saved;
use crate::domain::configs::route_table::alone;
use crate::domain::instances::InstanceActionResult;
use crate::domain::logs::LogService;
use crate::domain::logs::route_table::part;
use crate::domain::logs::views::LogPage;
use crate::web::openapi::{
    ApiOperation, LOG, PAGE, PROGRAMS, RouteTable, RouterState, get, post, shape,
};
use axum::extract::FromRef;

fn act(path: &'static str, name: &'static str, summary: &'static str) -> ApiOperation {
    post(path, name, summary)
        .acts([])
        .does::<InstanceActionResult>()
        .fails(&[409])
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    FirstGeneration: FromRef<S>,
    LogService: FromRef<S>,
{
    RouteTable::new()
.add(act(
            "/jdc/start",
            "startDefault",
            "Starts the instance `default` with the active configuration. The first start creates the instance.",
        ).for_operators().audited("started the default instance"), routes::start)
.add(act("/jdc/stop", "stopDefault", "Stops the instance `default`.").for_operators().audited("stopped the default instance"), routes::stop)
.add(act(
            "/jdc/restart",
            "restartDefault",
            "Restarts the instance `default` with the active configuration.",
        ).for_operators().audited("restarted the default instance"), routes::restart)
.add(get(
            "/jdc/status",
            "getDefaultStatus",
            "Returns the state of the instance `default`.",
        )
        .gives::<LegacyStatus>(PROGRAMS), routes::status)
.add(get(
            "/jdc/logs",
            "getDefaultLog",
            "Returns part of the `default` instance's log.",
        )
        .asks(part())
        .answer(
            200,
            "Same as an instance's log. Empty before the first start.",
            LOG,
            Some(|g| {
                let both = [shape::<LogPage>()(g), shape::<NoLog>()(g)];
                schemars::json_schema!({ "anyOf": both })
            }),
        )
        .fails(&[404]), routes::log)
.add(get(
            "/config",
            "getActiveConfig",
            "Returns the active configuration and its file, with masked secrets.",
        )
        .gives::<LegacyConfig>(PROGRAMS)
        .fails(&[404, 422]), routes::config)
.add(post(
            "/config",
            "saveActiveConfig",
            "Saves a new revision of the active configuration, or the first configuration.",
        )
        .takes([alone()])
        .open()
        .does::<Saved>()
        .fails(&[409]).for_admins().audited("saved the active configuration"), routes::save)
.add(post(
            "/config/validate",
            "validateConfig",
            "Validates a configuration without saving it.",
        )
        .takes([alone()])
        .open()
        .gives::<ValidPage>(PAGE).for_viewers(), routes::validate)
}
