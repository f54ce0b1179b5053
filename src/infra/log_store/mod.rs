//! Reading the log of one instance: a logical stream of bytes in segment files, its records, and
//! following it live.
//!
//! The keeper writes the client's output into the files as it comes. This module only reads them,
//! so a restart of the manager loses and repeats nothing. A record's sequence number is the offset
//! just past its last byte: it never changes, needs no index, and is where reading continues.
//!
//! * `stream`: bytes by offset. [`record`]: bytes to records. [`filter`]: which of them are wanted.
//! * [`ansi`]: terminal escapes in messages. [`mask`]: secret keys in what the client wrote.
//! * [`tail`]: pages of records, and everything as text. Blocks on the disk.
//! * [`count`]: lines by level. [`hub`]: follows live, for many viewers at the cost of one
//!   (`ring`).
//!
//! Names of files and headers of lines are in `keeper/segment.rs` and `keeper/level.rs`, since the
//! keeper writes them. Knows no instance, HTTP or database.

pub mod ansi;
pub mod count;
pub mod filter;
pub mod hub;

pub mod mask;
pub mod record;
mod ring;

pub(crate) mod stream;
pub mod tail;

#[cfg(test)]
mod test_writer;

pub use crate::keeper::level::Level;
pub use filter::Filter;
pub use hub::{Event, Follower, Hub};
pub use mask::SecretMask;
pub use record::Record;
pub use tail::{Log, Page};
