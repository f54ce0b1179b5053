//! Security headers that restrict pages to what they need.
//!
//! No inline script or style anywhere, nothing from another host, no framing. The referrer policy
//! is `same-origin` rather than `no-referrer`: with the latter, browsers send `Origin: null`
//! with the page's own forms (Fetch standard, "append a request `Origin` header"), and
//! browsers too old for `Sec-Fetch-Site` could then not be distinguished from another site.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the headers to a response.
pub fn add_headers(response: &mut Response, is_asset: bool) {
    let cacheable =
        is_asset && matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &'static str| {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    };
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "same-origin");
    set("x-frame-options", "DENY");
    set("cross-origin-opener-policy", "same-origin");
    set("cross-origin-resource-policy", "same-origin");
    // A response with a stricter policy sets it itself.
    if !headers.contains_key("content-security-policy") {
        headers.insert("content-security-policy", HeaderValue::from_static(POLICY));
    }
    if !cacheable && !headers.contains_key("cache-control") {
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
    }
}
