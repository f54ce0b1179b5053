//! Lines of the client's log: their exact form, and where they are written.
//!
//! Knows nothing of what the lines say. The form is that of `tracing_subscriber::fmt` with its
//! defaults, which the real client uses: RFC 3339 in UTC with six decimals, the level right-aligned
//! to five characters, the target, the message, then the fields as `name=value`. Colours are the
//! ones the same crate writes to a terminal.

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::keeper::level::LogLevel;

/// What the value of `RUST_LOG` lets through; `None` is nothing at all. Only a bare level or its
/// number (0 to 5) is understood, anything else means `info`: that is how the client reads the
/// variable. Its `debug` and `trace` lines are not simulated.
pub(in crate::programs) fn level_of_rust_log(value: &str) -> Option<LogLevel> {
    match value.to_ascii_lowercase().as_str() {
        "off" | "0" => None,
        "error" | "1" => Some(LogLevel::Error),
        "warn" | "2" => Some(LogLevel::Warn),
        _ => Some(LogLevel::Info),
    }
}

/// One line, not yet stamped with a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::programs) struct SimulatedLine {
    pub(super) level: LogLevel,
    pub(super) target: &'static str,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

impl SimulatedLine {
    /// A line of the given level and target, without fields.
    pub(in crate::programs) fn new(
        level: LogLevel,
        target: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            level,
            target,
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// The same line with one more field behind the message.
    pub(in crate::programs) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    /// Appends the line with its line feed to `out`. A message may span lines, as the client's
    /// backtraces do.
    fn write(&self, out: &mut String, at: jiff::Timestamp, colour: bool) {
        prefix(out, self.level, self.target, at, colour);
        out.push_str(&self.message);
        for (name, value) in &self.fields {
            // Writing to a String cannot fail.
            let _ = if colour {
                write!(out, " \x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}")
            } else {
                write!(out, " {name}={value}")
            };
        }
        out.push('\n');
    }
}

/// Appends what stands before every message: time, level, target.
fn prefix(out: &mut String, level: LogLevel, target: &str, at: jiff::Timestamp, colour: bool) {
    let _ = if colour {
        let sgr = match level {
            LogLevel::Error => 31,
            LogLevel::Warn => 33,
            _ => 32,
        };
        write!(
            out,
            "\x1b[2m{at:.6}\x1b[0m \x1b[{sgr}m{level:>5}\x1b[0m \x1b[2m{target}\x1b[0m\x1b[2m:\x1b[0m "
        )
    } else {
        write!(out, "{at:.6} {level:>5} {target}: ")
    };
}

/// Lines from a block of text that looks like the client's log without its times: `LEVEL target:
/// message`, one a line, each field behind its own `¦`. Every `{name}` of `values` is replaced in
/// messages and fields.
///
/// # Panics
///
/// When `text` has not that form; the texts are constants of this module's neighbours and their
/// tests read them all.
pub(in crate::programs) fn script(
    text: &'static str,
    values: &[(&str, &dyn Display)],
) -> Vec<SimulatedLine> {
    let fill = |part: &str| {
        values.iter().fold(part.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), &value.to_string())
        })
    };
    text.lines()
        .map(|line| {
            let (level, rest) = line
                .split_once(' ')
                .expect("a scripted line begins with its level");
            let level = level.parse().unwrap_or(LogLevel::Info);
            let (target, text) = rest
                .split_once(": ")
                .expect("a scripted line names its target");
            let mut parts = text.split('¦');
            let message = fill(parts.next().unwrap_or_default());
            let fields = parts
                .map(|field| {
                    field
                        .split_once('=')
                        .expect("a scripted field is name=value")
                })
                .map(|(name, value)| (name, fill(value)))
                .collect();
            SimulatedLine {
                level,
                target,
                message,
                fields,
            }
        })
        .collect()
}

/// Where the lines go: standard output and, when asked for, the client's log file. Cheap to clone;
/// all clones are one log.
#[derive(Clone)]
pub(in crate::programs) struct SimulatedLog(Arc<Mutex<LineSink>>);

struct LineSink {
    file: Option<File>,
    colour: bool,
    level: Option<LogLevel>,
    /// Kept between writes so that a busy log does not allocate for each line.
    text: String,
}

impl SimulatedLog {
    /// A log that writes to standard output, in colour if told, and to `file` (never in colour),
    /// and leaves out what is less grave than `level`.
    pub(in crate::programs) fn new(
        file: Option<File>,
        colour: bool,
        level: Option<LogLevel>,
    ) -> Self {
        Self(Arc::new(Mutex::new(LineSink {
            file,
            colour,
            level,
            text: String::new(),
        })))
    }

    fn sink(&self) -> MutexGuard<'_, LineSink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the lines, stamped with the present time, in one piece. That nobody reads any more is
    /// no reason to stop, as it is none for the client.
    pub(in crate::programs) fn say(&self, lines: impl IntoIterator<Item = SimulatedLine>) {
        let sink = &mut *self.sink();
        let wanted = |line: &SimulatedLine| sink.level.is_some_and(|least| line.level >= least);
        let lines: Vec<SimulatedLine> = lines.into_iter().filter(wanted).collect();
        if lines.is_empty() {
            return;
        }
        let at = jiff::Timestamp::now();
        if let Some(file) = &mut sink.file {
            sink.text.clear();
            lines
                .iter()
                .for_each(|line| line.write(&mut sink.text, at, false));
            let _ = file.write_all(sink.text.as_bytes());
        }
        sink.text.clear();
        lines
            .iter()
            .for_each(|line| line.write(&mut sink.text, at, sink.colour));
        let _ = to_stdout(sink.text.as_bytes());
    }

    /// Writes the lines `line n=<first>` to `line n=<last>` (level INFO, both numbers included) in
    /// one piece, each padded to `bytes` bytes without its line feed, and says whether anybody took
    /// them.
    ///
    /// # Errors
    ///
    /// Standard output is closed.
    pub(super) fn say_numbered(&self, first: u64, last: u64, bytes: usize) -> io::Result<()> {
        let sink = &mut *self.sink();
        if sink.level != Some(LogLevel::Info) {
            return Ok(());
        }
        let at = jiff::Timestamp::now();
        if let Some(file) = &mut sink.file {
            numbered(&mut sink.text, at, false, first, last, bytes);
            let _ = file.write_all(sink.text.as_bytes());
        }
        numbered(&mut sink.text, at, sink.colour, first, last, bytes);
        to_stdout(sink.text.as_bytes())
    }
}

fn to_stdout(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}

/// Fills `out` with the numbered lines. They share one time: the clock is too dear to be asked a
/// hundred thousand times a second.
fn numbered(
    out: &mut String,
    at: jiff::Timestamp,
    colour: bool,
    first: u64,
    last: u64,
    bytes: usize,
) {
    const PADDING: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    out.clear();
    let mut head = String::new();
    prefix(
        &mut head,
        LogLevel::Info,
        "jd_client_sv2::simulate",
        at,
        colour,
    );
    for n in first..=last {
        let start = out.len();
        out.push_str(&head);
        let _ = write!(out, "line n={n}");
        let mut missing = bytes.saturating_sub(out.len() - start);
        if missing > 1 {
            out.push(' ');
            missing -= 1;
            while missing > 0 {
                let piece = missing.min(PADDING.len());
                out.push_str(&PADDING[..piece]);
                missing -= piece;
            }
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().unwrap()
    }

    fn written(line: &SimulatedLine, at: jiff::Timestamp, colour: bool) -> String {
        let mut out = String::new();
        line.write(&mut out, at, colour);
        out
    }

    #[test]
    fn a_line_is_written_as_the_client_writes_it() {
        // Two lines of the real client's log.
        let connect = script(
            "WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider¦attempt={n}¦MAX_RETRIES=3",
            &[("n", &1)],
        );
        assert_eq!(
            written(&connect[0], at("2026-11-22T21:28:39.73187Z"), false),
            "2026-11-22T21:28:39.731870Z  WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider \
             attempt=1 MAX_RETRIES=3\n"
        );
        let listen =
            SimulatedLine::new(LogLevel::Error, "jd_client_sv2", "Failed to bootstrap JDC")
                .with("kind", "CouldNotInitiateSystem");
        assert_eq!(
            written(&listen, at("2026-11-22T21:28:43.733667Z"), false),
            "2026-11-22T21:28:43.733667Z ERROR jd_client_sv2: Failed to bootstrap JDC kind=CouldNotInitiateSystem\n"
        );
    }

    /// The colours are checked against the crate the client itself writes its log with.
    #[test]
    fn colours_are_those_of_the_clients_logging_crate() {
        use tracing_subscriber::fmt::{MakeWriter, format::Writer, time::FormatTime};

        struct Fixed;
        impl FormatTime for Fixed {
            fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
                out.write_str("2026-11-22T21:28:39.731870Z")
            }
        }
        #[derive(Clone, Default)]
        struct Buffer(Arc<Mutex<Vec<u8>>>);
        impl Write for Buffer {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl<'a> MakeWriter<'a> for Buffer {
            type Writer = Self;
            fn make_writer(&'a self) -> Self {
                self.clone()
            }
        }

        for colour in [false, true] {
            let buffer = Buffer::default();
            let subscriber = tracing_subscriber::fmt()
                .with_writer(buffer.clone())
                .with_ansi(colour)
                .with_timer(Fixed)
                .finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "jd_client_sv2::a", "plain ✅");
                tracing::warn!(target: "jd_client_sv2::b", attempt = 1, "with fields");
                tracing::info!(target: "jd_client_sv2", attempt = 1, error = ?io::ErrorKind::NotFound, "two");
            });
            let now = at("2026-11-22T21:28:39.73187Z");
            let ours: String = [
                SimulatedLine::new(LogLevel::Error, "jd_client_sv2::a", "plain ✅"),
                SimulatedLine::new(LogLevel::Warn, "jd_client_sv2::b", "with fields")
                    .with("attempt", 1),
                SimulatedLine::new(LogLevel::Info, "jd_client_sv2", "two")
                    .with("attempt", 1)
                    .with("error", "NotFound"),
            ]
            .iter()
            .map(|line| written(line, now, colour))
            .collect();
            assert_eq!(
                ours,
                String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
            );
        }
    }

    #[test]
    fn numbered_lines_follow_one_another_and_have_the_length_asked_for() {
        let mut out = String::from("old");
        numbered(
            &mut out,
            at("2026-11-22T21:28:39.73187Z"),
            false,
            9,
            11,
            200,
        );
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        for (line, n) in lines.iter().zip(9..) {
            assert!(
                line.starts_with(&format!(
                    "2026-11-22T21:28:39.731870Z  INFO jd_client_sv2::simulate: line n={n} 0123"
                )),
                "{line}"
            );
            assert_eq!(line.len(), 200);
        }
        numbered(&mut out, at("2026-11-22T21:28:39.73187Z"), false, 1, 1, 0);
        assert_eq!(
            out,
            "2026-11-22T21:28:39.731870Z  INFO jd_client_sv2::simulate: line n=1\n"
        );
    }

    #[test]
    fn only_a_bare_level_in_rust_log_is_understood() {
        assert_eq!(level_of_rust_log("off"), None);
        assert_eq!(level_of_rust_log("WARN"), Some(LogLevel::Warn));
        assert_eq!(level_of_rust_log("1"), Some(LogLevel::Error));
        assert_eq!(level_of_rust_log("jd_client_sv2=off"), Some(LogLevel::Info));
    }
}
