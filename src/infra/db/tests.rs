use super::open::MIGRATIONS;
use super::*;
use diesel::sql_types::{Integer, Text};
use diesel_migrations::MigrationHarness;
use std::collections::BTreeMap;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    r#type: String,
    #[diesel(sql_type = Integer)]
    notnull: i32,
    #[diesel(sql_type = Integer)]
    pk: i32,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

fn names(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    diesel::sql_query(sql)
        .load::<Name>(connection)
        .unwrap()
        .into_iter()
        .map(|n| n.name)
        .collect()
}

fn open_plain(dir: &Path) -> SqliteConnection {
    SqliteConnection::establish(dir.join(FILE).to_str().unwrap()).unwrap()
}

/// The columns of a table in `schema.rs`: column -> type.
fn written() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut tables = BTreeMap::new();
    for table in include_str!("schema.rs").split("diesel::table! {").skip(1) {
        let (head, body) = table.split_once(") {").unwrap();
        let name = head.split_once('(').unwrap().0.trim().to_owned();
        let mut columns = BTreeMap::new();
        let mut sql_name = None;
        for line in body.split('}').next().unwrap().lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("#[sql_name = \"") {
                sql_name = rest.strip_suffix("\"]");
            } else if let Some((column, kind)) = line.trim_end_matches(',').split_once(" -> ") {
                let column = sql_name.take().unwrap_or(column);
                columns.insert(column.to_owned(), kind.to_owned());
            }
        }
        tables.insert(name, columns);
    }
    tables
}

#[test]
fn schema_rs_says_what_the_migrations_make() {
    let dir = tempfile::tempdir().unwrap();
    Db::open(dir.path()).unwrap();
    let mut c = open_plain(dir.path());
    let mut made = BTreeMap::new();
    for table in names(
        &mut c,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'",
    ) {
        let columns = diesel::sql_query(format!("PRAGMA table_info({table})"))
            .load::<Column>(&mut c)
            .unwrap();
        let keys = columns.iter().filter(|c| c.pk > 0).count();
        let typed = columns.into_iter().map(|c| {
            let plain = match c.r#type.as_str() {
                "INTEGER" if c.pk > 0 && keys == 1 => "BigInt",
                "INTEGER" => "Integer",
                "BIGINT" => "BigInt",
                "TEXT" => "Text",
                "BOOLEAN" => "Bool",
                "DOUBLE" => "Double",
                other => panic!("{table}: no diesel type for {other}"),
            };
            (
                c.name,
                if c.notnull == 1 {
                    plain.to_owned()
                } else {
                    format!("Nullable<{plain}>")
                },
            )
        });
        let typed = typed.collect();
        made.insert(table, typed);
    }
    assert_eq!(written(), made);
}

#[test]
fn every_migration_can_be_undone_and_done_again() {
    let mut c = SqliteConnection::establish(":memory:").unwrap();
    c.run_pending_migrations(MIGRATIONS).unwrap();
    c.revert_all_migrations(MIGRATIONS).unwrap();
    assert_eq!(
        names(
            &mut c,
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'"
        ),
        Vec::<String>::new()
    );
    c.run_pending_migrations(MIGRATIONS).unwrap();
}

#[test]
fn mutes_of_instances_survive_the_change_to_mutes_of_anything() {
    let mut c = SqliteConnection::establish(":memory:").unwrap();
    c.run_pending_migrations(MIGRATIONS).unwrap();
    let former = "SELECT name FROM sqlite_master WHERE name = 'alert_silences'";
    while names(&mut c, former).is_empty() {
        c.revert_last_migration(MIGRATIONS).unwrap();
    }
    c.batch_execute(
        "INSERT INTO configurations (id, name, config_json, created_at, updated_at) VALUES ('c', 'c', '{}', 0, 0);
         INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES ('i', 'i', 'c', 0, 0);
         INSERT INTO alert_silences VALUES ('i', 4102444800000);",
    )
    .unwrap();
    c.run_pending_migrations(MIGRATIONS).unwrap();
    let kept = "SELECT instance_id || ' ' || ends_at || ' ' || (starts_at < ends_at) || ' ' || length(id) AS name FROM alert_mutes";
    assert_eq!(names(&mut c, kept), ["i 4102444800000 1 36"]);
}

#[test]
fn alerts_of_instances_survive_the_change_to_alerts_of_hosts_and_back() {
    let mut c = SqliteConnection::establish(":memory:").unwrap();
    c.run_pending_migrations(MIGRATIONS).unwrap();
    c.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    let hosts = "SELECT name FROM pragma_table_info('alert_memories') WHERE name = 'host'";
    let revert = |c: &mut SqliteConnection| {
        while !names(c, hosts).is_empty() {
            c.revert_last_migration(MIGRATIONS).unwrap();
        }
    };
    revert(&mut c);
    c.batch_execute(
        "DELETE FROM alert_rules WHERE name = 'Block found';
         UPDATE alert_rules SET name = 'Mine', enabled = 0 WHERE name = 'Instance is down';
         INSERT INTO configurations (id, name, config_json, created_at, updated_at) VALUES ('c', 'c', '{}', 0, 0);
         INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES ('i', 'i', 'c', 0, 0);
         INSERT INTO alert_memories (rule_id, instance_id, miner, since, counts, words)
         SELECT id, 'i', 'rig', 5, 1, 'w' FROM alert_rules WHERE name = 'Mine';",
    )
    .unwrap();
    c.run_pending_migrations(MIGRATIONS).unwrap();
    let rules = "SELECT name || ' ' || enabled AS name FROM alert_rules ORDER BY created_at";
    let kept = ["Mine 0", "Instance unhealthy 1"];
    assert_eq!(
        names(&mut c, rules),
        [&kept[..], &["Host unreachable 1"]].concat()
    );
    let states = "SELECT coalesce(instance_id, host) || ' ' || miner || ' ' || since || ' ' || words AS name FROM alert_memories ORDER BY 1";
    assert_eq!(names(&mut c, states), ["i rig 5 w"]);
    let of_host = "INSERT INTO alert_memories (rule_id, host, counts, words, since) SELECT id, 'barn', 1, '', 7 FROM alert_rules WHERE name = 'Host unreachable'";
    assert!(c.batch_execute(of_host).is_err(), "there is no such host");
    c.batch_execute("INSERT INTO hosts (name, address, created_at, status, since) VALUES ('barn', 'barn', 0, 'ok', 0), ('attic', 'attic', 0, 'ok', 0)")
        .unwrap();
    for name in ["barn", "attic"] {
        c.batch_execute(&of_host.replace("barn", name)).unwrap();
    }
    assert!(c.batch_execute(of_host).is_err(), "it has a state already");
    c.batch_execute("DELETE FROM hosts WHERE name = 'attic'")
        .unwrap();
    assert_eq!(names(&mut c, states), ["barn  7 ", "i rig 5 w"]);
    revert(&mut c);
    assert_eq!(names(&mut c, rules), kept);
    assert_eq!(
        names(
            &mut c,
            "SELECT instance_id || ' ' || miner AS name FROM alert_memories"
        ),
        ["i rig"]
    );
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    Db::open(dir.path()).unwrap();
    open_plain(dir.path())
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')")
        .unwrap();
    let error = Db::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, OpenError::Newer { version, .. } if version == "99991231000000"),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    std::fs::write(
        &file,
        "this is no database, it is far too short and means nothing at all",
    )
    .unwrap();
    assert!(matches!(
        Db::open(dir.path()).unwrap_err(),
        OpenError::Damaged { .. }
    ));
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("this is no database")
    );
}

#[tokio::test]
async fn readers_cannot_write_and_failed_work_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    let insert = "INSERT INTO updates (version, download_url, created_at) VALUES ('1', '', 0)";
    assert!(
        db.read(move |c| Ok(c.batch_execute(insert)?))
            .await
            .is_err()
    );
    let failed = db.write(move |c| {
        c.batch_execute(insert)?;
        Err::<(), _>(Error::Conflict("no".into()))
    });
    assert!(failed.await.is_err());
    let count =
        |c: &mut SqliteConnection| Ok(schema::updates::table.count().get_result::<i64>(c)?);
    assert_eq!(db.read(count).await.unwrap(), 0);
    db.write(move |c| Ok(c.batch_execute(insert)?))
        .await
        .unwrap();
    assert_eq!(db.read(count).await.unwrap(), 1);
}

fn insert(c: &mut SqliteConnection) -> Result<usize> {
    let text = "INSERT INTO updates (version, download_url, created_at) VALUES (hex(randomblob(9)), '', 0)";
    Ok(diesel::sql_query(text).execute(c)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_process_holds_the_lock_prompt_writes_fail_fast_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    db.write(insert).await.unwrap();
    let mut other = open_plain(dir.path());
    other.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let begun = std::time::Instant::now();
    assert!(matches!(
        db.write_as(WriteMode::DURABLE.prompt(), insert).await,
        Err(Error::Unavailable { .. })
    ));
    assert!(db.is_locked());
    // Even while another write waits for the lock.
    let patient = tokio::spawn({
        let db = db.clone();
        async move { db.write(insert).await }
    });
    for _ in 0..20 {
        assert!(
            db.write_as(WriteMode::UNSYNCED.prompt(), insert)
                .await
                .is_err()
        );
    }
    let count =
        |c: &mut SqliteConnection| Ok(schema::updates::table.count().get_result::<i64>(c)?);
    assert_eq!(db.read(count).await.unwrap(), 1);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    other.batch_execute("ROLLBACK").unwrap();
    patient.await.unwrap().unwrap();
    assert!(!db.is_locked());
    assert_eq!(db.read(count).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn prompt_writes_wait_in_a_queue_that_moves_and_fail_in_one_that_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    let slow = |millis| {
        let db = db.clone();
        tokio::spawn(async move {
            let wait = move |_: &mut SqliteConnection| {
                std::thread::sleep(Duration::from_millis(millis));
                Ok(())
            };
            db.write_as(WriteMode::UNSYNCED, wait).await
        })
    };
    let queue: Vec<_> = (0..12).map(|_| slow(100)).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = std::time::Instant::now();
    let prompt = WriteMode::UNSYNCED.prompt();
    db.write_as(prompt, insert).await.unwrap();
    assert!(begun.elapsed() > Duration::from_secs(1));
    for written in futures_util::future::join_all(queue).await {
        written.unwrap().unwrap();
    }
    let stuck = slow(2_000);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = std::time::Instant::now();
    db.write_as(prompt, insert).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(1));
    stuck.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_changes_are_counted_and_soon_in_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let checkpoints = tokio::spawn(db.clone().run_checkpoints(stop.clone()));
    let changes = || writer::count_changes(&mut open_plain(dir.path())).unwrap();
    let before = changes();
    for mode in [
        WriteMode::DURABLE,
        WriteMode::UNSYNCED,
        WriteMode::DURABLE.prompt(),
    ] {
        db.write_as(mode, insert).await.unwrap();
    }
    db.write(|_| Ok(())).await.unwrap();
    assert_eq!(
        changes(),
        before + 2,
        "samples and writes that change nothing are not counted"
    );
    let log = dir.path().join(format!("{FILE}-wal"));
    let begun = std::time::Instant::now();
    while std::fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the log is not emptied"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    checkpoints.await.unwrap();
    drop(db);
    let db = Db::open(dir.path()).unwrap();
    assert_eq!(db.lost_changes(), None);
    drop(db);
    open_plain(dir.path())
        .batch_execute("PRAGMA user_version = 0")
        .unwrap();
    assert_eq!(
        Db::open(dir.path()).unwrap().lost_changes().unwrap().count,
        before + 2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zeroed_page_is_found_and_one_that_is_whole_again_is_believed() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    let damage = db.damage();
    db.check_integrity().await.unwrap();
    assert_eq!(*damage.borrow(), None);
    db.write_anew().await.unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(dir.path().join(FILE))
        .unwrap();
    let (mut page, last) = ([0; 4096], file.metadata().unwrap().len() - 4096);
    file.read_exact_at(&mut page, last).unwrap();
    file.write_all_at(&[0; 4096], last).unwrap();
    db.check_integrity().await.unwrap();
    assert!(damage.borrow().is_some());
    file.write_all_at(&page, last).unwrap();
    db.check_integrity().await.unwrap();
    assert_eq!(*damage.borrow(), None);
}
