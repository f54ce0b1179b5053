//! Vocabulary: the words that all other folders use. Imports nothing of ours and starts nothing.

pub mod clock;
pub mod error;
pub mod failpoint;
pub mod files;
pub mod ids;
pub mod quantity;
pub mod role;
pub mod units;
pub mod visible;
