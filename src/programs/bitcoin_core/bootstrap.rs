//! The first exchange of Cap'n Proto RPC: checks whether the program on a connection speaks it.
//!
//! A client begins with a `Bootstrap` message, and the node returns its main interface. The node
//! answers on its connection thread, even while it downloads the chain. Nothing else of the node is
//! used. The layout is from `rpc.capnp` and the message encoding of Cap'n Proto 1.0; the bytes are
//! the first 48 that jd_client_sv2 0.6.0 sends.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// `Message { bootstrap: Bootstrap { questionId: 0 } }`: one segment of 5 words; a struct with 1
/// word of data (the number 8 of `bootstrap` in the union) and 1 pointer; `Bootstrap`, the same
/// size.
const BOOTSTRAP: [u8; 48] = [
    0, 0, 0, 0, 5, 0, 0, 0, // segments - 1, words
    0, 0, 0, 0, 1, 0, 1, 0, // the root's pointer
    8, 0, 0, 0, 0, 0, 0, 0, // the union: bootstrap
    0, 0, 0, 0, 1, 0, 1, 0, // the pointer to Bootstrap
    0, 0, 0, 0, 0, 0, 0, 0, // questionId
    0, 0, 0, 0, 0, 0, 0, 0, // no deprecated object id
];
/// The number of `return` in the union of `Message`.
const RETURN: u16 = 3;
/// The maximum number of words in an answer. A node's answer has 11.
const MOST_WORDS: u32 = 4096;
/// Header, the root's pointer and the first word of data.
const LENGTH: usize = 24;

/// The reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BootstrapReply {
    /// The answer of a program that speaks Cap'n Proto RPC.
    Return,
    /// Other bytes.
    Foreign,
    /// The connection was closed.
    Closed,
    /// No reply in time.
    Silence,
}

/// Sends the message and reads the beginning of the answer. Blocks until `deadline` at the latest.
pub(super) fn exchange(stream: &mut UnixStream, deadline: Instant) -> BootstrapReply {
    let mut answer = [0; LENGTH];
    let mut length = 0;
    if set_timeout(stream, deadline).is_none() {
        return BootstrapReply::Silence;
    }
    if let Err(e) = stream.write_all(&BOOTSTRAP) {
        return reply_of(e.kind());
    }
    while length < LENGTH {
        if set_timeout(stream, deadline).is_none() {
            return BootstrapReply::Silence;
        }
        match stream.read(&mut answer[length..]) {
            Ok(0) if length == 0 => return BootstrapReply::Closed,
            Ok(0) => return BootstrapReply::Foreign,
            Ok(n) => length += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return reply_of(e.kind()),
        }
    }
    if is_return(&answer) {
        BootstrapReply::Return
    } else {
        BootstrapReply::Foreign
    }
}

fn reply_of(kind: ErrorKind) -> BootstrapReply {
    match kind {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => BootstrapReply::Silence,
        _ => BootstrapReply::Closed,
    }
}

/// None: the deadline has passed.
fn set_timeout(stream: &UnixStream, deadline: Instant) -> Option<()> {
    let left = deadline
        .checked_duration_since(Instant::now())
        .filter(|left| *left > Duration::from_millis(1))?;
    stream.set_read_timeout(Some(left)).ok()?;
    stream.set_write_timeout(Some(left)).ok()
}

/// Checks for one segment whose root data directly follows the pointer, as all encoders write it,
/// and `return` in the union.
fn is_return(answer: &[u8; LENGTH]) -> bool {
    let number = |at: usize| {
        let bytes = [answer[at], answer[at + 1], answer[at + 2], answer[at + 3]];
        u32::from_le_bytes(bytes)
    };
    let which = u16::from_le_bytes([answer[16], answer[17]]);
    number(0) == 0 && (3..=MOST_WORDS).contains(&number(4)) && number(8) == 0 && which == RETURN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// The beginning of `(return = (answerId = 0, results = (capTable = [(senderHosted = 0)])))` as
    /// the tool `capnp encode` writes it.
    const ANSWER: [u8; LENGTH] = [
        0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0,
    ];

    /// The reply for a peer that reads the message and then does this.
    fn found(peer: impl FnOnce(UnixStream) + Send + 'static) -> BootstrapReply {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let peer = thread::spawn(move || {
            let mut message = [0; 48];
            theirs.read_exact(&mut message).unwrap();
            assert_eq!(message, BOOTSTRAP);
            peer(theirs);
        });
        let reply = exchange(&mut ours, Instant::now() + Duration::from_millis(400));
        drop(ours);
        peer.join().unwrap();
        reply
    }

    #[test]
    fn a_return_is_told_from_everything_else() {
        let writes = |bytes: Vec<u8>| {
            move |mut stream: UnixStream| {
                // In two pieces, as a node may send it.
                let (head, rest) = bytes.split_at(bytes.len().min(8));
                stream.write_all(head).unwrap();
                stream.write_all(rest).unwrap();
                let _ = stream.read(&mut [0]);
            }
        };
        assert_eq!(found(writes(ANSWER.into())), BootstrapReply::Return);
        assert_eq!(
            found(writes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
            BootstrapReply::Foreign
        );
        let mut abort = ANSWER;
        abort[16] = 1;
        assert_eq!(found(writes(abort.into())), BootstrapReply::Foreign);
        assert_eq!(found(writes(vec![0; 3])), BootstrapReply::Silence);
        assert_eq!(found(drop), BootstrapReply::Closed);
        assert_eq!(
            found(|mut stream| drop(stream.read(&mut [0]))),
            BootstrapReply::Silence
        );
        assert_eq!(
            found(|mut stream| stream.write_all(&[0; 9]).unwrap()),
            BootstrapReply::Foreign
        );
    }
}
