//! Free disk space.

use std::io;
use std::path::Path;

/// Below this many free bytes, the disk will soon be full.
pub const SPACE_WARNING: u64 = 1 << 30;
/// Below this many free bytes, the disk is as good as full.
pub const SPACE_FULL: u64 = 200 << 20;

/// The free space of the file system that contains `path`, in bytes, for unprivileged processes
/// (without the part reserved for root).
///
/// # Errors
/// The path does not exist or is not accessible.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let told = rustix::fs::statvfs(path)?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_this_program_has_a_size_and_a_missing_path_has_none() {
        let here = std::env::current_exe().unwrap();
        let told = rustix::fs::statvfs(&here).unwrap();
        let free = free_space(&here).unwrap();
        assert!(free > 0 && free <= told.f_blocks * told.f_frsize, "{free}");
        assert_eq!(
            free_space(&here.join("below a file")).unwrap_err().kind(),
            io::ErrorKind::NotADirectory
        );
        assert_eq!(
            free_space(Path::new("/no/such/path")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
