//! Web addresses and the secrets they may contain: username and password, the part after `?` or `#`,
//! and long segments that look random, as in the webhooks of Slack and Discord.
//!
//! Independent of the kind of channel. No I/O.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

/// The mask for a hidden secret.
pub(super) const MASK: &str = "********";
/// The maximum length of an address, in characters.
const LONGEST: usize = 2_000;
/// The minimum length of a path segment that can be a secret, in characters.
const LONG_SEGMENT: usize = 16;
/// The minimum length of a value after `?` that is masked in quotations. A shorter limit would also
/// mask harmless words.
const TELLING: usize = 4;

/// The address if it is valid for POST requests; otherwise a sentence on what to enter.
pub(super) fn read(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "Enter an address that starts with https:// or http://, for example https://example.org/hook.";
    if text.contains(MASK) {
        return Err(format!(
            "Enter the whole address again. {MASK} only hides the saved secret."
        ));
    }
    if text.len() > LONGEST {
        return Err(format!("Enter an address of at most {LONGEST} characters."));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("Enter the address without spaces or line breaks.".into());
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

/// The address of a server without user, query and fragment; otherwise a sentence on what to enter.
pub(super) fn read_server(text: &str) -> Result<Url, String> {
    let url = read(text)?;
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_bare {
        Ok(url)
    } else {
        Err("Enter only the server address, without a username, ? or #.".into())
    }
}

/// Scheme, host and port, which are not secret: `https://example.org:8443`.
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

/// The address with `…` for everything after the host.
pub(super) fn words(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.path() == "/" && url.query().is_none() => place(&url),
        Ok(url) => format!("{}/…", place(&url)),
        Err(_) => "an invalid address".into(),
    }
}

/// The address with all secrets masked. An address without secrets is not changed.
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
        // This fails only for addresses without a host, which have no user either.
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

/// `text` from a form, with masked parts replaced from `old`. Secrets are never moved to another
/// server.
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

/// All secrets in the address, in every form in which a server may repeat them.
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
        // `+` is a space in forms and a plus elsewhere.
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

/// `token=abc` as `token=********`; a value without a name is masked completely.
fn masked_piece(piece: &str) -> String {
    match piece.split_once('=') {
        Some((_, "")) => piece.to_owned(),
        Some((name, _)) => format!("{name}={MASK}"),
        None if piece.is_empty() => String::new(),
        None => MASK.into(),
    }
}

/// Whether a segment looks random: long, and with digits or both cases.
fn is_random(segment: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| segment.as_bytes().iter().any(kind);
    segment.len() >= LONG_SEGMENT
        && (has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
}

/// The text with `%41` decoded to `A`.
fn decoded(text: &str) -> String {
    let shielded = text.replace('+', "%2B");
    let mut pairs = form_urlencoded::parse(shielded.as_bytes());
    // Without `=` and `&` the whole text is one name.
    match (pairs.next(), text.contains(['=', '&'])) {
        (Some((name, _)), false) => name.into_owned(),
        _ => text.to_owned(),
    }
}
