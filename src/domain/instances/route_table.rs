//! The routes of instances: operation, role, audit text and handler of each.

use super::list_page::{InstanceListState, NOTHING_SELECTED};
use super::routes;
use super::service::InstanceService;
use axum::extract::FromRef;

use super::draft::instance_fields;
use super::list_query::list_fields;
use super::list_view::InstanceListPage;
use super::service::InstanceActionResult;
use super::views::{
    EventsPage, InstanceChangeResponse, InstanceCreatedResponse, InstanceFormPage, InstanceRemoval,
    TrialPage,
};
use crate::web::ConfirmPage;
use crate::web::openapi::{
    ApiOperation, PAGE, PAGE_OR_STREAM, RequestField, RouteTable, RouterState, delete, get, id,
    number, one_of, patch, post, shape, text, whole,
};

/// The redirect of a form.
pub fn next() -> RequestField {
    text("next", "Path on this site to redirect a browser to.").like("/instances")
}

/// The parameters of the list.
fn list_parameters() -> Vec<RequestField> {
    let mut fields = list_fields();
    fields.push(one_of(
        "notice",
        "HTML only: notice after a bulk action without a selection.",
        &[NOTHING_SELECTED],
    ));
    fields
}

fn history(path: &'static str, name: &'static str, summary: &'static str) -> ApiOperation {
    get(path, name, summary)
        .asks([
            whole("limit", "Maximum number of results.", 1, 1000).or(100),
            number("before", "Only events before this id."),
            number(
                "after",
                "Event stream only: events after this id, same as `Last-Event-ID`.",
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
    RouteTable::new()
// Programs may use the id, so it stays.
.add(get("/", "showOverview", "Lists instances, the same as `/instances`.")
            .about("The event stream sends new `instance` and `list` events.")
            .asks(list_parameters())
            .gives::<InstanceListPage>(PAGE_OR_STREAM), routes::list)
.add(get("/instances", "listInstances", "Lists the instances that match, oldest first or in the given order.")
            .about("The event stream sends new `instance` and `list` events.")
            .asks(list_parameters())
            .gives::<InstanceListPage>(PAGE_OR_STREAM), routes::list)
.add(post("/instances", "createInstance", "Creates an instance without starting it.")
            .takes(instance_fields(true))
            .makes::<InstanceCreatedResponse>()
            .fails(&[409]).for_admins().audited("created an instance"), routes::create)
.add(get("/instances/new", "showNewInstance", "Shows the form for a new instance, for browsers.")
            .asks([id("config", "Id of the preselected configuration.")])
            .gives::<InstanceFormPage>(PAGE).for_admins(), routes::new)
.add_with_form(patch("/instances/{id}", "changeInstance", "Changes the given settings of an instance.")
            .about("`restart_policy` and `restart_limit` take effect immediately, everything else at the next start.")
            .takes(instance_fields(false))
            .does::<InstanceChangeResponse>()
            .fails(&[409]).for_admins().audited("changed an instance"), routes::change, "/instances/{id}")
.add_with_form(delete("/instances/{id}", "deleteInstance", "Stops an instance and deletes it and its events, log and files.")
            .does::<InstanceActionResult>().for_admins().audited("deleted an instance"), routes::delete, "/instances/{id}/delete")
.add(get("/instances/{id}/settings", "showInstanceSettings", "Shows the settings form of an instance, for browsers.")
            .gives::<InstanceFormPage>(PAGE), routes::settings)
.add(get("/instances/{id}/address.svg", "drawMinerAddress", "Draws the first address for miners as a QR code.")
            .asks([one_of("protocol", "Stratum V1 or V2.", &["v1", "v2"]).or("v2")])
            .gives_file(&["image/svg+xml"])
            .fails(&[422]), routes::address_image)
.add(act("/instances/{id}/start", "startInstance", "Starts an instance.").for_operators().audited("started an instance"), routes::start)
.add(act("/instances/{id}/stop", "stopInstance", "Stops an instance and waits up to 20 s until its client has exited.").for_operators().audited("stopped an instance"), routes::stop)
.add(act("/instances/{id}/restart", "restartInstance", "Restarts an instance with the latest revision of its configuration.")
            .about("With `program=translator`: only its translator, with its current configuration.")
            .asks([one_of("program", "`translator` restarts only the translator. Default: `client`, with its translator.", &["client", "translator"])])
            .for_operators().audited("restarted an instance"), routes::restart)
.add(get("/instances/{id}/delete", "askDeleteInstance", "Shows the confirmation page for deleting an instance, for browsers.")
            .gives::<ConfirmPage<InstanceRemoval>>(PAGE).for_admins(), routes::ask_delete)
.add(history("/instances/{id}/events", "listInstanceEvents", "Lists the state changes of an instance, newest first."), routes::events)
.add(history("/events", "listEvents", "Lists the state changes of all instances, newest first."), routes::all_events)
}

/// The test of a configuration, documented with the configurations.
pub fn trial_routes<S>() -> RouteTable<S>
where
    S: RouterState,
    InstanceService: FromRef<S>,
{
    RouteTable::new().add(
        post(
            "/saved-configs/{id}/trial",
            "tryConfiguration",
            "Tests a configuration with the real programs in a sandbox, and probes the servers that it names.",
        )
        .may_take([text(
            "client_version",
            "Name of an installed client. Default: the client in use.",
        )
        .like("0.6.0")])
        .answer(
            200,
            "The result, accepted or not.",
            PAGE,
            Some(shape::<TrialPage>()),
        )
        .for_operators()
        .audited("tested a configuration"),
        routes::try_config,
    )
}
