//! One conversation on the keeper's control socket: whole lines in, whole lines out, and a bound on
//! both.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::protocol;

/// A conversation on the control socket.
pub struct ControlConnection {
    /// Does not block.
    pub stream: UnixStream,
    received: Vec<u8>,
    /// What the other side has not taken yet.
    pub to_send: Vec<u8>,
    /// Every change is told here.
    pub watches: bool,
    /// To be dropped.
    pub over: bool,
}

impl ControlConnection {
    /// A conversation over a stream that does not block.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            to_send: Vec::new(),
            watches: false,
            over: false,
        }
    }

    /// The lines that have come since the last time, without their ends.
    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.over = true;
                    break;
                }
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.over = true;
                    break;
                }
            }
            if self.received.len() > protocol::LONGEST_LINE {
                self.over = true;
                break;
            }
        }
        let mut lines = Vec::new();
        while let Some(at) = self.received.iter().position(|b| *b == b'\n') {
            let mut line: Vec<u8> = self.received.drain(..=at).collect();
            line.pop();
            lines.push(line);
        }
        lines
    }

    /// Sends a line, now or when the other side takes it.
    pub fn send(&mut self, line: &[u8]) {
        // Somebody who watches but never reads is let go rather than remembered for.
        if self.to_send.len() > 1 << 20 {
            self.over = true;
            return;
        }
        self.to_send.extend_from_slice(line);
        self.flush();
    }

    /// Sends what the other side takes now.
    pub fn flush(&mut self) {
        while !self.to_send.is_empty() {
            match self.stream.write(&self.to_send) {
                Ok(0) => break,
                Ok(n) => {
                    self.to_send.drain(..n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.over = true;
                    break;
                }
            }
        }
    }
}
