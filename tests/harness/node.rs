//! A stand-in for Bitcoin Core's socket: what listens there, and how it answers.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// `(return = (answerId = 0, results = (capTable = [(senderHosted = 0)])))` of Cap'n Proto RPC, as
/// the tool `capnp encode` writes it.
const RETURN: [u8; 96] = {
    let mut bytes = [0; 96];
    bytes[4] = 11;
    bytes[12] = 1;
    bytes[14] = 1;
    bytes[16] = 3;
    bytes[28] = 2;
    bytes[30] = 1;
    bytes[54] = 2;
    bytes[64] = 1;
    bytes[68] = 0x17;
    bytes[72] = 4;
    bytes[76] = 1;
    bytes[78] = 1;
    bytes[80] = 1;
    bytes
};

/// What a peer does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeBehavior {
    /// Answers the first message as a node does, and nothing after it.
    Answers,
    /// Answers the first message, and each call with this exception: reason and kind (0: failed,
    /// 3: unimplemented).
    Refuses(&'static str, u16),
    /// Reads and says nothing.
    IsSilent,
    /// Closes it at once.
    Closes,
}

/// A listener that ends with the test.
pub struct FakeNode {
    socket: std::path::PathBuf,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeNode {
    /// Listens at this path.
    pub fn start(socket: &Path, behavior: NodeBehavior) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let thread = std::thread::spawn(move || {
            // Kept open until the end.
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(mut stream) = stream else { break };
                match behavior {
                    NodeBehavior::Closes => drop(stream),
                    NodeBehavior::IsSilent => open.push(stream),
                    NodeBehavior::Refuses(reason, kind) => {
                        let copy = stream.try_clone().unwrap();
                        open.push(copy);
                        std::thread::spawn(move || refuse_calls(&mut stream, reason, kind));
                    }
                    NodeBehavior::Answers => {
                        let _ = stream.read(&mut [0; 48]);
                        let _ = stream.write_all(&RETURN);
                        open.push(stream);
                    }
                }
            }
        });
        Self {
            socket: socket.to_owned(),
            is_over,
            thread: Some(thread),
        }
    }
}

/// Until the connection ends.
fn refuse_calls(stream: &mut UnixStream, reason: &str, kind: u16) -> Option<()> {
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).ok()?;
        let words = u32::from_le_bytes(header[4..].try_into().ok()?);
        let mut message = vec![0; usize::try_from(words).ok()? * 8];
        stream.read_exact(&mut message).ok()?;
        // The number in the union of the message: bootstrap or call.
        match message.get(8)? {
            8 => stream.write_all(&RETURN).ok()?,
            2 => {
                let question = message.get(24..28)?;
                stream.write_all(&exception(question, reason, kind)).ok()?;
            }
            _ => {}
        }
    }
}

/// `(return = (answerId = …, exception = (reason = …, type = …)))`.
fn exception(question: &[u8], reason: &str, kind: u16) -> Vec<u8> {
    let mut text = [reason.as_bytes(), &[0]].concat();
    let length = u32::try_from(text.len()).unwrap();
    text.resize(text.len().next_multiple_of(8), 0);
    let words = 9 + u32::try_from(text.len() / 8).unwrap();
    let kind = kind.to_le_bytes();
    [
        &[0; 4][..],
        &words.to_le_bytes(),
        &[0, 0, 0, 0, 1, 0, 1, 0],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 0, 2, 0, 1, 0],
        question,
        &[0, 0, 1, 0],
        &[0; 8],
        &[0, 0, 0, 0, 1, 0, 2, 0],
        &[0, 0, 0, 0, kind[0], kind[1], 0, 0],
        &5_u32.to_le_bytes(),
        &((length << 3) | 2).to_le_bytes(),
        &[0; 8],
        text.as_slice(),
    ]
    .concat()
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // The listener waits for a connection.
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
