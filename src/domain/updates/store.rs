//! The directory of installed clients, `clients/` in the data directory: `<name>/jd_client_sv2`,
//! `<name>/translator_sv2` if it has a translator, and their `manifest.json`; the link `current` to the version in use, and `.incoming/` for incomplete
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
use super::source::ProgramFiles;
use super::tags::is_name;
use crate::base::failpoint;
use crate::domain::instances::program::{CURRENT, NAME, installed};
use crate::infra::verify::sha256;
use crate::programs::translator::version::PROGRAM as TRANSLATOR;

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

    /// Path of the translator of a client; there may be none.
    fn translator(&self, name: &str) -> PathBuf {
        self.dir.join(name).join(TRANSLATOR)
    }

    /// Whether a program is in this directory.
    pub fn is_installed(&self, program: &Path) -> bool {
        program.starts_with(&self.dir)
    }

    /// Whether a client has a translator.
    pub fn has_translator(&self, name: &str) -> bool {
        self.translator(name).is_file()
    }

    /// The manifest of a client; none if it was added manually.
    pub fn manifest(&self, name: &str) -> Option<ClientManifest> {
        let text = fs::read_to_string(self.dir.join(name).join(MANIFEST)).ok()?;
        // A manifest that was edited by hand is used completely or not at all.
        let is_sum =
            |sha256: &str| sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        let is_sound = |manifest: &ClientManifest| {
            let translator = manifest.translator.as_ref();
            is_sum(&manifest.sha256) && translator.is_none_or(|one| is_sum(&one.sha256))
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

    /// Adds the tested programs, which are in an incoming directory, to the store. When this returns,
    /// they are on the disk.
    ///
    /// The usual name is the client version. The same client with another translator, or with one
    /// that the installed version does not have, is another version with a longer name: an installed
    /// version does not change.
    pub fn add(
        &self,
        files: &ProgramFiles,
        manifest: &ClientManifest,
    ) -> io::Result<InstallResult> {
        let short = &manifest.sha256[..8.min(manifest.sha256.len())];
        let mut names = vec![
            manifest.client.clone(),
            format!("{}+{short}", manifest.client),
        ];
        names.extend(manifest.translator.as_ref().map(|translator| {
            let other = &translator.sha256[..8.min(translator.sha256.len())];
            format!("{}+{short}.{other}", manifest.client)
        }));
        let mut free = None;
        for name in names {
            if !self.dir.join(&name).exists() {
                free = free.or(Some(name));
            } else if self.has_files_of(&name, manifest) {
                return Ok(InstallResult::Known(name));
            }
        }
        let name = free.ok_or_else(|| {
            io::Error::other(format!(
                "clients/{}+{short} is already in use by another file",
                manifest.client
            ))
        })?;
        let draft = files.client.with_file_name("complete");
        DirBuilder::new().mode(0o700).create(&draft)?;
        let translator = files.translator.as_ref().map(|file| (file, TRANSLATOR));
        for (file, name) in [(&files.client, NAME)].into_iter().chain(translator) {
            let program = draft.join(name);
            fs::rename(file, &program)?;
            fs::set_permissions(&program, Permissions::from_mode(0o500))?;
            File::open(&program)?.sync_all()?;
        }
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

    /// Whether an installed version has the programs of a manifest. It may have a translator although
    /// the manifest has none.
    fn has_files_of(&self, name: &str, manifest: &ClientManifest) -> bool {
        let is = |path: PathBuf, wanted: &str| sha256(&path).is_ok_and(|known| known == wanted);
        let translator = manifest.translator.as_ref();
        is(self.program(name), &manifest.sha256)
            && translator.is_none_or(|one| is(self.translator(name), &one.sha256))
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
    use super::super::model::{ClientOrigin, FileProof, TranslatorManifest};
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
            translator: None,
            translator_checked: true,
        }
    }

    fn put(store: &ClientStore, content: &str, client: &str) -> InstallResult {
        put_both(store, content, None, client)
    }

    fn put_both(
        store: &ClientStore,
        content: &str,
        translator: Option<&str>,
        client: &str,
    ) -> InstallResult {
        let dir = store.incoming(JobId::random()).unwrap();
        let file = dir.join("client");
        fs::write(&file, content).unwrap();
        let mut manifest = manifest(&file, client);
        let translator = translator.map(|content| {
            let path = dir.join("translator");
            fs::write(&path, content).unwrap();
            manifest.translator = Some(TranslatorManifest {
                version: client.into(),
                sha256: sha256(&path).unwrap(),
                size: 1,
            });
            path
        });
        let files = ProgramFiles {
            client: file,
            translator,
        };
        let came = store.add(&files, &manifest).unwrap();
        store.prune_incoming(&dir);
        came
    }

    #[test]
    fn a_translator_is_added_and_removed_with_its_client() {
        let dir = tempfile::tempdir().unwrap();
        let store = ClientStore::new(dir.path().join("clients"));
        let put = |client, translator| put_both(&store, client, translator, "0.6.0");
        let new = |came| match came {
            InstallResult::New(name) => name,
            InstallResult::Known(name) => panic!("{name} is known"),
        };
        // A client without a translator does not get one later: that is another version.
        assert_eq!(new(put("one", None)), "0.6.0");
        let both = new(put("one", Some("first")));
        let other = new(put("one", Some("second")));
        assert!(is_name(&both) && is_name(&other) && both != other);
        assert!(both.starts_with("0.6.0+") && other.starts_with("0.6.0+"));
        for (translator, name) in [
            (None, "0.6.0"),
            (Some("first"), both.as_str()),
            (Some("second"), other.as_str()),
        ] {
            assert_eq!(put("one", translator), InstallResult::Known(name.into()));
            assert_eq!(store.has_translator(name), translator.is_some());
            let manifest = store.manifest(name).unwrap();
            assert_eq!(manifest.translator.is_some(), translator.is_some());
        }
        let path = store.translator(&both);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o500
        );
        store.remove(&both).unwrap();
        assert!(!path.exists() && !store.has(&both) && store.has(&other));

        // The same client alone is no other version.
        store.remove("0.6.0").unwrap();
        store.remove(&other).unwrap();
        assert_eq!(new(put("one", Some("first"))), "0.6.0");
        assert_eq!(put("one", None), InstallResult::Known("0.6.0".into()));
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
