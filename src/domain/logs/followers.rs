//! Follows the log of one program, or those of both in the order in which lines arrive.

use super::offset::{LogOffset, OffsetPair};
use crate::domain::instances::ProgramName;
use crate::infra::log_store::{LogEvent, LogFollower};

/// The followers of one viewer.
#[derive(Debug)]
pub enum LogFollowers {
    /// One log.
    One(ProgramName, LogFollower),
    /// Both.
    Both {
        /// That of the client.
        client: LogFollower,
        /// That of the translator.
        translator: LogFollower,
    },
}

impl LogFollowers {
    /// Waits for the next event of a log; none when the manager stops. Cancel-safe.
    pub async fn next(&mut self) -> Option<(ProgramName, LogEvent)> {
        let (program, event) = match self {
            Self::One(program, follower) => (*program, follower.next().await),
            Self::Both { client, translator } => tokio::select! {
                event = client.next() => (ProgramName::Client, event),
                event = translator.next() => (ProgramName::Translator, event),
            },
        };
        event.map(|event| (program, event))
    }

    /// The place after a record of a program, where another viewer would continue.
    pub fn place(&self, program: ProgramName, seq: u64) -> LogOffset {
        match self {
            Self::One(..) => LogOffset::One(seq),
            Self::Both { client, translator } => LogOffset::Both(
                OffsetPair {
                    client: client.position(),
                    translator: translator.position(),
                }
                .with(program, seq),
            ),
        }
    }
}
