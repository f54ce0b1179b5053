//! Follows a job on clients until it ends.

use serde::Deserialize;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::error::{CommandError, FAILED, complain};
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::text::in_line;

/// A job as returned by the API.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiJob {
    pub(super) id: String,
    task: String,
    version: String,
    stage: String,
    progress: Option<u8>,
    message: String,
    ended_at: Option<String>,
    excerpt: Vec<String>,
    next: Option<String>,
    switch: Option<ApiSwitch>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ApiSwitch {
    steps: Vec<ApiSwitchStep>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ApiSwitchStep {
    name: String,
    state: String,
    words: String,
}

impl ApiJob {
    /// The task and its progress.
    pub(super) fn words(&self) -> String {
        let progress = self
            .progress
            .map(|progress| format!(" ({progress} %)"))
            .unwrap_or_default();
        format!("{} {}: {}{progress}", self.task, self.version, self.message)
    }

    /// The job succeeded. `rolled-back` is a switch that failed; a successful rollback is
    /// `switched`.
    fn is_good(&self) -> bool {
        ["installed", "switched"].contains(&self.stage.as_str())
    }
}

/// A restarted manager continues the job. This is how many seconds to wait for the restart.
const PATIENCE: u32 = 60;

/// Follows a job and its follow-up jobs to the end. Progress goes to standard error, the result to
/// standard output.
pub(super) async fn follow(
    id: &str,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let mut next = Some(id.to_owned());
    while let Some(id) = next {
        let (raw, job) = end(&id, manager, paper).await?;
        if paper.json {
            paper.answer(&raw)?;
        } else if job.is_good() {
            paper.line(&in_line(&job.message))?;
        } else {
            job.excerpt
                .iter()
                .for_each(|line| complain(&format!("  {}", in_line(line))));
            complain(&format!("jd-manager: {}", in_line(&job.message)));
        }
        paper.flush()?;
        if !job.is_good() {
            return Err(CommandError::Reported(FAILED));
        }
        next = job.next;
    }
    Ok(())
}

/// The end of a job: the unchanged JSON and the parsed fields.
async fn end(
    id: &str,
    manager: &RemoteManager,
    paper: &TerminalOutput,
) -> Result<(String, ApiJob), CommandError> {
    let path = format!("/api/updates/jobs/{id}");
    let mut progress = JobProgressPrinter {
        is_live: std::io::stderr().is_terminal() && !paper.json,
        said: Vec::new(),
        is_shown: false,
    };
    let mut tries = 0;
    loop {
        let mut lost = "jd-manager closed the connection".to_owned();
        match manager.listen(&path, None).await {
            Ok(mut stream) => {
                tries = 0;
                while let Some(event) = stream.next().await.unwrap_or_else(|why| {
                    lost = why;
                    None
                }) {
                    if event.name != "job" {
                        continue;
                    }
                    let Ok(job) = serde_json::from_str::<ApiJob>(&event.data) else {
                        continue;
                    };
                    if !paper.json {
                        progress.show(&job);
                    }
                    if job.ended_at.is_some() {
                        progress.wipe();
                        return Ok((event.data, job));
                    }
                }
            }
            Err(CommandError::Failed(why)) => lost = why,
            Err(trouble) => return Err(trouble),
        }
        tries += 1;
        if tries > PATIENCE {
            progress.wipe();
            return Err(CommandError::Failed(format!(
                "{lost}. The job will continue when jd-manager is running again. Show its progress with: jd-manager updates"
            )));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Prints progress and remembers what was printed.
struct JobProgressPrinter {
    /// Overwrite one line; otherwise print a line for each new message.
    is_live: bool,
    said: Vec<String>,
    is_shown: bool,
}

impl JobProgressPrinter {
    fn show(&mut self, job: &ApiJob) {
        let steps = job
            .switch
            .iter()
            .flat_map(|switch| &switch.steps)
            .filter(|step| step.state != "waiting" && step.state != "trying");
        for step in steps {
            self.once(
                in_line(&format!("{}: {}. {}", step.name, step.state, step.words))
                    .trim_end()
                    .to_owned(),
            );
        }
        if job.ended_at.is_some() {
            return;
        }
        if self.is_live {
            let percent = job
                .progress
                .map(|progress| format!(" {progress} %"))
                .unwrap_or_default();
            let _ = write!(
                std::io::stderr(),
                "\r\u{1b}[K{}{percent}",
                in_line(&job.message)
            );
            self.is_shown = true;
        } else {
            self.once(in_line(&format!("{}: {}", job.stage, job.message)));
        }
    }

    fn once(&mut self, line: String) {
        if !self.said.contains(&line) {
            self.wipe();
            complain(&line);
            self.said.push(line);
        }
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
