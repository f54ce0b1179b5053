//! The routes of instances on hosts: operation, role, audit text and handler of each.

use axum::extract::{FromRef, State};

use super::instance_routes::{InstancePart, act, change, show};
use super::route_table::name;
use super::service::HostService;
use crate::domain::health::views::HealthPage;
use crate::domain::instances::route_table::next;
use crate::domain::instances::views::{EventsPage, InstanceChangeResponse};
use crate::domain::instances::{InstanceActionResult, instance_fields};
use crate::domain::logs::views::LogPage;
use crate::domain::miners::views::MinersPage;
use crate::domain::overview::views::{ConfigurationPage, InstancePage};
use crate::web::openapi::{
    ApiOperation, HTML, JSON, RouteTable, RouterState, STREAM, Shape, get, patch, post, shape,
};
use crate::web::{PageForms, PageOrStream};

/// How reading differs from reading an instance of this machine.
const READ: &str =
    "The host responds. The query parameters are the same as for an instance of this jd-manager.";
/// How changing differs from changing an instance of this machine.
const CHANGE: &str = "jd-manager sends the request to the host once and returns its response. If the connection is lost before the response, the host may have carried out the request.";

fn read(
    path: &'static str,
    operation: &'static str,
    summary: &'static str,
    (types, body): (&'static [&'static str], Option<Shape>),
) -> ApiOperation {
    get(path, operation, summary)
        .about(READ)
        .named(name())
        .answer(200, "The response of the host.", types, body)
        .fails(&[503])
}

fn action(path: &'static str, operation: &'static str, summary: &'static str) -> ApiOperation {
    post(path, operation, summary)
        .about(CHANGE)
        .named(name())
        .acts([next()])
        .does::<InstanceActionResult>()
        .fails(&[409, 503])
        .for_operators()
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    HostService: FromRef<S>,
{
    let page: &[&str] = &[JSON, HTML];
    let stream: &[&str] = &[JSON, HTML, STREAM];
    let parts = [
        (
            read(
                "/hosts/{name}/instances/{id}",
                "getHostInstance",
                "Returns an instance of a host.",
                (page, Some(shape::<InstancePage>())),
            ),
            InstancePart::Overview,
        ),
        (
            read(
                "/hosts/{name}/instances/{id}/miners",
                "listHostInstanceMiners",
                "Returns the miners of an instance of a host.",
                (page, Some(shape::<MinersPage>())),
            ),
            InstancePart::Miners,
        ),
        (
            read(
                "/hosts/{name}/instances/{id}/configuration",
                "getHostInstanceConfiguration",
                "Returns the configuration of an instance of a host.",
                (page, Some(shape::<ConfigurationPage>())),
            ),
            InstancePart::Configuration,
        ),
    ];
    let streams = [
        (
            read(
                "/hosts/{name}/instances/{id}/logs",
                "readHostInstanceLog",
                "Returns a part of the log of an instance of a host.",
                (stream, Some(shape::<LogPage>())),
            ),
            InstancePart::Logs,
        ),
        (
            read(
                "/hosts/{name}/instances/{id}/metrics",
                "listHostInstanceSamples",
                "Returns the newest samples of an instance of a host, newest first. As HTML: charts.",
                (stream, None),
            ),
            InstancePart::Metrics,
        ),
        (
            read(
                "/hosts/{name}/instances/{id}/health",
                "getHostInstanceHealth",
                "Returns the health checks of an instance of a host.",
                (stream, Some(shape::<HealthPage>())),
            ),
            InstancePart::Health,
        ),
        (
            read(
                "/hosts/{name}/instances/{id}/events",
                "listHostInstanceEvents",
                "Returns the events of an instance of a host, newest first.",
                (stream, Some(shape::<EventsPage>())),
            ),
            InstancePart::Events,
        ),
    ];
    let mut table = RouteTable::new();
    for (operation, part) in parts {
        table = table.add(
            operation,
            async move |hosts: State<HostService>, names, id, want, query, headers, params| {
                show::<PageForms>(part, hosts, names, id, want, query, (headers, params)).await
            },
        );
    }
    for (operation, part) in streams {
        table = table.add(
            operation,
            async move |hosts: State<HostService>, names, id, want, query, headers, params| {
                show::<PageOrStream>(part, hosts, names, id, want, query, (headers, params)).await
            },
        );
    }
    let actions = [
        (
            action(
                "/hosts/{name}/instances/{id}/start",
                "startHostInstance",
                "Starts an instance of a host.",
            )
            .audited("started an instance of a host"),
            "start",
        ),
        (
            action(
                "/hosts/{name}/instances/{id}/stop",
                "stopHostInstance",
                "Stops an instance of a host.",
            )
            .audited("stopped an instance of a host"),
            "stop",
        ),
        (
            action(
                "/hosts/{name}/instances/{id}/restart",
                "restartHostInstance",
                "Restarts an instance of a host.",
            )
            .audited("restarted an instance of a host"),
            "restart",
        ),
    ];
    for (operation, action) in actions {
        table = table.add(
            operation,
            async move |hosts: State<HostService>, names, id, want, query, fields| {
                act(action, hosts, names, id, want, query, fields).await
            },
        );
    }
    table.add(
        patch(
            "/hosts/{name}/instances/{id}",
            "changeHostInstance",
            "Changes settings of an instance of a host.",
        )
        .about(CHANGE)
        .named(name())
        .takes(instance_fields(false))
        .does::<InstanceChangeResponse>()
        .fails(&[409, 503])
        .for_admins()
        .audited("changed an instance of a host"),
        change,
    )
}
