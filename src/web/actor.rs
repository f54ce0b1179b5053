//! Extractor: the [`Actor`] of a request, for the histories that a change is written to.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::caller::Caller;
use super::negotiation::{Representation, RequestedFormat};
use super::problem::ProblemResponse;
use crate::base::actor::{Actor, ActorChannel};

/// For the audit log, in the past tense: what exactly a request did. A handler adds it to its response if
/// the route's text depends on the request.
#[derive(Clone, Debug)]
pub struct AuditText(pub String);

/// The caller, and whether the request came from a page or through the API.
impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let asked = parts.extensions.get::<RequestedFormat>();
        let channel = match asked.map(RequestedFormat::for_errors) {
            Some(Representation::Html) => ActorChannel::Page,
            _ => ActorChannel::Api,
        };
        Ok(Self::new(caller.title(), channel))
    }
}
