//! The routes of hosts: operation, role, audit text and handler of each.

use axum::extract::FromRef;

use super::responses::HostAddedResponse;
use super::routes;
use super::service::HostService;
use super::views::{HostPage, HostRemoval, HostsPage};
use crate::web::openapi::{PAGE, RequestField, RouteTable, RouterState, delete, get, post, text};
use crate::web::{ConfirmPage, MessageResponse};

pub(super) fn name() -> RequestField {
    text("name", "The host's name.").like("barn")
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    HostService: FromRef<S>,
{
    RouteTable::new()
        .add(
            get(
                "/hosts",
                "listHosts",
                "Lists the hosts with their state, and describes this jd-manager.",
            )
            .gives::<HostsPage>(PAGE),
            routes::list,
        )
        .add(
            post(
                "/hosts",
                "addHost",
                "Connects to a host over SSH and adds it to the list.",
            )
            .about(
                "A host that cannot be reached is added too; `host` and `setup` show what is missing there. A host cannot be added twice or to itself.",
            )
            .takes([
                text("name", "The name. By default, the host name in the address.")
                    .longest(64)
                    .like("barn"),
                text("address", "The address for ssh: a host name, user@host, ssh://user@host:port or an alias in ~/.ssh/config.")
                    .longest(255)
                    .like("ada@barn")
                    .required(),
            ])
            .makes::<HostAddedResponse>()
            .fails(&[409])
            .for_admins()
            .audited("added a host"),
            routes::add,
        )
        .add(
            get(
                "/hosts/{name}",
                "getHost",
                "Returns a host with its state, and the lines that it needs.",
            )
            .named(name())
            .gives::<HostPage>(PAGE),
            routes::show,
        )
        .add_with_form(
            delete(
                "/hosts/{name}",
                "removeHost",
                "Removes a host from the list. The host itself is not affected.",
            )
            .named(name())
            .does::<MessageResponse>()
            .for_admins()
            .audited("removed a host"),
            routes::remove,
            "/hosts/{name}/delete",
        )
        .add(
            get(
                "/hosts/{name}/delete",
                "askRemoveHost",
                "Asks for confirmation before removing a host, for browsers.",
            )
            .named(name())
            .gives::<ConfirmPage<HostRemoval>>(PAGE)
            .for_admins(),
            routes::ask_remove,
        )
}
