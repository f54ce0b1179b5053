//! Who may change things: the page itself and programs on this machine, not another site's page in the user's browser.
//!
//! Two checks, before anything else: a `Host` that is not ours is refused while listening on loopback (DNS rebinding), and a
//! change asked for by another site is refused (`Sec-Fetch-Site`, then `Origin` against `Host`).

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

use super::problem::Problem;

/// Middleware: refuses requests with a foreign `Host` and changes from a foreign site.
pub async fn same_site_only(request: Request, next: Next) -> Response {
    match check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let host = text(HOST.as_str()).or_else(|| uri.authority().map(|a| a.as_str())).unwrap_or_default();
    // RFC 9112 §3.2: a server must answer 400 to a request with more than one.
    if headers.get_all(HOST).iter().count() > 1 {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "The request names more than one host."));
    }
    if !is_this_machine(host) || uri.authority().is_some_and(|authority| !is_this_machine(authority.as_str())) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "jd-manager listens on this machine only and does not answer to that host name. Use http://localhost or http://127.0.0.1.",
        ));
    }
    if method.is_safe() {
        return Ok(());
    }
    let same = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        // Neither: not a browser.
        (None, None) => true,
    };
    if same {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Another site asked for this change. Changes are taken from jd-manager's own pages only.",
        ))
    }
}

/// `localhost`, a name below it, or a loopback address, with any port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &Method, pairs: &[(&'static str, &'static str)]) -> Result<(), StatusCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        check(method, &Uri::from_static("/x"), &headers).map_err(|p| p.status())
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for good in ["localhost", "localhost:3000", "127.0.0.1:3000", "127.1.2.3", "[::1]:3000", "jd.localhost:1", "LOCALHOST."] {
            assert_eq!(ask(&Method::GET, &[("host", good)]), Ok(()), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example:3000", "192.168.1.2", "[::2]:3000", "", "127.0.0.1.evil.example"] {
            assert_eq!(ask(&Method::GET, &[("host", bad)]), Err(StatusCode::MISDIRECTED_REQUEST), "{bad}");
        }
    }

    #[test]
    fn changes_come_from_the_page_itself_or_from_a_program() {
        let host = ("host", "localhost:3000");
        let post = |more: &[(&'static str, &'static str)]| ask(&Method::POST, &[&[host], more].concat());
        assert_eq!(post(&[]), Ok(()));
        assert_eq!(post(&[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(post(&[("sec-fetch-site", "none")]), Ok(()));
        assert_eq!(post(&[("origin", "http://localhost:3000")]), Ok(()));
        for bad in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://localhost:3001")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:3000")],
        ] {
            assert_eq!(post(bad), Err(StatusCode::FORBIDDEN), "{bad:?}");
        }
        assert_eq!(ask(&Method::GET, &[host, ("sec-fetch-site", "cross-site")]), Ok(()));
    }
}
