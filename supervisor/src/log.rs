//! The newest events of the switch, for `show logging`: kept in memory, at most
//! [`EventLog::LEN_MAX`].

use std::collections::VecDeque;

use proto::ModuleId;

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Worth looking at.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// The word that operators see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The severity with this word; an unknown one is a warning.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "notice" => Self::Notice,
            "error" => Self::Error,
            _ => Self::Warning,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Wall-clock time.
    pub unix_time_ns: u64,
    /// The host it is about, or that told it.
    pub module: Option<ModuleId>,
    /// How grave it is.
    pub severity: Severity,
    /// The port; may be empty.
    pub port: String,
    /// A word: `module-online`.
    pub kind: String,
    /// A sentence.
    pub message: String,
}

/// The newest events.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    newest: VecDeque<Entry>,
    /// How many there ever were.
    total: u64,
}

impl EventLog {
    /// How many are kept; about 1 MB.
    pub const LEN_MAX: usize = 4096;

    /// Adds one; the oldest goes when there are too many.
    pub fn push(&mut self, entry: Entry) {
        if self.newest.len() == Self::LEN_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(entry);
        self.total += 1;
    }

    /// How many events there ever were: a place to go on from with [`EventLog::since`].
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// How many of the events since a total are not kept any more, and those that are, the oldest
    /// of them first.
    pub fn since(&self, total: u64) -> (u64, impl Iterator<Item = &Entry>) {
        let new = usize::try_from(self.total.saturating_sub(total)).unwrap_or(usize::MAX);
        let lost = new.saturating_sub(self.newest.len());
        (lost as u64, self.last(new))
    }

    /// The newest `count`, the oldest of them first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = &Entry> {
        self.newest.iter().skip(self.newest.len().saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut log = EventLog::default();
        let entry = |n: usize| Entry {
            unix_time_ns: n as u64,
            module: None,
            severity: Severity::Notice,
            port: String::new(),
            kind: "x".to_owned(),
            message: String::new(),
        };
        for n in 0..=EventLog::LEN_MAX {
            log.push(entry(n));
        }
        assert_eq!(log.last(usize::MAX).count(), EventLog::LEN_MAX);
        let last: Vec<u64> = log.last(2).map(|e| e.unix_time_ns).collect();
        assert_eq!(last, [EventLog::LEN_MAX as u64 - 1, EventLog::LEN_MAX as u64]);

        let since = |total| {
            let (lost, new) = log.since(total);
            (lost, new.count())
        };
        assert_eq!(since(0), (1, EventLog::LEN_MAX));
        assert_eq!(since(log.total() - 2), (0, 2));
        assert_eq!((since(log.total()), since(u64::MAX)), ((0, 0), (0, 0)));
    }
}
