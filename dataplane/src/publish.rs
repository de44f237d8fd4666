//! The view that all workers forward by, and the certainty that they do.
//!
//! Where it sits: the chassis publishes, workers look once a burst. A look costs one relaxed load
//! when nothing has changed. Invariant: when [`Publisher::publish`] has returned true, no worker
//! forwards by an older view any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};

use crate::core::View;

/// A view and its place in the order of views.
#[derive(Debug)]
pub struct Published {
    /// What to forward by.
    pub view: Arc<View>,
    /// Grows by one with each view.
    pub generation: u64,
}

/// A worker's sight of the published view.
#[derive(Debug)]
pub struct Subscriber {
    cache: Cache<Arc<ArcSwap<Published>>, Arc<Published>>,
    seen: Arc<AtomicU64>,
    current: u64,
}

impl Subscriber {
    /// The view to forward the next burst by, and whether it is another than the last time.
    #[inline]
    pub fn look(&mut self) -> (&Arc<View>, bool) {
        let published = self.cache.load();
        let is_new = published.generation != self.current;
        if is_new {
            self.current = published.generation;
            // The frames of the burst before are on their way: nothing of the old view is in use.
            self.seen.store(self.current, Ordering::Release);
        }
        (&published.view, is_new)
    }
}

/// The writing side.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Published>>,
    generation: u64,
    seen: Vec<Arc<AtomicU64>>,
}

impl Publisher {
    /// Nobody has subscribed yet, and the first view is `view`.
    #[must_use]
    pub fn new(view: Arc<View>) -> Self {
        let first = Published { view, generation: 1 };
        Self { current: Arc::new(ArcSwap::from_pointee(first)), generation: 1, seen: Vec::new() }
    }

    /// A worker that will look.
    pub fn subscribe(&mut self) -> Subscriber {
        let seen = Arc::new(AtomicU64::new(0));
        self.seen.push(Arc::clone(&seen));
        Subscriber { cache: Cache::new(Arc::clone(&self.current)), seen, current: 0 }
    }

    /// Swaps the view in and waits, at most `patience`, until every worker has looked. `wake` is
    /// called once, to get sleeping workers to look. False when one did not in time.
    pub fn publish(&mut self, view: Arc<View>, patience: Duration, wake: impl FnOnce()) -> bool {
        self.generation += 1;
        self.current.store(Arc::new(Published { view, generation: self.generation }));
        wake();
        let deadline = Instant::now() + patience;
        while self.seen.iter().any(|seen| seen.load(Ordering::Acquire) < self.generation) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use policy::Snapshot;

    use super::*;
    use crate::core::TeamState;

    fn view() -> Arc<View> {
        let (snapshot, team) = (Arc::new(Snapshot::empty()), Arc::new(TeamState::default()));
        Arc::new(View::new(snapshot, team))
    }

    #[test]
    fn a_new_view_is_new_once() {
        let mut publisher = Publisher::new(view());
        let mut subscriber = publisher.subscribe();
        assert!(subscriber.look().1 && !subscriber.look().1);
        assert!(!publisher.publish(view(), Duration::ZERO, || ()), "nobody has looked yet");
        assert!(subscriber.look().1 && !subscriber.look().1);
    }

    #[test]
    fn publishing_waits_for_every_worker() {
        let mut publisher = Publisher::new(view());
        let mut subscribers = [publisher.subscribe(), publisher.subscribe()];
        let published = std::thread::scope(|scope| {
            for subscriber in &mut subscribers {
                scope.spawn(move || {
                    let deadline = Instant::now() + Duration::from_secs(10);
                    while subscriber.current < 2 && Instant::now() < deadline {
                        subscriber.look();
                        std::thread::yield_now();
                    }
                });
            }
            publisher.publish(view(), Duration::from_secs(10), || ())
        });
        assert!(published);
    }
}
