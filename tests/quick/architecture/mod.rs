//! The house's rules that a compiler does not enforce. The rules are data; an exception stands
//! beside its reason, and one that is no longer needed fails as well, so that the list says what
//! is.
//!
//! * `source`: a source file as the rules see it. `imports`: who may import whom. `names`: what
//!   types and files may be called.
//! * `code`: what else a source file may and must say. `texts`: what templates, styles, scripts and
//!   all other texts hold.

mod code;
mod imports;
mod names;
pub mod source;
mod texts;

use std::fs;
use std::path::Path;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project's files in a folder and its folders, by their names below the project's root,
/// sorted.
pub fn files_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    add_files_below(&root().join(folder), &mut found);
    found.sort();
    found
}

fn add_files_below(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        // In a second working tree it is a file that says where the first one is.
        if name == ".git" {
            continue;
        }
        if !entry.file_type().unwrap().is_dir() {
            found.push(
                entry
                    .path()
                    .strip_prefix(root())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
            );
        } else if name != "target" && name != "node_modules" {
            add_files_below(&entry.path(), found);
        }
    }
}
