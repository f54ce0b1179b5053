//! Downloads a file: with a size limit, hashed while downloading, resumed after interruptions.

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Client, StatusCode, Url};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::{DownloadError, Fetcher, host, is_allowed, judge, quoted, unreachable};

/// The time limit for a download: 100 MB at 30 kB/s.
const DOWNLOAD: Duration = Duration::from_secs(3600);
/// The number of resumes without any progress.
const ATTEMPTS: u32 = 5;
/// The wait before the first retry; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(500);

/// A downloaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadResult {
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 in lower-case hexadecimal, calculated while downloading.
    pub sha256: String,
}

/// A download request.
pub struct DownloadRequest<'a> {
    /// The URL.
    pub url: &'a str,
    /// The size in bytes, if known.
    pub size: Option<u64>,
    /// The maximum size in bytes.
    pub most: u64,
    /// Called with the number of bytes so far and in total.
    pub told: &'a (dyn Fn(u64, Option<u64>) + Send + Sync),
    /// Cancels the download.
    pub cancel: &'a CancellationToken,
}

impl Fetcher {
    /// Downloads a file to `into`, which is created or overwritten. Interrupted downloads are
    /// resumed.
    ///
    /// # Errors
    /// The download failed, the file is too large or has the wrong size, a disk error, or the download
    /// was canceled.
    pub async fn download(
        &self,
        wanted: &DownloadRequest<'_>,
        into: &Path,
    ) -> Result<DownloadResult, DownloadError> {
        let url = Url::parse(wanted.url).map_err(|_| DownloadError::Refused(quoted(wanted.url)))?;
        if !is_allowed(&self.base, &url) {
            return Err(DownloadError::Refused(quoted(wanted.url)));
        }
        let client = self.client().await?;
        let file = tokio::fs::File::create(into)
            .await
            .map_err(|e| DownloadError::Disk(e.to_string()))?;
        let mut download = DownloadAttempt {
            client,
            host: host(&url),
            url,
            wanted,
            file,
            hasher: Sha256::new(),
            size: 0,
            mark: None,
        };
        tokio::select! {
            () = wanted.cancel.cancelled() => Err(DownloadError::Cancelled),
            done = tokio::time::timeout(DOWNLOAD, download.run()) => match done {
                Ok(done) => done,
                Err(_) => Err(DownloadError::Unreachable { host: download.host, why: "the download took more than an hour".into() }),
            },
        }
    }
}

struct DownloadAttempt<'a> {
    client: &'a Client,
    host: String,
    url: Url,
    wanted: &'a DownloadRequest<'a>,
    file: tokio::fs::File,
    hasher: Sha256,
    size: u64,
    /// The validator that shows whether the file is still the same.
    mark: Option<HeaderValue>,
}

/// Why an attempt did not complete the file.
enum DownloadFailure {
    /// A retry may help.
    Again(DownloadError),
    /// A retry does not help.
    ForGood(DownloadError),
}

impl DownloadAttempt<'_> {
    async fn run(&mut self) -> Result<DownloadResult, DownloadError> {
        let mut in_vain = 0;
        loop {
            let before = self.size;
            match self.attempt().await {
                Ok(()) => break,
                Err(DownloadFailure::ForGood(failed)) => return Err(failed),
                Err(DownloadFailure::Again(failed)) => {
                    in_vain = if self.size > before { 1 } else { in_vain + 1 };
                    if in_vain >= ATTEMPTS {
                        return Err(failed);
                    }
                    tokio::time::sleep(PAUSE * 2u32.pow(in_vain - 1)).await;
                }
            }
        }
        let disk = |e: std::io::Error| DownloadError::Disk(e.to_string());
        self.file.flush().await.map_err(disk)?;
        self.file.sync_all().await.map_err(disk)?;
        Ok(DownloadResult {
            size: self.size,
            sha256: format!("{:x}", self.hasher.clone().finalize()),
        })
    }

    async fn attempt(&mut self) -> Result<(), DownloadFailure> {
        let mut request = self.client.get(self.url.clone());
        if self.size > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.size));
            if let Some(mark) = &self.mark {
                request = request.header(IF_RANGE, mark.clone());
            }
        }
        let mut response = request.send().await.map_err(|e| {
            let failed = unreachable(&self.host, &e);
            if e.is_redirect() {
                DownloadFailure::ForGood(failed)
            } else {
                DownloadFailure::Again(failed)
            }
        })?;
        match judge(&self.host, &response) {
            Ok(()) => {}
            Err(failed @ DownloadError::Status { status: 500.., .. }) => {
                return Err(DownloadFailure::Again(failed));
            }
            // The downloaded part belongs to an old version of the file.
            Err(DownloadError::Status { status: 416, .. }) if self.size > 0 => {
                self.begin_anew().await?;
                return Err(DownloadFailure::Again(self.wrong("the file was truncated")));
            }
            Err(failed) => return Err(DownloadFailure::ForGood(failed)),
        }
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
            && response
                .headers()
                .get(CONTENT_RANGE)
                .and_then(|range| range.to_str().ok())
                .is_some_and(|range| {
                    range
                        .strip_prefix("bytes ")
                        .is_some_and(|range| range.starts_with(&format!("{}-", self.size)))
                });
        if self.size > 0 && !goes_on {
            self.begin_anew().await?;
        }
        if self.size == 0 && response.status() == StatusCode::PARTIAL_CONTENT {
            return Err(DownloadFailure::ForGood(
                self.wrong("the server sent only part of the file"),
            ));
        }
        let total = response.content_length().map(|left| self.size + left);
        if let (Some(total), Some(size)) = (total, self.wanted.size)
            && total != size
        {
            return Err(DownloadFailure::ForGood(self.wrong(&format!(
                "the file is {total} bytes long; expected {size}"
            ))));
        }
        let total = total.or(self.wanted.size);
        self.check_size(total.unwrap_or(0))?;
        // A weak validator does not guarantee every byte (RFC 9110, 13.1.5).
        self.mark = response
            .headers()
            .get(ETAG)
            .filter(|tag| !tag.as_bytes().starts_with(b"W/"))
            .cloned();
        loop {
            let piece = response
                .chunk()
                .await
                .map_err(|e| DownloadFailure::Again(unreachable(&self.host, &e)))?;
            let Some(piece) = piece else { break };
            self.check_size(self.size + piece.len() as u64)?;
            self.file
                .write_all(&piece)
                .await
                .map_err(|e| DownloadFailure::ForGood(DownloadError::Disk(e.to_string())))?;
            self.hasher.update(&piece);
            self.size += piece.len() as u64;
            (self.wanted.told)(self.size, total);
        }
        match total {
            Some(total) if self.size < total => Err(DownloadFailure::Again(self.wrong(&format!(
                "the file ends after {} of {total} bytes",
                self.size
            )))),
            _ => Ok(()),
        }
    }

    fn check_size(&self, size: u64) -> Result<(), DownloadFailure> {
        if size <= self.wanted.most {
            return Ok(());
        }
        Err(DownloadFailure::ForGood(self.wrong(&format!(
            "the file is larger than the limit of {} bytes",
            self.wanted.most
        ))))
    }

    async fn begin_anew(&mut self) -> Result<(), DownloadFailure> {
        use tokio::io::AsyncSeekExt;
        let emptied = async {
            self.file.set_len(0).await?;
            self.file.rewind().await
        };
        emptied
            .await
            .map_err(|e| DownloadFailure::ForGood(DownloadError::Disk(e.to_string())))?;
        (self.size, self.mark) = (0, None);
        self.hasher = Sha256::new();
        Ok(())
    }

    fn wrong(&self, why: &str) -> DownloadError {
        DownloadError::Wrong {
            host: self.host.clone(),
            why: why.to_owned(),
        }
    }
}
