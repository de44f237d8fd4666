//! The local table alone: look-ups of addresses in an order without a pattern.

use std::hint::black_box;

use policy::fib::Fib;
use proto::{MacAddr, PortId, VlanId};

use super::Workload;
use super::host::VLANS;

/// Look-ups of a round.
pub const LOOKUPS: usize = 1024;

/// Most tables, and entries in all of them. A table's hash is random, and of a small one it decides
/// by a tenth what a search costs: so there are several, with a hash each, asked in turn.
const TABLES_MAX: u64 = 8;
const ENTRIES_MAX: u64 = 8192;

/// Tables with the same entries, and addresses that are asked for.
#[derive(Debug)]
pub struct FibLookup {
    tables: Vec<Fib>,
    asked: Vec<(VlanId, MacAddr)>,
}

impl FibLookup {
    /// Tables of `entries` entries (1..=2^24) in 64 VLANs, asked for addresses that are in them.
    ///
    /// # Panics
    /// There are more entries than different addresses.
    #[must_use]
    pub fn hits(entries: u64) -> Self {
        let table = |_| {
            let mut fib = Fib::default();
            for number in 0..entries {
                let (vlan, mac) = entry(number);
                let port = PortId::new((number % 4096) as u16).expect("below 4,096");
                fib.insert(vlan, mac, port).expect("addresses are distinct");
            }
            fib
        };
        let tables = (0..(ENTRIES_MAX / entries).clamp(1, TABLES_MAX)).map(table).collect();
        let numbers = (0..LOOKUPS as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        Self { tables, asked: numbers.map(|n| entry(n % entries)).collect() }
    }

    /// The same tables, asked for addresses that differ in one bit from those in them.
    #[must_use]
    pub fn misses(entries: u64) -> Self {
        let mut work = Self::hits(entries);
        for (_, mac) in &mut work.asked {
            *mac = MacAddr::from_u64(mac.as_u64() ^ 1 << 30);
        }
        work
    }
}

impl Workload for FibLookup {
    fn frames(&self) -> u64 {
        self.asked.len() as u64
    }

    fn round(&mut self) -> u64 {
        let mut found = 0;
        for (asked, fib) in
            self.asked.chunks(LOOKUPS / TABLES_MAX as usize).zip(self.tables.iter().cycle())
        {
            let is_there = |(vlan, mac): &&(VlanId, MacAddr)| {
                fib.lookup(black_box(*vlan), black_box(*mac)).is_some()
            };
            found += asked.iter().filter(is_there).count() as u64;
        }
        found
    }
}

fn entry(number: u64) -> (VlanId, MacAddr) {
    // A permutation of 24 bits, so that neighbours in the order are no neighbours in memory.
    let spread = number.wrapping_mul(0x9e_3779) & 0xff_ffff;
    let vlan = VlanId::new(1 + (number % u64::from(VLANS)) as u32).expect("below 65");
    (vlan, MacAddr::from_u64(0x0200_0000_0000 | spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_hit_and_misses_miss() {
        for entries in [1, 10, 1000] {
            assert_eq!(FibLookup::hits(entries).round(), LOOKUPS as u64);
            assert_eq!(FibLookup::misses(entries).round(), 0);
        }
    }
}
