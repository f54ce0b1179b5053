//! The import of configurations under libFuzzer: `cargo fuzz run import fuzz/corpus/import
//! fuzz/seeds/import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Bodies that are not UTF-8 are rejected before parsing.
    if let Ok(text) = std::str::from_utf8(bytes) {
        jd_manager::domain::configs::fuzzing::import_holds(text);
    }
});
