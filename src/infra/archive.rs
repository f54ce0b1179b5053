//! Taking one file, or all of some, out of an archive that nobody is sure of.
//!
//! What a `.tar.gz` says of itself is not believed: paths that lead out of it, links, devices, a
//! file that comes twice, one that is larger than it may be, and archives that unpack to without
//! end are refused. Nothing but what is wanted is ever written. Knows neither releases nor backups.
//! Blocks; call it on a thread that may.

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};
use tar::{Archive, EntryType};

/// What may come out of an archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// Bytes of the file that is wanted.
    pub file: u64,
    /// Bytes of everything, wanted or not.
    pub all: u64,
    /// How many things may be in it.
    pub entries: usize,
}

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveRefusal {
    /// It is damaged or incomplete.
    #[error("the archive is damaged or incomplete: {0}")]
    Damaged(io::Error),
    /// It is not what an honest archive looks like.
    #[error("the archive is refused: {0}")]
    Hostile(String),
    /// The wanted file is not in it.
    #[error("the archive holds no {0}")]
    Absent(String),
    /// What comes out cannot be written.
    #[error("what is unpacked cannot be written: {0}")]
    Disk(io::Error),
}

/// Unpacks the file at `member` (`jd-client/jd_client_sv2`) from the archive to the new file
/// `into`, mode 0600. Reads the archive to its end, so that a truncated one is noticed. Returns the
/// file's size, bytes. `into` may exist, incomplete, after an error.
///
/// # Errors
/// The archive is damaged, hostile or does not hold the file; the disk.
pub fn extract(
    archive: &Path,
    member: &str,
    into: &Path,
    limits: ArchiveLimits,
) -> Result<u64, ArchiveRefusal> {
    let file = File::open(archive).map_err(ArchiveRefusal::Damaged)?;
    let unpacked = BoundedReader {
        inner: GzDecoder::new(BufReader::new(file)),
        left: limits.all,
    };
    let mut tar = Archive::new(unpacked);
    let mut found = None;
    // Raw: extension headers are passed over. They could make a name or a size of any length, and
    // give our file's name to another.
    for (at, entry) in tar.entries().map_err(judged)?.raw(true).enumerate() {
        if at >= limits.entries {
            return Err(ArchiveRefusal::Hostile(format!(
                "it holds more than {} things",
                limits.entries
            )));
        }
        let mut entry = entry.map_err(judged)?;
        let path = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&path[..path.len().min(100)]).into_owned();
        let kind = entry.header().entry_type();
        let is_extension = matches!(
            kind,
            EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XHeader
                | EntryType::XGlobalHeader
        );
        if is_extension {
            continue;
        }
        let Some(name) = inner(&path) else {
            return Err(ArchiveRefusal::Hostile(format!(
                "\"{shown}\" leads out of it"
            )));
        };
        if name != member {
            if matches!(kind, EntryType::Block | EntryType::Char | EntryType::Fifo) {
                return Err(ArchiveRefusal::Hostile(format!("\"{shown}\" is a device")));
            }
            continue;
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            return Err(ArchiveRefusal::Hostile(format!(
                "{member} is a link or something else than a file"
            )));
        }
        if found.is_some() {
            return Err(ArchiveRefusal::Hostile(format!("it holds {member} twice")));
        }
        let size = entry
            .header()
            .entry_size()
            .map_err(ArchiveRefusal::Damaged)?;
        if size > limits.file {
            return Err(ArchiveRefusal::Hostile(format!(
                "{member} is said to have {size} bytes, more than the {} it may have",
                limits.file
            )));
        }
        found = Some(write(&mut entry, size, into)?);
    }
    // Zeroes may follow the last entry; what is missing behind them is missing all the same.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(judged)?;
    found.ok_or_else(|| ArchiveRefusal::Absent(member.to_owned()))
}

/// A file that came out of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveMember {
    /// Its path in the archive, `./` taken off.
    pub path: String,
    /// Its size, bytes.
    pub size: u64,
    /// The SHA-256 of what was written.
    pub sha256: [u8; 32],
}

/// Unpacks every file of a `.tar.gz` that is read from `archive` into the empty directory `into`:
/// directories 0700, files 0600. `largest` is the size a file of that name may have; without one it
/// is refused. Calls `on_file` after each file. Reads to the end. What is in `into` after an error
/// is worth nothing.
///
/// # Errors
/// The archive is damaged or hostile; the disk.
pub fn unpack(
    archive: impl Read,
    into: &Path,
    limits: ArchiveLimits,
    largest: impl Fn(&str) -> Option<u64>,
    mut on_file: impl FnMut(&ArchiveMember),
) -> Result<Vec<ArchiveMember>, ArchiveRefusal> {
    let mut tar = Archive::new(BoundedReader {
        inner: GzDecoder::new(archive),
        left: limits.all,
    });
    let mut found: Vec<ArchiveMember> = Vec::new();
    let mut names = HashSet::new();
    for (at, entry) in tar.entries().map_err(judged)?.raw(true).enumerate() {
        if at >= limits.entries {
            return Err(ArchiveRefusal::Hostile(format!(
                "it holds more than {} things",
                limits.entries
            )));
        }
        let mut entry = entry.map_err(judged)?;
        let path = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&path[..path.len().min(100)]).into_owned();
        let Some(name) = inner(&path) else {
            return Err(ArchiveRefusal::Hostile(format!(
                "\"{shown}\" leads out of it"
            )));
        };
        if !matches!(
            entry.header().entry_type(),
            EntryType::Regular | EntryType::Continuous
        ) {
            return Err(ArchiveRefusal::Hostile(format!(
                "\"{shown}\" is a link or something else than a file"
            )));
        }
        let Some(largest) = largest(&name) else {
            return Err(ArchiveRefusal::Hostile(format!(
                "it holds \"{shown}\", which does not belong there"
            )));
        };
        if !names.insert(name.clone()) {
            return Err(ArchiveRefusal::Hostile(format!("it holds {name} twice")));
        }
        let size = entry
            .header()
            .entry_size()
            .map_err(ArchiveRefusal::Damaged)?;
        let largest = largest.min(limits.file);
        if size > largest {
            return Err(ArchiveRefusal::Hostile(format!(
                "{name} is said to have {size} bytes, more than the {largest} it may have"
            )));
        }
        let target = into.join(&name);
        if let Some(dir) = target.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(ArchiveRefusal::Disk)?;
        }
        let mut hashed = HashingReader {
            inner: &mut entry,
            hash: Sha256::new(),
        };
        write(&mut hashed, size, &target)?;
        let sha256 = hashed.hash.finalize().into();
        let unpacked = ArchiveMember {
            path: name,
            size,
            sha256,
        };
        on_file(&unpacked);
        found.push(unpacked);
    }
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(judged)?;
    Ok(found)
}

/// Reads on, and hashes what it read.
struct HashingReader<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

fn write(entry: &mut impl Read, size: u64, into: &Path) -> Result<u64, ArchiveRefusal> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(into)
        .map_err(ArchiveRefusal::Disk)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    loop {
        match entry.read(&mut buffer).map_err(judged)? {
            0 => break,
            n => {
                file.write_all(&buffer[..n]).map_err(ArchiveRefusal::Disk)?;
                written += n as u64;
            }
        }
    }
    if written != size {
        return Err(ArchiveRefusal::Damaged(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(written)
}

/// The path below the archive's own root, `./` taken off; none if it leads elsewhere.
fn inner(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    let mut parts = Vec::new();
    for part in Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// The limit on everything stands in the same place as the archive's own faults.
fn judged(error: io::Error) -> ArchiveRefusal {
    if error.get_ref().is_some_and(|e| e.is::<EndlessReader>())
        || std::error::Error::source(&error).is_some_and(is_endless)
    {
        ArchiveRefusal::Hostile("it unpacks to more than it may".into())
    } else {
        ArchiveRefusal::Damaged(error)
    }
}

fn is_endless(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| {
        e.is::<EndlessReader>()
            || e.downcast_ref::<io::Error>()
                .is_some_and(|e| e.get_ref().is_some_and(|e| e.is::<EndlessReader>()))
    })
}

#[derive(Debug, thiserror::Error)]
#[error("more than it may be")]
struct EndlessReader;

struct BoundedReader<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other(EndlessReader))?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
