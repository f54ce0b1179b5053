//! Handlers of `/rollouts`.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::model::Rollout;
use super::service::RolloutService;
use super::views::{RolloutPage, RolloutResponse, RolloutsPage};
use crate::base::actor::Actor;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::JobId;
use crate::domain::access::views::FormInput;
use crate::domain::updates::model::HealthGate;
use crate::domain::updates::{check_version, gate_fields, read_gate};
use crate::web::extract::{EmptyForm, MemberReader};
use crate::web::{ChangeResponse, PathId, Reply, Representation, RequestContext, RequestInput};

async fn page(rollouts: &RolloutService, again: FormInput) -> Result<RolloutsPage> {
    let hosts = rollouts.hosts().list().into_iter();
    Ok(RolloutsPage {
        rollouts: rollouts.list().await?,
        hosts: hosts.map(|(host, _)| host.name).collect(),
        again,
    })
}

/// `GET /rollouts`.
pub async fn list(State(rollouts): State<RolloutService>, want: RequestContext) -> Reply {
    want.respond(&page(&rollouts, FormInput::default()).await?)
}

/// `GET /rollouts/{id}`.
pub async fn show(
    State(rollouts): State<RolloutService>,
    PathId(id): PathId<JobId>,
    want: RequestContext,
) -> Reply {
    let rollout = rollouts.get(id).await?;
    want.respond(&RolloutPage { rollout })
}

/// `POST /rollouts`.
pub async fn begin(
    State(rollouts): State<RolloutService>,
    actor: Actor,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let begun = match wanted(&input) {
        Ok(RolloutRequest { version, hosts }) => rollouts.begin(version, hosts, &actor).await,
        Err(error) => Err(error),
    };
    match begun {
        Ok(rollout) => respond(&want, &rollout, "The rollout was started."),
        Err(error) if want.form == Representation::Html => {
            let (status, errors) = match error {
                Error::Invalid(errors) => (StatusCode::UNPROCESSABLE_ENTITY, errors),
                Error::Conflict(detail) => (
                    StatusCode::CONFLICT,
                    vec![FieldError::new("/version", detail)],
                ),
                other => return Err(other.into()),
            };
            let given = input.form.unwrap_or_default();
            want.respond_with(status, &page(&rollouts, FormInput { given, errors }).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a request asks for.
struct RolloutRequest {
    version: (String, HealthGate),
    /// None: all of them.
    hosts: Option<Vec<String>>,
}

fn wanted(input: &RequestInput) -> Result<RolloutRequest> {
    let mut body = MemberReader::of(input.value.clone(), gate_fields())?;
    let gate = read_gate(&mut body);
    let version = body.text("version").unwrap_or_default().trim().to_owned();
    if check_version(&version).is_err() {
        body.refuse(
            "version",
            "version must be a release tag (v0.8.0) or a client version (0.6.0).",
        );
    }
    let hosts = match (&input.form, body.take("hosts")) {
        (Some(pairs), _) => {
            let named = pairs.iter().filter(|(name, _)| name == "hosts");
            Some(named.map(|(_, host)| host.clone()).collect::<Vec<String>>())
        }
        (None, None | Some(Value::Null)) => None,
        (None, Some(given)) => serde_json::from_value(given)
            .inspect_err(|_| body.refuse("hosts", "hosts must be a list of names of hosts."))
            .ok(),
    };
    if hosts.as_ref().is_some_and(Vec::is_empty) {
        body.refuse("hosts", "Select at least one host.");
    }
    let version = (version, gate);
    body.finish(Some(RolloutRequest { version, hosts }))
}

fn respond(want: &RequestContext, rollout: &Rollout, message: &str) -> Reply {
    let at = format!("/rollouts/{}", rollout.id);
    let json = RolloutResponse {
        rollout: rollout.id,
        message: message.into(),
    };
    ChangeResponse::new(json, at.clone())
        .accepted(at)
        .respond(want)
}

/// `POST /rollouts/{id}/resume`.
pub async fn resume(
    State(rollouts): State<RolloutService>,
    PathId(id): PathId<JobId>,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    respond(
        &want,
        &rollouts.resume(id).await?,
        "The rollout was resumed.",
    )
}

/// `POST /rollouts/{id}/cancel`.
pub async fn cancel(
    State(rollouts): State<RolloutService>,
    PathId(id): PathId<JobId>,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    let message = "The rollout ends. A job that has begun on a host goes on there.";
    respond(&want, &rollouts.cancel(id).await?, message)
}
