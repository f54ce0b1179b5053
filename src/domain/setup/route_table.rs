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
    let step = || one_of("step", "Which step.", SetupStep::VARIANTS);
    let rejected = || {
        flag(
            "rejected",
            "With what is wrong with the step: where a rejected form leads.",
        )
        .or(false)
    };
    let socket = |name| {
        text(
            name,
            "A port that no other configuration uses, if left out.",
        )
        .like("127.0.0.1:34265")
    };
    RouteTable::new()
.add(get("/setup", "showSetup", "The first page of setup, with the setups that can be gone on with.")
            .asks([rejected()])
            .gives::<StepPage>(PAGE), routes::start)
.add(post("/setup", "setUp", "Makes a configuration and an instance, and starts it; a form begins page by page.")
            .takes([
                text("name", "Of the configuration and of the instance.").longest(64).like("barn").required(),
                one_of("mode", "As in a configuration.", MiningMode::VARIANTS).like("SOLOMINING").required(),
                member(
                    "template_provider",
                    "As `template_provider_type` in a configuration.",
                    json!({ "type": "object", "examples": [{ "Sv2Tp": { "address": "127.0.0.1:8442" } }] }),
                )
                .also_called("template_provider_type")
                .required(),
                member(
                    "pools",
                    "As `upstreams` in a configuration, or `{\"known\": …, \"user_identity\": …}` for one of the list.",
                    json!({ "type": "array", "items": { "type": "object" } }),
                )
                .also_called("upstreams"),
                text("payout", "An address or a descriptor.").also_called("coinbase_reward_script").required(),
                one_of(
                    "network",
                    "The chain behind a template provider that is reached by address.",
                    &["mainnet", "testnet4", "signet", "regtest"],
                ),
                socket("listening_address"),
                socket("monitoring_address"),
                text("jdc_signature", "Text in blocks."),
                flag("start", "false: make it and leave it stopped.").or(true),
            ])
            .answer(
                201,
                "It is made; `Location` says where it is. Started by a form: `setup_id` and `next`.",
                &["application/json"],
                Some(|g| {
                    let both = [
                        shape::<SuccessResponse<SetupResult>>()(g),
                        shape::<SuccessResponse<SetupDraft>>()(g),
                    ];
                    schemars::json_schema!({ "anyOf": both })
                }),
            )
            .answer(303, "For a form that asks for HTML: the next page.", &[], None)
            .fails(&[409]).for_admins().audited("began a setup"), routes::begin)
.add(get("/setup/watch/{id}", "watchSetup", "A new instance until it serves miners, with what miners connect to.")
            .about("As an event stream: events `instance`.")
            .gives::<WatchPage>(PAGE_OR_STREAM), routes::watch)
.add(get("/setup/{id}/{step}", "showSetupStep", "A step of a setup.").named(step()).asks([rejected()]).gives::<StepPage>(PAGE), routes::show)
.add(post(
            "/setup/{id}/{step}",
            "answerSetupStep",
            "Keeps what was typed and goes on; in the last step saves, makes and starts.",
        )
        .about("The fields of the step under the names of `answers`.")
        .named(step())
        .takes([text("action", "`back`: to the step before.")])
        .open()
        .answer(200, "The next step.", &["application/json"], Some(shape::<SuccessResponse<SetupDraft>>()))
        .answer(201, "It is made; `Location` says where it is.", &["application/json"], Some(shape::<SuccessResponse<SetupResult>>()))
        .answer(303, "For a form that asks for HTML: the next page.", &[], None)
        .fails(&[409]).for_admins().audited("answered a step of a setup"), routes::answer)
.add(post("/setup/{id}/{step}/check", "checkSetupStep", "Says what there is to say about a step and keeps nothing.")
            .named(step())
            .takes([text("action", "Passed over.")])
            .open()
            .gives::<ConfigValidation>(PAGE)
            .fails(&[409]).for_admins(), routes::check)
.add(post("/setup/{id}/delete", "discardSetup", "Throws away what was typed.").does::<MessageResponse>().for_admins().audited("gave up a setup"), routes::discard)
}
