//! The number of entries that one user can cause in the database is limited, and the users, sessions
//! and tokens in memory are those in the database.

use super::authenticate::{Authentication, Credentials};
use super::middleware::{AccessCheck, require_role};
use super::model::{AuditEntry, AuditRow, CANCELED, LoginMethod};
use super::permissions::PermissionTable;
use super::service::{Access, UserChange};
use super::sessions::LoginInput;
use super::tokens::TokenRequest;
use super::{UserAccount, queries};
use crate::base::clock::{SystemClock, Timestamp};
use crate::base::error::Error;
use crate::base::ids::UserId;
use crate::base::role::Role;
use crate::domain::vault::Vault;
use crate::infra::db::Db;
use crate::web::{Caller, PeerAddress};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use diesel::connection::SimpleConnection;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

const PASSWORD: &str = "correct horse battery";

struct World {
    _dir: tempfile::TempDir,
    access: Access,
    viewer: UserAccount,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).unwrap();
        let vault = Vault::begin(dir.path(), &db, &[]).await.unwrap();
        let access = Access::new(db, vault, SystemClock, None);
        access
            .create_user("ada".into(), Role::Admin, PASSWORD.into())
            .await
            .unwrap();
        let viewer = access
            .create_user("eve".into(), Role::Viewer, PASSWORD.into())
            .await
            .unwrap();
        Self {
            _dir: dir,
            access,
            viewer,
        }
    }

    /// Adds these entries, all at once.
    async fn note(&self, entries: Vec<AuditEntry>, at: Timestamp) {
        let add = move |c: &mut diesel::SqliteConnection| {
            entries
                .iter()
                .try_for_each(|entry| queries::note(c, entry, at))?;
            Ok(())
        };
        self.access.db.write(add).await.unwrap();
    }

    async fn entries(&self) -> Vec<AuditRow> {
        self.access.entries(10_000, None, None).await.unwrap().0
    }
}

fn entry(role: Role, token: usize, address: usize, status: u16) -> AuditEntry {
    AuditEntry {
        user: "eve".into(),
        actor: format!("eve (token {token})"),
        role: role.name().into(),
        address: format!("192.0.2.{address}"),
        action: "started an instance".into(),
        path: format!("/instances/{token}-{address}/start"),
        status,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_user_fill_few_entries_whatever_differs_in_them() {
    let world = World::new().await;
    let now = Timestamp::now();
    let refusals = (0..50)
        .flat_map(|token| (0..40).map(move |address| entry(Role::Viewer, token, address, 403)));
    world.note(refusals.collect(), now).await;
    let entries = world.entries().await;
    assert_eq!(entries.len(), 101);
    let rest = &entries[0];
    assert_eq!(
        (
            rest.actor.as_str(),
            rest.address.as_str(),
            rest.path.as_str()
        ),
        ("eve", "several", "/instances/…")
    );
    assert_eq!(
        entries.iter().map(|entry| entry.times).sum::<u32>(),
        2000,
        "every one is counted"
    );
    // Another user has a share of their own.
    let other = AuditEntry {
        user: "mallory".into(),
        actor: "mallory".into(),
        ..entry(Role::Viewer, 0, 0, 403)
    };
    world
        .note(
            vec![other.clone(), other],
            now.after(Duration::from_secs(60)),
        )
        .await;
    let entries = world.entries().await;
    assert_eq!(
        (entries.len(), entries[0].times, entries[0].address.as_str()),
        (102, 2, "192.0.2.0")
    );
    // An equal one comes first again, with the times of the first and the last. The next hour has
    // an entry of its own.
    let later = now.after(Duration::from_secs(1800));
    world
        .note(vec![entry(Role::Viewer, 0, 0, 403)], later)
        .await;
    let entries = world.entries().await;
    assert_eq!(
        (
            entries.len(),
            entries[0].times,
            entries[0].first_at,
            entries[0].at
        ),
        (102, 2, now, later)
    );
    assert_eq!(entries[0].path, "/instances/0-0/start");
    world
        .note(
            vec![entry(Role::Viewer, 0, 0, 403)],
            now.after(Duration::from_secs(3601)),
        )
        .await;
    assert_eq!(
        (world.entries().await.len(), world.entries().await[0].times),
        (103, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_entries_of_their_own_up_to_a_thousand_in_an_hour_for_all_but_admins() {
    let world = World::new().await;
    world
        .note(
            (0..1500)
                .map(|n| entry(Role::Operator, n, 0, 200))
                .collect(),
            Timestamp::now(),
        )
        .await;
    let entries = world.entries().await;
    assert_eq!(
        (entries.len(), entries[0].times, entries[0].actor.as_str()),
        (1001, 500, "eve")
    );
    let admin = |n| AuditEntry {
        user: "ada".into(),
        actor: "ada".into(),
        ..entry(Role::Admin, n, 0, 200)
    };
    world
        .note((0..1500).map(admin).collect(), Timestamp::now())
        .await;
    assert_eq!(world.entries().await.len(), 2501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_a_bounded_number_of_tokens_and_sessions() {
    let world = World::new().await;
    let caller = Caller {
        name: "eve".into(),
        token: None,
        ssh: None,
        role: Role::Viewer,
        address: None,
    };
    let wish = |n: usize| TokenRequest {
        name: format!("t{n}"),
        role: Role::Viewer,
        days: None,
    };
    for n in 0..100 {
        world.access.create_token(&caller, wish(n)).await.unwrap();
    }
    let refused = world
        .access
        .create_token(&caller, wish(100))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("already have 100 tokens"), "{refused}");
    assert_eq!(world.access.tokens(&caller).await.unwrap().len(), 100);
    let mut cookies = Vec::new();
    for _ in 0..102 {
        let typed = LoginInput {
            name: "eve".into(),
            password: PASSWORD.into(),
            code: String::new(),
        };
        cookies.push(
            world
                .access
                .log_in(typed, PeerAddress::default(), String::new(), None)
                .await
                .unwrap()
                .cookie,
        );
    }
    assert_eq!(
        world
            .access
            .sessions(world.viewer.id, None)
            .await
            .unwrap()
            .len(),
        100
    );
    let known = async |cookie: &String| {
        let shown = Credentials {
            session: Some(cookie.clone()),
            ..Default::default()
        };
        matches!(
            world
                .access
                .recognise(&shown, PeerAddress::default())
                .await
                .unwrap(),
            Authentication::As(..)
        )
    };
    assert!(
        !known(&cookies[0]).await && known(&cookies[101]).await,
        "the oldest ends"
    );
}

/// Another process on the same data directory, such as `jd-manager token revoke`.
async fn other_process(dir: &tempfile::TempDir) -> Access {
    let db = Db::open(dir.path()).unwrap();
    let vault = Vault::begin(dir.path(), &db, &[]).await.unwrap();
    Access::new(db, vault, SystemClock, None)
}

/// The caller that the credentials identify.
async fn caller(access: &Access, token: Option<&str>, session: Option<&str>) -> Option<Caller> {
    let shown = Credentials {
        token: token.map(str::to_owned),
        session: session.map(str::to_owned),
        is_forwarded: false,
        ssh: None,
    };
    match access.recognise(&shown, PeerAddress::default()).await {
        Ok(Authentication::As(caller, _)) => Some(caller),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_any_process_counts_for_the_next_request() {
    let world = World::new().await;
    let (own, other) = (&world.access, other_process(&world._dir).await);
    let machine = Caller::machine(PeerAddress::default());
    let wish = |name: &str| TokenRequest {
        name: name.into(),
        role: Role::Operator,
        days: None,
    };
    for (n, (creator, revoker)) in [(own, own), (own, &other), (&other, own), (&other, &other)]
        .into_iter()
        .enumerate()
    {
        let made = creator.create_token(&machine, wish(&format!("t{n}"))).await;
        let made = made.unwrap();
        let known = caller(own, Some(&made.secret), None).await.unwrap();
        assert_eq!(
            (known.role, known.token),
            (Role::Operator, Some(made.token.name))
        );
        revoker.revoke_token(&machine, made.token.id).await.unwrap();
        assert_eq!(caller(own, Some(&made.secret), None).await, None, "{n}");
    }
    let begin = async || {
        let typed = LoginInput {
            name: "eve".into(),
            password: PASSWORD.into(),
            code: String::new(),
        };
        let begun = own.log_in(typed, PeerAddress::default(), String::new(), None);
        begun.await.unwrap().cookie
    };
    let cookie = begin().await;
    let role = async || Some(caller(own, None, Some(&cookie)).await?.role);
    assert_eq!(role().await, Some(Role::Viewer));
    let change = UserChange {
        role: Some(Role::Operator),
        ..UserChange::default()
    };
    other.change_user(world.viewer.id, change).await.unwrap();
    assert_eq!(role().await, Some(Role::Operator));
    // A change that fails changes nothing, wherever.
    let failed = own.change(|c| {
        queries::end_sessions(c, UserId::random(), None)?;
        queries::prune_sessions(c, Timestamp(i64::MAX), Timestamp(i64::MAX))?;
        Err::<(), _>(Error::Conflict("no".into()))
    });
    failed.await.unwrap_err();
    assert_eq!(role().await, Some(Role::Operator));
    other
        .end_other_sessions(world.viewer.id, None)
        .await
        .unwrap();
    assert_eq!(role().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_ends_local_access_without_a_password_whichever_process_creates_it() {
    let dir = tempfile::tempdir().unwrap();
    let own = other_process(&dir).await;
    let local = PeerAddress {
        address: Some("127.0.0.1".parse().unwrap()),
        ..PeerAddress::default()
    };
    let ask = async || own.recognise(&Credentials::default(), local).await.unwrap();
    assert!(matches!(ask().await, Authentication::As(..)));
    let other = other_process(&dir).await;
    other
        .set_password("ada", None, PASSWORD.into())
        .await
        .unwrap();
    assert!(matches!(
        ask().await,
        Authentication::Nobody { can_log_in: true }
    ));
    assert!(own.has_users().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_reaches_the_database_and_the_index() {
    let world = World::new().await;
    let typed = LoginInput {
        name: "eve".into(),
        password: PASSWORD.into(),
        code: String::new(),
    };
    let begun = world
        .access
        .log_in(typed, PeerAddress::default(), String::new(), None)
        .await
        .unwrap();
    let long_ago = Timestamp(Timestamp::now().0 - 86_400_000);
    let sessions = async || world.access.sessions(world.viewer.id, None).await.unwrap();
    let id = sessions().await[0].id;
    let change =
        move |c: &mut diesel::SqliteConnection| Ok(queries::touch_session(c, id, long_ago)?);
    world.access.change(change).await.unwrap();
    let indexed = async || {
        let index = world.access.index.snapshot().await.unwrap();
        index.sessions.values().next().unwrap().used_at
    };
    assert_eq!(indexed().await, long_ago);
    caller(&world.access, None, Some(&begun.cookie))
        .await
        .unwrap();
    let proof = LoginMethod::Session(id);
    let latest = world.access.last_uses.latest(&proof, Some(long_ago));
    assert!(latest > Some(long_ago), "known before it is written");
    // Less than the second after which rows are read again in any case.
    for _ in 0..80 {
        if indexed().await > long_ago && sessions().await[0].used_at > long_ago {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the use was not written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_needs_no_database() {
    let world = World::new().await;
    let drop_rows = |c: &mut diesel::SqliteConnection| Ok(c.batch_execute("DROP TABLE sessions")?);
    world.access.db.write(drop_rows).await.unwrap();
    world.access.index.invalidate();
    let socket = PeerAddress {
        socket: true,
        ..PeerAddress::default()
    };
    let ask = async |shown: Credentials, peer| world.access.recognise(&shown, peer).await;
    assert!(matches!(
        ask(Credentials::default(), socket).await,
        Ok(Authentication::As(..))
    ));
    ask(Credentials::default(), PeerAddress::default())
        .await
        .unwrap_err();
    let with_token = Credentials {
        token: Some("jdm_".into()),
        ..Credentials::default()
    };
    ask(with_token, socket).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_check_their_access_even_if_the_request_of_the_change_is_canceled() {
    let world = World::new().await;
    let mut changed = world.access.index.changed.subscribe();
    let change = world.access.change(|_| {
        std::thread::sleep(Duration::from_millis(200));
        Ok(())
    });
    tokio::time::timeout(Duration::from_millis(20), change)
        .await
        .unwrap_err();
    tokio::time::timeout(Duration::from_secs(5), changed.changed())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_password_or_second_factor_ends_a_sign_in_that_was_checked_before() {
    let world = World::new().await;
    let (access, id) = (&world.access, world.viewer.id);
    let begin = async |checked| {
        access
            .begin_session(checked, PeerAddress::default(), String::new(), None)
            .await
            .unwrap()
            .is_some()
    };
    let checked = access.credentials(id).await.unwrap();
    let change = UserChange {
        password: Some("another horse battery".into()),
        ..UserChange::default()
    };
    access.change_user(id, change).await.unwrap();
    assert!(!begin(checked).await);
    let checked = access.credentials(id).await.unwrap();
    let set = move |c: &mut diesel::SqliteConnection| {
        Ok(queries::set_second_factor(c, id, Some("secret"), 1)?)
    };
    access.change(set).await.unwrap();
    assert!(!begin(checked).await);
    assert!(access.sessions(id, None).await.unwrap().is_empty());
    assert!(begin(access.credentials(id).await.unwrap()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_client_closes_the_connection_is_in_the_audit_log() {
    async fn checked(
        State(check): State<Arc<AccessCheck>>,
        request: Request,
        next: Next,
    ) -> Response {
        require_role(&check, request, |request| next.run(request)).await
    }
    let world = World::new().await;
    let check = Arc::new(AccessCheck {
        access: world.access.clone(),
        permissions: PermissionTable::new([]),
    });
    let router = Router::new()
        .route("/x", post(std::future::pending::<()>))
        .layer(from_fn_with_state(check, checked));
    let peer = PeerAddress {
        socket: true,
        ..PeerAddress::default()
    };
    let request = axum::http::Request::builder()
        .method("POST")
        .uri("/x")
        .extension(peer)
        .body(Body::empty())
        .unwrap();
    tokio::time::timeout(Duration::from_millis(50), router.oneshot(request))
        .await
        .unwrap_err();
    for _ in 0..500 {
        if let [entry] = &world.entries().await[..] {
            assert_eq!((entry.path.as_str(), entry.status), ("/x", CANCELED));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no entry");
}
