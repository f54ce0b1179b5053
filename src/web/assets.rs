//! The static files, inside the binary. Each address contains the content's hash, so that browsers can
//! cache it.
//!
//! Vendored files are listed with version, hash and license in `static/VENDORED.md`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

struct StaticAsset {
    name: &'static str,
    media_type: &'static str,
    content: Bytes,
    /// Changes with the content. For caching, not for security.
    hash: String,
}

impl StaticAsset {
    fn new(name: &'static str, media_type: &'static str, content: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self {
            name,
            media_type,
            content,
            hash: format!("{:016x}", hasher.finish()),
        }
    }
}

macro_rules! content {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/static/", $name))
    };
}

static ASSETS: LazyLock<[StaticAsset; 13]> = LazyLock::new(|| {
    // One file: if htmx is loaded late, it starts in a timer task, and extensions that are not loaded by
    // then are never used on the page. With two files, this happened on a
    // busy machine.
    let htmx = [
        content!("htmx.min.js").as_slice(),
        b"\n",
        content!("hx-sse.min.js"),
        b"\n",
    ]
    .concat();
    [
        StaticAsset::new(
            "app.css",
            "text/css; charset=utf-8",
            Bytes::from_static(content!("app.css")),
        ),
        StaticAsset::new(
            "chart.css",
            "text/css; charset=utf-8",
            Bytes::from_static(content!("chart.css")),
        ),
        script("chart.js", content!("chart.js")),
        script("app.js", content!("app.js")),
        script("connection.js", content!("connection.js")),
        script("list.js", content!("list.js")),
        script("log-copy.js", content!("log-copy.js")),
        script("log.js", content!("log.js")),
        script("shortcuts.js", content!("shortcuts.js")),
        StaticAsset::new(
            "htmx.js",
            "text/javascript; charset=utf-8",
            Bytes::from(htmx),
        ),
        StaticAsset::new(
            "favicon.svg",
            "image/svg+xml",
            Bytes::from_static(content!("favicon.svg")),
        ),
        StaticAsset::new(
            "favicon-problem.svg",
            "image/svg+xml",
            Bytes::from_static(content!("favicon-problem.svg")),
        ),
        StaticAsset::new(
            "manifest.webmanifest",
            "application/manifest+json",
            Bytes::from_static(content!("manifest.webmanifest")),
        ),
    ]
});

/// One of our scripts, without comments and indentation. They are a third of its compressed size.
fn script(name: &'static str, source: &[u8]) -> StaticAsset {
    let lines = String::from_utf8_lossy(source);
    let lines = lines.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let mut sent = String::with_capacity(source.len());
    for line in code {
        sent.push_str(line);
        sent.push('\n');
    }
    StaticAsset::new(name, "text/javascript; charset=utf-8", Bytes::from(sent))
}

fn find(name: &str) -> Option<&'static StaticAsset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// The address of a static file, with its hash; without hash if there is no such file, which a test
/// detects.
pub fn url(name: &str) -> String {
    match find(name) {
        Some(asset) => format!("/static/{name}?{}", asset.hash),
        None => format!("/static/{name}"),
    }
}

/// `GET /static/{name}`.
pub async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = find(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{}\"", asset.hash);
    let cached = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|given| given.as_bytes() == etag.as_bytes());
    let common = [
        (
            CACHE_CONTROL,
            "public, max-age=31536000, immutable".to_owned(),
        ),
        (ETAG, etag),
    ];
    if cached {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (
        common,
        [(CONTENT_TYPE, asset.media_type)],
        asset.content.clone(),
    )
        .into_response()
}
