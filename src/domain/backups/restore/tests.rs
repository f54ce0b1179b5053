use super::*;
use crate::base::clock::Timestamp;
use crate::domain::backups::create::{BackupRequest, make};
use crate::domain::backups::manifest::{BackupMember, hex};
use crate::domain::vault::{KEY_FILE, Vault};
use crate::infra::db::Db;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::io::Write;
use tar::{Builder, EntryType, Header};

/// Path, kind and content of a file in an archive.
type Entry<'a> = (&'a str, EntryType, &'a [u8]);

const PASSPHRASE: &str = "four words that rhyme";

struct World {
    dir: tempfile::TempDir,
    data: PathBuf,
}

impl World {
    /// A data directory with an instance, its journal and its log.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let db = Db::open(&data).unwrap();
        Vault::begin(&data, &db, &[]).await.unwrap();
        let id = "a1e70000-0000-4000-8000-00000000000a";
        db.write(move |c| {
            use diesel::connection::SimpleConnection;
            c.batch_execute(&format!(
                "INSERT INTO configurations (id, name, config_json, created_at, updated_at) VALUES ('{id}', 'c', '{{}}', 0, 0);
                 INSERT INTO instances (id, name, config_id, desired, created_at, updated_at) VALUES ('{id}', 'barn', '{id}', 'running', 0, 0);"
            ))?;
            Ok(())
        })
        .await
        .unwrap();
        let instance = data.join("instances").join(id);
        fs::create_dir_all(instance.join("logs")).unwrap();
        fs::write(instance.join("events.jsonl"), "{\"whole\":1}\n{\"cut o").unwrap();
        fs::write(
            instance.join("config.toml"),
            "authority_secret_key = \"in the clear\"",
        )
        .unwrap();
        fs::write(instance.join("logs/00000000000000000000.log"), "0123456789").unwrap();
        fs::write(instance.join("logs/00000000000000000010.log"), "01234").unwrap();
        fs::create_dir_all(instance.join("logs-translator")).unwrap();
        fs::write(
            instance.join("logs-translator/00000000000000000000.log"),
            "012",
        )
        .unwrap();
        fs::create_dir_all(data.join("instances/stray")).unwrap();
        Self { dir, data }
    }

    fn backup(&self, order: &BackupRequest) -> PathBuf {
        let to = self.dir.path().join(format!(
            "{}.tar.gz",
            fs::read_dir(self.dir.path()).unwrap().count()
        ));
        make(&self.data, order, &to, &|_| true).unwrap();
        to
    }

    fn elsewhere(&self) -> PathBuf {
        self.dir.path().join("elsewhere")
    }

    /// Tries to restore, which must fail and leave no files.
    fn refused(&self, backup: &Path, way: &RestoreOptions) -> String {
        let before = fs::read_dir(self.dir.path()).unwrap().count();
        let error = restore(backup, &self.elsewhere(), way, &|_| true)
            .unwrap_err()
            .to_string();
        assert!(
            !self.elsewhere().exists() && fs::read_dir(self.dir.path()).unwrap().count() == before,
            "{error}"
        );
        error
    }
}

fn with_key() -> BackupRequest {
    BackupRequest {
        with_key: true,
        ..BackupRequest::default()
    }
}

fn desired(data: &Path) -> String {
    use diesel::prelude::*;
    db::read_copy(&data.join(db::FILE), |c| {
        Ok(crate::infra::db::schema::instances::table
            .select(crate::infra::db::schema::instances::desired)
            .first(c)?)
    })
    .unwrap()
}

/// The files of an archive, without the manifest.
fn files(backup: &Path) -> (Vec<(String, Vec<u8>)>, BackupManifest) {
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(backup).unwrap()));
    let mut all: Vec<(String, Vec<u8>)> = tar
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (
                entry.path().unwrap().to_string_lossy().into_owned(),
                content,
            )
        })
        .collect();
    let (name, text) = all.pop().unwrap();
    assert_eq!(name, FILE, "the manifest comes last");
    (all, BackupManifest::read(&text).unwrap())
}

/// An archive of these files with a manifest that fits them, `changed`.
fn forged(
    world: &World,
    files: &[(&str, EntryType, &[u8])],
    change: impl FnOnce(&mut BackupManifest),
) -> PathBuf {
    let to = world.dir.path().join("forged.tar.gz");
    let mut manifest = BackupManifest::new(Timestamp(0), "x".into());
    let mut tar = Builder::new(GzEncoder::new(
        File::create(&to).unwrap(),
        Compression::fast(),
    ));
    let mut put = |name: &str, kind: EntryType, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        if kind != EntryType::Regular {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, content).unwrap();
    };
    for (name, kind, content) in files {
        manifest.files.push(BackupMember {
            path: (*name).into(),
            size: content.len() as u64,
            sha256: hex(&Sha256::digest(content)),
        });
        manifest.holds_key |= *name == KEY_FILE;
        put(name, *kind, content);
    }
    change(&mut manifest);
    put(
        FILE,
        EntryType::Regular,
        &serde_json::to_vec(&manifest).unwrap(),
    );
    tar.into_inner().unwrap().finish().unwrap();
    to
}

#[tokio::test]
async fn what_is_in_a_backup_comes_back_and_what_ran_stays_stopped() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let backup = world.backup(&with_key());
    assert_eq!(
        fs::metadata(&backup).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (all, manifest) = files(&backup);
    let instance = "instances/a1e70000-0000-4000-8000-00000000000a";
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let empty = format!("{instance}/logs/00000000000000000015.log");
    assert_eq!(
        names,
        [
            db::FILE,
            KEY_FILE,
            &format!("{instance}/events.jsonl"),
            &empty,
            &format!("{instance}/logs-translator/00000000000000000003.log"),
        ]
    );
    assert_eq!(
        (
            manifest.configurations,
            manifest.instances,
            manifest.holds_key,
            manifest.sealed
        ),
        (1, 1, true, true)
    );
    let done = restore(
        &backup,
        &world.elsewhere(),
        &RestoreOptions::default(),
        &|_| true,
    )
    .unwrap();
    assert_eq!((done.ran, done.aside, &done.manifest), (1, None, &manifest));
    let at = |name: &str| world.elsewhere().join(name);
    assert_eq!(
        fs::read_to_string(at(&format!("{instance}/events.jsonl"))).unwrap(),
        "{\"whole\":1}\n"
    );
    assert_eq!(fs::read(at(&empty)).unwrap(), b"");
    assert_eq!(
        (desired(&world.data), desired(&world.elsewhere())),
        ("running".into(), "stopped".into())
    );
    assert!(!at(FILE).exists());
    let db = Db::open(&world.elsewhere()).unwrap();
    Vault::begin(&world.elsewhere(), &db, &[]).await.unwrap();

    // With logs, and without the key.
    let backup = world.backup(&BackupRequest {
        with_logs: true,
        ..BackupRequest::default()
    });
    let (all, manifest) = files(&backup);
    assert_eq!(
        all.iter()
            .filter(|(name, _)| name.ends_with(".log"))
            .map(|(_, content)| content.len())
            .collect::<Vec<_>>(),
        [10, 5, 3]
    );
    assert!(
        !manifest.holds_key && manifest.with_logs && all.iter().all(|(name, _)| name != KEY_FILE)
    );
    let third = world.dir.path().join("third");
    restore(&backup, &third, &RestoreOptions::default(), &|_| true).unwrap();
    let db = Db::open(&third).unwrap();
    assert!(
        Vault::begin(&third, &db, &[])
            .await
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
    fs::copy(world.data.join(KEY_FILE), third.join(KEY_FILE)).unwrap();
    Vault::begin(&third, &db, &[]).await.unwrap();
}

#[tokio::test]
async fn no_secret_in_the_clear_is_in_a_backup() {
    let world = World::new().await;
    for order in [
        with_key(),
        BackupRequest {
            with_logs: true,
            ..with_key()
        },
    ] {
        let (all, _) = files(&world.backup(&order));
        assert!(all.iter().all(|(name, content)| {
            name == KEY_FILE || !content.windows(12).any(|window| window == b"in the clear")
        }));
    }
}

#[tokio::test]
async fn an_encrypted_one_opens_with_its_passphrase_alone() {
    let world = World::new().await;
    let passphrase = BackupPassphrase::new(PASSPHRASE.into()).unwrap();
    let backup = world.backup(&BackupRequest {
        passphrase: Some(passphrase),
        ..with_key()
    });
    assert!(fs::read(&backup).unwrap().starts_with(MAGIC));
    let way = |text: &str| RestoreOptions {
        passphrase: Some(BackupPassphrase::given(text.into())),
        force: false,
    };
    assert!(
        world
            .refused(&backup, &RestoreOptions::default())
            .contains("Enter its passphrase")
    );
    assert!(
        world
            .refused(&backup, &way("four words that do not"))
            .contains("Wrong passphrase")
    );
    let content = fs::read(&backup).unwrap();
    for (what, changed) in [
        ("cut off", content[..content.len() - 1].to_vec()),
        ("cut in the middle", content[..content.len() / 2].to_vec()),
        ("one bit", {
            let mut changed = content.clone();
            let at = changed.len() - 100;
            changed[at] ^= 1;
            changed
        }),
    ] {
        let path = world.dir.path().join("changed");
        fs::write(&path, changed).unwrap();
        let said = world.refused(&path, &way(PASSPHRASE));
        assert!(
            said.contains("damaged") || said.contains("cannot be restored"),
            "{what}: {said}"
        );
    }
    restore(&backup, &world.elsewhere(), &way(PASSPHRASE), &|_| true).unwrap();
    assert!(BackupPassphrase::new("short".into()).is_err());
}

#[tokio::test]
async fn what_was_cut_off_or_altered_is_refused() {
    let world = World::new().await;
    let backup = world.backup(&with_key());
    let content = fs::read(&backup).unwrap();
    let path = world.dir.path().join("changed");
    for length in [
        0,
        1,
        100,
        content.len() / 3,
        content.len() / 2,
        content.len() - 9,
        content.len() - 1,
    ] {
        fs::write(&path, &content[..length]).unwrap();
        let said = world.refused(&path, &RestoreOptions::default());
        assert!(
            ["damaged", "not a valid backup", "not a jd-manager backup"]
                .iter()
                .any(|part| said.contains(part)),
            "{length}: {said}"
        );
    }
    fs::write(&path, "not an archive at all").unwrap();
    assert!(
        world
            .refused(&path, &RestoreOptions::default())
            .contains("not a valid backup")
    );
    // A file that is another one than the manifest says, though the archive is whole.
    let (all, manifest) = files(&backup);
    let members: Vec<(&str, EntryType, &[u8])> = all
        .iter()
        .map(|(name, content)| (name.as_str(), EntryType::Regular, content.as_slice()))
        .collect();
    let keep = |told: &BackupManifest| {
        let told = told.clone();
        move |made: &mut BackupManifest| *made = told
    };
    let whole = forged(&world, &members, keep(&manifest));
    restore(
        &whole,
        &world.elsewhere(),
        &RestoreOptions::default(),
        &|_| true,
    )
    .unwrap();
    fs::remove_dir_all(world.elsewhere()).unwrap();
    let mut altered = members.clone();
    altered[2].2 = b"{\"forged\":1}\n";
    assert!(
        world
            .refused(
                &forged(&world, &altered, keep(&manifest)),
                &RestoreOptions::default()
            )
            .contains("events.jsonl was modified")
    );
    assert!(
        world
            .refused(
                &forged(&world, &members[..3], keep(&manifest)),
                &RestoreOptions::default()
            )
            .contains("is missing")
    );
    // Another key than the one the secrets were sealed with.
    let mut strange = members.clone();
    strange[1].2 = b"jd-manager-secrets-key-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    assert!(
        world
            .refused(
                &forged(&world, &strange, |_| {}),
                &RestoreOptions::default()
            )
            .contains("does not match its encrypted secrets")
    );
    // A database that is none.
    let mut none = members.clone();
    none[0].2 = b"this is no database, it is far too short and means nothing at all";
    assert!(
        world
            .refused(&forged(&world, &none, |_| {}), &RestoreOptions::default())
            .contains("damaged")
    );
}

#[tokio::test]
async fn a_hostile_archive_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let database = fs::read(world.data.join(db::FILE)).unwrap();
    let good = (db::FILE, EntryType::Regular, database.as_slice());
    let id = "instances/a1e70000-0000-4000-8000-00000000000a";
    let journal = format!("{id}/events.jsonl");
    let out = format!("{id}/logs/../../../../evil");
    let cases: &[(&[Entry<'_>], &str)] = &[
        (
            &[good, ("../evil", EntryType::Regular, b"x")],
            "points outside the archive",
        ),
        (
            &[good, ("/etc/evil", EntryType::Regular, b"x")],
            "points outside the archive",
        ),
        (
            &[good, (&out, EntryType::Regular, b"x")],
            "points outside the archive",
        ),
        (
            &[good, (&journal, EntryType::Symlink, b"")],
            "is not a regular file",
        ),
        (
            &[(db::FILE, EntryType::Symlink, b"")],
            "is not a regular file",
        ),
        (
            &[good, (&journal, EntryType::Link, b"")],
            "is not a regular file",
        ),
        (
            &[good, ("instances", EntryType::Directory, b"")],
            "is not a regular file",
        ),
        (
            &[good, (&journal, EntryType::Fifo, b"")],
            "is not a regular file",
        ),
        (
            &[
                good,
                (&journal, EntryType::XHeader, b"30 path=../../evil\n"),
            ],
            "is not a regular file",
        ),
        (&[good, good], "twice"),
        (
            &[good, ("settings.toml", EntryType::Regular, b"x")],
            "is unexpected",
        ),
        (
            &[good, ("clients/current", EntryType::Regular, b"x")],
            "is unexpected",
        ),
        (
            &[("pools.toml", EntryType::Regular, b"x")],
            "contains no database",
        ),
    ];
    for (members, says) in cases {
        let said = world.refused(&forged(&world, members, |_| {}), &RestoreOptions::default());
        assert!(said.contains(says), "{says}: {said}");
    }
    // A bomb: far more data than fits on the disk, in a few kilobytes.
    let bomb = world.dir.path().join("bomb.tar.gz");
    let mut out = GzEncoder::new(File::create(&bomb).unwrap(), Compression::best());
    let mut header = Header::new_gnu();
    header.set_path(db::FILE).unwrap();
    header.set_size(1 << 42);
    header.set_cksum();
    out.write_all(header.as_bytes()).unwrap();
    out.write_all(&vec![0; 1 << 20]).unwrap();
    out.finish().unwrap();
    assert!(
        world
            .refused(&bomb, &RestoreOptions::default())
            .contains("4398046511104 bytes long; the limit is")
    );
}

#[tokio::test]
async fn one_of_a_newer_version_is_refused() {
    let world = World::new().await;
    let db = Db::open(&world.data).unwrap();
    db.write(|c| {
        use diesel::connection::SimpleConnection;
        Ok(c.batch_execute(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')",
        )?)
    })
    .await
    .unwrap();
    let snapshot = world.dir.path().join("snapshot");
    db.copy_to(snapshot.clone()).await.unwrap();
    let content = fs::read(&snapshot).unwrap();
    let newer = forged(&world, &[(db::FILE, EntryType::Regular, &content)], |_| {});
    let said = world.refused(&newer, &RestoreOptions::default());
    assert!(
        said.contains("99991231000000") && said.contains("newer"),
        "{said}"
    );
    let said = world.refused(
        &forged(&world, &[(db::FILE, EntryType::Regular, &content)], |m| {
            m.format = 9
        }),
        &RestoreOptions::default(),
    );
    assert!(said.contains("does not support"), "{said}");
}

#[tokio::test]
async fn what_is_there_is_not_overwritten_but_moved_aside_if_that_is_wanted() {
    let world = World::new().await;
    let backup = world.backup(&with_key());
    let said = restore(&backup, &world.data, &RestoreOptions::default(), &|_| true)
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("not empty") && said.contains("--force"),
        "{said}"
    );
    fs::write(world.data.join("mine"), "mine").unwrap();
    let done = restore(
        &backup,
        &world.data,
        &RestoreOptions {
            force: true,
            passphrase: None,
        },
        &|_| true,
    )
    .unwrap();
    let aside = done.aside.unwrap();
    assert_eq!(fs::read_to_string(aside.join("mine")).unwrap(), "mine");
    assert!(!world.data.join("mine").exists() && world.data.join(KEY_FILE).exists());
    // Not while a manager uses it.
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(world.data.join("manager.lock"))
        .unwrap();
    lock.lock().unwrap();
    let said = restore(
        &backup,
        &world.data,
        &RestoreOptions {
            force: true,
            passphrase: None,
        },
        &|_| true,
    )
    .unwrap_err()
    .to_string();
    assert!(said.contains("jd-manager is running"), "{said}");
    drop(lock);
    // Nor while a keeper does.
    let id = world
        .data
        .join("instances/a1e70000-0000-4000-8000-00000000000a");
    let lock = File::create(id.join("keeper.lock")).unwrap();
    lock.lock().unwrap();
    let said = restore(
        &backup,
        &world.data,
        &RestoreOptions {
            force: true,
            passphrase: None,
        },
        &|_| true,
    )
    .unwrap_err()
    .to_string();
    assert!(said.contains("is still running"), "{said}");
    // An empty directory is no obstacle.
    fs::create_dir(world.elsewhere()).unwrap();
    assert_eq!(
        restore(
            &backup,
            &world.elsewhere(),
            &RestoreOptions::default(),
            &|_| true
        )
        .unwrap()
        .aside,
        None
    );
}

#[tokio::test]
async fn a_restore_says_how_far_it_is_and_ends_without_a_change_when_it_is_told_to() {
    let world = World::new().await;
    let backup = world.backup(&with_key());
    let size = fs::metadata(&backup).unwrap().len();
    let stages = std::cell::RefCell::new(Vec::new());
    let last = Cell::new(None);
    let observer = |progress: RestoreProgress| {
        let mut stages = stages.borrow_mut();
        if stages.last() != Some(&progress.stage) {
            stages.push(progress.stage);
        }
        assert!(progress.read <= progress.size && progress.size == size);
        last.set(Some((progress.files, progress.read)));
        true
    };
    restore(
        &backup,
        &world.elsewhere(),
        &RestoreOptions::default(),
        &observer,
    )
    .unwrap();
    assert_eq!(
        *stages.borrow(),
        [
            RestoreStage::Unpacking,
            RestoreStage::Checking,
            RestoreStage::Syncing
        ]
    );
    // The database, the key, a journal, a log of each program, the manifest.
    assert_eq!(last.get(), Some((6, size)));
    fs::remove_dir_all(world.elsewhere()).unwrap();
    let before = fs::read_dir(world.dir.path()).unwrap().count();
    for stage in [
        RestoreStage::Unpacking,
        RestoreStage::Checking,
        RestoreStage::Syncing,
    ] {
        let refused = restore(
            &backup,
            &world.elsewhere(),
            &RestoreOptions::default(),
            &|progress| progress.stage != stage,
        );
        let refused = refused.unwrap_err().to_string();
        assert_eq!(
            refused, "The restore was interrupted. Nothing was changed.",
            "{stage:?}"
        );
        assert!(
            !world.elsewhere().exists()
                && fs::read_dir(world.dir.path()).unwrap().count() == before,
            "{stage:?}"
        );
    }
}

#[tokio::test]
async fn what_is_read_into_memory_is_bounded() {
    let world = World::new().await;
    let database = fs::read(world.data.join(db::FILE)).unwrap();
    let path = world.dir.path().join("hostile");
    let member = |tar: &mut Builder<GzEncoder<File>>, name: &str, size: u64, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    };
    // A manifest that is said to have 3 GiB: refused by what is said, before it is read.
    for (size, says) in [
        (3 << 30, "manifest.json is 3221225472 bytes long"),
        (1 << 20, "is too large for 2 files"),
    ] {
        let mut tar = Builder::new(GzEncoder::new(
            File::create(&path).unwrap(),
            Compression::fast(),
        ));
        member(&mut tar, db::FILE, database.len() as u64, &database);
        member(&mut tar, FILE, size, &vec![b' '; 1 << 20]);
        tar.into_inner().unwrap().finish().unwrap();
        let said = world.refused(&path, &RestoreOptions::default());
        assert!(said.contains(says), "{said}");
    }
    // The header of an encrypted backup that never ends.
    let way = RestoreOptions {
        passphrase: Some(BackupPassphrase::given(PASSPHRASE.into())),
        force: false,
    };
    for endless in [
        format!("-> X25519 {}", "A".repeat(1 << 20)),
        "-> X25519 A\nAAAA\n".repeat(1 << 16),
    ] {
        fs::write(&path, [MAGIC, endless.as_bytes()].concat()).unwrap();
        let said = world.refused(&path, &way);
        assert!(said.contains("header is too long"), "{said}");
    }
}

#[test]
fn a_manifest_with_very_many_files_is_checked_in_a_moment() {
    let paths = (0..200_000)
        .map(|n| format!("instances/a1e70000-0000-4000-8000-00000000000a/logs/{n:020}.log"));
    let names: Vec<String> = std::iter::once(db::FILE.to_owned()).chain(paths).collect();
    let unpacked: Vec<_> = names
        .iter()
        .map(|path| ArchiveMember {
            path: path.clone(),
            size: 0,
            sha256: [0; 32],
        })
        .collect();
    let mut manifest = BackupManifest::new(Timestamp(0), "x".into());
    manifest.files = names
        .into_iter()
        .map(|path| BackupMember {
            path,
            size: 0,
            sha256: hex(&[0; 32]),
        })
        .collect();
    let begun = std::time::Instant::now();
    manifest.check(&unpacked).unwrap();
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    let size = serde_json::to_vec_pretty(&manifest).unwrap().len() as u64;
    assert!(
        size < manifest::LARGEST && size < manifest::largest_for(unpacked.len()),
        "{size}"
    );
}
