//! Small file systems, for disks that are full or read-only. To mount one takes root.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system; gone with the test.
pub struct SmallDisk {
    path: PathBuf,
    /// The directory it is mounted on, if it was made for that.
    dir: Option<tempfile::TempDir>,
}

impl SmallDisk {
    /// One on a directory of its own; `size` as mount(8) takes it.
    pub fn mount(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Self::mount_at(dir.path(), size);
        disk.dir = Some(dir);
        disk
    }

    /// One on a directory that exists.
    pub fn mount_at(path: &Path, size: &str) -> Self {
        let status = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "tmpfs",
            ])
            .arg(path)
            .status();
        assert!(
            status.unwrap().success(),
            "a small file system is mounted for this test, for which it has to run as root"
        );
        Self {
            path: path.into(),
            dir: None,
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it read-only.
    pub fn make_read_only(&self) {
        assert!(
            Command::new("mount")
                .args(["-o", "remount,ro"])
                .arg(&self.path)
                .status()
                .unwrap()
                .success()
        );
    }

    /// Fills it to the last byte with a file, which is gone with what is returned.
    pub fn fill(&self) -> Ballast {
        let path = self.path.join("ballast");
        let mut file = File::create(&path).unwrap();
        for piece in [vec![1; 64 * 1024], vec![1; 512], vec![1]] {
            while file.write_all(&piece).is_ok() {}
        }
        Ballast(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: processes of the test may still be in there.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// What fills a disk.
pub struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
