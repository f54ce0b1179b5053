//! Streams whose items many readers share: each item is made once, however many readers there are.
//!
//! The first reader of a stream starts its source in a task, which passes each item to all readers. The
//! task ends with the last reader, so nothing is rendered without readers. A slow reader never delays the
//! others: it misses the oldest items and gets an error instead of them. Independent of the items.

use futures_util::{Stream, StreamExt};
use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// The streams with readers, by key; cheap to clone.
#[derive(Debug)]
pub struct SharedStreams<K, T>(Arc<Mutex<HashMap<K, SharedSource<T>>>>);

/// A running source.
#[derive(Debug)]
struct SharedSource<T> {
    sender: broadcast::Sender<T>,
    /// The item that was sent last.
    latest: Option<T>,
}

impl<K, T> Clone for SharedStreams<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, T> Default for SharedStreams<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, T> SharedStreams<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + 'static,
{
    /// Reads a stream from now on. Without other readers, `source` starts it. A reader can be behind by
    /// `room` items; the same number must be given for the same key.
    pub fn subscribe<S>(
        &self,
        key: K,
        room: usize,
        source: impl FnOnce() -> S,
    ) -> broadcast::Receiver<T>
    where
        S: Stream<Item = T> + Send + 'static,
    {
        self.subscribe_from_latest(key, room, source).1
    }

    /// Like [`subscribe`](Self::subscribe), with the item before the next one, unless the source has
    /// just started.
    pub fn subscribe_from_latest<S>(
        &self,
        key: K,
        room: usize,
        source: impl FnOnce() -> S,
    ) -> (Option<T>, broadcast::Receiver<T>)
    where
        S: Stream<Item = T> + Send + 'static,
    {
        let mut sources = self.sources();
        if let Some(running) = sources.get(&key) {
            return (running.latest.clone(), running.sender.subscribe());
        }
        let (sender, receiver) = broadcast::channel(room);
        let running = SharedSource {
            sender: sender.clone(),
            latest: None,
        };
        sources.insert(key.clone(), running);
        let registration = StreamRegistration {
            streams: self.clone(),
            key,
            is_removed: false,
        };
        tokio::spawn(registration.run(sender, source()));
        (None, receiver)
    }

    fn remove_unread(&self, key: &K) -> bool {
        let mut sources = self.sources();
        let is_unread = sources
            .get(key)
            .is_none_or(|running| running.sender.receiver_count() == 0);
        if is_unread {
            sources.remove(key);
        }
        is_unread
    }

    /// Sends an item. New readers get either it or the one before it as the latest.
    fn send(&self, key: &K, item: T) {
        if let Some(running) = self.sources().get_mut(key) {
            running.latest = Some(item.clone());
            // The last reader may have left in this moment.
            drop(running.sender.send(item));
        }
    }
}

impl<K, T> SharedStreams<K, T> {
    fn sources(&self) -> MutexGuard<'_, HashMap<K, SharedSource<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a running source. However its task ends, the entry is removed: otherwise readers would
/// wait forever.
struct StreamRegistration<K: Eq + Hash, T> {
    streams: SharedStreams<K, T>,
    key: K,
    /// Another source may have the key by now.
    is_removed: bool,
}

impl<K, T> StreamRegistration<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + 'static,
{
    async fn run(mut self, sender: broadcast::Sender<T>, source: impl Stream<Item = T> + Send) {
        let mut source = pin!(source);
        loop {
            tokio::select! {
                biased;
                () = sender.closed() => {
                    self.is_removed = self.streams.remove_unread(&self.key);
                    if self.is_removed {
                        return;
                    }
                }
                item = source.next() => match item {
                    Some(item) => self.streams.send(&self.key, item),
                    None => return,
                },
            }
        }
    }
}

impl<K: Eq + Hash, T> Drop for StreamRegistration<K, T> {
    fn drop(&mut self) {
        if !self.is_removed {
            self.streams.sources().remove(&self.key);
        }
    }
}

/// The items for one reader. `missed`: what a reader gets that was too slow, instead of the items it
/// missed.
pub fn items<T: Clone + Send + 'static>(
    receiver: broadcast::Receiver<T>,
    missed: impl Fn() -> Option<T> + Send + 'static,
) -> impl Stream<Item = T> + Send {
    let state = (receiver, missed);
    futures_util::stream::unfold(state, |(mut receiver, missed)| async move {
        loop {
            let item = match receiver.recv().await {
                Ok(item) => Some(item),
                Err(RecvError::Lagged(_)) => missed(),
                Err(RecvError::Closed) => return None,
            };
            if let Some(item) = item {
                return Some((item, (receiver, missed)));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;

    type Streams = SharedStreams<&'static str, Arc<String>>;

    /// A source that counts what it makes.
    fn source(
        mut numbers: mpsc::UnboundedReceiver<usize>,
        made: Arc<AtomicUsize>,
    ) -> impl Stream<Item = Arc<String>> + Send {
        futures_util::stream::poll_fn(move |cx| numbers.poll_recv(cx)).map(move |number| {
            made.fetch_add(1, Ordering::Relaxed);
            Arc::new(number.to_string())
        })
    }

    #[tokio::test]
    async fn an_item_is_made_once_for_all_readers_and_none_without_readers() {
        let (streams, made) = (Streams::default(), Arc::new(AtomicUsize::new(0)));
        let (send, numbers) = mpsc::unbounded_channel();
        let (counted, mut numbers) = (made.clone(), Some(numbers));
        let readers: Vec<_> = (0..2_000)
            .map(|_| {
                let start = || source(numbers.take().unwrap(), counted.clone());
                items(streams.subscribe("a", 16, start), || None).boxed()
            })
            .collect();
        for number in 0..10 {
            send.send(number).unwrap();
        }
        let read = readers.into_iter().map(|reader| reader.take(10).collect());
        let read: Vec<Vec<Arc<String>>> = join_all(read).await;
        let wanted: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        for items in &read {
            assert!(items.iter().map(|item| &**item).eq(&wanted));
            assert!(items.iter().zip(&read[0]).all(|(a, b)| Arc::ptr_eq(a, b)));
        }
        assert_eq!(made.load(Ordering::Relaxed), 10);
        // All readers have gone: the source ends.
        send.closed().await;
        assert!(streams.sources().is_empty());
        assert_eq!(made.load(Ordering::Relaxed), 10);
    }

    #[tokio::test]
    async fn a_slow_reader_gets_an_error_for_missed_items_and_then_the_newest() {
        let (streams, made) = (Streams::default(), Arc::default());
        let (send, numbers) = mpsc::unbounded_channel();
        let receiver = streams.subscribe("a", 2, || source(numbers, made));
        let mut other = streams.subscribe("a", 2, futures_util::stream::empty);
        for number in 0..5 {
            send.send(number).unwrap();
            assert_eq!(*other.recv().await.unwrap(), number.to_string());
        }
        drop(send);
        let slow = items(receiver, || Some(Arc::new("missed".into())));
        let read: Vec<_> = slow.map(|item| item.to_string()).collect().await;
        assert_eq!(read, ["missed", "3", "4"]);
    }

    #[tokio::test]
    async fn a_source_that_ended_or_panicked_ends_its_readers_and_can_start_again() {
        let streams = Streams::default();
        for is_panic in [false, true] {
            let broken = || {
                futures_util::stream::poll_fn(move |_| {
                    assert!(!is_panic, "as wanted");
                    std::task::Poll::Ready(None)
                })
            };
            let reader = items(streams.subscribe("a", 1, broken), || None);
            assert_eq!(reader.count().await, 0);
            while !streams.sources().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        let again = || futures_util::stream::iter([Arc::new("again".to_owned())]);
        let reader = items(streams.subscribe("a", 1, again), || None);
        assert_eq!(*reader.collect::<Vec<_>>().await[0], "again");
    }
}
