use super::*;
use crate::domain::vault::Vault;

async fn world() -> (tempfile::TempDir, Db, Backups) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path()).unwrap();
    Vault::begin(dir.path(), &db, &[]).await.unwrap();
    let backups = Backups::new(db.clone(), dir.path(), CancellationToken::new());
    (dir, db, backups)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_nightly_ones_the_newest_are_kept_and_of_those_that_were_asked_for_all() {
    let (dir, _, backups) = world().await;
    backups
        .change(serde_json::json!({ "keep": 3 }), false)
        .await
        .unwrap();
    let (asked, work) = backups
        .work(BackupKind::Manual, BackupRequest::default())
        .unwrap();
    work.await.unwrap();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(backups.nightly().await.unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let names: Vec<String> = backups
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(
        names,
        [&made[4], &made[3], &made[2], &asked].map(String::clone)
    );
    let all = backups.everything().await.unwrap();
    assert_eq!(
        (
            all.last.nightly.unwrap().name.as_ref(),
            all.last.manual.unwrap().name
        ),
        (Some(&made[4]), Some(asked.clone()))
    );
    assert!(all.making.is_none());
    // Due again only in the next night.
    assert!(!backups.is_due(Timestamp::now()).await.unwrap());
    assert!(
        backups
            .is_due(Timestamp::now().after(std::time::Duration::from_secs(31 * 3600)))
            .await
            .unwrap()
    );
    // Whatever else lies there is no backup, and stays.
    std::fs::write(dir.path().join("backups/before-upgrade-1.sqlite3"), "").unwrap();
    assert_eq!(backups.list().await.unwrap().len(), 4);
    backups.delete(&asked).await.unwrap();
    for name in [
        asked.as_str(),
        "before-upgrade-1.sqlite3",
        "../secrets.key",
        "",
    ] {
        assert!(
            matches!(backups.delete(name).await, Err(Error::NotFound { .. })),
            "{name}"
        );
    }
    assert_eq!(backups.list().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_made_at_a_time_and_a_failure_is_remembered_until_the_next() {
    let (dir, _, backups) = world().await;
    let (_, first) = backups
        .work(BackupKind::Manual, BackupRequest::default())
        .unwrap();
    assert!(matches!(
        backups.begin(BackupRequest::default()),
        Err(Error::Conflict(_))
    ));
    assert!(matches!(backups.nightly().await, Err(Error::Conflict(_))));
    first.await.unwrap();
    // Without the key there is none to put in.
    let key = dir.path().join(crate::domain::vault::KEY_FILE);
    std::fs::rename(&key, dir.path().join("kept")).unwrap();
    let error = backups.nightly().await.unwrap_err().to_string();
    assert!(error.contains("secrets.key"), "{error}");
    let failed = backups.everything().await.unwrap();
    assert!(
        failed
            .last
            .nightly
            .unwrap()
            .error
            .unwrap()
            .contains("secrets.key")
            && failed.making.is_none()
    );
    assert_eq!(failed.backups.len(), 1);
    std::fs::rename(dir.path().join("kept"), key).unwrap();
    backups.nightly().await.unwrap();
    assert_eq!(
        backups
            .everything()
            .await
            .unwrap()
            .last
            .nightly
            .unwrap()
            .error,
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manager_that_was_killed_left_is_no_backup_and_goes_with_the_next() {
    let (dir, _, backups) = world().await;
    let place = dir.path().join("backups");
    std::fs::create_dir_all(&place).unwrap();
    let left = ["part", "db"].map(|ending| {
        place.join(format!(
            ".manual-20261128T031000123Z-with-key.tar.gz.{ending}"
        ))
    });
    for path in &left {
        std::fs::write(path, "half").unwrap();
    }
    let foreign = place.join(".notes.part");
    std::fs::write(&foreign, "").unwrap();
    assert_eq!(backups.list().await.unwrap(), []);
    backups.nightly().await.unwrap();
    assert!(left.iter().all(|path| !path.exists()) && foreign.exists());
    assert_eq!(backups.list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_being_made_ends_with_the_manager_and_leaves_nothing() {
    let (dir, _, backups) = world().await;
    backups.stop.cancel();
    let error = backups.nightly().await.unwrap_err().to_string();
    assert!(error.contains("jd-manager is stopping"), "{error}");
    assert_eq!(
        std::fs::read_dir(dir.path().join("backups"))
            .unwrap()
            .count(),
        0
    );
}
