//! The instances in memory are those in the database, whatever changes them.

use super::*;
use crate::base::ids::ConfigId;
use crate::domain::instances::list_cache::{ListCache, ListView};
use crate::domain::instances::list_page::{InstanceListServices, list_response};
use crate::domain::instances::queries;
use crate::domain::vault::Vault;
use crate::infra::db::WriteMode;
use crate::infra::notices::{ManagerNotice, ManagerNotices};
use axum::body::to_bytes;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use diesel::RunQueryDsl;
use diesel::sqlite::SqliteConnection;
use tokio_util::sync::CancellationToken;

/// A manager, and another process that writes the same database.
pub(in super::super) struct World {
    pub(in super::super) lists: InstanceListServices,
    pub(in super::super) own: Db,
    other: Db,
    notices: ManagerNotices,
    _dir: tempfile::TempDir,
}

impl World {
    pub(in super::super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (Db::open(dir.path()).unwrap(), Db::open(dir.path()).unwrap());
        let (config, second) = (ConfigId::random(), ConfigId::random());
        run(
            &own,
            WriteMode::DURABLE,
            [(config, "home"), (second, "barn")]
                .map(|(id, name)| {
                    format!(
                        "INSERT INTO configurations (id, name, description, config_json, is_active, revision, created_at, updated_at) \
                         VALUES ('{id}', '{name}', '', '{{}}', 0, 1, 0, 0)"
                    )
                })
                .into(),
        )
        .await
        .unwrap();
        let configs = ConfigService::new(own.clone(), Vault::of_a_test());
        let source = ProgramSource::new(None, dir.path());
        let slow_start = Duration::from_secs(60);
        let instances =
            InstanceService::new(own.clone(), configs.clone(), source, dir.path(), slow_start);
        let notices = ManagerNotices::default();
        let lists = InstanceListServices {
            instances,
            configs,
            notices: notices.clone(),
            responses: ListCache::default(),
            stop: CancellationToken::new(),
        };
        Self {
            lists,
            own,
            other,
            notices,
            _dir: dir,
        }
    }

    /// The list that a program gets.
    async fn list(&self, headers: &HeaderMap) -> (StatusCode, HeaderMap, String) {
        self.response(headers, ListQuery::WHOLE, ListView::Json)
            .await
    }

    /// A response, as a browser or a program gets it.
    async fn response(
        &self,
        headers: &HeaderMap,
        query: ListQuery,
        view: ListView,
    ) -> (StatusCode, HeaderMap, String) {
        let response = list_response(&self.lists, query, view).await.unwrap();
        let (parts, body) = response.respond(headers).into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        (parts.status, parts.headers, text)
    }

    /// The same, from rows that were just read.
    async fn fresh_list(&self) -> String {
        let rows = self.own.read(|c| Ok(queries::all(c)?)).await.unwrap();
        let instances = rows
            .into_iter()
            .map(|row| self.lists.instances.assemble(row, &MuteSet::default()));
        let instances: Vec<Instance> = instances.collect();
        let notices = self.notices.list();
        let total = instances.len();
        let mut page = serde_json::json!({ "instances": instances, "total": total });
        if !notices.is_empty() {
            page["notices"] = serde_json::json!(notices);
        }
        page.to_string()
    }
}

/// A health with this score.
fn health(score: u32) -> super::super::HealthSummary {
    super::super::HealthSummary {
        status: "warning",
        score,
        place: String::new(),
        place_since: None,
        trouble: None,
        checks: Vec::new(),
    }
}

pub(in super::super) async fn run(db: &Db, mode: WriteMode, statements: Vec<String>) -> Result<()> {
    db.write_as(mode, move |c: &mut SqliteConnection| {
        for text in statements {
            diesel::sql_query(text).execute(c)?;
        }
        Ok(())
    })
    .await
}

/// Random numbers that are the same in each run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn random_change(numbers: &mut Numbers, step: u64) -> String {
    let number = numbers.below(1000);
    let one = format!("(SELECT id FROM instances ORDER BY id LIMIT 1 OFFSET {number} % 3)");
    match numbers.below(8) {
        0 | 1 => format!(
            "INSERT INTO instances (id, name, config_id, created_at, updated_at) \
             SELECT '{}', 'rig {step}', id, {number}, 0 FROM configurations ORDER BY name LIMIT 1",
            InstanceId::random()
        ),
        2 => format!("UPDATE instances SET name = 'rig {step}' WHERE id = {one}"),
        3 => {
            format!("UPDATE instances SET restarts = {number}, status = 'failed' WHERE id = {one}")
        }
        4 => format!("UPDATE configurations SET revision = {number} WHERE name = 'home'"),
        5 => format!("DELETE FROM instances WHERE id = {one}"),
        6 => format!("UPDATE instances SET autostart = 1 - autostart WHERE id = {one}"),
        _ => format!(
            "UPDATE instances SET config_id = (SELECT id FROM configurations ORDER BY name DESC LIMIT 1) WHERE id = {one}"
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_that_of_the_database_after_each_change() {
    let world = World::new().await;
    let mut numbers = Numbers(20);
    for step in 0..150 {
        let change = vec![random_change(&mut numbers, step)];
        // Another process leaves a sign of durable changes only.
        let (db, mode) = match numbers.below(3) {
            0 => (&world.own, WriteMode::DURABLE),
            1 => (&world.own, WriteMode::UNSYNCED),
            _ => (&world.other, WriteMode::DURABLE),
        };
        match numbers.below(10) {
            0 => {
                let failing = [change, vec!["nonsense".into()]].concat();
                run(db, mode, failing).await.unwrap_err();
            }
            1 => {
                let detail = format!("Problem {step}.");
                world
                    .notices
                    .set(ManagerNotice::new("test", "A problem", detail));
            }
            2 => world.notices.clear("test"),
            3 => {
                let all = world.lists.instances.list().await.unwrap();
                let score = u32::try_from(step).unwrap();
                for instance in all.iter().take(1) {
                    let glances = world.lists.instances.glances();
                    glances.set_wellbeing(instance.id, Some(health(score)));
                }
            }
            4 => {
                let all = world.lists.instances.list().await.unwrap();
                let stats = ListStats {
                    accepted: step as f64,
                    ..ListStats::default()
                };
                let each = all.iter().map(|instance| (instance.id, stats.clone()));
                world.lists.instances.glances().replace(each.collect());
            }
            _ => run(db, mode, change).await.unwrap(),
        }
        let (status, _, list) = world.list(&HeaderMap::new()).await;
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let fresh: serde_json::Value = serde_json::from_str(&world.fresh_list().await).unwrap();
        assert_eq!((status, list), (StatusCode::OK, fresh), "step {step}");
        let all = world.lists.instances.list().await.unwrap();
        for instance in all.into_iter().take(2) {
            let alone = world.lists.instances.get(instance.id).await.unwrap();
            assert_eq!(format!("{alone:?}"), format!("{instance:?}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_has_the_list_gets_no_second_copy_until_it_changes() {
    let world = World::new().await;
    let mut changes = (0..).map(|seed| random_change(&mut Numbers(seed), 0));
    let insert = changes.find(|change| change.starts_with("INSERT")).unwrap();
    run(&world.own, WriteMode::DURABLE, vec![insert])
        .await
        .unwrap();
    let (_, first, list) = world.list(&HeaderMap::new()).await;
    let known = |tag: &str| HeaderMap::from_iter([(IF_NONE_MATCH, tag.parse().unwrap())]);
    let tag = first[ETAG].to_str().unwrap();
    for given in [tag.to_owned(), format!("\"x\", {tag}"), "*".into()] {
        let (status, headers, body) = world.list(&known(&given)).await;
        assert_eq!(
            (status, headers[ETAG].to_str().unwrap(), body.as_str()),
            (StatusCode::NOT_MODIFIED, tag, ""),
            "{given}"
        );
    }
    let (status, _, same) = world.list(&known("\"x\"")).await;
    assert_eq!((status, same), (StatusCode::OK, list));
    let glances = world.lists.instances.glances();
    let id = world.lists.instances.list().await.unwrap()[0].id;
    glances.set_wellbeing(id, Some(health(50)));
    let (status, headers, list) = world.list(&known(tag)).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(headers[ETAG].to_str().unwrap(), tag);
    assert!(list.contains("\"warning\""), "{list}");
    let (_, _, empty) = world
        .response(&HeaderMap::new(), ListQuery::WHOLE.at(1), ListView::Json)
        .await;
    assert_eq!(empty, "{\"instances\":[],\"total\":1}");
}
