//! The handlers of `/alerts`.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use strum::VariantNames;

use super::channel_draft::ChannelDraft;
use super::channel_kinds::{KINDS, kind};
use super::model::{AlertRowId, AlertRule, RuleCondition, SavedChannel};
use super::rule_draft::RuleDraft;
use super::service::Alerts;
use super::views::channel_form::ChannelPage;
use super::views::mutes::{MuteView, MutesPage};
use super::views::responses::{ChannelResponse, MuteResponse, RuleResponse};
use super::views::rule_form::{RulePage, known_kind};
use super::views::{self, AlertsPage, DeliveriesPage, TestPage};
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError};
use crate::base::ids::{ChannelId, InstanceId, MuteId, RuleId};
use crate::domain::mutes::MuteScope;
use crate::web::extract::EmptyForm;
use crate::web::respond::next_page;
use crate::web::{
    ChangeResponse, MessageResponse, PathId, QueryParams, Reply, Representation, RequestContext,
    RequestInput,
};

/// The path of the alerts page.
const HERE: &str = "/alerts";
/// The path of the page with mutes.
const MUTES: &str = "/alerts/mutes";
/// The number of mutes on that page.
const PART: u64 = 100;

/// `GET /alerts`.
pub async fn show(
    State(alerts): State<Alerts>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    params.finish()?;
    want.respond_blocking(AlertsPage::new(
        alerts.everything().await?,
        Timestamp::now(),
    ))
    .await
}

/// `GET /alerts/channels/new?kind=`.
pub async fn new_channel(want: RequestContext, params: QueryParams) -> Reply {
    let chosen = match params.text("kind") {
        None => None,
        Some(name) => Some(kind(name).ok_or_else(|| not_a_kind(&KINDS.map(|kind| kind.name)))?),
    };
    want.respond(&ChannelPage::new(chosen))
}

fn not_a_kind(names: &[&str]) -> Error {
    Error::invalid(
        "/kind",
        format!("kind must be one of {}.", names.join(", ")),
    )
}

/// `GET /alerts/channels/{id}`: the channel as JSON, its form as HTML.
pub async fn channel(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<ChannelId>,
) -> Reply {
    want.respond(&ChannelPage::edit(alerts.channel(id).await?))
}

/// `POST /alerts/channels`.
pub async fn create_channel(
    State(alerts): State<Alerts>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    match alerts.create_channel(ChannelDraft::of(input.value)).await {
        Ok(saved) => saved_channel(&want, saved, true),
        Err(error) => {
            let (pairs, status, errors) = fix_form(&want, input.form, error)?;
            want.respond_with(status, &ChannelPage::refused(None, &pairs, errors))
        }
    }
}

/// `PUT /alerts/channels/{id}`, and `POST` for forms.
pub async fn update_channel(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<ChannelId>,
    input: RequestInput,
) -> Reply {
    match alerts
        .update_channel(id, ChannelDraft::of(input.value))
        .await
    {
        Ok(saved) => saved_channel(&want, saved, false),
        Err(error) => {
            let (pairs, status, errors) = fix_form(&want, input.form, error)?;
            want.respond_with(
                status,
                &ChannelPage::refused(Some(alerts.channel(id).await?), &pairs, errors),
            )
        }
    }
}

/// The submitted pairs, the status and the errors.
type Mendable = (Vec<(String, String)>, StatusCode, Vec<FieldError>);

/// Extracts an error that a user can fix in the form. All other errors, and all errors of API
/// requests, are passed on.
fn fix_form(
    want: &RequestContext,
    pairs: Option<Vec<(String, String)>>,
    error: Error,
) -> Result<Mendable, Error> {
    match (pairs.filter(|_| want.form == Representation::Html), error) {
        (Some(pairs), Error::Invalid(errors)) => {
            Ok((pairs, StatusCode::UNPROCESSABLE_ENTITY, errors))
        }
        // The only possible conflict is a duplicate name.
        (Some(pairs), Error::Conflict(detail)) => Ok((
            pairs,
            StatusCode::CONFLICT,
            vec![FieldError::new("/name", detail)],
        )),
        (_, error) => Err(error),
    }
}

fn saved_channel(want: &RequestContext, saved: SavedChannel, is_new: bool) -> Reply {
    let at = format!("{HERE}/channels/{}", saved.id);
    let message = format!(
        "\"{}\" saved. Send a test to check that it works.",
        saved.name
    );
    let json = ChannelResponse {
        channel_id: saved.id,
        message,
        channel: saved.into(),
    };
    ChangeResponse::new(json, HERE)
        .created_if(is_new, at)
        .respond(want)
}

/// `GET /alerts/channels/{id}/delete`: the confirmation.
pub async fn ask_delete_channel(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<ChannelId>,
) -> Reply {
    let (channel, users) = alerts.channel_with_users(id).await?;
    want.respond(&views::delete_channel_page(channel, users))
}

/// `DELETE /alerts/channels/{id}`, and `POST /alerts/channels/{id}/delete` for forms.
pub async fn delete_channel(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<ChannelId>,
) -> Reply {
    let gone = alerts.delete_channel(id).await?;
    done(&want, format!("\"{}\" deleted.", gone.name), HERE.into())
}

fn done(want: &RequestContext, message: String, next: String) -> Reply {
    ChangeResponse::new(MessageResponse::new(message), next).respond(want)
}

/// `POST /alerts/channels/{id}/test`: sends a message immediately and returns the result.
pub async fn test_channel(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<ChannelId>,
) -> Reply {
    let (channel, result) = alerts.test_channel(id).await?;
    let page = TestPage::new(channel, result.err().map(|failed| failed.words));
    want.respond_with(
        if page.success {
            StatusCode::OK
        } else {
            StatusCode::BAD_GATEWAY
        },
        &page,
    )
}

/// `GET /alerts/rules/new?kind=&instance=`.
pub async fn new_rule(
    State(alerts): State<Alerts>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let instance = params.get::<InstanceId>("instance", "the id of an instance");
    let kind = match params.text("kind") {
        None => None,
        Some(name) => Some(known_kind(name).ok_or_else(|| not_a_kind(RuleCondition::VARIANTS))?),
    };
    params.finish()?;
    want.respond(&RulePage::for_instance(
        kind,
        instance,
        alerts.choices().await?.into(),
    ))
}

/// `GET /alerts/rules/{id}`: the rule as JSON, its form as HTML.
pub async fn rule(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<RuleId>,
) -> Reply {
    let rule = alerts.rule(id).await?;
    want.respond(&RulePage::edit(&rule, alerts.choices().await?.into()))
}

/// `POST /alerts/rules`.
pub async fn create_rule(
    State(alerts): State<Alerts>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let pairs = input.form.clone();
    match alerts.create_rule(RuleDraft::of(input)).await {
        Ok(saved) => saved_rule(&want, saved, true),
        Err(error) => {
            let (pairs, status, errors) = fix_form(&want, pairs, error)?;
            want.respond_with(
                status,
                &RulePage::refused(None, &pairs, errors, alerts.choices().await?.into()),
            )
        }
    }
}

/// `PUT /alerts/rules/{id}`, and `POST` for forms.
pub async fn update_rule(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<RuleId>,
    input: RequestInput,
) -> Reply {
    let pairs = input.form.clone();
    match alerts.update_rule(id, RuleDraft::of(input)).await {
        Ok(saved) => saved_rule(&want, saved, false),
        Err(error) => {
            let (pairs, status, errors) = fix_form(&want, pairs, error)?;
            let (saved, choices) = (alerts.rule(id).await?, alerts.choices().await?.into());
            want.respond_with(
                status,
                &RulePage::refused(Some(&saved), &pairs, errors, choices),
            )
        }
    }
}

fn saved_rule(want: &RequestContext, saved: AlertRule, is_new: bool) -> Reply {
    let at = format!("{HERE}/rules/{}", saved.id);
    let message = format!(
        "\"{}\" saved{}.",
        saved.name,
        if saved.enabled { "" } else { " (disabled)" }
    );
    let json = RuleResponse {
        rule_id: saved.id,
        message,
        rule: saved,
    };
    ChangeResponse::new(json, HERE)
        .created_if(is_new, at)
        .respond(want)
}

/// `GET /alerts/rules/{id}/delete`: the confirmation.
pub async fn ask_delete_rule(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<RuleId>,
) -> Reply {
    want.respond(&views::delete_rule_page(alerts.rule(id).await?))
}

/// `DELETE /alerts/rules/{id}`, and `POST /alerts/rules/{id}/delete` for forms.
pub async fn delete_rule(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<RuleId>,
) -> Reply {
    let gone = alerts.delete_rule(id).await?;
    done(&want, format!("\"{}\" deleted.", gone.name), HERE.into())
}

/// `GET /alerts/unreadable/{id}/delete`: the confirmation.
pub async fn ask_delete_unreadable(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(place): PathId<AlertRowId>,
) -> Reply {
    want.respond(&views::delete_unreadable_page(
        alerts.unreadable(place).await?,
    ))
}

/// `DELETE /alerts/unreadable/{id}`, and `POST /alerts/unreadable/{id}/delete` for forms.
pub async fn delete_unreadable(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(place): PathId<AlertRowId>,
) -> Reply {
    let gone = alerts.delete_unreadable(place).await?;
    done(&want, format!("\"{}\" deleted.", gone.name), HERE.into())
}

/// `GET /alerts/mutes?limit=&offset=&target=`.
pub async fn mutes(
    State(alerts): State<Alerts>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let (limit, offset) = (params.number("limit"), params.number("offset"));
    let chosen = params.get::<MuteScope>("target", "all, instance:ID, tag:NAME or rule:ID");
    params.finish()?;
    let found = alerts.mutes().part(offset, limit).await?;
    let targets = alerts.mute_targets().await?;
    let page = MutesPage::new(found, (offset, limit), targets, Timestamp::now());
    want.respond_blocking(page.with_target(chosen)).await
}

/// `POST /alerts/mutes`.
pub async fn mute(
    State(alerts): State<Alerts>,
    actor: Actor,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let next = next_page(input.value.get("next").and_then(Value::as_str), MUTES);
    let made = match alerts.mutes().read(input.value) {
        Ok((scope, draft)) => alerts.mutes().create(scope, draft, &actor).await,
        Err(error) => Err(error),
    };
    let targets = alerts.mute_targets().await?;
    match made {
        Ok(made) => {
            let mute = MuteView::new(made, &targets, Timestamp::now());
            let json = MuteResponse {
                message: mute.message(),
                mute,
            };
            ChangeResponse::new(json, next).respond(&want)
        }
        Err(error) => {
            let (pairs, status, errors) = fix_form(&want, input.form, error)?;
            let found = alerts.mutes().part(0, PART).await?;
            let page = MutesPage::new(found, (0, PART), targets, Timestamp::now());
            want.respond_with(status, &page.refused(&pairs, errors))
        }
    }
}

/// `DELETE /alerts/mutes/{id}`, and `POST /alerts/mutes/{id}/delete` for forms.
pub async fn end_mute(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<MuteId>,
    fields: EmptyForm,
) -> Reply {
    alerts.mutes().end(id).await?;
    done(
        &want,
        "The mute has ended.".into(),
        next_page(fields.text("next"), MUTES),
    )
}

/// `GET /alerts/deliveries?limit=&before=`.
pub async fn deliveries(
    State(alerts): State<Alerts>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let limit = params.number("limit");
    let before = params.get::<i64>("before", "the number of a delivery");
    params.finish()?;
    let found = alerts
        .deliveries(before, usize::try_from(limit).unwrap_or(usize::MAX))
        .await?;
    want.respond_blocking(DeliveriesPage::new(found, limit, Timestamp::now()))
        .await
}

/// `POST /alerts/deliveries/{id}/again`.
pub async fn again(
    State(alerts): State<Alerts>,
    want: RequestContext,
    PathId(id): PathId<i64>,
    fields: EmptyForm,
) -> Reply {
    alerts.send_again(id).await?;
    done(
        &want,
        "The notification will be sent again.".into(),
        next_page(fields.text("next"), HERE),
    )
}
