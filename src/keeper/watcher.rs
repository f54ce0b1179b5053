//! What the keeper learns from the client's output: that it serves miners, and what went wrong last.

use crate::logbuf::level::{Level, level_of_line};

/// So much of an ERROR line is kept, bytes.
const LAST_ERROR_BYTES: usize = 2048;

/// Looks at every line of output for two things: that the client serves miners, and its last ERROR line.
#[derive(Debug, Default)]
pub struct LineWatcher {
    partial: Vec<u8>,
    ready_when: Vec<String>,
    last_error: Option<Vec<u8>>,
    /// The last line that is not in the client's format: what it says when it cannot even start (configuration errors, panics).
    last_bare: Option<Vec<u8>>,
}

impl LineWatcher {
    /// `ready_when`: a line with one of these in it says that the client serves miners.
    #[must_use]
    pub fn new(ready_when: Vec<String>) -> Self {
        Self { ready_when, ..Self::default() }
    }

    /// Looks at the next bytes; true once a line says that the client serves miners.
    pub fn look(&mut self, bytes: &[u8]) -> bool {
        let mut is_ready = false;
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            if self.partial.is_empty() {
                is_ready |= self.line(&rest[..at]);
            } else {
                self.keep_partial(&rest[..at]);
                let line = std::mem::take(&mut self.partial);
                is_ready |= self.line(&line);
            }
            rest = &rest[at + 1..];
        }
        self.keep_partial(rest);
        is_ready
    }

    fn keep_partial(&mut self, bytes: &[u8]) {
        let room = LAST_ERROR_BYTES.saturating_sub(self.partial.len()).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..room]);
    }

    fn line(&mut self, line: &[u8]) -> bool {
        let cut = &line[..line.len().min(LAST_ERROR_BYTES)];
        match level_of_line(line) {
            Some(Level::Error) => self.last_error = Some(cut.to_vec()),
            Some(_) => {}
            // The first line of a message says what it is about; the rest explains.
            None if self.last_bare.is_none() && !line.iter().all(u8::is_ascii_whitespace) => self.last_bare = Some(cut.to_vec()),
            None => {}
        }
        if self.ready_when.is_empty() {
            return false;
        }
        let text = String::from_utf8_lossy(cut);
        let is_ready = self.ready_when.iter().any(|mark| text.contains(mark.as_str()));
        if is_ready {
            self.ready_when.clear();
        }
        is_ready
    }

    /// The last ERROR line of this run; if there was none, what was said outside the client's format.
    pub fn take_last_error(&mut self) -> Option<String> {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.line(&line);
        }
        let line = self.last_error.take().or(self.last_bare.take())?;
        Some(String::from_utf8_lossy(&line).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_found_whatever_the_pieces() {
        let log = include_bytes!("../../tests/data/jd-client/tp_unreachable.log");
        for size in [1, 7, 100, 65_536] {
            let mut watcher = LineWatcher::new(vec!["ready to accept connections".into()]);
            assert!(!log.chunks(size).any(|piece| watcher.look(piece)));
            let error = watcher.take_last_error().unwrap();
            assert!(error.ends_with("ERROR jd_client_sv2: Failed to bootstrap JDC kind=CouldNotInitiateSystem"), "{error}");
        }
    }

    #[test]
    fn a_client_that_serves_miners_is_ready_once() {
        let log = include_bytes!("../../tests/data/jd-client/signature64_ok.log");
        let mut watcher = LineWatcher::new(vec!["ready to accept connections".into()]);
        assert_eq!(log.chunks(50).filter(|piece| watcher.look(piece)).count(), 1);
    }

    #[test]
    fn what_is_said_outside_the_format_counts_when_nothing_else_was() {
        let mut watcher = LineWatcher::default();
        watcher.look(b"\nJob Declarator Client config error: missing field\n  more\n");
        assert_eq!(watcher.take_last_error().as_deref(), Some("Job Declarator Client config error: missing field"));
    }
}
