//! Both programs' logs as one text, merged by time while it is sent. Blocking.

use std::io;

use crate::domain::instances::ProgramName;
use crate::infra::log_store::{InstanceLog, LogFilter, RecordTexts};

/// The approximate size of a chunk, bytes.
const CHUNK: usize = 64 * 1024;

/// The next record of a log: its time in milliseconds since 1970, and its text.
type Head = Option<(i64, Vec<u8>)>;

/// The merged text in chunks. Every line starts with the name of its program. Ends after an error.
#[derive(Debug)]
pub struct MergedText {
    texts: [RecordTexts; 2],
    heads: [Head; 2],
    is_over: bool,
}

impl MergedText {
    /// The whole available logs of an instance.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn new(
        client: &InstanceLog,
        translator: &InstanceLog,
        filter: &LogFilter,
    ) -> io::Result<Self> {
        let mut merged = Self {
            texts: [
                client.texts(filter.clone())?,
                translator.texts(filter.clone())?,
            ],
            heads: [None, None],
            is_over: false,
        };
        merged.advance(0)?;
        merged.advance(1)?;
        Ok(merged)
    }

    /// Reads the next record of a log; returns the one before it.
    fn advance(&mut self, side: usize) -> io::Result<Head> {
        let latest = self.heads[side].as_ref().map_or(i64::MIN, |head| head.0);
        let next = self.texts[side].next().transpose()?;
        // A record without a time belongs to the one before it.
        let next = next.map(|(at, text)| (at.map_or(latest, |at| at.0.max(latest)), text));
        Ok(std::mem::replace(&mut self.heads[side], next))
    }

    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            let side = match (&self.heads[0], &self.heads[1]) {
                (None, None) => break,
                (Some(client), Some(translator)) => usize::from(client.0 > translator.0),
                (None, Some(_)) => 1,
                (Some(_), None) => 0,
            };
            let program = [ProgramName::Client, ProgramName::Translator][side];
            let Some((_, text)) = self.advance(side)? else {
                break;
            };
            for line in text.split(|byte| *byte == b'\n') {
                chunk.extend_from_slice(format!("{:<10} ", program.as_str()).as_bytes());
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
            let chunks = MergedText::new(&client, &translator, &filter).unwrap();
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
    }
}
