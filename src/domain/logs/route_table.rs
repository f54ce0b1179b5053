//! The routes of logs: operation, role, audit text and handler of each.

use super::routes::{self, LogPagesState};
use super::views::{InstancePage, LogPage};
use crate::web::openapi::{
    LOG, PAGE, RequestField, RouteTable, RouterState, TEXT, get, member, one_of, text, whole,
};
use axum::extract::FromRef;
use serde_json::json;

/// The parameters for a part of a log.
pub fn part() -> [RequestField; 5] {
    let seq = |name, about| member(name, about, json!({ "type": "integer", "minimum": 0 }));
    let [level, q] = filter();
    [
        whole(
            "count",
            "Maximum number of records; fewer if their messages exceed 256 KiB in total.",
            1,
            1000,
        )
        .or(100),
        seq(
            "before",
            "Only records before this `seq`. Not for streams, and not together with `after`.",
        ),
        seq(
            "after",
            "Only records after this `seq`. For streams, `Last-Event-ID` has the same effect.",
        ),
        level,
        q,
    ]
}

fn filter() -> [RequestField; 2] {
    [
        one_of(
            "level",
            "Only records of this level or higher.",
            &["trace", "debug", "info", "warn", "error"],
        ),
        text("q", "Text in the message or module; case is ignored."),
    ]
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    LogPagesState: FromRef<S>,
{
    RouteTable::new()
.add(get("/instances/{id}/logs", "getLog", "Returns part of an instance's log, oldest record first.")
            .about(
                "As an event stream: new records, `instance` after each change, `skipped` if lines were missed. As plain text: \
                 the whole available log.",
            )
            .asks(part())
            .gives::<LogPage>(LOG), routes::log)
.add(get("/instances/{id}/log.txt", "downloadLog", "Downloads an instance's whole log as plain text.")
            .asks(filter())
            .gives_file(&[TEXT])
            .fails(&[422]), routes::file)
}

/// The page of an instance, which shows its log.
pub fn instance_routes<S>() -> RouteTable<S>
where
    S: RouterState,
    LogPagesState: FromRef<S>,
{
    RouteTable::new().add(
        get(
            "/instances/{id}",
            "getInstance",
            "Returns an instance, with warnings about its configuration.",
        )
        .gives::<InstancePage>(PAGE),
        routes::show,
    )
}
