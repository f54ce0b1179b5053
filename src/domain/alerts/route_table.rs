//! The routes of alerts: operation, role, audit text and handler of each.

use super::routes;
use super::service::Alerts;
use axum::extract::FromRef;
use strum::VariantNames;

use super::channel_draft::channel_fields;
use super::channel_kinds::KINDS;
use super::model::{AlertRule, RuleCondition};
use super::rule_draft::rule_fields;
use super::views::mutes::MutesPage;
use super::views::responses::{
    ChannelKinds, ChannelResponse, MuteResponse, RuleKinds, RuleResponse,
};
use super::views::{AlertRemoval, AlertsPage, ChannelView, DeliveriesPage, TestPage};
use crate::domain::mutes::mute_fields;
use crate::web::ConfirmPage;
use crate::web::MessageResponse;
use crate::web::openapi::{
    PAGE, RequestField, RouteTable, RouterState, delete, get, id, number, one_of, post, put, shape,
    text, whole,
};

fn next() -> RequestField {
    text("next", "The path to which a browser is redirected.").like("/alerts")
}

/// What a mute applies to.
fn target() -> RequestField {
    text(
        "target",
        "What to mute: all, instance:ID, tag:NAME or rule:ID.",
    )
    .like("tag:barn")
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    Alerts: FromRef<S>,
{
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let place = || text("id", "The `place` of the row.").like("rule-3");
    let delivery = || number("id", "The number of the notification.").like(7);
    RouteTable::new()
.add(get(
            "/alerts",
            "getAlerts",
            "Returns rules, channels, active alerts, mutes and recent notifications.",
        )
        .gives::<AlertsPage>(PAGE), routes::show)
.add(post(
            "/alerts/channels",
            "createChannel",
            "Creates a notification channel.",
        )
        .takes(channel_fields(true))
        .makes::<ChannelResponse>()
        .fails(&[409]).for_admins().audited("created a channel"), routes::create_channel)
.add(get(
            "/alerts/channels/new",
            "showNewChannel",
            "Shows the form for a new channel, for browsers.",
        )
        .asks([one_of("kind", "The channel type.", &kinds)])
        .gives::<ChannelKinds>(PAGE).for_admins(), routes::new_channel)
.add(get(
            "/alerts/channels/{id}",
            "getChannel",
            "Returns a channel, or its form as HTML.",
        )
        .gives::<ChannelView>(PAGE)
        .fails(&[409]), routes::channel)
.add_with_form(put(
            "/alerts/channels/{id}",
            "changeChannel",
            "Changes the given fields of a channel.",
        )
        .about("A secret that is masked, empty or omitted is kept; null removes an optional secret.")
        .takes(channel_fields(false))
        .does::<ChannelResponse>()
        .fails(&[409]).for_admins().audited("changed a channel"), routes::update_channel, "/alerts/channels/{id}")
.add_with_form(delete(
            "/alerts/channels/{id}",
            "deleteChannel",
            "Deletes a channel and its waiting notifications.",
        )
        .does::<MessageResponse>()
        .fails(&[409]).for_admins().audited("deleted a channel"), routes::delete_channel, "/alerts/channels/{id}/delete")
.add(get(
            "/alerts/channels/{id}/delete",
            "askDeleteChannel",
            "Asks for confirmation before deleting a channel, for browsers.",
        )
        .gives::<ConfirmPage<AlertRemoval>>(PAGE)
        .fails(&[409]).for_admins(), routes::ask_delete_channel)
.add(post(
            "/alerts/channels/{id}/test",
            "testChannel",
            "Sends a test notification immediately.",
        )
        .gives::<TestPage>(PAGE)
        .answer(
            502,
            "The receiver did not accept the test.",
            PAGE,
            Some(shape::<TestPage>()),
        )
        .fails(&[409]).for_operators().audited("sent a test notification"), routes::test_channel)
.add(post(
            "/alerts/rules",
            "createRule",
            "Creates an alert rule.",
        )
        .takes(rule_fields(true))
        .makes::<RuleResponse>()
        .fails(&[409]).for_admins().audited("created a rule"), routes::create_rule)
.add(get(
            "/alerts/rules/new",
            "showNewRule",
            "Shows the form for a new rule, for browsers.",
        )
        .asks([
            one_of("kind", "The type of condition.", RuleCondition::VARIANTS),
            id("instance", "The instance."),
        ])
        .gives::<RuleKinds>(PAGE).for_admins(), routes::new_rule)
.add(get(
            "/alerts/rules/{id}",
            "getRule",
            "Returns a rule, or its form as HTML.",
        )
        .gives::<AlertRule>(PAGE)
        .fails(&[409]), routes::rule)
.add_with_form(put(
            "/alerts/rules/{id}",
            "changeRule",
            "Changes the given fields of a rule.",
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
            "Asks for confirmation before deleting a rule, for browsers.",
        )
        .gives::<ConfirmPage<AlertRemoval>>(PAGE)
        .fails(&[409]).for_admins(), routes::ask_delete_rule)
.add_with_form(delete(
            "/alerts/unreadable/{id}",
            "deleteUnreadable",
            "Deletes an unreadable rule or channel.",
        )
        .named(place())
        .does::<MessageResponse>()
        .fails(&[409]).for_admins().audited("deleted an unreadable rule or channel"), routes::delete_unreadable, "/alerts/unreadable/{id}/delete")
.add(get(
            "/alerts/unreadable/{id}/delete",
            "askDeleteUnreadable",
            "Asks for confirmation before deleting an unreadable rule or channel, for browsers.",
        )
        .named(place())
        .gives::<ConfirmPage<AlertRemoval>>(PAGE).for_admins(), routes::ask_delete_unreadable)
.add(get(
            "/alerts/mutes",
            "listMutes",
            "Returns mutes, those that end last first.",
        )
        .asks([
            whole("limit", "Maximum number of mutes.", 1, 1000).or(100),
            whole("offset", "Number of mutes to skip.", 0, u32::MAX.into()).or(0),
            target().with("description", "HTML only: what to select for muting."),
        ])
        .gives::<MutesPage>(PAGE), routes::mutes)
.add(post(
            "/alerts/mutes",
            "mute",
            "Mutes an instance, a tag, a rule or everything.",
        )
        .takes([[target().required()].as_slice(), &mute_fields(), &[next()]].concat())
        .does::<MuteResponse>().for_operators().audited("muted alerts"), routes::mute)
.add(delete(
            "/alerts/mutes/{id}",
            "endMute",
            "Ends a mute now, or deletes it if it has not started.",
        )
        .does::<MessageResponse>()
        .fails(&[409]).for_operators().audited("ended a mute"), routes::end_mute)
.add(post(
            "/alerts/mutes/{id}/delete",
            "endMuteByForm",
            "Ends a mute now, or deletes it if it has not started, for forms.",
        )
        .acts([next()])
        .does::<MessageResponse>()
        .fails(&[409]).for_operators().audited("ended a mute"), routes::end_mute)
.add(get(
            "/alerts/deliveries",
            "listDeliveries",
            "Returns notifications and their delivery state, newest first.",
        )
        .asks([
            whole("limit", "Maximum number of notifications.", 1, 1000).or(100),
            number("before", "Only notifications before this number."),
        ])
        .gives::<DeliveriesPage>(PAGE), routes::deliveries)
.add(post(
            "/alerts/deliveries/{id}/again",
            "sendAgain",
            "Resends a failed notification.",
        )
        .named(delivery())
        .acts([next()])
        .does::<MessageResponse>()
        .fails(&[409]).for_operators().audited("sent a notification again"), routes::again)
}
