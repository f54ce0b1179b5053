//! Extracts one file, or all expected files, from an untrusted archive.
//!
//! Paths outside the archive, links, devices, duplicate files, files that are too large, and
//! decompression bombs are rejected. Only expected files are written. Independent of releases and
//! backups. Blocking: call it on a thread for blocking work.

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};
use tar::{Archive, EntryType};

/// The limits of an archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// Maximum size of the expected file, in bytes.
    pub file: u64,
    /// Maximum size of all files together, in bytes.
    pub all: u64,
    /// Maximum number of entries.
    pub entries: usize,
}

/// Why an archive is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveRefusal {
    /// The archive is damaged or incomplete.
    #[error("the archive is damaged or incomplete: {0}")]
    Damaged(io::Error),
    /// The archive has suspicious contents.
    #[error("the archive was rejected: {0}")]
    Hostile(String),
    /// The expected file is missing.
    #[error("the archive does not contain {0}")]
    Absent(String),
    /// The extracted files cannot be written.
    #[error("the unpacked files cannot be written: {0}")]
    Disk(io::Error),
}

/// A file to extract from an archive.
#[derive(Clone, Copy, Debug)]
pub struct MemberTarget<'a> {
    /// Its path in the archive, for example `jd-client/jd_client_sv2`.
    pub path: &'a str,
    /// The new file to write, mode 0600.
    pub into: &'a Path,
    /// An archive without it is rejected.
    pub is_required: bool,
}

/// Extracts the files `wanted` in one pass and ignores all others. Reads the archive to its end to
/// detect a truncated one. Returns the size of each file in bytes, in the order of `wanted`; `None`:
/// the archive does not contain it. After an error the files may exist and be incomplete.
///
/// # Errors
/// The archive is damaged, suspicious, or does not contain a required file; a disk error.
pub fn extract(
    archive: &Path,
    wanted: &[MemberTarget<'_>],
    limits: ArchiveLimits,
) -> Result<Vec<Option<u64>>, ArchiveRefusal> {
    let file = File::open(archive).map_err(ArchiveRefusal::Damaged)?;
    let unpacked = BoundedReader {
        inner: GzDecoder::new(BufReader::new(file)),
        left: limits.all,
    };
    let mut tar = Archive::new(unpacked);
    let mut found = vec![None; wanted.len()];
    // Raw: extension headers are skipped. They could make a name or a size of any length, and
    // give the name of our file to another entry.
    for (at, entry) in tar.entries().map_err(judged)?.raw(true).enumerate() {
        if at >= limits.entries {
            return Err(ArchiveRefusal::Hostile(format!(
                "it has more than {} entries",
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
                "\"{shown}\" points outside the archive"
            )));
        };
        let Some(place) = wanted.iter().position(|target| target.path == name) else {
            if matches!(kind, EntryType::Block | EntryType::Char | EntryType::Fifo) {
                return Err(ArchiveRefusal::Hostile(format!("\"{shown}\" is a device")));
            }
            continue;
        };
        let MemberTarget {
            path: member, into, ..
        } = wanted[place];
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            return Err(ArchiveRefusal::Hostile(format!(
                "{member} is not a regular file"
            )));
        }
        if found[place].is_some() {
            return Err(ArchiveRefusal::Hostile(format!(
                "it contains {member} twice"
            )));
        }
        let size = entry
            .header()
            .entry_size()
            .map_err(ArchiveRefusal::Damaged)?;
        if size > limits.file {
            return Err(ArchiveRefusal::Hostile(format!(
                "{member} is {size} bytes long; the limit is {}",
                limits.file
            )));
        }
        found[place] = Some(write(&mut entry, size, into)?);
    }
    // Zeros may follow the last entry. Data missing after them still means a truncated archive.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(judged)?;
    let is_absent =
        |(target, size): &(&MemberTarget<'_>, &Option<u64>)| target.is_required && size.is_none();
    match wanted.iter().zip(&found).find(is_absent) {
        Some((target, _)) => Err(ArchiveRefusal::Absent(target.path.to_owned())),
        None => Ok(found),
    }
}

/// A file extracted from an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveMember {
    /// The path in the archive, without `./`.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the written file.
    pub sha256: [u8; 32],
}

/// Unpacks every file of the `.tar.gz` read from `archive` into the empty directory `into`:
/// directories 0700, files 0600. `largest` returns the maximum size of a file with that name; `None`
/// rejects the file. Calls `on_file` after each file. Reads to the end. After an error the contents of
/// `into` are useless.
///
/// # Errors
/// The archive is damaged or suspicious; a disk error.
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
                "it has more than {} entries",
                limits.entries
            )));
        }
        let mut entry = entry.map_err(judged)?;
        let path = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&path[..path.len().min(100)]).into_owned();
        let Some(name) = inner(&path) else {
            return Err(ArchiveRefusal::Hostile(format!(
                "\"{shown}\" points outside the archive"
            )));
        };
        if !matches!(
            entry.header().entry_type(),
            EntryType::Regular | EntryType::Continuous
        ) {
            return Err(ArchiveRefusal::Hostile(format!(
                "\"{shown}\" is not a regular file"
            )));
        }
        let Some(largest) = largest(&name) else {
            return Err(ArchiveRefusal::Hostile(format!(
                "\"{shown}\" is unexpected"
            )));
        };
        if !names.insert(name.clone()) {
            return Err(ArchiveRefusal::Hostile(format!("it contains {name} twice")));
        }
        let size = entry
            .header()
            .entry_size()
            .map_err(ArchiveRefusal::Damaged)?;
        let largest = largest.min(limits.file);
        if size > largest {
            return Err(ArchiveRefusal::Hostile(format!(
                "{name} is {size} bytes long; the limit is {largest}"
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

/// A reader that hashes the data it reads.
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

/// The path inside the archive, without `./`; `None` if it points outside.
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

/// Converts a read error: the total limit is reported as an error of the reader.
fn judged(error: io::Error) -> ArchiveRefusal {
    if error.get_ref().is_some_and(|e| e.is::<EndlessReader>())
        || std::error::Error::source(&error).is_some_and(is_endless)
    {
        ArchiveRefusal::Hostile("its unpacked size exceeds the limit".into())
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
#[error("larger than the limit")]
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
