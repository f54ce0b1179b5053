//! Records that reach followers together, and what was rendered of them.

use bytes::Bytes;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use super::filter::LogFilter;
use super::record::LogRecord;

/// Renderings that a batch keeps at most; others are made for each follower.
const MOST_RENDERINGS: usize = 8;

/// How records are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFormat {
    /// For a page, not as JSON.
    pub as_html: bool,
    /// Which of them.
    pub filter: LogFilter,
}

/// Consecutive records, oldest first, at least one.
#[derive(Debug)]
pub struct LogBatch {
    records: Vec<Arc<LogRecord>>,
    /// Each rendering, or that there is nothing to show.
    renderings: Mutex<Vec<(RecordFormat, Option<Bytes>)>>,
}

impl LogBatch {
    /// A batch of these records.
    pub fn new(records: Vec<Arc<LogRecord>>) -> Self {
        Self {
            records,
            renderings: Mutex::default(),
        }
    }

    /// What is shown of the records in this format: rendered by the first follower that needs it, and
    /// shared with all others.
    pub fn rendering(
        &self,
        format: &RecordFormat,
        render: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        // Others wait instead of rendering the same.
        let mut renderings = self
            .renderings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, shown)) = renderings.iter().find(|(known, _)| known == format) {
            return shown.clone();
        }
        let shown = render();
        if renderings.len() < MOST_RENDERINGS {
            renderings.push((format.clone(), shown.clone()));
        }
        shown
    }
}

impl Deref for LogBatch {
    type Target = [Arc<LogRecord>];

    fn deref(&self) -> &[Arc<LogRecord>] {
        &self.records
    }
}

impl PartialEq for LogBatch {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}

impl Eq for LogBatch {}
