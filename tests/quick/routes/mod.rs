//! Every URL over HTTP: status, headers and shape as JSON, as a page and as the fragment htmx asks
//! for, and how each refuses what it cannot take. One module for each group of URLs.

mod alerts;
mod bulk;
mod charts;
mod events;
mod forms;
mod glossary;
mod health;
mod hosts;
mod instance_list;
mod instances;
mod instances_id;
mod keys;
mod legacy_api;
mod list_limits;
mod log_limits;
mod log_views;
mod logs;
mod metrics;
mod miners;
mod mutes;
mod node;
mod rollouts;
mod saved_configs;
mod scrape;
mod setup;
mod statics;
mod translator;
mod translator_files;
mod trial;
mod widget;

use crate::harness::answer::Answer;
use crate::harness::{Manager, until};

/// An id that nothing has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// One byte more than a body may have.
const TOO_LARGE: usize = 1024 * 1024 + 1;

/// A request with a JSON body, as a program sends it.
async fn send(manager: &Manager, method: &str, path: &str, body: &serde_json::Value) -> Answer {
    Answer::to(
        manager
            .request(method, path)
            .header("accept", "application/json")
            .json(body),
    )
    .await
}

/// A request without a body, as a program sends it.
async fn bare(manager: &Manager, method: &str, path: &str) -> Answer {
    Answer::to(
        manager
            .request(method, path)
            .header("accept", "application/json"),
    )
    .await
}

/// A plain form, as a browser sends it.
async fn form(manager: &Manager, path: &str, fields: &[(&str, &str)]) -> Answer {
    Answer::to(
        manager
            .request("POST", path)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .form(fields),
    )
    .await
}

/// An action on several instances, with its result also if it takes longer than a response may.
async fn act_on_many(manager: &Manager, body: &serde_json::Value) -> Answer {
    let answer = send(manager, "POST", "/api/instances/actions", body).await;
    if answer.status != 202 {
        return answer;
    }
    let job = answer.json(202)["job"].as_str().unwrap().to_owned();
    let path = format!("/api/jobs/{job}");
    until("the end of the job", || async {
        let job = bare(manager, "GET", &path).await;
        (job.json(200)["stage"] != "running").then_some(job)
    })
    .await
}

/// The same with a form, with the page of the result.
async fn form_on_many(manager: &Manager, fields: &[(&str, &str)]) -> Answer {
    let answer = form(manager, "/instances/actions", fields).await;
    let path = answer
        .header("location")
        .filter(|path| path.starts_with("/jobs/"));
    let Some(path) = path.map(str::to_owned) else {
        return answer;
    };
    until("the end of the job", || async {
        let page = manager.ask(&path, "text/html").await;
        (page.page(200).count("progress") == 0).then_some(page)
    })
    .await
}

/// A form that htmx sends to fill `target`.
async fn swap(manager: &Manager, path: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    let request = manager
        .request("POST", path)
        .header("accept", "text/html")
        .header("hx-request", "true");
    Answer::to(request.header("hx-target", target).form(fields)).await
}
