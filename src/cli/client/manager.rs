//! A running manager as commands see it: asked for JSON, told to do something, listened to. What it
//! refuses becomes a sentence that says what to do.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

use super::connection::{ApiConnection, because, read_text};
use super::error::{ApiRefusal, CommandError};
use super::stream::ApiStream;
use super::token::BearerToken;

/// The manager itself gives up after a minute.
const LIMIT: Duration = Duration::from_secs(90);

/// A running manager.
#[derive(Debug)]
pub(super) struct RemoteManager {
    connection: ApiConnection,
    token: Option<BearerToken>,
}

/// What it answered, which went well.
#[derive(Debug)]
pub(super) struct ApiResponse {
    /// As it came.
    pub(super) text: String,
}

impl ApiResponse {
    /// What of it matters here.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        serde_json::from_str(&self.text).map_err(|e| {
            CommandError::Failed(format!(
                "the answer cannot be understood, perhaps because that jd-manager is of another version: {e}"
            ))
        })
    }
}

impl RemoteManager {
    /// The manager at the other end of a connection, shown this token.
    pub(super) const fn new(connection: ApiConnection, token: Option<BearerToken>) -> Self {
        Self { connection, token }
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str) -> Result<ApiResponse, CommandError> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Asks for a change.
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

    /// Listens from now on; `after`: where the last stream ended.
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
                "{} sent more than jd-manager ever answers.",
                self.connection.shown
            ))
        };
        Ok(ApiResponse {
            text: text.ok_or_else(too_large)?,
        })
    }

    /// The response if it is one of a manager that does what it was asked for.
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
                "That is a page to log in at, for browsers. Put a token into JD_MANAGER_TOKEN, or name a file with it by --token-file; \
                 jd-manager token create makes one, on the machine itself"
            } else {
                "Name with --url the address that jd-manager itself is reached at"
            };
            return Err(CommandError::Failed(format!(
                "{at} sends us on to {to}. {advice}."
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
                "{at} does not know the token in {}: it was revoked, has expired, or is another manager's. Make a new one on that machine: \
                 jd-manager token create NAME --role operator.",
                token.whence
            ),
            (StatusCode::UNAUTHORIZED, None) => format!(
                "{at} wants to know who asks. Make a token on that machine, jd-manager token create NAME --role operator, and put it into \
                 JD_MANAGER_TOKEN, or into a file that --token-file names."
            ),
            (StatusCode::FORBIDDEN, Some(token)) => format!(
                "It was asked with the token in {}. Make one that may do this, on that machine: jd-manager token create NAME --role operator, \
                 or --role admin for configurations and for making, changing and deleting.",
                token.whence
            ),
            (StatusCode::MISDIRECTED_REQUEST, _) => {
                "Name it by its address, or have it started with --allow-host NAME.".into()
            }
            _ => return None,
        };
        Some(advice)
    }

    fn unreached(&self, error: &reqwest::Error) -> CommandError {
        let at = &self.connection.shown;
        if error.is_timeout() {
            return self.silent();
        }
        let because = because(without_address(error));
        CommandError::Failed(if error.is_connect() && because.contains("refused") {
            format!("nobody answers at {at}. Is jd-manager running there? ({because})")
        } else if because.contains("certificate") {
            format!(
                "{at} cannot be trusted: {because}. If it has a certificate of its own, name that file with --tls-ca."
            )
        } else {
            format!("{at} cannot be asked: {because}")
        })
    }

    fn silent(&self) -> CommandError {
        CommandError::Failed(format!("{} does not answer", self.connection.shown))
    }
}

/// What an error of the library came from: its own sentence only repeats the address.
fn without_address(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    std::error::Error::source(error).unwrap_or(error)
}
