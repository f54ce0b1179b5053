//! The only place with an `unsafe` declaration, in a crate of its own: jd-manager itself forbids `unsafe`.

/// Returns the free memory of the allocator to the system; false if there was none, or if the C library is
/// not that of GNU. The allocator is locked meanwhile: a few milliseconds with 100 MB.
///
/// By itself, the GNU C library only returns memory from the end of its heap, and almost always something
/// small there is still in use.
pub fn release_free_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: the declaration is that of malloc_trim(3): it takes the number of bytes to keep at the end
        // of the heap, and may be called by any thread at any time.
        unsafe extern "C" {
            safe fn malloc_trim(kept: usize) -> std::ffi::c_int;
        }
        malloc_trim(0) != 0
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_in_use_is_untouched() {
        let used: Vec<Vec<u8>> = (0..1_000).map(|n| vec![n as u8; 10_000]).collect();
        let freed: Vec<Vec<u8>> = (0..1_000).map(|n| vec![n as u8; 10_000]).collect();
        drop(freed);
        super::release_free_memory();
        for (n, bytes) in used.iter().enumerate() {
            assert!(bytes.iter().all(|byte| *byte == n as u8));
        }
    }
}
