//! The programs of a release: downloaded, verified with the release's checksum and signature,
//! unpacked.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use minisign_verify::PublicKey;
use std::path::Path;

use super::super::job_tracker::JobGuard;
use super::super::model::{ClientOrigin, ClientRelease, FileProof, JobStage, ReleaseAsset};
use super::{ClientSource, LARGEST, NOT_IN_ARCHIVE, SourceError, SourceFile, unpack};
use crate::base::failpoint;
use crate::infra::download::{DownloadError, DownloadRequest, Fetcher};
use crate::infra::verify::check_signature;

/// Maximum size of a signature; a real one has a few hundred bytes.
const SIGNATURE: u64 = 16 * 1024;

/// A release to download.
#[derive(Debug)]
pub struct FromRelease {
    /// The downloader.
    pub fetcher: Fetcher,
    /// The release.
    pub release: ClientRelease,
    /// The required signing key.
    pub key: Option<PublicKey>,
}

impl ClientSource for FromRelease {
    /// The archive, its content, and as much again as a reserve.
    fn room(&self) -> u64 {
        self.release
            .asset
            .size()
            .unwrap_or(0)
            .saturating_mul(6)
            .min(LARGEST)
    }

    fn fetch<'a>(
        &'a self,
        dir: &'a Path,
        ticket: &'a JobGuard,
    ) -> BoxFuture<'a, Result<SourceFile, SourceError>> {
        self.download_release(dir, ticket).boxed()
    }
}

impl FromRelease {
    async fn download_release(
        &self,
        dir: &Path,
        ticket: &JobGuard,
    ) -> Result<SourceFile, SourceError> {
        let tag = &self.release.tag;
        let ReleaseAsset::Ready {
            name,
            url,
            size,
            sha256,
            signature,
        } = &self.release.asset
        else {
            return Err(SourceError::failed(
                self.release.asset.obstacle().unwrap_or_default(),
            ));
        };
        ticket
            .stage(
                JobStage::Downloading,
                format!("Downloading {name} of release {tag}."),
            )
            .await?;
        let archive = dir.join("archive.tar.gz");
        let told = |done, total| ticket.progress(done, total);
        let wanted = DownloadRequest {
            url,
            size: Some(*size),
            most: LARGEST,
            told: &told,
            cancel: &ticket.cancel,
        };
        let downloaded = self
            .fetcher
            .download(&wanted, &archive)
            .await
            .map_err(|failed| ended(&failed, name))?;
        failpoint::reach("install.downloaded");

        ticket
            .stage(JobStage::Verifying, "Verifying the downloaded file.")
            .await?;
        let mut proof = FileProof::None;
        if let Some(expected) = sha256 {
            if *expected != downloaded.sha256 {
                return Err(SourceError::failed(format!(
                    "{name} does not match release {tag}: its SHA-256 is {}, but the release lists {expected}. The file was deleted and nothing \
                     was installed. Try again later. If it still differs, do not trust the file and contact the publisher.",
                    downloaded.sha256
                )));
            }
            proof = FileProof::Digest;
        }
        if let Some(key) = &self.key {
            let address = signature.as_deref().ok_or_else(|| {
                SourceError::failed(format!(
                    "Release {tag} has no signature for {name}, but the update settings require one. Nothing was installed."
                ))
            })?;
            let path = dir.join("signature");
            let wanted = DownloadRequest {
                url: address,
                size: None,
                most: SIGNATURE,
                told: &|_, _| {},
                cancel: &ticket.cancel,
            };
            self.fetcher
                .download(&wanted, &path)
                .await
                .map_err(|failed| ended(&failed, "the signature"))?;
            let (key, file) = (key.clone(), archive.clone());
            let checked = tokio::task::spawn_blocking(move || {
                let signature = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
                check_signature(&file, &key, &signature)
            });
            checked.await?.map_err(|why| {
                SourceError::failed(format!("Rejected {name}: {why}. Nothing was installed."))
            })?;
            proof = FileProof::Signature;
        }
        failpoint::reach("install.verified");

        ticket
            .stage(JobStage::Unpacking, "Unpacking the programs.")
            .await?;
        let files = unpack(archive, dir).await?;
        failpoint::reach("install.unpacked");
        let (from, notes) = (url.clone(), self.release.notes.clone());
        Ok(SourceFile {
            files,
            origin: ClientOrigin::Release,
            tag: Some(tag.clone()),
            from,
            proof,
            notes,
            no_translator: NOT_IN_ARCHIVE,
        })
    }
}

fn ended(failed: &DownloadError, what: &str) -> SourceError {
    match failed {
        DownloadError::Cancelled => SourceError::Cancelled,
        DownloadError::Disk(why) => SourceError::failed(format!(
            "Cannot write {what}: {why}. Free up disk space for the data directory and try again."
        )),
        failed => SourceError::failed(format!(
            "Cannot download {what}: {failed}. Nothing was changed. Try again later."
        )),
    }
}
