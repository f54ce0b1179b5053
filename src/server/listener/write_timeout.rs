//! A stream whose peer must read the written data at a minimum rate.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The stream; writes fail with `TimedOut` if the peer falls behind and then reads less
/// than `least` bytes within `limit`.
pub(super) struct WriteTimeout<S> {
    stream: S,
    limit: Duration,
    least: usize,
    /// What the peer has read since it fell behind; none while it keeps up.
    backlog: Option<WriteBacklog>,
}

/// A period of `limit` with data waiting to be written.
struct WriteBacklog {
    end: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S> WriteTimeout<S> {
    pub(super) fn new(stream: S, limit: Duration, least: usize) -> Self {
        Self {
            stream,
            limit,
            least,
            backlog: None,
        }
    }

    /// Counts the result of a write. `taken`: its number of bytes.
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
        taken: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let (limit, least) = (self.limit, self.least);
        match (&outcome, &mut self.backlog) {
            (Poll::Ready(Ok(value)), Some(backlog)) => backlog.taken += taken(value),
            (Poll::Pending, backlog) => {
                backlog.get_or_insert_with(|| WriteBacklog {
                    end: Box::pin(sleep_until(Instant::now() + limit)),
                    taken: 0,
                });
            }
            _ => return outcome,
        }
        let Some(backlog) = &mut self.backlog else {
            return outcome;
        };
        // Polled until it is pending, so that it wakes this task even if the peer reads
        // nothing.
        while backlog.end.as_mut().poll(cx).is_ready() {
            if backlog.taken < least {
                self.backlog = None;
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            backlog.taken = 0;
            backlog.end.as_mut().reset(Instant::now() + limit);
        }
        outcome
    }

    /// Everything was written: the peer keeps up.
    fn settle<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let outcome = self.judge(cx, outcome, |_| 0);
        if outcome.is_ready() {
            self.backlog = None;
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, outcome, |taken| *taken)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.judge(cx, outcome, |taken| *taken)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.settle(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.settle(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_reader_that_takes_nothing_ends_the_writing_and_a_slow_one_does_not() {
        let limit = Duration::from_millis(200);
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = WriteTimeout::new(near, limit, 16);
        let slow = tokio::spawn(async move {
            let mut buffer = [0; 16];
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                far.read_exact(&mut buffer).await.unwrap();
            }
            far
        });
        // 400 ms total, never 200 ms without progress.
        near.write_all(&[1; 128]).await.unwrap();
        let _far = slow.await.unwrap();
        near.flush().await.unwrap();
        near.write_all(&[1; 16]).await.unwrap();
        let begun = std::time::Instant::now();
        let error = near.write_all(&[1; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= limit);
    }

    /// Each byte is progress, but not enough.
    #[tokio::test]
    async fn a_reader_of_single_bytes_is_let_go_after_one_period() {
        let limit = Duration::from_millis(300);
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = WriteTimeout::new(near, limit, 100);
        let trickle = tokio::spawn(async move {
            while far.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let begun = std::time::Instant::now();
        let error = near.write_all(&[1; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            begun.elapsed() >= limit && begun.elapsed() < limit * 2,
            "{:?}",
            begun.elapsed()
        );
        drop(near);
        trickle.await.unwrap();
    }

    /// Small writes that are read immediately, as in an event stream, do not time out.
    #[tokio::test]
    async fn a_stream_with_little_to_say_goes_on() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = WriteTimeout::new(near, Duration::from_millis(100), 1000);
        let reader = tokio::spawn(async move {
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.unwrap();
            heard.len()
        });
        for _ in 0..10 {
            // Longer than the pipe, so that each write waits for the reader.
            near.write_all(&[1; 20]).await.unwrap();
            near.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        drop(near);
        assert_eq!(reader.await.unwrap(), 200);
    }
}
