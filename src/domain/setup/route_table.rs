//! The routes of setup: operation, role, audit text and handler of each.

use super::routes;
use super::service::SetupService;
use axum::extract::FromRef;
use serde_json::json;
use strum::VariantNames;

use super::responses::{SetupDraft, SetupResult};
use super::step::SetupStep;
use super::views::StepPage;
use super::views::watch::WatchPage;
use crate::domain::configs::{ConfigValidation, MiningMode};
use crate::web::MessageResponse;
use crate::web::openapi::{
    PAGE, PAGE_OR_STREAM, RouteTable, RouterState, flag, get, member, one_of, post, shape, text,
};
use crate::web::respond::SuccessResponse;

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    SetupService: FromRef<S>,
{
    let step = || one_of("step", "The step.", SetupStep::VARIANTS);
    let rejected = || {
        flag(
            "rejected",
            "Show the errors of the step, after a redirect from a rejected form.",
        )
        .or(false)
    };
    let socket = |name| {
        text(name, "Defaults to a port that no other configuration uses.").like("127.0.0.1:34265")
    };
    RouteTable::new()
.add(get("/setup", "showSetup", "Shows the first page of setup and the unfinished setups.")
            .asks([rejected()])
            .gives::<StepPage>(PAGE).for_admins(), routes::start)
.add(post("/setup", "setUp", "Creates a configuration and an instance, and starts the instance. A form starts the step-by-step setup.")
            .takes([
                text("name", "The name of the configuration and the instance.").longest(64).like("barn").required(),
                one_of("mode", "The mining mode, as in a configuration.", MiningMode::VARIANTS).like("SOLOMINING").required(),
                member(
                    "template_provider",
                    "The template provider, as `template_provider_type` in a configuration.",
                    json!({ "type": "object", "examples": [{ "Sv2Tp": { "address": "127.0.0.1:8442" } }] }),
                )
                .also_called("template_provider_type")
                .required(),
                member(
                    "pools",
                    "The pools, as `upstreams` in a configuration, or `{\"known\": …, \"user_identity\": …}` for a known pool.",
                    json!({ "type": "array", "items": { "type": "object" } }),
                )
                .also_called("upstreams"),
                text("payout", "The payout: an address or a descriptor.").also_called("coinbase_reward_script").required(),
                one_of(
                    "network",
                    "The network that the node behind the template provider uses. Only for a template provider reached by address.",
                    &["mainnet", "testnet4", "signet", "regtest"],
                ),
                socket("listening_address"),
                socket("monitoring_address"),
                member(
                    "translator",
                    "The port for Stratum V1 miners, as in a configuration. None if omitted.",
                    json!({ "type": "object", "examples": [{ "enabled": true }] }),
                ),
                text("jdc_signature", "The coinbase tag."),
                flag("start", "If false, the instance is created but not started.").or(true),
            ])
            .answer(
                201,
                "Created; `Location` is its path. A form gets `setup_id` and `next`.",
                &["application/json"],
                Some(|g| {
                    let both = [
                        shape::<SuccessResponse<SetupResult>>()(g),
                        shape::<SuccessResponse<SetupDraft>>()(g),
                    ];
                    schemars::json_schema!({ "anyOf": both })
                }),
            )
            .answer(303, "Redirect to the next page, for forms that accept HTML.", &[], None)
            .fails(&[409]).for_admins().audited("started a setup"), routes::begin)
.add(get("/setup/watch/{id}", "watchSetup", "Shows a new instance until it is running, with the addresses for miners.")
            .about("The event stream sends `instance` events.")
            .gives::<WatchPage>(PAGE_OR_STREAM), routes::watch)
.add(get("/setup/{id}/{step}", "showSetupStep", "Shows a step of a setup.").named(step()).asks([rejected()]).gives::<StepPage>(PAGE).for_admins(), routes::show)
.add(post(
            "/setup/{id}/{step}",
            "answerSetupStep",
            "Saves the answers and continues. The last step creates and starts the instance.",
        )
        .about("The fields of the step have the names used in `answers`.")
        .named(step())
        .takes([text("action", "`back` goes to the previous step.")])
        .open()
        .answer(200, "The next step.", &["application/json"], Some(shape::<SuccessResponse<SetupDraft>>()))
        .answer(201, "Created; `Location` is its path.", &["application/json"], Some(shape::<SuccessResponse<SetupResult>>()))
        .answer(303, "Redirect to the next page, for forms that accept HTML.", &[], None)
        .fails(&[409]).for_admins().audited("answered a setup step"), routes::answer)
.add(post("/setup/{id}/{step}/check", "checkSetupStep", "Checks a step without saving.")
            .named(step())
            .takes([text("action", "Ignored.")])
            .open()
            .gives::<ConfigValidation>(PAGE)
            .fails(&[409]).for_admins(), routes::check)
.add(post("/setup/{id}/delete", "discardSetup", "Deletes a setup and its answers.").does::<MessageResponse>().for_admins().audited("deleted a setup"), routes::discard)
}
