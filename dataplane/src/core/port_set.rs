//! A set of ports: constant-time membership for the core.
//!
//! *Where it sits:* [`TeamState`](super::team::TeamState) holds one of the ports that are up.

use std::fmt;

use proto::PortId;

const WORDS: usize = PortId::COUNT / 64;

/// A set of ports as a bitmap of 512 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet([u64; WORDS]);

impl PortSet {
    /// The empty set.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Whether the port is in the set.
    #[must_use]
    #[inline]
    pub fn contains(&self, port: PortId) -> bool {
        let (word, bit) = place(port);
        self.0.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Adds a port; true when it was not there.
    pub fn insert(&mut self, port: PortId) -> bool {
        let (word, bit) = place(port);
        self.0.get_mut(word).is_some_and(|w| {
            let new = *w & bit == 0;
            *w |= bit;
            new
        })
    }

    /// Removes a port; true when it was there.
    pub fn remove(&mut self, port: PortId) -> bool {
        let (word, bit) = place(port);
        self.0.get_mut(word).is_some_and(|w| {
            let old = *w & bit != 0;
            *w &= !bit;
            old
        })
    }

    /// The ports of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PortId> + '_ {
        (0..PortId::COUNT as u16).filter_map(PortId::new).filter(|port| self.contains(*port))
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl FromIterator<PortId> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortId>>(ports: I) -> Self {
        let mut set = Self::EMPTY;
        for port in ports {
            set.insert(port);
        }
        set
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

const fn place(port: PortId) -> (usize, u64) {
    (port.index() / 64, 1 << (port.index() % 64))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_lists_it_ascending() {
        let ports = [4095, 0, 64, 63].map(|i| PortId::new(i).unwrap());
        let mut set: PortSet = ports.into_iter().collect();
        assert_eq!(set.iter().map(PortId::get).collect::<Vec<_>>(), [0, 63, 64, 4095]);
        assert!(!set.insert(ports[0]) && set.remove(ports[0]) && !set.remove(ports[0]));
        assert!(!set.contains(ports[0]) && set.contains(ports[1]));
    }
}
