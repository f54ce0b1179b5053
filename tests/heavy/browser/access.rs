//! The first user, signing in, a wrong password, signing out; with and without JavaScript.

use super::driver::Browser;
use crate::harness::Manager;

const PASSWORD: &str = "correct horse battery";

async fn log_in(browser: &Browser, password: &str) {
    browser.fill("#name", "ada").await;
    browser.fill("#password", password).await;
    browser.press("Sign in").await;
}

async fn from_nobody_to_a_user_and_out_again(browser: &Browser) {
    let manager = Manager::start().await;
    browser.go(&manager.url("/account")).await;
    browser.reads("section.attention h2", "No users yet").await;
    browser.press("create a user").await;
    browser.arrives("/users").await;
    browser.fill("#name", "ada").await;
    browser.fill("#password", "short").await;
    browser.press("Create user").await;
    browser
        .reads(
            "section.attention li",
            "The password must have at least 10 characters. A phrase of several words is easy to remember.",
        )
        .await;
    assert_eq!(
        (
            browser.value("#name").await.as_str(),
            browser.value("#password").await.as_str()
        ),
        ("ada", "")
    );
    browser.fill("#password", PASSWORD).await;
    browser.press("Create user").await;
    // From now on everyone signs in, and returns to the previous page.
    browser.arrives("/login").await;
    log_in(browser, "not the password").await;
    browser
        .reads(
            "section.attention p",
            "Wrong name, password or code. If you set up a second factor, enter its code.",
        )
        .await;
    assert_eq!(
        (
            browser.value("#name").await.as_str(),
            browser.value("#password").await.as_str()
        ),
        ("ada", "")
    );
    log_in(browser, PASSWORD).await;
    browser.arrives("/users").await;
    browser.reads("tbody td", "ada").await;
    browser.reads(".bar .end a", "ada").await;
    browser.press("Audit log").await;
    browser.arrives("/audit").await;
    browser.press("Sign out").await;
    browser.arrives("/login").await;
    browser.go(&manager.url("/instances")).await;
    browser.arrives("/login").await;
    assert!(!browser.offers("Sign out").await);
    browser.has_nothing_to_complain_of().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_logs_in_and_out() {
    from_nobody_to_a_user_and_out_again(&Browser::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_logs_in_and_out_without_javascript() {
    from_nobody_to_a_user_and_out_again(&Browser::without_javascript().await).await;
}
