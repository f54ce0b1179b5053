//! The routes of actions on several instances: operation, role, audit text and handler of each.

use axum::extract::FromRef;
use serde_json::json;
use strum::VariantNames;

use super::action::{BulkActionKind, parameter_fields};
use super::jobs::BulkJobs;
use super::routes;
use super::views::{BulkCancelResponse, BulkJobPage, BulkJobsPage, BulkStartResponse};
use crate::domain::instances::filter_fields;
use crate::web::openapi::{
    PAGE, PAGE_OR_STREAM, RequestField, RouteTable, RouterState, flag, get, list, member, number,
    object, one_of, post, text, whole,
};
use crate::web::respond::MessageResponse;

/// The filter in the body of an action.
fn bulk_filter() -> RequestField {
    let about = "The instances that match these list parameters, instead of `ids`. A form has the query of a list.";
    member("filter", about, object(&filter_fields()).into()).like(json!({ "state": "failed" }))
}

fn next() -> RequestField {
    text("next", "For forms: the page to return to.").like("/instances")
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    BulkJobs: FromRef<S>,
{
    RouteTable::new()
.add(post("/instances/actions", "actOnInstances", "Runs an action on several instances and returns a result for each.")
            .about("Instances that the action does not apply to are skipped: `start` skips those that run, `stop` and `restart` those that do not, and settings those that have them already. \
                   A few instances have their turn at the same time. If it takes longer than 2 s, the response is 202 with a job. \
                   `start`, `stop`, `restart` and `mute` require the operator role, the other actions the admin role. \
                   For forms: a page asks for missing parameters, and before deleting, stopping or restarting all that match.")
            .takes([
                one_of("action", "Action for each instance.", BulkActionKind::VARIANTS).required(),
                list("ids", "Ids of the instances."),
                flag("all", "All instances, instead of `ids`.").like(true),
                bulk_filter(),
                whole("count", "The number of instances that you expect to match; otherwise nothing is done. Required by `delete` with `all` or `filter`.", 0, i64::from(u32::MAX)),
            ])
            .more(parameter_fields())
            .gives::<BulkJobPage>(PAGE)
            .begins::<BulkStartResponse>()
            .fails(&[409]).for_operators().audited("ran an action on several instances"), routes::act)
.add(get("/jobs", "listBulkJobs", "Returns actions on several instances, newest first, without the results of each instance.")
            .asks([
                whole("limit", "Maximum number of jobs.", 1, 1000).or(100),
                whole("offset", "Number of jobs to skip.", 0, u32::MAX.into()).or(0),
            ])
            .gives::<BulkJobsPage>(PAGE), routes::list)
.add(get("/jobs/{id}", "getBulkJob", "Returns an action on several instances, in progress or finished.")
            .about("Event stream: sends `job` when it opens and after changes, until the job has finished.")
            .asks([number("after", "Event stream of a page only: rows that changed after this change.")])
            .gives::<BulkJobPage>(PAGE_OR_STREAM), routes::job)
.add(post("/jobs/{id}/dismiss", "dismissBulkJob", "Removes the notice about a finished job from the list of instances.")
            .acts([next()])
            .does::<MessageResponse>()
            .fails(&[409]).for_operators().audited("dismissed the notice about a job"), routes::dismiss)
.add(post("/jobs/{id}/cancel", "cancelBulkJob", "Cancels an action on several instances. Those in progress are completed.")
            .acts([])
            .does::<BulkCancelResponse>()
            .fails(&[409]).for_operators().audited("canceled an action on several instances"), routes::cancel)
}
