//! A copy of rows in memory, so that what is read with every request needs neither the database nor a
//! thread for blocking work. The rows in the database are what counts; the copy is read again, as a
//! whole, when they may have changed.

use diesel::sqlite::SqliteConnection;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

use super::Db;
use crate::base::error::{Error, Result};

/// The copy is read again after this time, because a program that is not jd-manager may have changed
/// the rows. It leaves no sign of that.
const LONGEST_AGE: Duration = Duration::from_secs(1);

/// The copy. `V` is the version of the rows: it differs whenever they may have changed.
#[derive(Debug)]
pub struct RowCopy<V, T> {
    db: Db,
    /// The version, the copy, and when it was last compared with the rows.
    current: RwLock<Option<(V, Arc<T>, Instant)>>,
    /// When a read last failed, and why.
    failure: RwLock<Option<(Instant, Error)>>,
    /// Held while reading the rows, so that many requests read them once.
    reading: Mutex<()>,
}

impl<V: Copy + PartialEq + Send + Sync, T: Send + Sync + 'static> RowCopy<V, T> {
    /// Reads the rows when they are first needed.
    pub fn new(db: Db) -> Self {
        Self {
            db,
            current: RwLock::default(),
            failure: RwLock::default(),
            reading: Mutex::default(),
        }
    }

    /// The copy, if it has this version, and whether it is old.
    fn known(&self, version: V) -> Option<(Arc<T>, bool)> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let (of, known, at) = current.as_ref()?;
        (*of == version).then(|| (Arc::clone(known), at.elapsed() >= LONGEST_AGE))
    }

    /// The result of a read for a request that waited since `asked` while others read. So no request
    /// waits for more than one failed read, or for more than one that began before it.
    fn read_since(&self, asked: Instant) -> Option<Result<Arc<T>>> {
        let failure = self.failure.read().unwrap_or_else(PoisonError::into_inner);
        // First: after a failed read the former copy may have the same time.
        if let Some((at, error)) = failure.as_ref()
            && *at >= asked
        {
            return Some(Err(repeat(error)));
        }
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let (_, rows, at) = current.as_ref()?;
        (*at >= asked).then(|| Ok(Arc::clone(rows)))
    }

    /// The rows as of now; `load` reads them.
    ///
    /// # Errors
    /// The rows may have changed, and the database cannot be read.
    pub async fn get(
        &self,
        version: impl Fn() -> V + Send + Sync,
        load: fn(&mut SqliteConnection) -> Result<T>,
    ) -> Result<Arc<T>> {
        let known = match self.known(version()) {
            Some((fresh, false)) => return Ok(fresh),
            other => other,
        };
        let asked = Instant::now();
        let _reading = match known {
            // One request at a time looks for changes without a sign.
            Some((old, _)) => match self.reading.try_lock() {
                Ok(reading) => reading,
                Err(_) => return Ok(old),
            },
            None => self.reading.lock().await,
        };
        if let Some((fresh, false)) = self.known(version()) {
            return Ok(fresh);
        }
        if let Some(result) = self.read_since(asked) {
            return result;
        }
        // Before reading: a change in between is noticed with the next request.
        let (now, at) = (version(), Instant::now());
        let read = self.db.read(load).await;
        let ended = Instant::now();
        if let Err(error) = &read {
            *self.failure.write().unwrap_or_else(PoisonError::into_inner) =
                Some((ended, repeat(error)));
        }
        let (rows, at) = match (read, self.known(now)) {
            (Ok(rows), _) => (Arc::new(rows), at),
            // Without a sign of a change, a database that does not respond changes nothing.
            (Err(_), Some((old, _))) => (old, ended),
            (Err(error), None) => return Err(error),
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Some((now, Arc::clone(&rows), at));
        Ok(rows)
    }
}

/// The same error for another request.
fn repeat(error: &Error) -> Error {
    match error {
        Error::Unavailable {
            detail,
            retry_after,
        } => Error::Unavailable {
            detail: detail.clone(),
            retry_after: *retry_after,
        },
        other => Error::Internal(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::db::statement::CachedStatement;
    use diesel::RunQueryDsl;
    use diesel::connection::SimpleConnection;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static LOADS: AtomicUsize = AtomicUsize::new(0);

    fn load(c: &mut SqliteConnection) -> Result<i64> {
        LOADS.fetch_add(1, Ordering::Relaxed);
        let all = CachedStatement::<diesel::sql_types::BigInt>::new("SELECT count(*) FROM x");
        Ok(all.get_result(c)?)
    }

    async fn run(db: &Db, text: &'static str) -> Result<()> {
        db.write(move |c| Ok(c.batch_execute(text)?)).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_copy_is_that_of_the_last_commit_of_any_process_and_is_not_read_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (Db::open(dir.path()).unwrap(), Db::open(dir.path()).unwrap());
        run(&own, "CREATE TABLE x (n)").await.unwrap();
        let copy = RowCopy::new(own.clone());
        let get = async || *copy.get(|| own.version(), load).await.unwrap();
        let insert = "INSERT INTO x VALUES (1)";
        assert_eq!(get().await, 0);
        run(&own, insert).await.unwrap();
        assert_eq!(get().await, 1);
        run(&other, insert).await.unwrap();
        assert_eq!(get().await, 2, "a durable change of another process");
        let unsynced = |c: &mut SqliteConnection| Ok(c.batch_execute("INSERT INTO x VALUES (2)")?);
        let mode = super::super::WriteMode::UNSYNCED;
        own.write_as(mode, unsynced).await.unwrap();
        assert_eq!(get().await, 3, "an own change that is not synced");
        // A failed change changes nothing, and other changes come before the next.
        let failed = own.write(move |c| {
            c.batch_execute("INSERT INTO x VALUES (3)")?;
            Err::<(), _>(crate::base::error::Error::Conflict("no".into()))
        });
        failed.await.unwrap_err();
        let loads = LOADS.load(Ordering::Relaxed);
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(get().await, 3);
        }
        let reads = LOADS.load(Ordering::Relaxed) - loads;
        assert!(reads <= 1 + begun.elapsed().as_secs() as usize, "{reads}");
        // No sign, as from a program that is not jd-manager.
        other.write_as(mode, unsynced).await.unwrap();
        tokio::time::sleep(LONGEST_AGE).await;
        assert_eq!(get().await, 4);
    }

    static SLOW_LOADS: AtomicUsize = AtomicUsize::new(0);
    static FAILED_LOADS: AtomicUsize = AtomicUsize::new(0);

    fn load_slowly(_: &mut SqliteConnection) -> Result<usize> {
        std::thread::sleep(Duration::from_millis(100));
        Ok(SLOW_LOADS.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn fail_slowly(_: &mut SqliteConnection) -> Result<usize> {
        std::thread::sleep(Duration::from_millis(100));
        FAILED_LOADS.fetch_add(1, Ordering::Relaxed);
        Err(Error::Unavailable {
            detail: "no disk".into(),
            retry_after: None,
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn requests_that_wait_share_a_read_even_if_it_fails_or_the_rows_change() {
        let dir = tempfile::tempdir().unwrap();
        let copy = &RowCopy::new(Db::open(dir.path()).unwrap());
        let versions = &AtomicUsize::new(0);
        // The rows change all the time.
        let version = move || versions.fetch_add(1, Ordering::Relaxed);
        let get = move |load: fn(&mut SqliteConnection) -> Result<usize>| {
            join_all((0..8).map(move |_| copy.get(version, load)))
        };
        for result in get(fail_slowly).await {
            let error = result.unwrap_err().to_string();
            assert_eq!(error, "no disk");
        }
        assert_eq!(FAILED_LOADS.load(Ordering::Relaxed), 1);
        // A later request tries again. The second read began after all others asked.
        let rows: Vec<usize> = get(load_slowly)
            .await
            .into_iter()
            .map(|rows| *rows.unwrap())
            .collect();
        assert_eq!(rows, [1, 2, 2, 2, 2, 2, 2, 2]);
    }
}
