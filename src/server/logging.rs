//! The program's own log: output, format and filter. The filter can be changed at run
//! time.

use std::io::{self, Write};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

use crate::server::settings::{LogFormat, Settings};

type Change = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// Set when the log is initialized.
static FILTER: OnceLock<Change> = OnceLock::new();

/// Initializes the log. Lines go to standard error; standard output has only the line with the URL.
pub fn begin(settings: &Settings) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(quiet(&settings.log)))
        .with_writer(|| VisibleStderr);
    // Each has its own type.
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

/// Changes the filter. The settings have validated it.
pub fn change(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(quiet(filter)).map_err(|e| e.to_string())?;
    FILTER.get().map_or(Ok(()), |change| change(filter))
}

/// Standard error for lines that may contain text from others: the library escapes control
/// characters, and invisible characters are made visible here.
struct VisibleStderr;

impl Write for VisibleStderr {
    /// A whole line, as the library writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr()
            .write_all(crate::base::visible::in_log(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The scheduler library logs internals at `info`; they are hidden by default.
fn quiet(filter: &str) -> String {
    if filter.contains("tokio_cron_scheduler") {
        filter.to_owned()
    } else {
        format!("tokio_cron_scheduler=warn,{filter}")
    }
}
