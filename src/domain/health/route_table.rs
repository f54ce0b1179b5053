//! The routes of health: operation, role, audit text and handler of each.

use super::remediation_policy::Remediation;
use super::responses::{
    CheckHistory, CheckResponse, HealthScore, HealthStatuses, RemediationSettingsResponse,
};
use super::routes::{self, HealthRoutesState};
use super::views::HealthPage;
use crate::web::openapi::{
    HTML, JSON, PAGE_OR_STREAM, PROGRAMS, RequestField, RouteTable, RouterState, flag, get, number,
    patch, post, shape, whole,
};
use axum::extract::FromRef;
use strum::VariantNames;

fn cures() -> impl Iterator<Item = RequestField> {
    Remediation::VARIANTS.iter().map(|cure| {
        flag(
            cure,
            "Whether this automatic fix is on. If omitted, it does not change.",
        )
    })
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    HealthRoutesState: FromRef<S>,
{
    RouteTable::new()
        .add(
            get(
                "/health/{id}",
                "getHealth",
                "Returns an instance's health: score, check results and facts from its log.",
            )
            .about("Event stream: sends `health` when it opens and after each change.")
            .gives::<HealthPage>(PAGE_OR_STREAM),
            routes::show,
        )
        .add(
            post(
                "/health/{id}/check",
                "checkHealth",
                "Runs all health checks now and stores the results.",
            )
            .answer(
                200,
                "The results.",
                &[JSON, HTML],
                Some(shape::<CheckResponse>()),
            )
            .answer(
                303,
                "Redirects a browser form to the health page.",
                &[],
                None,
            )
            .for_operators(),
            routes::check,
        )
        .add(
            get(
                "/health/{id}/history",
                "listHealthHistory",
                "Lists the stored health check results of an instance, newest first.",
            )
            .asks([
                whole("limit", "Maximum number of results.", 1, 1000).or(50),
                number("before", "Only results before this id."),
            ])
            .gives::<CheckHistory>(PROGRAMS),
            routes::history,
        )
        .add(
            get(
                "/health/{id}/status",
                "getHealthStatus",
                "Returns the latest result of each health check of an instance.",
            )
            .gives::<HealthStatuses>(PROGRAMS),
            routes::status,
        )
        .add(
            get(
                "/health/{id}/score",
                "getHealthScore",
                "Returns an instance's health score.",
            )
            .gives::<HealthScore>(PROGRAMS),
            routes::score,
        )
        .add(
            patch(
                "/health/{id}/cures",
                "changeCures",
                "Turns an instance's automatic fixes on or off.",
            )
            .takes(cures())
            .does::<RemediationSettingsResponse>()
            .for_operators()
            .audited("changed an instance's automatic fixes"),
            routes::cures,
        )
        .add(
            post(
                "/health/{id}/cures",
                "changeCuresByForm",
                "Same as PATCH, for forms: an unchecked box means off.",
            )
            .takes(cures())
            .does::<RemediationSettingsResponse>()
            .for_operators()
            .audited("changed an instance's automatic fixes"),
            routes::cures,
        )
}
