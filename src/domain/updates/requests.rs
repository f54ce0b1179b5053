//! Reads request bodies: what to install, which instances to switch, how to judge them. Pure.

use serde_json::Value;
use std::path::PathBuf;

use super::install::{InstallOptions, InstallRequest, check_version};
use super::model::HealthGate;
use crate::base::error::{FieldError, Result};
use crate::base::ids::InstanceId;
use crate::web::RequestInput;
use crate::web::extract::MemberReader;
use crate::web::openapi::{RequestField, whole};

/// Reads an installation request and its options.
pub fn read_order(value: Value) -> Result<(InstallRequest, InstallOptions)> {
    let mut body = MemberReader::of(value, [])?;
    let (version, path) = (body.text("version"), body.text("path"));
    let source = body.text("source");
    let unverified = body.flag("accept_unverified").unwrap_or(false);
    let switch = body.flag("switch").unwrap_or(false);
    if let Some(version) = &version
        && check_version(version).is_err()
    {
        body.refuse(
            "version",
            "version must be a release tag (v0.8.0) or a client version (0.6.0).",
        );
    }
    let order = match (source.as_deref(), version, path) {
        (None | Some("release"), version, None) => Some(InstallRequest::Release(version)),
        (Some("build"), Some(version), _) => Some(InstallRequest::Build(version)),
        (None | Some("file"), _, Some(path)) => Some(InstallRequest::File(PathBuf::from(path))),
        (Some("build"), None, _) => {
            body.refuse("version", "Enter the version to build, for example 0.6.0.");
            None
        }
        (Some("file"), _, None) => {
            body.refuse("path", "Enter the path of the file.");
            None
        }
        (Some(_), ..) => {
            body.refuse("source", "source must be release, build or file.");
            None
        }
    };
    let order = body.finish(order)?;
    Ok((order, InstallOptions { unverified, switch }))
}

/// Reads the release to skip or offer again.
pub fn read_release(value: Value) -> Result<String> {
    let mut body = MemberReader::of(value, [])?;
    let version = body.text("version");
    match &version {
        None => body.refuse("version", "Enter a release, for example v0.8.0."),
        Some(version) if check_version(version).is_err() => body.refuse(
            "version",
            "version must be a release tag (v0.8.0) or a client version (0.6.0).",
        ),
        Some(_) => {}
    }
    body.finish(version)
}

/// The fields of the health gate.
pub fn gate_fields() -> [RequestField; 2] {
    [
        whole(
            "ready_within_s",
            "Time limit for each instance to be ready for miners, in seconds.",
            1,
            3600,
        )
        .or(90),
        whole(
            "watch_s",
            "How long each instance must then stay healthy, in seconds.",
            0,
            3600,
        )
        .or(20),
    ]
}

/// Reads the health gate; missing values have their defaults.
pub fn read_gate(body: &mut MemberReader) -> HealthGate {
    let usual = HealthGate::default();
    let whole = |number: Option<i64>, usual: u64| {
        number.and_then(|n| u64::try_from(n).ok()).unwrap_or(usual)
    };
    HealthGate {
        ready_within_s: whole(body.number("ready_within_s"), usual.ready_within_s),
        watch_s: whole(body.number("watch_s"), usual.watch_s),
    }
}

/// The selected instances: `instances: [...]` or one field `instances` for each; none: all that
/// follow the version in use.
///
/// # Errors
/// An invalid id, or no instance is selected although one is required.
pub fn chosen(input: &RequestInput) -> std::result::Result<Option<Vec<InstanceId>>, FieldError> {
    let given: Vec<&str> = match (&input.form, input.value.get("instances")) {
        (Some(pairs), _) => pairs
            .iter()
            .filter(|(name, _)| name == "instances")
            .map(|(_, id)| id.as_str())
            .collect(),
        (None, Some(Value::Array(ids))) => ids
            .iter()
            .map(|id| id.as_str().unwrap_or_default())
            .collect(),
        (None, None | Some(Value::Null)) => return Ok(None),
        (None, Some(_)) => vec![""],
    };
    // A form selects all or some instances; an empty list is an error, and so is a list together
    // with all.
    let is_some =
        input.form.is_none() || input.value.get("whom").and_then(Value::as_str) == Some("chosen");
    if !is_some {
        return if given.is_empty() {
            Ok(None)
        } else {
            Err(FieldError::new(
                "/whom",
                "Choose either all instances or selected ones.",
            ))
        };
    }
    let ids = given
        .iter()
        .map(|id| id.parse().ok())
        .collect::<Option<Vec<InstanceId>>>();
    match ids {
        Some(ids) if !ids.is_empty() => Ok(Some(ids)),
        Some(_) => Err(FieldError::new(
            "/instances",
            "Select at least one instance.",
        )),
        None => Err(FieldError::new(
            "/instances",
            "instances must be a list of instance ids.",
        )),
    }
}
