//! A connection on the keeper's control socket: reads and writes complete lines of limited length.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::protocol;

/// A connection on the control socket.
pub struct ControlConnection {
    /// Does not block.
    pub stream: UnixStream,
    received: Vec<u8>,
    /// Data that the other side has not read yet.
    pub to_send: Vec<u8>,
    /// The other side gets every change.
    pub watches: bool,
    /// The connection must be dropped.
    pub over: bool,
}

impl ControlConnection {
    /// A connection over a non-blocking stream.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            to_send: Vec::new(),
            watches: false,
            over: false,
        }
    }

    /// The lines received since the last call, without line breaks.
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

    /// Sends a line, now or when the other side reads.
    pub fn send(&mut self, line: &[u8]) {
        // A watcher that never reads is disconnected, so its data does not accumulate.
        if self.to_send.len() > 1 << 20 {
            self.over = true;
            return;
        }
        self.to_send.extend_from_slice(line);
        self.flush();
    }

    /// Sends as much as the other side accepts now.
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
