//! A running manager as the commands use it: reading JSON, requesting changes, listening to event
//! streams. Errors become sentences with a fix.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

use super::connection::{ApiConnection, because, read_text};
use super::error::{ApiRefusal, CommandError};
use super::ssh_bridge::SshBridge;
use super::stream::ApiStream;
use super::token::BearerToken;
use crate::programs::openssh::SshFailure;

/// Longer than the manager's own limit of one minute.
const LIMIT: Duration = Duration::from_secs(90);

/// A running manager.
#[derive(Debug)]
pub(super) struct RemoteManager {
    connection: ApiConnection,
    token: Option<BearerToken>,
}

/// A successful response.
#[derive(Debug)]
pub(super) struct ApiResponse {
    /// The unchanged text.
    pub(super) text: String,
}

impl ApiResponse {
    /// Parses the fields that are used here.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        serde_json::from_str(&self.text).map_err(|e| {
            CommandError::Failed(format!(
                "the response cannot be read. It may be from another version of jd-manager. ({e})"
            ))
        })
    }
}

impl RemoteManager {
    /// The manager behind this connection, used with this token.
    pub(super) const fn new(connection: ApiConnection, token: Option<BearerToken>) -> Self {
        Self { connection, token }
    }

    /// Reads something.
    pub(super) async fn get(&self, path: &str) -> Result<ApiResponse, CommandError> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Requests a change.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<ApiResponse, CommandError> {
        let request = self.request(method, path);
        self.answer(if let Some(body) = body {
            request.json(body)
        } else {
            request
        })
        .await
    }

    /// Opens an event stream. `after`: the id where the last stream ended.
    pub(super) async fn listen(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<ApiStream, CommandError> {
        let request = self.request_for(Method::GET, path, "text/event-stream");
        let request = if let Some(id) = after {
            request.header("last-event-id", id)
        } else {
            request
        };
        let asked = tokio::time::timeout(LIMIT, request.send()).await;
        let response = asked
            .map_err(|_| self.silent())?
            .map_err(|e| self.unreached(&e))?;
        Ok(ApiStream::new(self.accepted(response).await?))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_for(method, path, "application/json")
    }

    fn request_for(&self, method: Method, path: &str, accept: &str) -> RequestBuilder {
        let request = self.connection.request(method, path, accept);
        match &self.token {
            Some(token) => request.header("authorization", token.header()),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<ApiResponse, CommandError> {
        let response = request
            .timeout(LIMIT)
            .send()
            .await
            .map_err(|e| self.unreached(&e))?;
        let text = read_text(self.accepted(response).await?)
            .await
            .map_err(|e| self.unreached(&e))?;
        let too_large = || {
            CommandError::Failed(format!(
                "The response from {} is too large to come from jd-manager. Check the address.",
                self.connection.shown
            ))
        };
        Ok(ApiResponse {
            text: text.ok_or_else(too_large)?,
        })
    }

    /// The response if the request succeeded.
    async fn accepted(&self, response: Response) -> Result<Response, CommandError> {
        let status = response.status();
        let at = &self.connection.shown;
        if status.is_redirection() {
            let to = response
                .headers()
                .get("location")
                .and_then(|to| to.to_str().ok())
                .unwrap_or("nowhere")
                .to_owned();
            let advice = if to.contains("login") {
                "That is the sign-in page for browsers. Create a token on that machine (jd-manager token create NAME) and pass it in \
                 JD_MANAGER_TOKEN or with --token-file"
            } else {
                "Pass the address of jd-manager itself with --url"
            };
            return Err(CommandError::Failed(format!(
                "{at} redirects to {to}. {advice}."
            )));
        }
        if status.is_success() {
            return Ok(response);
        }
        let body = read_text(response).await.ok().flatten().unwrap_or_default();
        Err(CommandError::Refused(Box::new(ApiRefusal {
            status: status.as_u16(),
            body,
            advice: self.advice(status),
        })))
    }

    fn advice(&self, status: StatusCode) -> Option<String> {
        let at = &self.connection.shown;
        let advice = match (status, &self.token) {
            (StatusCode::UNAUTHORIZED, Some(token)) => format!(
                "{at} does not accept the token in {}. It was revoked, has expired, or belongs to another jd-manager. Create a new token on that \
                 machine: jd-manager token create NAME --role operator",
                token.whence
            ),
            (StatusCode::UNAUTHORIZED, None) => format!(
                "{at} requires a token. Create one on that machine (jd-manager token create NAME --role operator) and pass it in \
                 JD_MANAGER_TOKEN or with --token-file."
            ),
            (StatusCode::FORBIDDEN, Some(token)) => format!(
                "The request used the token in {}. Create a token with a sufficient role on that machine: jd-manager token create NAME \
                 --role operator, or --role admin to work with configurations or to create, change or delete anything.",
                token.whence
            ),
            (StatusCode::MISDIRECTED_REQUEST, _) => {
                "Use the IP address, or start that jd-manager with --allow-host NAME.".into()
            }
            _ => return None,
        };
        Some(advice)
    }

    fn unreached(&self, error: &reqwest::Error) -> CommandError {
        let at = &self.connection.shown;
        if let Some(failure) = self.connection.bridge.as_ref().and_then(SshBridge::failure) {
            return CommandError::Unreached(ssh_lines(&failure, at));
        }
        if error.is_timeout() {
            return self.silent();
        }
        let because = because(without_address(error));
        CommandError::Failed(if error.is_connect() && because.contains("refused") {
            format!("no program is listening on {at}. Is jd-manager running there? ({because})")
        } else if because.contains("certificate") {
            format!(
                "the certificate of {at} is not trusted: {because}. If that jd-manager has its own certificate, pass the certificate file with --tls-ca."
            )
        } else {
            format!("the request to {at} failed: {because}")
        })
    }

    fn silent(&self) -> CommandError {
        CommandError::Failed(format!("{} is not responding", self.connection.shown))
    }
}

/// The messages of ssh, line by line, and the fix.
fn ssh_lines(failure: &SshFailure, host: &str) -> Vec<String> {
    let messages = failure.messages.lines().map(str::to_owned);
    messages.chain([failure.advice(host)]).collect()
}

/// The cause of a library error: the error's own text only repeats the address.
fn without_address(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    std::error::Error::source(error).unwrap_or(error)
}
