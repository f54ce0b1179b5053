//! What the API's documentation says of health.

use super::remediation_policy::Remediation;
use super::responses::{
    CheckHistory, CheckResponse, HealthScore, HealthStatuses, RemediationSettingsResponse,
};
use super::views::HealthPage;
use crate::web::openapi::{
    ApiOperation, HTML, JSON, PAGE_OR_STREAM, PROGRAMS, RequestField, flag, get, number, patch,
    post, shape, whole,
};

fn cures() -> impl Iterator<Item = RequestField> {
    Remediation::ALL.into_iter().map(|cure| {
        flag(
            cure.as_str(),
            "Whether this cure is tried; not mentioned: as it is.",
        )
    })
}

/// The operations.
pub fn operations() -> Vec<ApiOperation> {
    vec![
        get(
            "/health/{id}",
            "getHealth",
            "How an instance is: its score, every check, what its log says.",
        )
        .about("As an event stream: an event `health` at the opening and after each change.")
        .gives::<HealthPage>(PAGE_OR_STREAM),
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
        ),
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
        get(
            "/health/{id}/status",
            "getHealthStatus",
            "The last result of every check of an instance.",
        )
        .gives::<HealthStatuses>(PROGRAMS),
        get(
            "/health/{id}/score",
            "getHealthScore",
            "How an instance is, in one number.",
        )
        .gives::<HealthScore>(PROGRAMS),
        patch(
            "/health/{id}/cures",
            "changeCures",
            "Chooses which cures are tried on an instance.",
        )
        .takes(cures())
        .does::<RemediationSettingsResponse>(),
        post(
            "/health/{id}/cures",
            "changeCuresByForm",
            "The same as PATCH, for forms: what is not ticked is off.",
        )
        .takes(cures())
        .does::<RemediationSettingsResponse>(),
    ]
}
