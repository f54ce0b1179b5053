//! Streams on which something is signalled to the loop of the keeper: a byte, whatever it is.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

/// Two connected ends, the first to be read without waiting.
pub fn signal_pair() -> io::Result<(UnixStream, UnixStream)> {
    let (stream, end) = UnixStream::pair()?;
    stream.set_nonblocking(true)?;
    Ok((stream, end))
}

/// Has signals written to a stream instead of acting on the process.
pub fn receive_signals(signals: &[i32]) -> io::Result<UnixStream> {
    let (stream, end) = signal_pair()?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, end.try_clone()?)?;
    }
    Ok(stream)
}

/// Reads away what was signalled.
pub fn drain(signals: &mut UnixStream) {
    let mut seen = [0; 16];
    while matches!(signals.read(&mut seen), Ok(n) if n > 0) {}
}
