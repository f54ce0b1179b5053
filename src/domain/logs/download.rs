//! Several logs as one text, merged by time while it is sent. Blocking.

use std::io;

use crate::infra::log_store::{InstanceLog, LogFilter, RecordTexts};

/// The approximate size of a chunk, bytes.
const CHUNK: usize = 64 * 1024;

/// The next record of a log: its time in milliseconds since 1970, and its text.
type Head = Option<(i64, Vec<u8>)>;

/// One of the logs.
#[derive(Debug)]
struct TextSource {
    prefix: String,
    texts: RecordTexts,
    head: Head,
}

impl TextSource {
    /// Reads the next record; returns the one before it.
    fn advance(&mut self) -> io::Result<Head> {
        let latest = self.head.as_ref().map_or(i64::MIN, |head| head.0);
        let next = self.texts.next().transpose()?;
        // A record without a time belongs to the one before it.
        let next = next.map(|(at, text)| (at.map_or(latest, |at| at.0.max(latest)), text));
        Ok(std::mem::replace(&mut self.head, next))
    }
}

/// The merged text in chunks. Every line starts with the prefix of its log. Ends after an error.
#[derive(Debug)]
pub struct MergedText {
    sources: Vec<TextSource>,
    is_over: bool,
}

impl MergedText {
    /// The whole available logs, each with its prefix.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn new(logs: Vec<(String, InstanceLog)>, filter: &LogFilter) -> io::Result<Self> {
        let source = |(prefix, log): (String, InstanceLog)| {
            let mut source = TextSource {
                prefix,
                texts: log.texts(filter.clone())?,
                head: None,
            };
            source.advance()?;
            Ok(source)
        };
        Ok(Self {
            sources: logs.into_iter().map(source).collect::<io::Result<_>>()?,
            is_over: false,
        })
    }

    /// The log whose next record is the oldest; the first of them if equal.
    fn oldest(&mut self) -> Option<&mut TextSource> {
        let time = |source: &TextSource| source.head.as_ref().map(|head| head.0);
        let with_head = self
            .sources
            .iter_mut()
            .filter(|source| source.head.is_some());
        with_head.min_by_key(|source| time(source))
    }

    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            let Some(source) = self.oldest() else {
                break;
            };
            let Some((_, text)) = source.advance()? else {
                break;
            };
            for line in text.split(|byte| *byte == b'\n') {
                chunk.extend_from_slice(source.prefix.as_bytes());
                chunk.extend_from_slice(line);
                chunk.push(b'\n');
            }
        }
        Ok(chunk)
    }
}

impl Iterator for MergedText {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let chunk = self.chunk();
        let is_last = chunk.as_ref().map_or(true, Vec::is_empty);
        self.is_over = is_last;
        (chunk.is_err() || !is_last).then_some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::segment;

    #[test]
    fn the_text_of_both_logs_is_in_order_of_time_and_names_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let log = |name: &str, text: &str| {
            let dir = dir.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join(segment::file_name(0)), text).unwrap();
            InstanceLog::new(dir)
        };
        let client = log(
            "logs",
            "2026-11-22T21:28:39.000000Z  INFO a: one\n2026-11-22T21:28:41.000000Z ERROR a: three\nmore\n",
        );
        let translator = log(
            "logs-translator",
            "2026-11-22T21:28:40.000000Z  INFO b: two\n2026-11-22T21:28:42.000000Z  WARN b: four\n",
        );
        let whole = |filter: LogFilter| -> String {
            let prefixed = |prefix: &str, log: &InstanceLog| (prefix.to_owned(), log.clone());
            let logs = vec![
                prefixed("client     ", &client),
                prefixed("translator ", &translator),
            ];
            let chunks = MergedText::new(logs, &filter).unwrap();
            let bytes: Vec<Vec<u8>> = chunks.collect::<io::Result<_>>().unwrap();
            String::from_utf8(bytes.concat()).unwrap()
        };
        assert_eq!(
            whole(LogFilter::default()),
            "client     2026-11-22T21:28:39.000000Z  INFO a: one\n\
             translator 2026-11-22T21:28:40.000000Z  INFO b: two\n\
             client     2026-11-22T21:28:41.000000Z ERROR a: three\n\
             client     more\n\
             translator 2026-11-22T21:28:42.000000Z  WARN b: four\n"
        );
        let four = LogFilter {
            text: Some("four".into()),
            ..LogFilter::default()
        };
        assert_eq!(whole(four).lines().count(), 1);
        let none = MergedText::new(Vec::new(), &LogFilter::default()).unwrap();
        assert_eq!(none.count(), 0);
    }
}
