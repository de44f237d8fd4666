//! The local table alone: look-ups of addresses in an order without a pattern.

use std::hint::black_box;

use policy::fib::Fib;
use proto::{MacAddr, PortId, VlanId};

use super::Workload;
use super::host::VLANS;

/// Look-ups of a round.
pub const LOOKUPS: usize = 1024;

/// A table, and addresses that are asked for.
#[derive(Debug)]
pub struct FibLookup {
    fib: Fib,
    asked: Vec<(VlanId, MacAddr)>,
}

impl FibLookup {
    /// A table of `entries` entries (1..=2^24) in 64 VLANs, asked for addresses that are in it.
    ///
    /// # Panics
    /// There are more entries than different addresses.
    #[must_use]
    pub fn hits(entries: u64) -> Self {
        let mut fib = Fib::default();
        for number in 0..entries {
            let (vlan, mac) = entry(number);
            let port = PortId::new((number % 4096) as u16).expect("below 4,096");
            fib.insert(vlan, mac, port).expect("addresses are distinct");
        }
        let numbers = (0..LOOKUPS as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        Self { fib, asked: numbers.map(|n| entry(n % entries)).collect() }
    }

    /// The same table, asked for addresses that differ in one bit from those in it.
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
        let found = |(vlan, mac): &&(VlanId, MacAddr)| {
            self.fib.lookup(black_box(*vlan), black_box(*mac)).is_some()
        };
        self.asked.iter().filter(found).count() as u64
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
