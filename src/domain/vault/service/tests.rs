use super::*;
use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};
use std::fs;

const SECRET: &str = "the-secret-of-a-shed";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Seals the names of instances' rows in a table of the test's own.
fn seal_notes(c: &mut SqliteConnection, vault: &Vault) -> Result<usize> {
    if !db::has_table(c, "notes")? {
        return Ok(0);
    }
    let mut sealed = 0;
    for Name { name } in diesel::sql_query("SELECT name FROM notes").load::<Name>(c)? {
        if super::super::is_sealed(&name) {
            vault.open("notes", &name)?;
            continue;
        }
        let text = vault.seal("notes", &name)?;
        diesel::sql_query("UPDATE notes SET name = ? WHERE name = ?")
            .bind::<Text, _>(text)
            .bind::<Text, _>(name)
            .execute(c)?;
        sealed += 1;
    }
    Ok(sealed)
}

const SEALERS: &[Sealer] = &[seal_notes];

/// A database of an earlier version with plain-text secrets in pages, free pages and log.
async fn of_before(dir: &Path) -> Db {
    let db = Db::open(dir).unwrap();
    db.write(|c| {
        c.batch_execute("CREATE TABLE notes (name TEXT NOT NULL) STRICT; CREATE TABLE gone (name TEXT NOT NULL) STRICT;")?;
        for number in 0..300 {
            let text = format!("{SECRET} {number}");
            diesel::sql_query("INSERT INTO notes VALUES (?)").bind::<Text, _>(&text).execute(c)?;
            diesel::sql_query("INSERT INTO gone VALUES (?)").bind::<Text, _>(&text).execute(c)?;
        }
        Ok(())
    })
    .await
    .unwrap();
    db.write(|c| Ok(c.batch_execute("DROP TABLE gone")?))
        .await
        .unwrap();
    fs::create_dir_all(dir.join("backups")).unwrap();
    db.copy_to(dir.join("backups/before-upgrade-1.sqlite3"))
        .await
        .unwrap();
    db
}

/// The files in a directory that contain the plain-text secret.
fn holders(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(holders(&entry.path()));
        } else if fs::read(entry.path())
            .unwrap()
            .windows(SECRET.len())
            .any(|w| w == SECRET.as_bytes())
        {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

async fn notes(db: &Db, vault: &Vault) -> Vec<String> {
    let vault = vault.clone();
    db.read(move |c| {
        let rows = diesel::sql_query("SELECT name FROM notes").load::<Name>(c)?;
        rows.into_iter()
            .map(|row| vault.open("notes", &row.name))
            .collect()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn what_an_earlier_version_stored_in_the_clear_is_sealed_and_nothing_of_it_is_left_anywhere()
{
    let dir = tempfile::tempdir().unwrap();
    let db = of_before(dir.path()).await;
    let before = holders(dir.path());
    assert!(
        before.len() >= 2,
        "the test has something to find: {before:?}"
    );
    let vault = Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
    assert_eq!(holders(dir.path()), Vec::<String>::new());
    let found = notes(&db, &vault).await;
    assert!(found.len() == 300 && found.iter().all(|note| note.starts_with(SECRET)));
    // Once more: the same key, nothing to do.
    let again = Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
    assert_eq!(notes(&db, &again).await, found);
    // A copy of before an upgrade, put in its place with the key beside it, opens.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(
        dir.path().join("backups/before-upgrade-1.sqlite3"),
        elsewhere.path().join(db::FILE),
    )
    .unwrap();
    fs::copy(dir.path().join(KEY_FILE), elsewhere.path().join(KEY_FILE)).unwrap();
    let copy = Db::open(elsewhere.path()).unwrap();
    let vault = Vault::begin(elsewhere.path(), &copy, SEALERS)
        .await
        .unwrap();
    assert_eq!(notes(&copy, &vault).await, found);
}

#[tokio::test]
async fn one_that_was_killed_before_it_swept_sweeps_at_its_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let db = of_before(dir.path()).await;
    let key = VaultKey::generate().unwrap();
    Vault::with(&key)
        .seal_all(&db, SEALERS, dir.path(), Some(key))
        .await
        .unwrap();
    assert!(!holders(dir.path()).is_empty());
    Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
    assert_eq!(holders(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn one_that_was_killed_after_it_had_made_the_key_goes_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = of_before(dir.path()).await;
    let key = VaultKey::generate().unwrap();
    key.write(dir.path()).unwrap();
    let vault = Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
    assert_eq!(VaultKey::read(dir.path()).unwrap().unwrap().0, key.0);
    assert_eq!(notes(&db, &vault).await.len(), 300);
}

#[tokio::test]
async fn without_its_key_or_with_another_one_nothing_is_opened_and_nothing_changed() {
    let dir = tempfile::tempdir().unwrap();
    let db = of_before(dir.path()).await;
    Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
    let file = dir.path().join(KEY_FILE);
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let refusal = Vault::begin(dir.path(), &db, SEALERS).await.unwrap_err();
    assert!(matches!(refusal, VaultRefusal::Missing { .. }), "{refusal}");
    assert!(!file.exists(), "no other key is made");
    VaultKey::generate().unwrap().write(dir.path()).unwrap();
    let refusal = Vault::begin(dir.path(), &db, SEALERS).await.unwrap_err();
    assert!(
        matches!(refusal, VaultRefusal::Wrong { .. })
            && refusal.to_string().contains("secrets.key"),
        "{refusal}"
    );
    fs::write(&file, "nothing").unwrap();
    let refusal = Vault::begin(dir.path(), &db, SEALERS).await.unwrap_err();
    assert!(
        matches!(refusal, VaultRefusal::Key(KeyFileError::Damaged { .. })),
        "{refusal}"
    );
    fs::write(&file, kept).unwrap();
    Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
}

#[tokio::test]
async fn a_sealed_copy_without_its_proof_and_key_is_not_given_a_new_key() {
    let dir = tempfile::tempdir().unwrap();
    let db = of_before(dir.path()).await;
    Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
    db.write(|c| Ok(c.batch_execute("DELETE FROM vault")?))
        .await
        .unwrap();
    let file = dir.path().join(KEY_FILE);
    fs::rename(&file, dir.path().join("kept")).unwrap();
    let refusal = Vault::begin(dir.path(), &db, SEALERS).await.unwrap_err();
    assert!(
        matches!(refusal, VaultRefusal::Missing { .. }) && !file.exists(),
        "{refusal}"
    );
    VaultKey::generate().unwrap().write(dir.path()).unwrap();
    let refusal = Vault::begin(dir.path(), &db, SEALERS).await.unwrap_err();
    assert!(matches!(refusal, VaultRefusal::Wrong { .. }), "{refusal}");
    fs::rename(dir.path().join("kept"), file).unwrap();
    Vault::begin(dir.path(), &db, SEALERS).await.unwrap();
}
