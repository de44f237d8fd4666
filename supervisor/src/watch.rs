//! Whoever wants to be told of events as they come.
//!
//! Where it sits: the engine adds watchers, and after every event hands the log on to them;
//! `operator/` makes a stream of each [`Watch`].
//!
//! Invariants: nothing waits for a watcher. Each has a queue of [`QUEUE_LEN`] events; one that is
//! slower than that misses events, and is told how many before the next one that it gets.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::log::{Entry, EventLog};

/// Events that wait for one watcher.
pub const QUEUE_LEN: usize = 1024;
/// The most watchers at once.
pub const WATCHERS_MAX: usize = 64;

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// How many events were lost just before, because the queue was full.
    pub missed: u64,
    /// An event; `None`: only the loss is told.
    pub entry: Option<Arc<Entry>>,
}

/// What a watcher holds.
#[derive(Debug)]
pub struct Watch {
    /// Events from before it watched, as many as it wanted.
    pub before: Vec<Entry>,
    /// What came since; ends with the engine.
    pub events: mpsc::Receiver<Watched>,
}

/// There is no place for another watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{WATCHERS_MAX} watchers follow the events already: end one of them")]
pub struct TooManyWatchers;

#[derive(Debug)]
struct Watcher {
    queue: mpsc::Sender<Watched>,
    missed: u64,
}

impl Watcher {
    /// Tells it of an event, or only of what it missed. False: it is gone.
    fn tell(&mut self, entry: Option<Arc<Entry>>) -> bool {
        let is_event = entry.is_some();
        match self.queue.try_send(Watched { missed: self.missed, entry }) {
            Ok(()) => self.missed = 0,
            Err(TrySendError::Full(_)) => self.missed += u64::from(is_event),
            Err(TrySendError::Closed(_)) => return false,
        }
        true
    }
}

/// All watchers.
#[derive(Debug, Default)]
pub struct Watchers {
    list: Vec<Watcher>,
    /// The total of the log up to which all were told.
    told: u64,
}

impl Watchers {
    /// A new watcher of a log that all others were told of; gets the newest `last` at once.
    ///
    /// # Errors
    /// There are [`WATCHERS_MAX`] already.
    pub fn add(&mut self, log: &EventLog, last: usize) -> Result<Watch, TooManyWatchers> {
        self.list.retain(|watcher| !watcher.queue.is_closed());
        if self.list.len() >= WATCHERS_MAX {
            return Err(TooManyWatchers);
        }
        let (queue, events) = mpsc::channel(QUEUE_LEN);
        self.list.push(Watcher { queue, missed: 0 });
        Ok(Watch { before: log.last(last).cloned().collect(), events })
    }

    /// Tells all watchers of what is new in the log.
    pub fn tell(&mut self, log: &EventLog) {
        let (lost, new) = log.since(self.told);
        self.told = log.total();
        if self.list.is_empty() {
            return;
        }
        self.list.iter_mut().for_each(|watcher| watcher.missed += lost);
        for entry in new {
            let entry = Arc::new(entry.clone());
            self.list.retain_mut(|watcher| watcher.tell(Some(entry.clone())));
        }
    }

    /// Tells those who missed something and have room again, also when nothing else happens.
    pub fn remind(&mut self) {
        self.list.retain_mut(|watcher| match watcher.missed {
            0 => !watcher.queue.is_closed(),
            _ => watcher.tell(None),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Severity;

    fn entry(n: u64) -> Entry {
        Entry {
            unix_time_ns: n,
            module: None,
            severity: Severity::Notice,
            port: String::new(),
            kind: "x".to_owned(),
            message: String::new(),
        }
    }

    /// What waits for a watcher: losses, and times of events.
    fn taken(watch: &mut Watch) -> Vec<(u64, Option<u64>)> {
        let mut all = Vec::new();
        while let Ok(Watched { missed, entry }) = watch.events.try_recv() {
            all.push((missed, entry.map(|e| e.unix_time_ns)));
        }
        all
    }

    fn push(log: &mut EventLog, watchers: &mut Watchers, times: std::ops::Range<u64>) {
        for n in times {
            log.push(entry(n));
            watchers.tell(log);
        }
    }

    #[test]
    fn a_watcher_gets_what_comes_after_what_it_asked_for() {
        let (mut log, mut watchers) = (EventLog::default(), Watchers::default());
        push(&mut log, &mut watchers, 0..5);
        let mut watch = watchers.add(&log, 2).unwrap();
        push(&mut log, &mut watchers, 5..7);
        assert_eq!(watch.before, [entry(3), entry(4)]);
        assert_eq!(taken(&mut watch), [(0, Some(5)), (0, Some(6))]);
    }

    #[test]
    fn a_slow_watcher_is_told_how_many_it_missed_and_others_miss_nothing() {
        let (mut log, mut watchers) = (EventLog::default(), Watchers::default());
        let (mut slow, mut quick) =
            (watchers.add(&log, 0).unwrap(), watchers.add(&log, 0).unwrap());
        let all = QUEUE_LEN as u64 + 3;
        for n in 0..all {
            push(&mut log, &mut watchers, n..n + 1);
            assert_eq!(taken(&mut quick), [(0, Some(n))]);
        }
        watchers.remind();
        assert_eq!(taken(&mut slow).len(), QUEUE_LEN, "no room yet");
        push(&mut log, &mut watchers, all..all + 1);
        assert_eq!(taken(&mut slow), [(3, Some(all))]);
    }

    #[test]
    fn a_loss_is_told_also_when_nothing_follows() {
        let (mut log, mut watchers) = (EventLog::default(), Watchers::default());
        let mut watch = watchers.add(&log, 0).unwrap();
        push(&mut log, &mut watchers, 0..QUEUE_LEN as u64 + 2);
        taken(&mut watch);
        watchers.remind();
        watchers.remind();
        assert_eq!(taken(&mut watch), [(2, None)]);
    }

    #[test]
    fn more_events_at_once_than_the_log_keeps_are_missed() {
        let (mut log, mut watchers) = (EventLog::default(), Watchers::default());
        let mut watch = watchers.add(&log, 0).unwrap();
        for n in 0..EventLog::LEN_MAX as u64 + 4 {
            log.push(entry(n));
        }
        watchers.tell(&log);
        assert_eq!(taken(&mut watch)[0], (4, Some(4)));
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let (log, mut watchers) = (EventLog::default(), Watchers::default());
        let mut all: Vec<Watch> =
            (0..WATCHERS_MAX).map(|_| watchers.add(&log, 0).unwrap()).collect();
        assert_eq!(watchers.add(&log, 0).unwrap_err(), TooManyWatchers);
        all.pop();
        assert!(watchers.add(&log, 0).is_ok());
    }
}
