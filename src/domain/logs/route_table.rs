//! The routes of logs: operation, role, audit text and handler of each.

use super::offset::LogSelection;
use super::routes;
use super::service::LogService;
use super::views::LogPage;
use crate::domain::instances::filter_fields;
use crate::web::openapi::{
    LOG, RequestField, RouteTable, RouterState, TEXT, flag, get, member, one_of, text, whole,
};
use axum::extract::FromRef;
use serde_json::json;
use strum::VariantNames;

/// The parameters for a part of a log.
pub fn part() -> Vec<RequestField> {
    let place =
        json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(-[0-9]+)?$" });
    let [before, after] = [
        "Only records before this `seq`; with `program=all`, before the position `first` from another response. Not for streams, and not together with `after`.",
        "Only records after this `seq`; with `program=all`, after the position `last` from another response. For streams, `Last-Event-ID` has the same effect.",
    ];
    let at = text(
        "at",
        "Records around this time, in RFC 3339 or in the time zone of jd-manager, as in 2026-11-22T14:02. Or around a record: `client-SEQ` or `translator-SEQ`. Not for streams, and not together with `before` or `after`.",
    );
    let places = [
        member("before", before, place.clone()),
        member("after", after, place),
        at.like("2026-11-22T14:02:00Z"),
    ];
    let program = [program()];
    [&program[..], &[count(), wrap()], &places, &filter()].concat()
}

/// The parameters for a part of several logs.
fn part_of_several() -> Vec<RequestField> {
    let pattern = "^[0-9a-f]{12}\\.[0-9]+(-[0-9]+)?(_[0-9a-f]{12}\\.[0-9]+(-[0-9]+)?)*$";
    let place = json!({ "type": "string", "pattern": pattern });
    let [before, after] = [
        "Only records before the position `first` from another response. Not for streams, and not together with `after`.",
        "Only records after the position `last` from another response. For streams, `Last-Event-ID` has the same effect.",
    ];
    let at = text(
        "at",
        "Records around this time, in RFC 3339 or in the time zone of jd-manager, as in 2026-11-22T14:02. Not for streams, and not together with `before` or `after`.",
    );
    let places = [
        member("before", before, place.clone()),
        member("after", after, place),
        at.like("2026-11-22T14:02:00Z"),
    ];
    [
        &instances()[..],
        &[program(), count(), wrap()],
        &places,
        &filter(),
    ]
    .concat()
}

/// The parameters that select instances: those of a list, but `q` is a text in the log.
fn instances() -> Vec<RequestField> {
    let mut fields = filter_fields();
    fields.retain(|field| field.name != "q");
    let about = "Only the instance with this name or id. Can be repeated.";
    let schema = json!({ "type": "array", "items": { "type": "string" } });
    fields.insert(0, member("instance", about, schema));
    fields
}

fn count() -> RequestField {
    whole(
        "count",
        "Maximum number of records; fewer if their messages exceed 256 KiB in total.",
        1,
        1000,
    )
    .or(100)
}

fn wrap() -> RequestField {
    one_of(
        "wrap",
        "`off`: pages do not wrap long lines.",
        &["on", "off"],
    )
    .or("on")
}

fn program() -> RequestField {
    one_of(
        "program",
        "The program that wrote the log; `all`: both, merged by time.",
        LogSelection::VARIANTS,
    )
    .or("client")
}

/// The parameters that select records.
fn filter() -> [RequestField; 3] {
    [
        one_of(
            "level",
            "Only records of this level or higher.",
            &["trace", "debug", "info", "warn", "error"],
        ),
        text(
            "q",
            "Text in the message or module; case is ignored. With `regex`, a regular expression of at most 500 characters.",
        ),
        flag("regex", "`q` is a regular expression.").or(false),
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
            .asks([&[program()][..], &filter()].concat())
            .gives_file(&[TEXT])
            .fails(&[422]), routes::file)
.add(get("/logs", "getLogs", "Returns part of the logs of several instances, merged by time, oldest record first.")
            .about(
                "At most 50 instances; without a parameter, all. As an event stream: new records, `skipped` if lines were missed. \
                 As plain text: the whole available logs.",
            )
            .asks(part_of_several())
            .gives::<LogPage>(LOG), routes::all)
.add(get("/log.txt", "downloadLogs", "Downloads the whole logs of several instances as plain text.")
            .asks([&instances()[..], &[program()], &filter()].concat())
            .gives_file(&[TEXT])
            .fails(&[422]), routes::all_file)
}
