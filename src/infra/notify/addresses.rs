//! Addresses of the web, and what in them may be a secret: a user name and a password, what follows
//! `?` or `#`, and long segments that look drawn at random, as those of Slack's and Discord's
//! webhooks.
//!
//! Knows no kind of channel and connects to nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

/// What stands where a secret is not shown.
pub(super) const MASK: &str = "********";
/// Characters of an address at most.
const LONGEST: usize = 2_000;
/// Characters from which on a segment of a path can be a secret.
const LONG_SEGMENT: usize = 16;
/// Characters from which on a value behind `?` is kept out of quotations. Below, it would hide
/// harmless words, too.
const TELLING: usize = 4;

/// The address, if it can be posted to; otherwise a sentence on what to enter.
pub(super) fn read(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "Enter an address that starts with https:// or http://, for example https://example.org/hook.";
    if text.contains(MASK) {
        return Err(format!(
            "Enter the whole address anew: {MASK} stands for a secret that is not shown."
        ));
    }
    if text.len() > LONGEST {
        return Err(format!("Enter an address of at most {LONGEST} characters."));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("Enter the address without spaces and line breaks.".into());
    }
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.port() != Some(0) =>
        {
            Ok(url)
        }
        _ => Err(EXAMPLE.into()),
    }
}

/// The address of a server, which must hold no user, no query and no fragment; otherwise a sentence
/// on what to enter.
pub(super) fn read_server(text: &str) -> Result<Url, String> {
    let url = read(text)?;
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_bare {
        Ok(url)
    } else {
        Err("Enter the address of the server only, without a user name, ? and #.".into())
    }
}

/// Scheme, host and port, which are no secret: `https://example.org:8443`.
pub(super) fn place(url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!(
        "{}://{}{port}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

/// Where an address leads, with `…` for whatever follows the host.
pub(super) fn words(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.path() == "/" && url.query().is_none() => place(&url),
        Ok(url) => format!("{}/…", place(&url)),
        Err(_) => "an address that is not valid".into(),
    }
}

/// The address with each secret in it replaced by the mask. Without secrets it is left as it was
/// written.
pub(super) fn masked(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return if text.is_empty() {
            String::new()
        } else {
            MASK.into()
        };
    };
    if url.cannot_be_a_base() {
        return MASK.into();
    }
    let before = url.clone();
    if !url.username().is_empty() {
        // Only addresses without a host refuse; those hold no user either.
        let _ = url.set_username(MASK);
    }
    if url.password().is_some() {
        let _ = url.set_password(Some(MASK));
    }
    let path: Vec<&str> = before
        .path()
        .split('/')
        .map(|segment| if is_random(segment) { MASK } else { segment })
        .collect();
    url.set_path(&path.join("/"));
    url.set_query(
        before
            .query()
            .map(|query| {
                pieces(query)
                    .map(masked_piece)
                    .collect::<Vec<_>>()
                    .join("&")
            })
            .as_deref(),
    );
    url.set_fragment(before.fragment().map(|_| MASK));
    if url == before {
        text.to_owned()
    } else {
        url.into()
    }
}

/// `text` as it came back from a form, with what is masked in it taken from `old`. Secrets never go
/// along to another server.
pub(super) fn unmasked(text: &str, old: &str) -> String {
    if text.is_empty() || text == masked(old) {
        return old.to_owned();
    }
    if !text.contains(MASK) {
        return text.to_owned();
    }
    let (Ok(mut url), Ok(old)) = (Url::parse(text), Url::parse(old)) else {
        return text.to_owned();
    };
    if url.origin() != old.origin() {
        return text.to_owned();
    }
    if url.username() == MASK {
        let _ = url.set_username(old.username());
    }
    if url.password() == Some(MASK) {
        let _ = url.set_password(old.password());
    }
    let mut olds = old.path().split('/');
    let path: Vec<String> = url
        .path()
        .split('/')
        .map(|segment| match (segment, olds.next()) {
            (MASK, Some(old)) if is_random(old) => old.to_owned(),
            _ => segment.to_owned(),
        })
        .collect();
    url.set_path(&path.join("/"));
    let mut olds: Vec<&str> = old
        .query()
        .map(|query| pieces(query).collect())
        .unwrap_or_default();
    let query = url.query().map(|query| {
        let back = |piece: &str| match olds.iter().position(|old| masked_piece(old) == piece) {
            Some(at) => olds.remove(at).to_owned(),
            None => piece.to_owned(),
        };
        pieces(query).map(back).collect::<Vec<_>>().join("&")
    });
    url.set_query(query.as_deref());
    if url.fragment() == Some(MASK) {
        url.set_fragment(old.fragment());
    }
    url.into()
}

/// Everything in the address that must not be quoted, as it stands there and as a server may repeat
/// it.
pub(super) fn secrets(text: &str) -> Vec<String> {
    let Ok(url) = Url::parse(text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    if !user.is_empty() || !password.is_empty() {
        let login = format!("{}:{}", decoded(user), decoded(password));
        found.extend([
            user.to_owned(),
            password.to_owned(),
            decoded(user),
            decoded(password),
            STANDARD.encode(login),
        ]);
    }
    found.extend(
        url.path()
            .split('/')
            .filter(|segment| is_random(segment))
            .flat_map(|s| [s.to_owned(), decoded(s)]),
    );
    let query = url
        .query()
        .into_iter()
        .flat_map(pieces)
        .map(|piece| piece.split_once('=').map_or(piece, |(_, value)| value));
    for value in query
        .chain(url.fragment())
        .filter(|value| value.len() >= TELLING)
    {
        // A form's way of writing a space, and what the others read.
        found.extend([
            value.to_owned(),
            decoded(value),
            decoded(&value.replace('+', " ")),
        ]);
    }
    found
}

fn pieces(query: &str) -> impl Iterator<Item = &str> {
    query.split('&')
}

/// `token=abc` as `token=********`; what has no name is masked as a whole.
fn masked_piece(piece: &str) -> String {
    match piece.split_once('=') {
        Some((_, "")) => piece.to_owned(),
        Some((name, _)) => format!("{name}={MASK}"),
        None if piece.is_empty() => String::new(),
        None => MASK.into(),
    }
}

/// Long, and with digits or both cases in it, as words in a path seldom are.
fn is_random(segment: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| segment.as_bytes().iter().any(kind);
    segment.len() >= LONG_SEGMENT
        && (has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
}

/// The text with its `%41` read as `A`.
fn decoded(text: &str) -> String {
    let shielded = text.replace('+', "%2B");
    let mut pairs = form_urlencoded::parse(shielded.as_bytes());
    // Without `=` and `&` all of it is one name.
    match (pairs.next(), text.contains(['=', '&'])) {
        (Some((name, _)), false) => name.into_owned(),
        _ => text.to_owned(),
    }
}
