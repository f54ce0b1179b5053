//! Reading the log of one instance: a logical stream of bytes in segment files, its records, and following it live.
//!
//! The keeper writes the client's output into the files as it comes; this tool only reads them, so a restart of the manager
//! loses and repeats nothing. Offsets in the stream are the sequence numbers of everything: a record's is the offset just
//! past its last byte, so it never changes, needs no index, and is where reading goes on.
//!
//! * [`segment`]: names of the files, and which there are. [`level`]: the header of a line. Both are for the keeper, too.
//! * [`record`]: bytes to records. [`filter`]: which of them are wanted. [`ansi`]: terminal escapes in their messages.
//! * [`mask`]: secret keys in what the client wrote, which nobody is shown.
//! * [`tail`]: pages of records, forward and backward, and everything as text. Blocks on the disk (through `stream`).
//! * [`count`]: lines by level. [`hub`]: following live, for many viewers at the cost of one (through `ring`).
//!
//! Must not know: instances, HTTP, the database.

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
