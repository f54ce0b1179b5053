//! The routes of logs: operation, role, audit text and handler of each.

use super::routes::{self, LogPagesState};
use super::views::{InstancePage, LogPage};
use crate::web::openapi::{
    LOG, PAGE, RequestField, RouteTable, RouterState, TEXT, get, member, one_of, text, whole,
};
use axum::extract::FromRef;
use serde_json::json;

/// Which part of a log.
pub fn part() -> [RequestField; 5] {
    let seq = |name, about| member(name, about, json!({ "type": "integer", "minimum": 0 }));
    let [level, q] = filter();
    [
        whole(
            "count",
            "At most so many records; fewer if their messages have more than 256 KiB together.",
            1,
            1000,
        )
        .or(100),
        seq(
            "before",
            "Those before this `seq`. Not as a stream, and not with `after`.",
        ),
        seq(
            "after",
            "Those after this `seq`; as a stream `Last-Event-ID` does the same.",
        ),
        level,
        q,
    ]
}

fn filter() -> [RequestField; 2] {
    [
        one_of(
            "level",
            "This level and graver ones.",
            &["trace", "debug", "info", "warn", "error"],
        ),
        text("q", "A text in message or module, in any case."),
    ]
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    LogPagesState: FromRef<S>,
{
    RouteTable::new()
.add(get("/instances/{id}/logs", "getLog", "Part of the log of an instance, oldest record first.")
            .about(
                "As an event stream: records as they come, `instance` after each change, `skipped` when lines were missed. As plain text: \
                 all that is kept, as the client wrote it.",
            )
            .asks(part())
            .gives::<LogPage>(LOG), routes::log)
.add(get("/instances/{id}/log.txt", "downloadLog", "The whole log of an instance as plain text, for a link.")
            .asks(filter())
            .gives_file(&[TEXT])
            .fails(&[422]), routes::file)
}

/// The page of an instance, which shows its log and belongs to instances.
pub fn instance_routes<S>() -> RouteTable<S>
where
    S: RouterState,
    LogPagesState: FromRef<S>,
{
    RouteTable::new().add(
        get(
            "/instances/{id}",
            "getInstance",
            "An instance, with what is doubtful about its configuration.",
        )
        .gives::<InstancePage>(PAGE),
        routes::show,
    )
}
