//! The directory of installed clients, `clients/` in the data directory: `<name>/jd_client_sv2` and
//! its `manifest.json`, the link `current` to the version in use, and `.incoming/` for incomplete
//! clients.
//!
//! A client is added by renaming a directory that is complete and synced to the disk. It becomes
//! the version in use by renaming a link, and it is renamed before it is deleted. A kill at any
//! moment therefore leaves each client complete or absent. Independent of jobs and pages. Blocking.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::model::ClientManifest;
use super::tags::is_name;
use crate::base::failpoint;
use crate::domain::instances::program::{CURRENT, NAME, installed};
use crate::infra::verify::sha256;

const INCOMING: &str = ".incoming";
const MANIFEST: &str = "manifest.json";
/// A link that will replace [`CURRENT`].
const NEXT: &str = ".current.next";
/// Prefix of the directories of removed clients.
const GONE: &str = ".gone-";

/// The installed clients.
#[derive(Clone, Debug)]
pub struct ClientStore {
    dir: PathBuf,
}

/// Result of adding a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallResult {
    /// It is new, with this name.
    New(String),
    /// The same program is already installed with this name.
    Known(String),
}

impl ClientStore {
    /// A store in the directory `dir`, which is created when needed.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Removes leftovers of interrupted jobs.
    ///
    /// # Errors
    /// The directory cannot be read, or a leftover cannot be removed.
    pub fn remove_leftovers(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == INCOMING || name.starts_with(GONE) {
                remove_tree(&entry.path())?;
            } else if name == NEXT {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Names and manifests of the installed clients, by name.
    pub fn list(&self) -> io::Result<Vec<(String, Option<ClientManifest>)>> {
        let names = installed(&self.dir)?
            .into_iter()
            .filter(|name| is_name(name));
        Ok(names
            .map(|name| (name.clone(), self.manifest(&name)))
            .collect())
    }

    /// Whether a client of this name is installed.
    pub fn has(&self, name: &str) -> bool {
        is_name(name) && name != CURRENT && self.program(name).is_file()
    }

    /// Path of the program of a client.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name).join(NAME)
    }

    /// The manifest of a client; none if it was added manually.
    pub fn manifest(&self, name: &str) -> Option<ClientManifest> {
        let text = fs::read_to_string(self.dir.join(name).join(MANIFEST)).ok()?;
        // A manifest that was edited by hand is used completely or not at all.
        let is_sound = |manifest: &ClientManifest| {
            manifest.sha256.len() == 64 && manifest.sha256.bytes().all(|b| b.is_ascii_hexdigit())
        };
        serde_json::from_str(&text).ok().filter(is_sound)
    }

    /// A new empty directory for an incomplete client.
    pub fn incoming(&self, job: impl std::fmt::Display) -> io::Result<PathBuf> {
        let dir = self.dir.join(INCOMING).join(job.to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        if let Some(home) = self.dir.parent() {
            File::open(home)?.sync_all()?;
        }
        Ok(dir)
    }

    /// Removes the directory of a job, and its parent if that is empty.
    pub fn prune_incoming(&self, dir: &Path) {
        if let Err(error) = remove_tree(dir) {
            tracing::warn!(%error, dir = %dir.display(), "cannot remove the files of an installation; retrying at the next start");
        }
        let _ = fs::remove_dir(self.dir.join(INCOMING));
    }

    /// Adds the tested program at `file`, which is in an incoming directory, to the store. When
    /// this returns, it is on the disk.
    pub fn add(&self, file: &Path, manifest: &ClientManifest) -> io::Result<InstallResult> {
        let short = &manifest.sha256[..8.min(manifest.sha256.len())];
        let names = [
            manifest.client.clone(),
            format!("{}+{short}", manifest.client),
        ];
        let mut free = None;
        for name in names {
            if !self.dir.join(&name).exists() {
                free = free.or(Some(name));
            } else if sha256(&self.program(&name)).is_ok_and(|known| known == manifest.sha256) {
                return Ok(InstallResult::Known(name));
            }
        }
        let name = free.ok_or_else(|| {
            io::Error::other(format!(
                "clients/{}+{short} is already in use by another file",
                manifest.client
            ))
        })?;
        let draft = file.with_file_name("complete");
        DirBuilder::new().mode(0o700).create(&draft)?;
        let program = draft.join(NAME);
        fs::rename(file, &program)?;
        fs::set_permissions(&program, Permissions::from_mode(0o500))?;
        File::open(&program)?.sync_all()?;
        let mut written = File::options()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(draft.join(MANIFEST))?;
        written.write_all(&serde_json::to_vec_pretty(manifest)?)?;
        written.sync_all()?;
        File::open(&draft)?.sync_all()?;
        failpoint::reach("install.complete");
        fs::rename(&draft, self.dir.join(&name))?;
        failpoint::reach("install.renamed");
        File::open(&self.dir)?.sync_all()?;
        Ok(InstallResult::New(name))
    }

    /// Sets the version in use.
    pub fn set_in_use(&self, name: &str) -> io::Result<()> {
        if !self.has(name) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("client {name} is not installed"),
            ));
        }
        let next = self.dir.join(NEXT);
        match fs::remove_file(&next) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // Relative, so that the data directory can be moved.
        symlink(name, &next)?;
        failpoint::reach("switch.linked");
        fs::rename(&next, self.dir.join(CURRENT))?;
        failpoint::reach("switch.renamed");
        File::open(&self.dir)?.sync_all()
    }

    /// Removes an installed client.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let gone = self.dir.join(format!("{GONE}{name}"));
        if gone.exists() {
            remove_tree(&gone)?;
        }
        fs::rename(self.dir.join(name), &gone)?;
        failpoint::reach("remove.renamed");
        File::open(&self.dir)?.sync_all()?;
        remove_tree(&gone)
    }
}

/// The owner can write the directories of installed clients, so permissions need no change first.
fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{ClientOrigin, FileProof};
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::ids::JobId;

    fn manifest(file: &Path, client: &str) -> ClientManifest {
        ClientManifest {
            origin: ClientOrigin::File,
            tag: None,
            client: client.into(),
            sha256: sha256(file).unwrap(),
            size: 1,
            proof: FileProof::None,
            from: "here".into(),
            installed_at: Timestamp(0),
            notes: String::new(),
            job: JobId::random(),
        }
    }

    fn put(store: &ClientStore, content: &str, client: &str) -> InstallResult {
        let dir = store.incoming(JobId::random()).unwrap();
        let file = dir.join("client");
        fs::write(&file, content).unwrap();
        let came = store.add(&file, &manifest(&file, client)).unwrap();
        store.prune_incoming(&dir);
        came
    }

    #[test]
    fn clients_lie_side_by_side_and_the_same_one_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = ClientStore::new(dir.path().join("clients"));
        store.remove_leftovers().unwrap();
        assert_eq!(store.list().unwrap(), []);
        assert_eq!(
            put(&store, "one", "0.6.0"),
            InstallResult::New("0.6.0".into())
        );
        assert_eq!(
            put(&store, "one", "0.6.0"),
            InstallResult::Known("0.6.0".into())
        );
        let InstallResult::New(other) = put(&store, "other", "0.6.0") else {
            panic!()
        };
        assert!(other.starts_with("0.6.0+") && is_name(&other), "{other}");
        assert_eq!(
            put(&store, "other", "0.6.0"),
            InstallResult::Known(other.clone())
        );
        assert_eq!(
            put(&store, "old", "0.5.0"),
            InstallResult::New("0.5.0".into())
        );
        let names: Vec<String> = store
            .list()
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["0.5.0", "0.6.0", other.as_str()]);
        assert!(
            store.manifest("0.6.0").is_some()
                && store.has("0.5.0")
                && !store.has("..")
                && !store.has("current")
        );
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(store.program("0.6.0")), mode(store.dir.join("0.6.0"))),
            (0o500, 0o700)
        );

        store.set_in_use("0.6.0").unwrap();
        store.set_in_use("0.5.0").unwrap();
        assert_eq!(
            fs::read_link(store.dir.join(CURRENT)).unwrap(),
            Path::new("0.5.0")
        );
        assert_eq!(store.list().unwrap().len(), 3);
        store.remove("0.6.0").unwrap();
        assert!(!store.has("0.6.0") && store.remove("0.6.0").is_err());
        // Nothing hidden is left.
        let hidden = fs::read_dir(&store.dir).unwrap().filter(|e| {
            e.as_ref()
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .starts_with('.')
        });
        assert_eq!(hidden.count(), 0);
    }

    #[test]
    fn what_interrupted_work_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = ClientStore::new(dir.path().into());
        put(&store, "one", "0.6.0");
        store.set_in_use("0.6.0").unwrap();
        fs::write(store.incoming("job").unwrap().join("half"), "x").unwrap();
        symlink("0.6.0", dir.path().join(NEXT)).unwrap();
        fs::create_dir(dir.path().join(".gone-0.5.0")).unwrap();
        store.remove_leftovers().unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["0.6.0", "current"]);
    }
}
