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
    Remediation::VARIANTS
        .iter()
        .map(|cure| flag(cure, "Whether this cure is tried; not mentioned: as it is."))
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
                "How an instance is: its score, every check, what its log says.",
            )
            .about("As an event stream: an event `health` at the opening and after each change.")
            .gives::<HealthPage>(PAGE_OR_STREAM),
            routes::show,
        )
        .add(
            post(
                "/health/{id}/check",
                "checkHealth",
                "Makes every check now and keeps the results.",
            )
            .answer(
                200,
                "The results.",
                &[JSON, HTML],
                Some(shape::<CheckResponse>()),
            )
            .answer(
                303,
                "For a form that asks for HTML: the page of its health.",
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
                "What the checks of an instance found, newest first.",
            )
            .asks([
                whole("limit", "At most so many.", 1, 1000).or(50),
                number("before", "Those before this one."),
            ])
            .gives::<CheckHistory>(PROGRAMS),
            routes::history,
        )
        .add(
            get(
                "/health/{id}/status",
                "getHealthStatus",
                "The last result of every check of an instance.",
            )
            .gives::<HealthStatuses>(PROGRAMS),
            routes::status,
        )
        .add(
            get(
                "/health/{id}/score",
                "getHealthScore",
                "How an instance is, in one number.",
            )
            .gives::<HealthScore>(PROGRAMS),
            routes::score,
        )
        .add(
            patch(
                "/health/{id}/cures",
                "changeCures",
                "Chooses which cures are tried on an instance.",
            )
            .takes(cures())
            .does::<RemediationSettingsResponse>()
            .for_operators()
            .audited("changed what is done by itself for an instance"),
            routes::cures,
        )
        .add(
            post(
                "/health/{id}/cures",
                "changeCuresByForm",
                "The same as PATCH, for forms: what is not ticked is off.",
            )
            .takes(cures())
            .does::<RemediationSettingsResponse>()
            .for_operators()
            .audited("changed what is done by itself for an instance"),
            routes::cures,
        )
}
