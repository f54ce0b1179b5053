//! The routes of rollouts: operation, role, audit text and handler of each.

use axum::extract::FromRef;

use super::routes;
use super::service::RolloutService;
use super::views::{RolloutPage, RolloutResponse, RolloutsPage};
use crate::domain::updates::gate_fields;
use crate::web::openapi::{PAGE, RouteTable, RouterState, get, list, post, text};

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    RolloutService: FromRef<S>,
{
    RouteTable::new()
        .add(
            get("/rollouts", "listRollouts", "Lists the last 100 rollouts, newest first.")
                .gives::<RolloutsPage>(PAGE),
            routes::list,
        )
        .add(
            post(
                "/rollouts",
                "startRollout",
                "Gives hosts a client version, one host after the other.",
            )
            .about("Each host updates one of its instances first and rolls back if it does not work. The rollout stops at the first host that fails.")
            .takes([
                text("version", "Release tag or name of an installed client. A host that does not have it installs it.")
                    .like("v0.8.0")
                    .required(),
                list("hosts", "Names of hosts in their order. Default: all hosts by name."),
            ])
            .more(gate_fields())
            .begins::<RolloutResponse>()
            .fails(&[409])
            .for_operators()
            .audited("started a rollout"),
            routes::begin,
        )
        .add(
            get("/rollouts/{id}", "getRollout", "Returns a rollout.").gives::<RolloutPage>(PAGE),
            routes::show,
        )
        .add(
            post(
                "/rollouts/{id}/resume",
                "resumeRollout",
                "Resumes a rollout at the host where it stopped.",
            )
            .acts([])
            .begins::<RolloutResponse>()
            .fails(&[409])
            .for_operators()
            .audited("resumed a rollout"),
            routes::resume,
        )
        .add(
            post(
                "/rollouts/{id}/cancel",
                "cancelRollout",
                "Cancels a rollout. A job that has begun on a host goes on there.",
            )
            .acts([])
            .begins::<RolloutResponse>()
            .fails(&[409])
            .for_operators()
            .audited("canceled a rollout"),
            routes::cancel,
        )
}
