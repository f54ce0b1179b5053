//! The Backups page: create, errors, download, delete, and nightly settings; with and without
//! JavaScript.

use super::driver::Browser;
use crate::harness::Manager;

async fn from_none_to_one_and_back(browser: &Browser) {
    let manager = Manager::start().await;
    browser.go(&manager.url("/backups")).await;
    browser
        .reads(
            "[aria-labelledby=list] > p",
            "No backups yet. jd-manager will create the first one within an hour.",
        )
        .await;
    browser.fill("#passphrase", "correct horse battery").await;
    browser.fill("#repeat", "correct horse buttery").await;
    browser.press("Create backup").await;
    browser
        .reads("#repeat-help", "The passphrases do not match.")
        .await;
    assert_eq!(
        browser.value("#passphrase").await,
        "",
        "nothing that was typed comes back"
    );
    browser.fill("#passphrase", "correct horse battery").await;
    browser.fill("#repeat", "correct horse battery").await;
    browser.press("Create backup").await;
    // It appears in the list automatically.
    browser
        .reads("tbody td[data-label=Encrypted]", "✓ yes")
        .await;
    let link = browser
        .ask("return document.querySelector('tbody a[download]').href")
        .await;
    let file = manager
        .get(
            link.as_str()
                .unwrap()
                .strip_prefix(&manager.url(""))
                .unwrap(),
        )
        .await;
    assert!(
        file.bytes()
            .await
            .unwrap()
            .starts_with(b"age-encryption.org/v1")
    );
    browser.press("Create backup").await;
    browser
        .until(
            "two are there",
            "return document.querySelectorAll('tbody tr').length === 2",
        )
        .await;
    browser
        .reads("tbody tr:first-child td[data-label=Encrypted]", "no")
        .await;

    browser.fill("#keep", "none").await;
    browser.press("Save").await;
    browser
        .reads(
            "#keep-help",
            "Nightly backups to keep must be a whole number from 1 to 365.",
        )
        .await;
    browser.fill("#keep", "30").await;
    browser.choose("#hour", "5").await;
    browser.press("Save").await;
    browser.arrives("/backups").await;
    browser
        .until(
            "it is saved",
            "return document.querySelector('#keep').value === '30'",
        )
        .await;
    assert_eq!(browser.value("#hour").await, "5");

    browser.press_in("//tbody/tr[1]", "Delete …").await;
    browser
        .until("it is asked", "return document.querySelector('main .attention p').innerText.includes('1 other backup will be kept')")
        .await;
    browser.press("Delete backup").await;
    browser.arrives("/backups").await;
    browser
        .until(
            "one is there",
            "return document.querySelectorAll('tbody tr').length === 1",
        )
        .await;
    browser.has_nothing_to_complain_of().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_and_deleted() {
    from_none_to_one_and_back(&Browser::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_and_deleted_without_javascript() {
    from_none_to_one_and_back(&Browser::without_javascript().await).await;
}
