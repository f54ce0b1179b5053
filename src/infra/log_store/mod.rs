//! Reads the log of an instance: a logical stream of bytes in segment files, its records, and live
//! following.
//!
//! The keeper writes the output of the client to the files immediately. This module only reads them,
//! so a restart of jd-manager neither loses nor repeats anything. The sequence number of a record is
//! the offset after its last byte: it never changes, needs no index, and is where reading continues.
//!
//! * `stream`: bytes by offset. [`record`]: bytes to records. [`filter`]: selects records, `pattern`: by
//!   regular expressions.
//! * [`ansi`]: terminal escapes in messages. [`mask`]: hides secret keys.
//! * [`tail`]: pages of records, the place of a time, and everything as text. Blocking.
//! * [`count`]: lines by level. [`hub`]: follows live, for many viewers at the cost of one
//!   (`ring`); `batch`: what is rendered once for all of them.
//!
//! File names and line headers are defined in `keeper/segment.rs` and `keeper/level.rs`, because the
//! keeper writes them. Independent of instances, HTTP and the database.

pub mod ansi;
pub mod count;
pub mod filter;
pub mod hub;
mod pattern;

mod batch;
pub mod mask;
pub mod record;
mod ring;

pub(crate) mod stream;
pub mod tail;

#[cfg(test)]
mod test_writer;

pub use crate::keeper::level::LogLevel;
pub use batch::{LogBatch, RecordFormat};
pub use filter::LogFilter;
pub use hub::{LogEvent, LogFollower, LogHub};
pub use mask::SecretMask;
pub use pattern::LogPattern;
pub use record::LogRecord;
pub use tail::{InstanceLog, PAGE_BYTES, RecordPage, RecordTexts};
