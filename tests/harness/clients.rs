//! Programs that are clients as far as anybody can tell: small machine code that becomes the
//! simulated client, with a version and manners of its own, and archives of them as releases have
//! them.

use crate::harness::PROGRAM;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use tar::{Builder, EntryType, Header};

/// Where the client lies in a release's archive.
pub const MEMBER: &str = "./jd-client/jd_client_sv2";
/// Where the translator lies there.
pub const TRANSLATOR_MEMBER: &str = "./translator/translator_sv2";

/// A program that runs the simulated client with these flags. Compiled once for each set of them.
pub fn program(flags: &[&str]) -> Vec<u8> {
    static MADE: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap();
    let made = made.get_or_insert_default();
    made.entry(flags.join("\n"))
        .or_insert_with(|| compile(flags))
        .clone()
}

/// One that says it is this version and behaves, unless the file `die-<version>` lies in its
/// instance's directory.
pub fn version(version: &str) -> Vec<u8> {
    program(&["--pretend-version", version])
}

/// A program that prints this text as its version and does nothing else.
pub fn printer(text: &str) -> Vec<u8> {
    compile_c(&format!(
        "#include <stdio.h>\nint main(void) {{ puts(\"{text}\"); return 0; }}\n"
    ))
}

/// Writes a translator that is ready at once and does nothing; returns its path.
pub fn idle_translator(dir: &Path) -> String {
    const SCRIPT: &str = "#!/bin/sh
trap 'exit 0' INT
echo '2026-11-29T09:01:36.577512Z  INFO translator_sv2: Translator Proxy: listening on 127.0.0.1:1'
while :; do sleep 0.05; done
";
    let path = dir.join("translator_sv2");
    fs::write(&path, SCRIPT).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A translator as far as an installation can tell.
pub fn translator(version: &str) -> Vec<u8> {
    printer(&format!("translator_sv2 {version}"))
}

fn compile(flags: &[&str]) -> Vec<u8> {
    let version = flags
        .iter()
        .skip_while(|flag| **flag != "--pretend-version")
        .nth(1)
        .unwrap_or(&"none");
    let given: String = flags.iter().map(|flag| format!("\"{flag}\", ")).collect();
    let text = format!(
        "#include <unistd.h>\n#include <stdlib.h>\n\
         static char *given[] = {{\"jd_client_sv2\", \"simulate\", {given}}};\n\
         int main(int argc, char **argv) {{\n\
             if (access(\"../die-{version}\", F_OK) == 0) return 3;\n\
             int n = sizeof given / sizeof *given;\n\
             char **all = calloc(n + argc + 1, sizeof *all);\n\
             for (int i = 0; i < n; i++) all[i] = given[i];\n\
             for (int i = 1; i < argc; i++) all[n + i - 1] = argv[i];\n\
             execv(\"{PROGRAM}\", all);\n\
             return 127;\n\
         }}\n"
    );
    compile_c(&text)
}

fn compile_c(text: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (source, into) = (dir.path().join("program.c"), dir.path().join("program"));
    fs::write(&source, text).unwrap();
    let compiled = Command::new("cc")
        .arg("-O1")
        .arg("-o")
        .arg(&into)
        .arg(&source)
        .status()
        .unwrap();
    assert!(compiled.success(), "cc cannot compile {}", source.display());
    fs::read(into).unwrap()
}

/// An archive as releases are, with a client in it and a companion that makes it worth a progress
/// bar.
pub fn archive(client: &[u8]) -> Vec<u8> {
    // What does not compress.
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(600_000)
    .collect();
    pack(&[
        ("./", EntryType::Directory, b"".as_slice()),
        ("./jd-client/", EntryType::Directory, b""),
        (MEMBER, EntryType::Regular, client),
        (
            "./jd-client/jdc-config.toml",
            EntryType::Regular,
            b"mode = \"SOLOMINING\"\n",
        ),
        ("./jd-client/README", EntryType::Regular, &noise),
    ])
}

/// A release archive with a client and a translator.
pub fn archive_of_both(client: &[u8], translator: &[u8]) -> Vec<u8> {
    pack(&[
        ("./", EntryType::Directory, b"".as_slice()),
        ("./jd-client/", EntryType::Directory, b""),
        (MEMBER, EntryType::Regular, client),
        ("./translator/", EntryType::Directory, b""),
        (
            "./translator/translator-config.toml",
            EntryType::Regular,
            b"downstream_port = 34255\n",
        ),
        (TRANSLATOR_MEMBER, EntryType::Regular, translator),
    ])
}

/// An archive of these: path, kind, content.
pub fn pack(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        if *kind == EntryType::Symlink {
            header.set_link_name("/bin/true").unwrap();
        }
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
