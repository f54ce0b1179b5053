//! Passwords from the command line, with the manager running and not.

use super::{PASSWORD, Visitor, ada, log_in, printed, run, with_admin};
use crate::harness::Manager;

#[tokio::test]
async fn a_password_set_on_the_machine_is_in_force_at_once() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let said = printed(run(
        &manager,
        &["set-password", "ada", "--stdin"],
        "quite another one\n",
    ));
    assert!(
        said.contains("Set the password for ada and signed out all their sessions."),
        "{said}"
    );
    admin.get(&manager, "/api/account").await.problem(401);
    log_in(&manager, "ada", "quite another one").await.unwrap();
    printed(run(
        &manager,
        &["set-password", "bob", "--role", "operator", "--stdin"],
        PASSWORD,
    ));
    let bob = log_in(&manager, "bob", PASSWORD).await.unwrap();
    assert_eq!(
        bob.get(&manager, "/api/account").await.json(200)["role"],
        "operator"
    );
}

#[tokio::test]
async fn it_works_while_no_manager_runs_and_says_what_is_wrong() {
    let mut manager = Manager::start().await;
    manager.terminate();
    let refused = run(&manager, &["set-password", "--stdin"], "short");
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("at least 10 characters"),
        "{refused:?}"
    );
    let no_terminal = run(&manager, &["set-password"], "");
    assert!(
        String::from_utf8_lossy(&no_terminal.stderr).contains("--stdin"),
        "{no_terminal:?}"
    );
    let role = run(
        &manager,
        &["set-password", "bob", "--role", "viewer", "--stdin"],
        PASSWORD,
    );
    assert!(
        String::from_utf8_lossy(&role.stderr).contains("first user must be an admin"),
        "{role:?}"
    );
    printed(run(&manager, &["set-password", "--stdin"], PASSWORD));
    manager.begin();
    Visitor::stranger()
        .get(&manager, "/api/instances")
        .await
        .problem(401);
    log_in(&manager, "admin", PASSWORD).await.unwrap();
}
