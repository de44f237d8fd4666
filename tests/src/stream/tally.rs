//! What arrived of a stream, datagram by datagram: no sockets, no clock.

use super::report::OddKind;

/// How many odd arrivals are remembered one by one.
const ODD_MAX: usize = 16;

/// An arrival that was a duplicate or out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OddArrival {
    pub(super) kind: OddKind,
    pub(super) sequence: u64,
    /// The highest number of its flow so far.
    pub(super) highest: u64,
    pub(super) arrived_ns: u64,
}

/// Arrivals of one flow.
#[derive(Debug, Clone, Default)]
pub(super) struct FlowTally {
    /// The highest number so far.
    highest: Option<u64>,
    /// The last arrival, and the longest time between two: its start and its end.
    pub(super) last_ns: u64,
    pub(super) gap_ns: Option<(u64, u64)>,
}

/// What arrived in one direction.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) flows: Vec<FlowTally>,
    /// One bit for each number that has arrived.
    seen: Vec<u64>,
    pub(super) received: u64,
    pub(super) duplicates: u64,
    pub(super) reordered: u64,
    pub(super) odd: Vec<OddArrival>,
    /// Time under way of each datagram, in microseconds.
    pub(super) latency_us: Vec<u32>,
}

impl Tally {
    pub(super) fn new(flows: u64) -> Self {
        Self {
            flows: (0..flows.max(1)).map(|_| FlowTally::default()).collect(),
            seen: Vec::new(),
            received: 0,
            duplicates: 0,
            reordered: 0,
            odd: Vec::new(),
            latency_us: Vec::new(),
        }
    }

    /// Takes note of an arrival. A duplicate is nothing but a duplicate; any other that has a lower
    /// number than one of its flow before it is out of order.
    pub(super) fn arrive(&mut self, sequence: u64, sent_ns: u64, arrived_ns: u64) {
        let flow = flow_of(sequence, self.flows.len());
        let highest = self.flows[flow].highest.unwrap_or(sequence);
        if !self.mark(sequence) {
            self.duplicates += 1;
            self.note(OddKind::Duplicate, sequence, highest, arrived_ns);
            return;
        }
        self.received += 1;
        let latency_us = arrived_ns.saturating_sub(sent_ns) / 1000;
        self.latency_us.push(u32::try_from(latency_us).unwrap_or(u32::MAX));
        if sequence < highest {
            self.reordered += 1;
            self.note(OddKind::OutOfOrder, sequence, highest, arrived_ns);
        }
        let flow = &mut self.flows[flow];
        if flow.highest.is_some() {
            flow.pause(arrived_ns);
        }
        flow.highest = Some(highest.max(sequence));
        flow.last_ns = flow.last_ns.max(arrived_ns);
    }

    /// Whether a number has arrived.
    pub(super) fn has(&self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        self.seen.get(word).is_some_and(|seen| seen & bit != 0)
    }

    /// Remembers that a number has arrived; false when it had before.
    fn mark(&mut self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }

    fn note(&mut self, kind: OddKind, sequence: u64, highest: u64, arrived_ns: u64) {
        if self.odd.len() < ODD_MAX {
            self.odd.push(OddArrival { kind, sequence, highest, arrived_ns });
        }
    }
}

impl FlowTally {
    /// Takes note that nothing came between the last arrival and this moment.
    pub(super) fn pause(&mut self, until_ns: u64) {
        let longest = self.gap_ns.map_or(0, |(start, end)| end - start);
        if until_ns.saturating_sub(self.last_ns) > longest {
            self.gap_ns = Some((self.last_ns, until_ns));
        }
    }

    /// Whether nothing came at all.
    pub(super) fn is_silent(&self) -> bool {
        self.highest.is_none()
    }
}

/// The flow of a number: they take turns.
pub(super) fn flow_of(sequence: u64, flows: usize) -> usize {
    // The remainder is less than `flows`, so it fits.
    usize::try_from(sequence % flows as u64).unwrap_or(0)
}

fn place(sequence: u64) -> (usize, u64) {
    (usize::try_from(sequence / 64).unwrap_or(usize::MAX), 1 << (sequence % 64))
}
