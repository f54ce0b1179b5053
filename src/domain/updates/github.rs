//! Reads the answers of GitHub's release API. Pure; the text is not trusted.
//!
//! Source: "REST API endpoints for releases" in GitHub's documentation; assets have a `digest`
//! since June 2025.

use serde::Deserialize;
use std::time::Duration;

use super::model::{ClientRelease, ReleaseAsset};
use super::tags::{asset_name, is_name};
use crate::infra::verify::digest_of;

/// Number of releases to request: more than two years of them.
pub const RELEASES: &str = "/releases?per_page=30";
/// How long an answer is reused.
pub const FRESH: Duration = Duration::from_secs(30);
/// Maximum size of stored notes, bytes.
const NOTES: usize = 32 * 1024;

#[derive(Debug, Deserialize)]
struct GithubRelease {
    tag_name: Option<String>,
    body: Option<String>,
    html_url: Option<String>,
    published_at: Option<String>,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    prerelease: bool,
    #[serde(default)]
    assets: Vec<ToldAsset>,
}

#[derive(Debug, Deserialize)]
struct ToldAsset {
    name: Option<String>,
    state: Option<String>,
    size: Option<u64>,
    digest: Option<String>,
    browser_download_url: Option<String>,
}

/// The releases in an answer to `/releases`, in the same order. Skips drafts and releases without a
/// valid tag.
///
/// # Errors
/// Not a list of releases, as text.
pub fn releases(text: &str) -> Result<Vec<ClientRelease>, String> {
    let told: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|e| format!("not a list of releases: {e}"))?;
    // An unreadable release does not hide the others.
    let told = told
        .into_iter()
        .filter_map(|one| serde_json::from_value::<GithubRelease>(one).ok());
    Ok(told.filter_map(read).collect())
}

/// The release in an answer to `/releases/tags/{tag}`.
///
/// # Errors
/// Not a release, as text.
pub fn release(text: &str) -> Result<ClientRelease, String> {
    let told: GithubRelease =
        serde_json::from_str(text).map_err(|e| format!("not a release: {e}"))?;
    read(told).ok_or_else(|| "not a release with a valid tag".to_owned())
}

fn read(told: GithubRelease) -> Option<ClientRelease> {
    let tag = told.tag_name.filter(|tag| is_name(tag) && !told.draft)?;
    let mut notes: String = told
        .body
        .unwrap_or_default()
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect();
    if notes.len() > NOTES {
        let end = (0..=NOTES)
            .rev()
            .find(|at| notes.is_char_boundary(*at))
            .unwrap_or(0);
        notes.truncate(end);
        notes.push('…');
    }
    Some(ClientRelease {
        asset: asset(&tag, &told.assets),
        tag,
        notes,
        published_at: told.published_at.and_then(|at| at.parse().ok()),
        prerelease: told.prerelease,
        page: told
            .html_url
            .filter(|url| url.starts_with("https://"))
            .unwrap_or_default(),
    })
}

fn asset(tag: &str, told: &[ToldAsset]) -> ReleaseAsset {
    let Some(name) = asset_name() else {
        return ReleaseAsset::Missing {
            why: "There are no release builds for this type of machine. Build the client or upload a file.".into(),
        };
    };
    let by_name = |name: &str| {
        told.iter()
            .find(|asset| asset.name.as_deref() == Some(name))
    };
    let Some(found) = by_name(&name) else {
        return ReleaseAsset::Missing {
            why: format!(
                "Release {tag} has no {name}. Files can appear a few minutes after a release. Try again later."
            ),
        };
    };
    // `uploaded`, or `open` during the upload.
    let is_there = found
        .state
        .as_deref()
        .is_none_or(|state| state == "uploaded");
    match (&found.browser_download_url, found.size) {
        (Some(url), Some(size)) if is_there && size > 0 => ReleaseAsset::Ready {
            url: url.clone(),
            size,
            sha256: found.digest.as_deref().and_then(digest_of),
            signature: by_name(&format!("{name}.minisig"))
                .and_then(|asset| asset.browser_download_url.clone()),
            name,
        },
        _ => ReleaseAsset::Uploading { name },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(assets: &serde_json::Value) -> ClientRelease {
        let text = json!({
            "tag_name": "v0.8.0", "name": "v0.8.0", "draft": false, "prerelease": false, "body": "## What's Changed\r\n* this",
            "published_at": "2026-08-01T12:00:00Z", "html_url": "https://github.com/x/releases/tag/v0.8.0", "assets": assets,
        });
        release(&text.to_string()).unwrap()
    }

    fn file(state: &str, digest: Option<&str>) -> serde_json::Value {
        json!({
            "name": asset_name().unwrap(), "state": state, "size": 1000, "digest": digest,
            "browser_download_url": "https://github.com/x/y.tar.gz", "uploader": {"login": "z"},
        })
    }

    #[test]
    fn the_file_for_this_machine_is_found_with_its_digest() {
        let digits = "a".repeat(64);
        let release = told(
            &json!([{"name": "pool-apps-x86_64-apple-darwin.tar.gz"}, file("uploaded", Some(&format!("sha256:{digits}")))]),
        );
        assert_eq!(release.asset.sha256(), Some(digits.as_str()));
        assert_eq!(
            (release.asset.size(), release.notes.as_str()),
            (Some(1000), "## What's Changed\n* this")
        );
        assert_eq!(
            release.published_at.unwrap().to_string(),
            "2026-08-01T12:00:00.000Z"
        );
        assert_eq!(release.client().unwrap().to_string(), "0.6.0");
        assert_eq!(told(&json!([file("uploaded", None)])).asset.sha256(), None);
        let name = format!("{}.minisig", asset_name().unwrap());
        let signed = told(
            &json!([file("uploaded", None), {"name": name, "browser_download_url": "https://github.com/s"}]),
        );
        assert!(
            matches!(signed.asset, ReleaseAsset::Ready { signature: Some(url), .. } if url == "https://github.com/s")
        );
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_said_to_be_so() {
        assert!(
            told(&json!([file("open", None)]))
                .asset
                .obstacle()
                .unwrap()
                .contains("still being uploaded")
        );
        assert!(
            told(&json!([]))
                .asset
                .obstacle()
                .unwrap()
                .contains("has no miner-apps-")
        );
    }

    #[test]
    fn drafts_nonsense_and_names_that_are_paths_are_left_out() {
        let list = json!([
            {"tag_name": "v0.9.0", "draft": true}, {"tag_name": "../../x"}, {"tag_name": 5}, 7, {}, {"tag_name": "v0.8.0", "body": "x".repeat(50_000)},
        ]);
        let found = releases(&list.to_string()).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].notes.len() < 33_000 && found[0].page.is_empty());
        assert!(releases("{}").is_err() && releases("<html>").is_err() && release("[]").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,200}") {
            let _ = releases(&text);
            let _ = release(&text);
        }
    }
}
