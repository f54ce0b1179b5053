//! Test support for alerts: a real database with instances, a manual clock, and a webhook receiver on
//! loopback.

use axum::extract::State as Extracted;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use diesel::RunQueryDsl;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::model::SavedChannel;
use super::observation::{HostObservation, InstanceObservation, ObservedCause, ObservedCheck};
use super::{AlertRule, Alerts, ChannelDraft, RuleDraft};
use crate::base::actor::Actor;
use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{ConfigId, InstanceId};
use crate::domain::instances::InstanceTags;
use crate::domain::mutes::{Mute, MuteDraft, MuteScope};
use crate::domain::vault::Vault;
use crate::infra::db::Db;
use crate::infra::notify::NotifySender;
use crate::keeper::machine::InstanceState;

/// A clock that changes only when a test moves it.
#[derive(Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Alerts with a database for one test.
pub struct AlertTestBed {
    pub dir: tempfile::TempDir,
    pub db: Db,
    pub alerts: Alerts,
    pub clock: HandClock,
}

impl AlertTestBed {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = HandClock(Arc::new(AtomicI64::new(1_800_000_000_000)));
        let db = Db::open(dir.path()).unwrap();
        let alerts = Alerts::new(
            db.clone(),
            Vault::of_a_test(),
            NotifySender::new(),
            clock.clone(),
        );
        Self {
            dir,
            db,
            alerts,
            clock,
        }
    }

    /// The state after a restart of jd-manager: only the database remains.
    pub fn restarted(self) -> Self {
        let db = Db::open(self.dir.path()).unwrap();
        let alerts = Alerts::new(
            db.clone(),
            Vault::of_a_test(),
            NotifySender::new(),
            self.clock.clone(),
        );
        Self { db, alerts, ..self }
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.alerts.wake.notify_one();
    }

    pub async fn instance(&self, name: &str) -> InstanceId {
        let (id, config, name) = (InstanceId::random(), ConfigId::random(), name.to_owned());
        let made = self.db.write(move |c| {
            for text in [
                format!("INSERT INTO configurations (id, name, config_json, created_at, updated_at) VALUES ('{config}', '{name}', '{{}}', 0, 0)"),
                format!("INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES ('{id}', '{name}', '{config}', 0, 0)"),
            ] {
                diesel::sql_query(text).execute(c)?;
            }
            Ok(())
        });
        made.await.unwrap();
        id
    }

    pub async fn sql(&self, text: &str) {
        let text = text.to_owned();
        self.db
            .write(move |c| Ok(diesel::sql_query(text).execute(c)?))
            .await
            .unwrap();
    }

    pub async fn channel(&self, name: &str, url: &str) -> SavedChannel {
        let body = json!({ "name": name, "kind": "webhook", "url": url });
        self.alerts
            .create_channel(ChannelDraft::of(body))
            .await
            .unwrap()
    }

    pub async fn rule(&self, body: Value) -> AlertRule {
        self.alerts
            .create_rule(RuleDraft::from(body))
            .await
            .unwrap()
    }

    /// Mutes something for this number of minutes.
    pub async fn mute(&self, scope: MuteScope, minutes: u64) -> Mute {
        let from = self.clock.now();
        let draft = MuteDraft {
            from,
            until: from.after(Duration::from_secs(minutes * 60)),
            comment: String::new(),
        };
        let mutes = self.alerts.mutes();
        let made = mutes.create(scope, draft, &Actor::manager("test")).await;
        made.unwrap()
    }

    /// Removes the default rules of a new database.
    pub async fn without_rules(self) -> Self {
        self.sql("DELETE FROM alert_rules").await;
        self
    }

    /// An observation of a healthy, running instance, as of now.
    pub fn well(&self, instance: InstanceId) -> InstanceObservation {
        InstanceObservation {
            instance,
            name: "barn".into(),
            tags: InstanceTags::default(),
            at: self.clock.now(),
            is_wanted: true,
            is_at_rest: false,
            state: InstanceState::Running,
            cause: None,
            checks: vec![check("upstream", "healthy", "")],
            available_update: Some(None),
            figures: BTreeMap::from([("miners".into(), 3.0)]),
            blocks: 0,
            best_difficulty: Some(1000.0),
            miners: None,
        }
    }

    /// An observation of an instance that is down, as of now.
    pub fn down(&self, instance: InstanceId) -> InstanceObservation {
        InstanceObservation {
            state: InstanceState::BackingOff,
            ..self.well(instance)
        }
    }

    /// Adds a host.
    pub async fn host(&self, name: &str) {
        self.sql(&format!("INSERT INTO hosts (name, address, created_at, status, since) VALUES ('{name}', '{name}', 0, 'ok', 0)")).await;
    }

    /// An observation of a host that responds, as of now.
    pub fn reachable(&self, name: &str) -> HostObservation {
        HostObservation {
            name: name.into(),
            at: self.clock.now(),
            problem: Some(None),
        }
    }

    /// An observation of a host that does not respond, as of now.
    pub fn unreachable(&self, name: &str) -> HostObservation {
        let cause = ObservedCause {
            what: "unreachable".into(),
            advice: format!("{name} cannot be reached."),
        };
        HostObservation {
            problem: Some(Some(cause)),
            ..self.reachable(name)
        }
    }

    /// The titles of all deliveries, oldest first.
    pub async fn titles(&self) -> Vec<String> {
        let mut titles: Vec<String> = self
            .alerts
            .deliveries(None, 1000)
            .await
            .unwrap()
            .0
            .into_iter()
            .map(|delivery| delivery.title)
            .collect();
        titles.reverse();
        titles
    }
}

pub fn check(check: &str, status: &str, message: &str) -> ObservedCheck {
    ObservedCheck {
        check: check.into(),
        status: status.into(),
        message: message.into(),
    }
}

/// A response: status, and seconds for `Retry-After`.
type Scripted = (u16, Option<u64>);

/// A webhook receiver with scripted responses, followed by 200.
#[derive(Clone, Default)]
pub struct TestReceiver {
    pub url: String,
    got: Arc<Mutex<Vec<Value>>>,
    script: Arc<Mutex<VecDeque<Scripted>>>,
    pub pause: Arc<Mutex<Duration>>,
}

impl TestReceiver {
    /// `script`: the first responses.
    pub async fn start(script: &[Scripted]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self {
            url,
            script: Arc::new(Mutex::new(script.iter().copied().collect())),
            ..Self::default()
        };
        let app = axum::Router::new()
            .route("/hook", post(take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    /// The received bodies, oldest first.
    pub fn got(&self) -> Vec<Value> {
        self.got.lock().unwrap().clone()
    }

    pub fn titles(&self) -> Vec<String> {
        self.got()
            .iter()
            .map(|body| body["title"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits for this number of bodies.
    pub async fn until(&self, count: usize) {
        until("as many messages as expected", || async {
            self.got().len() >= count
        })
        .await;
    }
}

async fn take(
    Extracted(receiver): Extracted<TestReceiver>,
    axum::Json(body): axum::Json<Value>,
) -> impl IntoResponse {
    receiver.got.lock().unwrap().push(body);
    let pause = *receiver.pause.lock().unwrap();
    tokio::time::sleep(pause).await;
    let (status, retry_after) = receiver
        .script
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or((200, None));
    let mut answer = StatusCode::from_u16(status).unwrap().into_response();
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert("retry-after", seconds.into());
    }
    answer
}

/// Waits until a condition holds, at most 20 s.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "waited in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
