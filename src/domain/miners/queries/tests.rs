//! Tests of the list: its order, its parts and its filters.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;

use super::*;
use crate::infra::db::Db as Database;

/// A database with two instances.
async fn database(dir: &tempfile::TempDir) -> (Database, [InstanceId; 2]) {
    let db = Database::open(dir.path()).unwrap();
    let ids = [InstanceId::random(), InstanceId::random()];
    db.write(move |c| {
        c.batch_execute("INSERT INTO configurations (id, name, config_json, created_at, updated_at) VALUES ('c', 'c', '{}', 0, 0)")?;
        for (id, name) in ids.iter().zip(["barn", "shed"]) {
            c.batch_execute(&format!(
                "INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES ('{id}', '{name}', 'c', 0, 0)"
            ))?;
        }
        Ok(())
    })
    .await
    .unwrap();
    (db, ids)
}

fn record(instance_id: InstanceId, name: &str, address: &str, hashrate: f64) -> MinerRecord {
    MinerRecord {
        instance_id,
        protocol: "v1".into(),
        address: address.into(),
        name: name.into(),
        state: "mining".into(),
        hashrate,
        settled: true,
        day: 0,
        accepted_today: 0,
        rejected_today: 0,
        accepted_total: 1,
        rejected_total: 0,
        last_share_at: None,
        connected_since: Some(Timestamp(1)),
        offline_since: None,
        seen_at: Timestamp(1),
        baseline: "{}".into(),
        reasons: "{}".into(),
    }
}

async fn store(db: &Database, records: Vec<MinerRecord>) {
    db.write(move |c| {
        for record in records {
            save(c, record.instance_id, &[record], &[])?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn part(db: &Database, filter: MinerFilter, limit: i64, offset: i64) -> Vec<Miner> {
    db.read(move |c| Ok(page(c, filter, limit, offset, Timestamp(1))?))
        .await
        .unwrap()
}

#[tokio::test]
async fn parts_have_every_miner_once_although_hashrates_and_states_change_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let (db, [id, _]) = database(&dir).await;
    let all = |round: u32| -> Vec<MinerRecord> {
        let one = |number: u32| MinerRecord {
            // Another order in each round.
            hashrate: f64::from((number * 7919 + round * 104_729) % 10_007),
            state: if (number + round).is_multiple_of(3) {
                "offline"
            } else {
                "mining"
            }
            .into(),
            ..record(id, &format!("rig{number}"), "192.0.2.7", 0.0)
        };
        (1..=200).map(one).collect()
    };
    let filter = MinerFilter {
        instance: Some(id),
        ..MinerFilter::default()
    };
    let mut names = Vec::new();
    for round in 0..4 {
        store(&db, all(round)).await;
        let part = part(&db, filter, 50, i64::from(round) * 50).await;
        names.extend(part.into_iter().map(|miner| miner.name));
    }
    let expected: Vec<String> = (1..=200).map(|number| format!("rig{number}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn miners_are_sorted_by_name_address_protocol_and_instance() {
    let dir = tempfile::tempdir().unwrap();
    let (db, [one, other]) = database(&dir).await;
    let v2 = |record: MinerRecord| MinerRecord {
        protocol: "v2".into(),
        ..record
    };
    store(
        &db,
        vec![
            record(one, "rig10", "192.0.2.1", 9.0),
            record(other, "rig2", "192.0.2.10", 8.0),
            record(one, "rig2", "192.0.2.9", 1.0),
            v2(record(one, "rig2", "192.0.2.9", 7.0)),
            record(other, "rig2", "192.0.2.9", 2.0),
            record(one, "Rig2", "192.0.2.11", 3.0),
            record(one, "rig02", "", 0.0),
            record(other, "", "192.0.2.3", 0.0),
        ],
    )
    .await;
    let list = part(&db, MinerFilter::default(), 100, 0).await;
    let found: Vec<_> = list
        .iter()
        .map(|miner| {
            (
                miner.name.as_str(),
                miner.address.as_str(),
                miner.protocol.as_str(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("", "192.0.2.3", "v1"),
            // Equal but for case: by the exact name.
            ("Rig2", "192.0.2.11", "v1"),
            ("rig2", "192.0.2.9", "v1"),
            ("rig2", "192.0.2.9", "v1"),
            ("rig2", "192.0.2.9", "v2"),
            ("rig2", "192.0.2.10", "v1"),
            ("rig02", "", "v1"),
            ("rig10", "192.0.2.1", "v1"),
        ]
    );
    let names: BTreeSet<_> = [&list[2], &list[3]]
        .map(|miner| &miner.instance_name)
        .into();
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn filters_reduce_the_list_and_its_total() {
    let dir = tempfile::tempdir().unwrap();
    let (db, [one, other]) = database(&dir).await;
    let with = |record: MinerRecord, protocol: &str, state: &str| MinerRecord {
        protocol: protocol.into(),
        state: state.into(),
        ..record
    };
    store(
        &db,
        vec![
            with(record(one, "a", "", 1.0), "v1", "mining"),
            with(record(one, "b", "", 1.0), "v2", "mining"),
            with(record(one, "c", "", 1.0), "v1", "offline"),
            with(record(other, "d", "", 1.0), "v1", "offline"),
        ],
    )
    .await;
    let v1 = Some(MinerProtocol::V1);
    for (instance, protocol, state, expected) in [
        (None, None, None, "abcd"),
        (Some(one), None, None, "abc"),
        (None, v1, None, "acd"),
        (None, None, Some(MinerState::Offline), "cd"),
        (Some(one), v1, Some(MinerState::Offline), "c"),
        (None, None, Some(MinerState::NoChannel), ""),
    ] {
        let filter = MinerFilter {
            instance,
            protocol,
            state,
        };
        let found = part(&db, filter, 100, 0).await;
        let names: String = found.into_iter().map(|miner| miner.name).collect();
        assert_eq!(names, expected, "{filter:?}");
        let total = db.read(move |c| Ok(count(c, filter)?)).await.unwrap();
        assert_eq!(total, expected.len() as i64, "{filter:?}");
    }
}
