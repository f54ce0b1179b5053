//! The routes of logs: operation, role, audit text and handler of each.

use super::offset::LogSelection;
use super::routes;
use super::service::LogService;
use super::views::LogPage;
use crate::web::openapi::{
    LOG, RequestField, RouteTable, RouterState, TEXT, get, member, one_of, text, whole,
};
use axum::extract::FromRef;
use serde_json::json;
use strum::VariantNames;

/// The parameters for a part of a log.
pub fn part() -> [RequestField; 6] {
    let place =
        json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(-[0-9]+)?$" });
    let seq = |name, about| member(name, about, place.clone());
    let [program, level, q] = filter();
    [
        program,
        whole(
            "count",
            "Maximum number of records; fewer if their messages exceed 256 KiB in total.",
            1,
            1000,
        )
        .or(100),
        seq(
            "before",
            "Only records before this `seq`; with `program=all`, before the position `first` from another response. Not for streams, and not together with `after`.",
        ),
        seq(
            "after",
            "Only records after this `seq`; with `program=all`, after the position `last` from another response. For streams, `Last-Event-ID` has the same effect.",
        ),
        level,
        q,
    ]
}

fn filter() -> [RequestField; 3] {
    [
        one_of(
            "program",
            "The program that wrote the log; `all`: both, merged by time.",
            LogSelection::VARIANTS,
        )
        .or("client"),
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
    LogService: FromRef<S>,
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
