//! The routes of alerts: operation, role, audit text and handler of each.

use super::routes;
use super::service::Alerts;
use axum::extract::FromRef;
use strum::VariantNames;

use super::channel_draft::channel_fields;
use super::channel_kinds::KINDS;
use super::model::{AlertRule, RuleCondition};
use super::rule_draft::rule_fields;
use super::views::responses::{
    ChannelKinds, ChannelResponse, RuleKinds, RuleResponse, SilenceResponse,
};
use super::views::{AlertRemoval, AlertsPage, ChannelView, DeliveriesPage, TestPage};
use crate::web::ConfirmPage;
use crate::web::MessageResponse;
use crate::web::openapi::{
    PAGE, RequestField, RouteTable, RouterState, delete, get, id, number, one_of, post, put, shape,
    text, whole,
};

fn next() -> RequestField {
    text(
        "next",
        "The page a browser is sent to afterwards, a path on this site.",
    )
    .like("/alerts")
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    Alerts: FromRef<S>,
{
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let place = || text("id", "Its `place`.").like("rule-3");
    let delivery = || number("id", "Its number.").like(7);
    RouteTable::new()
.add(get(
            "/alerts",
            "getAlerts",
            "Rules, channels, what holds now, silences, the last deliveries.",
        )
        .asks([id(
            "instance",
            "For people: the instance that is to be silenced.",
        )])
        .gives::<AlertsPage>(PAGE), routes::show)
.add(post(
            "/alerts/channels",
            "createChannel",
            "Makes a channel that alerts are sent to.",
        )
        .takes(channel_fields(true))
        .makes::<ChannelResponse>()
        .fails(&[409]).for_admins().audited("made a channel"), routes::create_channel)
.add(get(
            "/alerts/channels/new",
            "showNewChannel",
            "The form of a new channel, for people.",
        )
        .asks([one_of("kind", "Of this kind.", &kinds)])
        .gives::<ChannelKinds>(PAGE), routes::new_channel)
.add(get(
            "/alerts/channels/{id}",
            "getChannel",
            "A channel; for people its form.",
        )
        .gives::<ChannelView>(PAGE)
        .fails(&[409]), routes::channel)
.add_with_form(put(
            "/alerts/channels/{id}",
            "changeChannel",
            "Changes what is mentioned of a channel.",
        )
        .about("A secret that is masked, empty or not sent stays; null takes an optional one away.")
        .takes(channel_fields(false))
        .does::<ChannelResponse>()
        .fails(&[409]).for_admins().audited("changed a channel"), routes::update_channel, "/alerts/channels/{id}")
.add_with_form(delete(
            "/alerts/channels/{id}",
            "deleteChannel",
            "Deletes a channel and what waits for it.",
        )
        .does::<MessageResponse>()
        .fails(&[409]).for_admins().audited("deleted a channel"), routes::delete_channel, "/alerts/channels/{id}/delete")
.add(get(
            "/alerts/channels/{id}/delete",
            "askDeleteChannel",
            "The question before a channel is deleted, for people.",
        )
        .gives::<ConfirmPage<AlertRemoval>>(PAGE)
        .fails(&[409]), routes::ask_delete_channel)
.add(post(
            "/alerts/channels/{id}/test",
            "testChannel",
            "Sends a test message at once.",
        )
        .gives::<TestPage>(PAGE)
        .answer(
            502,
            "The receiver did not take it.",
            PAGE,
            Some(shape::<TestPage>()),
        )
        .fails(&[409]).for_operators().audited("sent a test message"), routes::test_channel)
.add(post(
            "/alerts/rules",
            "createRule",
            "Makes a rule that is watched from now on.",
        )
        .takes(rule_fields(true))
        .makes::<RuleResponse>()
        .fails(&[409]).for_admins().audited("made a rule"), routes::create_rule)
.add(get(
            "/alerts/rules/new",
            "showNewRule",
            "The form of a new rule, for people.",
        )
        .asks([
            one_of("kind", "Of this kind.", RuleCondition::VARIANTS),
            id("instance", "Of this instance."),
        ])
        .gives::<RuleKinds>(PAGE), routes::new_rule)
.add(get(
            "/alerts/rules/{id}",
            "getRule",
            "A rule; for people its form.",
        )
        .gives::<AlertRule>(PAGE)
        .fails(&[409]), routes::rule)
.add_with_form(put(
            "/alerts/rules/{id}",
            "changeRule",
            "Changes what is mentioned of a rule.",
        )
        .takes(rule_fields(false))
        .does::<RuleResponse>()
        .fails(&[409]).for_admins().audited("changed a rule"), routes::update_rule, "/alerts/rules/{id}")
.add_with_form(delete("/alerts/rules/{id}", "deleteRule", "Deletes a rule.")
            .does::<MessageResponse>()
            .fails(&[409]).for_admins().audited("deleted a rule"), routes::delete_rule, "/alerts/rules/{id}/delete")
.add(get(
            "/alerts/rules/{id}/delete",
            "askDeleteRule",
            "The question before a rule is deleted, for people.",
        )
        .gives::<ConfirmPage<AlertRemoval>>(PAGE)
        .fails(&[409]), routes::ask_delete_rule)
.add_with_form(delete(
            "/alerts/unreadable/{id}",
            "deleteUnreadable",
            "Deletes a rule or a channel that cannot be read.",
        )
        .named(place())
        .does::<MessageResponse>()
        .fails(&[409]).for_admins().audited("deleted what cannot be read"), routes::delete_unreadable, "/alerts/unreadable/{id}/delete")
.add(get(
            "/alerts/unreadable/{id}/delete",
            "askDeleteUnreadable",
            "The question before that, for people.",
        )
        .named(place())
        .gives::<ConfirmPage<AlertRemoval>>(PAGE), routes::ask_delete_unreadable)
.add(post(
            "/alerts/silences",
            "silence",
            "Tells nothing of an instance for a while.",
        )
        .takes([
            id("instance_id", "Of which instance.").required(),
            routes::minutes()
            .required(),
            next(),
        ])
        .does::<SilenceResponse>().for_operators().audited("silenced an instance"), routes::silence)
.add(delete(
            "/alerts/silences/{id}",
            "endSilence",
            "Ends the silence of an instance.",
        )
        .does::<MessageResponse>().for_operators().audited("ended a silence"), routes::end_silence)
.add(post(
            "/alerts/silences/{id}/delete",
            "endSilenceByForm",
            "The same as DELETE, for forms.",
        )
        .acts([next()])
        .does::<MessageResponse>().for_operators().audited("ended a silence"), routes::end_silence)
.add(get(
            "/alerts/deliveries",
            "listDeliveries",
            "Messages on their way and what became of them, newest first.",
        )
        .asks([
            whole("limit", "At most so many.", 1, 1000).or(100),
            number("before", "Those before this one."),
        ])
        .gives::<DeliveriesPage>(PAGE), routes::deliveries)
.add(post(
            "/alerts/deliveries/{id}/again",
            "sendAgain",
            "Tries a message that was given up once more.",
        )
        .named(delivery())
        .acts([next()])
        .does::<MessageResponse>()
        .fails(&[409]).for_operators().audited("sent a message again"), routes::again)
}
