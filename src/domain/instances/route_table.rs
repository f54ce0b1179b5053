//! The routes of instances: operation, role, audit text and handler of each.

use super::list_page::InstanceListState;
use super::routes;
use super::service::InstanceService;
use axum::extract::FromRef;

use super::draft::instance_fields;
use super::routes::NOTHING_SELECTED;
use super::service::InstanceActionResult;
use super::views::{
    BulkPage, EventsPage, InstanceChangeResponse, InstanceCreatedResponse, InstanceFormPage,
    InstanceListPage, InstanceRemoval, TrialPage,
};
use crate::web::ConfirmPage;
use crate::web::openapi::{
    ApiOperation, PAGE, PAGE_OR_STREAM, RequestField, RouteTable, RouterState, delete, flag, get,
    id, list, number, one_of, patch, post, shape, text, whole,
};

/// Where a form goes afterwards.
pub fn next() -> RequestField {
    text(
        "next",
        "The page a browser is sent to afterwards, a path on this site.",
    )
    .like("/instances")
}

/// Which part of a list.
fn part() -> [RequestField; 3] {
    [
        whole("limit", "At most so many.", 1, 1000).or(1000),
        whole("offset", "Without the first so many.", 0, u32::MAX.into()).or(0),
        one_of(
            "notice",
            "What a page says at its top, after a bulk action without a selection.",
            &[NOTHING_SELECTED],
        ),
    ]
}

fn history(path: &'static str, name: &'static str, summary: &'static str) -> ApiOperation {
    get(path, name, summary)
        .asks([
            whole("limit", "At most so many.", 1, 1000).or(100),
            number("before", "Those before this one."),
            number(
                "after",
                "As a stream: those after this one; `Last-Event-ID` does the same.",
            ),
        ])
        .gives::<EventsPage>(PAGE_OR_STREAM)
}

fn act(path: &'static str, name: &'static str, summary: &'static str) -> ApiOperation {
    post(path, name, summary)
        .acts([next()])
        .does::<InstanceActionResult>()
        .fails(&[409])
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    InstanceService: FromRef<S>,
    InstanceListState: FromRef<S>,
{
    let overview = "As JSON the same as `/instances`. As an event stream: events `instance` and `list`, from now on.";
    RouteTable::new()
.add(get("/", "showOverview", "The overview of all instances.")
            .about(overview)
            .asks(part())
            .gives::<InstanceListPage>(PAGE_OR_STREAM), routes::overview)
.add(get("/instances", "listInstances", "Lists the instances, oldest first.")
            .about("As an event stream: events `instance` and `list`, from now on.")
            .asks(part())
            .gives::<InstanceListPage>(PAGE_OR_STREAM), routes::list)
.add(post("/instances", "createInstance", "Makes an instance; it is not started.")
            .takes(instance_fields(true))
            .makes::<InstanceCreatedResponse>()
            .fails(&[409]).for_admins().audited("made an instance"), routes::create)
.add(get("/instances/new", "showNewInstance", "The form of a new instance, for people.")
            .asks([id("config", "The configuration that is chosen at first.")])
            .gives::<InstanceFormPage>(PAGE), routes::new)
.add(post("/instances/actions", "actOnInstances", "Starts, stops or restarts many instances at once, with a result for each.")
            .takes([
                one_of("action", "What is done.", &["start", "stop", "restart"]).required(),
                list("ids", "With whom. `restart` skips those that do not run."),
                flag("all", "With all of them, in place of `ids`.").like(true),
            ])
            .gives::<BulkPage>(PAGE).for_operators().audited("did something with several instances"), routes::bulk)
.add_with_form(patch("/instances/{id}", "changeInstance", "Changes what is mentioned of an instance.")
            .about("`restart_policy` and `restart_limit` hold at once, everything else from the next start on.")
            .takes(instance_fields(false))
            .does::<InstanceChangeResponse>()
            .fails(&[409]).for_admins().audited("changed an instance"), routes::change, "/instances/{id}")
.add_with_form(delete("/instances/{id}", "deleteInstance", "Stops an instance and removes it with its history, log and files.")
            .does::<InstanceActionResult>().for_admins().audited("deleted an instance"), routes::delete, "/instances/{id}/delete")
.add(get("/instances/{id}/settings", "showInstanceSettings", "The form of an instance, for people.")
            .gives::<InstanceFormPage>(PAGE), routes::settings)
.add(act("/instances/{id}/start", "startInstance", "Starts an instance.").for_operators().audited("started an instance"), routes::start)
.add(act("/instances/{id}/stop", "stopInstance", "Stops an instance and waits for its client to end, at most 20 s.").for_operators().audited("stopped an instance"), routes::stop)
.add(act("/instances/{id}/restart", "restartInstance", "Stops an instance and starts it again with the newest configuration.").for_operators().audited("restarted an instance"), routes::restart)
.add(get("/instances/{id}/delete", "askDeleteInstance", "The question before an instance is deleted, for people.")
            .gives::<ConfirmPage<InstanceRemoval>>(PAGE), routes::ask_delete)
.add(history("/instances/{id}/events", "listInstanceEvents", "The changes of state of an instance, newest first."), routes::events)
.add(history("/events", "listEvents", "The changes of state of all instances, newest first."), routes::all_events)
}

/// What is done with an instance of a configuration and belongs to configurations.
pub fn trial_routes<S>() -> RouteTable<S>
where
    S: RouterState,
    InstanceService: FromRef<S>,
{
    RouteTable::new().add(
        post(
            "/saved-configs/{id}/trial",
            "tryConfiguration",
            "Runs a real client, shut in, to see whether it takes a configuration.",
        )
        .may_take([text(
            "client_version",
            "An installed client; without it the one in use.",
        )
        .like("0.6.0")])
        .answer(
            200,
            "What came of it, whatever it was.",
            PAGE,
            Some(shape::<TrialPage>()),
        )
        .for_operators()
        .audited("tried a configuration"),
        routes::try_config,
    )
}
