//! What the API's documentation says of the first generation's API.

use super::views::{LegacyConfig, LegacyStatus, NoLog, ValidPage};
use crate::domain::configs::ConfigChangeResult as Saved;
use crate::domain::configs::openapi::alone;
use crate::domain::instances::InstanceActionResult;
use crate::domain::logs::openapi::part;
use crate::domain::logs::views::LogPage;
use crate::web::openapi::{ApiOperation, LOG, PAGE, PROGRAMS, get, post, shape};

fn act(path: &'static str, name: &'static str, summary: &'static str) -> ApiOperation {
    post(path, name, summary)
        .acts([])
        .does::<InstanceActionResult>()
        .fails(&[409])
}

/// The operations.
pub fn operations() -> Vec<ApiOperation> {
    vec![
        act(
            "/jdc/start",
            "startDefault",
            "Starts the instance `default` on the active configuration; the first start makes it.",
        ),
        act("/jdc/stop", "stopDefault", "Stops the instance `default`."),
        act(
            "/jdc/restart",
            "restartDefault",
            "Restarts the instance `default` on the active configuration.",
        ),
        get(
            "/jdc/status",
            "getDefaultStatus",
            "How the instance `default` is.",
        )
        .gives::<LegacyStatus>(PROGRAMS),
        get(
            "/jdc/logs",
            "getDefaultLog",
            "Part of the log of the instance `default`.",
        )
        .asks(part())
        .answer(
            200,
            "As the log of an instance; before the first start without a record.",
            LOG,
            Some(|g| {
                let both = [shape::<LogPage>()(g), shape::<NoLog>()(g)];
                schemars::json_schema!({ "anyOf": both })
            }),
        )
        .fails(&[404]),
        get(
            "/config",
            "getActiveConfig",
            "The active configuration and its file, secrets masked.",
        )
        .gives::<LegacyConfig>(PROGRAMS)
        .fails(&[404, 422]),
        post(
            "/config",
            "saveActiveConfig",
            "Saves a new revision of the active configuration, or the first one.",
        )
        .takes([alone()])
        .open()
        .does::<Saved>()
        .fails(&[409]),
        post(
            "/config/validate",
            "validateConfig",
            "Says whether a configuration could be saved and run; nothing is saved.",
        )
        .takes([alone()])
        .open()
        .gives::<ValidPage>(PAGE),
    ]
}
