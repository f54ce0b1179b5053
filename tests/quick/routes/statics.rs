//! `/static/{name}`.

use super::bare;
use crate::harness::Manager;
use crate::harness::answer::Answer;

/// The addresses of the static files that pages name.
async fn named(manager: &Manager) -> Vec<String> {
    let mut all = Vec::new();
    for path in ["/", "/metrics"] {
        let page = manager.ask(path, "text/html").await.page(200);
        all.extend(page.attrs("script[src]", "src"));
        all.extend(page.attrs("link[href]", "href"));
    }
    all.sort();
    all.dedup();
    all
}

#[tokio::test]
async fn every_file_a_page_names_is_there_for_good_under_an_address_with_its_hash() {
    let manager = Manager::start().await;
    let named = named(&manager).await;
    assert_eq!(named.len(), 9, "{named:?}");
    for address in named {
        let (path, hash) = address
            .split_once('?')
            .unwrap_or_else(|| panic!("{address} has no hash"));
        assert_eq!(hash.len(), 16, "{address}");
        let kind = match path.rsplit_once('.').unwrap().1 {
            "css" => "text/css",
            "js" => "text/javascript",
            "svg" => "image/svg+xml",
            "webmanifest" => "application/manifest+json",
            other => panic!("{other}"),
        };
        let file = manager.ask(&address, "*/*").await;
        assert_eq!((file.status, file.media_type()), (200, kind), "{address}");
        assert!(
            file.header("cache-control")
                .is_some_and(|c| c.contains("immutable") && c.contains("max-age=31536000")),
            "{file:?}"
        );
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        let read = |path: &str| {
            std::fs::read_to_string(format!("{}{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
        };
        // htmx and its extension go together: apart, the one might begin before the other is there.
        let here = match path {
            "/static/htmx.js" => format!(
                "{}\n{}\n",
                read("/static/htmx.min.js"),
                read("/static/hx-sse.min.js")
            ),
            // Without comments and indentation.
            path if path.ends_with(".js") => {
                let code = read(path);
                // A text over several lines would lose its indentation.
                let is_closed = |line: &str| line.matches('`').count().is_multiple_of(2);
                assert!(code.lines().all(is_closed), "{path}");
                let lines = code.lines().map(str::trim_start);
                let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
                lines.map(|line| format!("{line}\n")).collect()
            }
            path => read(path),
        };
        assert_eq!(file.text, here, "{address}");

        let etag = file.header("etag").unwrap().to_owned();
        let again = Answer::to(
            manager
                .request("GET", &address)
                .header("if-none-match", &etag),
        )
        .await;
        assert_eq!(
            (again.status, again.text.as_str(), again.header("etag")),
            (304, "", Some(etag.as_str()))
        );
        let other = Answer::to(
            manager
                .request("GET", &address)
                .header("if-none-match", "\"0\""),
        )
        .await;
        assert_eq!(other.status, 200);
        let head = bare(&manager, "HEAD", &address).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        let small = manager
            .request("GET", &address)
            .header("accept-encoding", "gzip")
            .send()
            .await
            .unwrap();
        if here.len() > 1000 {
            assert_eq!(
                small.headers().get("content-encoding").unwrap(),
                "gzip",
                "{address}"
            );
            assert!(small.bytes().await.unwrap().len() < here.len());
        }
    }
}

#[tokio::test]
async fn whatever_else_is_asked_for_is_not_there() {
    let manager = Manager::start().await;
    for path in [
        "/static/nothing.js",
        "/static/",
        "/static",
        "/static/VENDORED.md",
        "/static/..%2fCargo.toml",
        "/static/app.css/x",
        "/api/static/app.css",
    ] {
        manager.ask(path, "application/json").await.problem(404);
        let page = manager.ask(path, "text/html").await;
        page.page(404);
        assert_eq!(
            page.header("cache-control"),
            Some("no-store"),
            "an error is not kept: {path}"
        );
        assert!(
            page.vary().contains(&"accept".to_owned()),
            "an error comes in more than one form: {path}"
        );
    }
    let refused = bare(&manager, "POST", "/static/app.css").await;
    refused.problem(405);
    assert_eq!(refused.allow(), ["GET", "HEAD"]);
}
