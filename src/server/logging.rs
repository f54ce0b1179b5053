//! The program's own log: where its lines go, how they look, and which are written, which can be
//! changed while it runs.

use std::io::{self, Write};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

use crate::server::settings::{LogFormat, Settings};

type Change = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// Set once there is a log.
static FILTER: OnceLock<Change> = OnceLock::new();

/// Begins the log. Lines go to standard error; standard output carries the one line with the URL.
pub fn begin(settings: &Settings) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(quiet(&settings.log)))
        .with_writer(|| VisibleStderr);
    // Each is a type of its own.
    match settings.log_format {
        LogFormat::Json => {
            let lines = lines.json().with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            let _ = FILTER.set(Box::new(move |filter| {
                handle.reload(filter).map_err(|e| e.to_string())
            }));
        }
        LogFormat::Pretty => {
            let lines = lines
                .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
                .with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            let _ = FILTER.set(Box::new(move |filter| {
                handle.reload(filter).map_err(|e| e.to_string())
            }));
        }
    }
}

/// From now on these lines are written. The filter is one that the settings have accepted.
pub fn change(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(quiet(filter)).map_err(|e| e.to_string())?;
    FILTER.get().map_or(Ok(()), |change| change(filter))
}

/// Standard error for lines that may hold text of others: control characters are escaped by the
/// library, what hides something is shown here.
struct VisibleStderr;

impl Write for VisibleStderr {
    /// A whole line, as the library writes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr()
            .write_all(crate::base::visible::in_log(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The scheduler's library tells of its own insides at `info`; that is for those who ask for it.
fn quiet(filter: &str) -> String {
    if filter.contains("tokio_cron_scheduler") {
        filter.to_owned()
    } else {
        format!("tokio_cron_scheduler=warn,{filter}")
    }
}
