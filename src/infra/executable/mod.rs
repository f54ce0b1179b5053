//! Program files: checks whether this machine can run a program, and reads its version.
//!
//! Independent of the client and its versions. An unknown program is not trusted: it runs in a sandbox
//! ([`trial`]).

pub mod trial;

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Why a file cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutableError {
    /// The file does not exist.
    Missing,
    /// The file cannot be read.
    Unreadable(String),
    /// Not a regular file.
    NoFile,
    /// The file is not executable.
    NotExecutable,
    /// Not a program for this machine; the text follows "it cannot run here:".
    Foreign(String),
}

/// The kind of program in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutableKind {
    /// Machine code for this CPU.
    Elf,
    /// A script.
    Script,
}

/// Checks a file before it is started, so that the error is clear. An executable file without read
/// permission is accepted.
///
/// # Errors
/// The file cannot run here.
pub fn inspect(path: &Path) -> Result<(), ExecutableError> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ExecutableError::Missing),
        Err(e) => return Err(ExecutableError::Unreadable(e.to_string())),
    };
    if !meta.is_file() {
        return Err(ExecutableError::NoFile);
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(ExecutableError::NotExecutable);
    }
    match kind(path) {
        Ok(_) | Err(ExecutableError::Unreadable(_)) => Ok(()),
        Err(unfit) => Err(unfit),
    }
}

/// The kind of program in a file, whether it is executable or not.
///
/// # Errors
/// The file cannot be read, or is not a program for this machine.
pub fn kind(path: &Path) -> Result<ExecutableKind, ExecutableError> {
    let mut head = Vec::with_capacity(20);
    let read = fs::File::open(path).and_then(|file| file.take(20).read_to_end(&mut head));
    match read {
        Ok(_) => judge(&head).map_err(ExecutableError::Foreign),
        Err(e) => Err(ExecutableError::Unreadable(e.to_string())),
    }
}

/// ELF for this machine, or a script. Field offsets and machine numbers: the ELF specification,
/// `e_ident` and `e_machine`.
fn judge(head: &[u8]) -> Result<ExecutableKind, String> {
    if head.starts_with(b"#!") {
        return Ok(ExecutableKind::Script);
    }
    if head.len() < 20 || !head.starts_with(b"\x7fELF") {
        let known = match head {
            [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => {
                "it is a program for macOS"
            }
            [b'M', b'Z', ..] => "it is a program for Windows",
            [0x1f, 0x8b, ..] => "it is a compressed archive; unpack it first",
            [] => "it is empty",
            _ => "it is not a program",
        };
        return Err(known.into());
    }
    let little = head[5] == 1;
    let machine = if little {
        u16::from_le_bytes([head[18], head[19]])
    } else {
        u16::from_be_bytes([head[18], head[19]])
    };
    let name = match machine {
        0x03 => "x86",
        0x28 => "arm",
        0x3e => "x86_64",
        0xb7 => "aarch64",
        0xf3 => "riscv64",
        _ => "another CPU",
    };
    let here = std::env::consts::ARCH;
    // A 64-bit machine may run 32-bit programs of its family.
    let fits =
        name == here || (here == "x86_64" && name == "x86") || (here == "aarch64" && name == "arm");
    if fits {
        Ok(ExecutableKind::Elf)
    } else {
        Err(format!("it is for {name}, but this machine is {here}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn programs_for_other_machines_are_told_apart() {
        let here: u16 = if cfg!(target_arch = "aarch64") {
            0xb7
        } else {
            0x3e
        };
        let other: u16 = if cfg!(target_arch = "aarch64") {
            0x3e
        } else {
            0xb7
        };
        assert_eq!(judge(&elf(here)), Ok(ExecutableKind::Elf));
        assert!(judge(&elf(other)).unwrap_err().contains("this machine is"));
        assert_eq!(judge(b"#!/bin/sh\n"), Ok(ExecutableKind::Script));
        assert_eq!(
            judge(b"\x1f\x8b\x08"),
            Err("it is a compressed archive; unpack it first".into())
        );
        assert_eq!(judge(b"MZ"), Err("it is a program for Windows".into()));
        assert_eq!(judge(b"\x7fELF"), Err("it is not a program".into()));
        assert_eq!(judge(b""), Err("it is empty".into()));
    }

    #[test]
    fn files_that_are_no_programs_say_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            inspect(&dir.path().join("none")),
            Err(ExecutableError::Missing)
        );
        assert_eq!(inspect(dir.path()), Err(ExecutableError::NoFile));
        let file = dir.path().join("client");
        fs::write(&file, elf(0x3e)).unwrap();
        assert_eq!(inspect(&file), Err(ExecutableError::NotExecutable));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&file, "text").unwrap();
        assert_eq!(
            inspect(&file),
            Err(ExecutableError::Foreign("it is not a program".into()))
        );
    }
}
