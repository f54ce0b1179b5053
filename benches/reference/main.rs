//! The reference measurements: every limit of the project that a test cannot check, because it depends on
//! the machine. Ratios are measured side by side in one run.
//!
//! `cargo bench --bench reference -- NAME` runs one of them, without `NAME` all. `scripts/bench` runs them
//! and writes the results to `docs/PERFORMANCE.md`. Every result is one line: `ok`, `MISSED`, or `info` if it
//! has no limit. A missed limit is no failure.
//!
//! `lists short` is for `scripts/test`, in a debug build: it fails if a ratio is less than half of the
//! recorded one.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

mod harness;
mod health;
mod idle;
mod lists;
mod logs;
mod metrics;
mod pages;
mod streams;
mod supervision;

use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use lists::BenchForm;

/// In the order of `scripts/bench`.
const NAMES: [&str; 8] = [
    "supervision",
    "health",
    "lists",
    "pages",
    "streams",
    "idle",
    "logs",
    "metrics",
];

/// Returns whether it passed, which only the short form can fail to do.
async fn run(name: &str, form: BenchForm, root: &Path) -> bool {
    match name {
        "supervision" => supervision::run(root),
        "health" => health::run(root).await,
        "lists" => return lists::run(root, form).await,
        "pages" => pages::run(root).await,
        "streams" => streams::run(root).await,
        "idle" => idle::run(root).await,
        "logs" => logs::run(root).await,
        "metrics" => metrics::run(root).await,
        _ => panic!("there is no bench {name}; there are {NAMES:?}"),
    }
    true
}

fn main() {
    // `cargo bench` adds an argument.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (names, form) = match arguments.as_slice() {
        ["bare", body] => {
            let body = std::fs::read(body).unwrap();
            return Runtime::new()
                .unwrap()
                .block_on(lists::serve_bare(body.into()));
        }
        [] => (NAMES.to_vec(), BenchForm::Full),
        ["lists", "short"] => (vec!["lists"], BenchForm::Short),
        [name] if NAMES.contains(name) => (vec![*name], BenchForm::Full),
        _ => {
            eprintln!("Usage: reference [NAME | lists short]; NAME is one of {NAMES:?}");
            std::process::exit(2);
        }
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut has_passed = true;
    for name in names {
        let root = tempfile::tempdir().unwrap();
        let bench = run(name, form, root.path());
        has_passed &= LocalSet::new().block_on(&runtime, bench);
    }
    if !has_passed {
        std::process::exit(1);
    }
}
