//! A form that was sent without a valid session. The sign-in page carries its input, so that it
//! can be submitted after signing in.
//!
//! The input is in hidden fields of the sign-in form and is never stored. Secrets are left out:
//! pages never repeat them.

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;

use crate::web::respond::next_page;

/// Larger forms are not kept.
const LARGEST: usize = 256 * 1024;
/// Names of the hidden fields in the sign-in form.
const ACTION: &str = "kept_action";
const INCOMPLETE: &str = "kept_incomplete";
const FIELD: &str = "kept:";

/// The kept input of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptForm {
    /// The target of the form.
    pub action: String,
    /// The fields without secrets.
    pub fields: Vec<(String, String)>,
    /// Something was left out: a secret, a file, or all of a form that is too large.
    pub is_incomplete: bool,
}

impl KeptForm {
    /// Reads the form that a request sends.
    pub async fn of(request: Request) -> Self {
        let action = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let is_form = media_type
            .to_ascii_lowercase()
            .starts_with("application/x-www-form-urlencoded");
        let is_empty = media_type.is_empty();
        let body = if is_form {
            axum::body::to_bytes(request.into_body(), LARGEST)
                .await
                .ok()
        } else {
            None
        };
        let Some(body) = body else {
            return Self {
                action,
                fields: Vec::new(),
                is_incomplete: !is_empty,
            };
        };
        let all: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        let is_secret = |(name, text): &(String, String)| !text.is_empty() && is_secret(name);
        let is_incomplete = all.iter().any(is_secret);
        Self {
            action,
            fields: all.into_iter().filter(|field| !is_secret(field)).collect(),
            is_incomplete,
        }
    }

    /// Reads the input from the hidden fields of a sign-in form.
    pub fn read(pairs: &[(String, String)]) -> Option<Self> {
        let text = |name: &str| {
            pairs
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, text)| text.as_str())
        };
        let action = next_page(Some(text(ACTION)?), "");
        let fields = pairs
            .iter()
            .filter_map(|(name, text)| Some((name.strip_prefix(FIELD)?.to_owned(), text.clone())));
        let fields = fields.filter(|(name, _)| !is_secret(name)).collect();
        (!action.is_empty()).then(|| Self {
            action,
            fields,
            is_incomplete: text(INCOMPLETE).is_some(),
        })
    }

    /// The hidden fields of the sign-in form: names and values.
    pub fn hidden(&self) -> Vec<(String, &str)> {
        let own = [(ACTION.to_owned(), self.action.as_str())].into_iter();
        let mark = self.is_incomplete.then(|| (INCOMPLETE.to_owned(), "true"));
        own.chain(mark)
            .chain(
                self.fields
                    .iter()
                    .map(|(name, text)| (format!("{FIELD}{name}"), text.as_str())),
            )
            .collect()
    }
}

/// Whether a field of one of our forms holds a secret, or text that may contain one.
fn is_secret(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let is_text_with_secrets =
        ["current", "code", "repeat", "toml", "configurations"].contains(&name.as_str());
    is_text_with_secrets
        || ["password", "passphrase", "secret", "token"]
            .iter()
            .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    async fn kept(media_type: &str, body: &str) -> KeptForm {
        let request = Request::post("/saved-configs?x=1")
            .header(CONTENT_TYPE, media_type)
            .body(Body::from(body.to_owned()));
        KeptForm::of(request.unwrap()).await
    }

    #[tokio::test]
    async fn input_is_kept_and_secrets_are_not() {
        let form = "application/x-www-form-urlencoded";
        let one = kept(
            form,
            "name=barn+%26+shed&upstreams.0.pool_port=3333&authority_secret_key=hush&password=",
        )
        .await;
        let fields = [
            ("name", "barn & shed"),
            ("upstreams.0.pool_port", "3333"),
            ("password", ""),
        ];
        assert_eq!(
            one.fields,
            fields.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
        assert!(one.is_incomplete && one.action == "/saved-configs?x=1");
        let hidden: Vec<(String, String)> = one
            .hidden()
            .into_iter()
            .map(|(name, text)| (name, text.to_owned()))
            .collect();
        let read = KeptForm::read(&hidden).unwrap();
        assert_eq!(
            (read.action, read.is_incomplete, read.fields.len()),
            (one.action, true, 2),
            "an empty secret is nothing to keep"
        );
        for (media_type, body) in [
            ("multipart/form-data; boundary=x", "--x"),
            (form, &"x".repeat(LARGEST + 1)),
        ] {
            let none = kept(media_type, body).await;
            assert!(none.fields.is_empty() && none.is_incomplete);
        }
        assert!(!kept(form, "").await.is_incomplete);
        for elsewhere in ["//evil", "https://evil", ""] {
            assert_eq!(
                KeptForm::read(&[(ACTION.into(), elsewhere.into())]),
                None,
                "{elsewhere}"
            );
        }
    }
}
