//! The lock of an instance, which its keeper holds for its whole life.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use super::names;

/// Takes the instance's lock. The manager looks at it for a moment now and then, so a held one is
/// tried again for a second.
pub fn lock() -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(names::LOCK)?;
    let patience = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if patience.elapsed() < Duration::from_secs(1) => {
                std::thread::sleep(Duration::from_millis(5))
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    ErrorKind::WouldBlock,
                    "another keeper holds it",
                ));
            }
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
    file.set_len(0)?;
    (&file).write_all(std::process::id().to_string().as_bytes())?;
    Ok(file)
}
