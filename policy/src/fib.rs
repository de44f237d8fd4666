//! The local table: `(VLAN, MAC) -> vEthernet`, filled by attachment and never by traffic.
//!
//! One flat table, at most half full, in which a key stands at the place of its hash or behind it
//! (open addressing, linear probing): a lookup is two multiplications and mostly one cache line, up to
//! 100,000 entries and more (`make instructions`). The hash is seeded at random, so nobody can choose
//! addresses that collide, and mixes well enough for linear probing, which addresses in a row make
//! slow when their pattern shows through (Pătraşcu and Thorup, "On the k-Independence Required by
//! Linear Probing and Minwise Independence", 2010). Each host has its own table; those of two hosts
//! are never compared here.

use std::hash::BuildHasher;

use proto::{MacAddr, PortId, VlanId};

/// Places of the smallest table.
const PLACES_MIN: usize = 16;

/// The static table of one host.
#[derive(Debug)]
pub struct Fib {
    /// A power of two, and at least twice [`Fib::len`]: every search ends at a free place.
    places: Box<[Place]>,
    hash: Hash,
    len: usize,
}

/// One of many functions that spread keys.
#[derive(Debug, Clone, Copy)]
struct Hash {
    mask: u64,
    /// Odd, so that no bit of a key is lost.
    multiplier: u64,
}

/// A place, free when its key is [`FREE`].
#[derive(Debug, Clone, Copy)]
struct Place {
    key: u64,
    port: PortId,
}

/// VLAN 0 does not exist.
const FREE: u64 = 0;

impl Default for Fib {
    fn default() -> Self {
        Self { places: free_places(PLACES_MIN), hash: Hash::random(), len: 0 }
    }
}

impl Hash {
    /// 2^64 over the golden ratio: a multiplier without a pattern.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

    fn random() -> Self {
        let seed = foldhash::fast::RandomState::default();
        Self { mask: seed.hash_one(0), multiplier: seed.hash_one(1) | 1 }
    }

    /// A number of which the upper bits are the best. One product alone would keep the distances
    /// of keys in a row; folded and multiplied again, nothing is left of them.
    #[inline]
    const fn of(self, key: u64) -> u64 {
        let product = (key ^ self.mask).wrapping_mul(self.multiplier);
        (product ^ product >> 32).wrapping_mul(Self::GOLDEN)
    }
}

impl Fib {
    /// The vEthernet that owns this address in this VLAN.
    #[must_use]
    #[inline]
    pub fn lookup(&self, vlan: VlanId, mac: MacAddr) -> Option<PortId> {
        let key = key(vlan, mac);
        let mut at = self.home(key);
        loop {
            let place = self.places.get(at)?;
            if place.key == key {
                return Some(place.port);
            }
            if place.key == FREE {
                return None;
            }
            at = self.behind(at);
        }
    }

    /// Where the search for a key starts: the upper bits of its hash.
    #[inline]
    const fn home(&self, key: u64) -> usize {
        let bits = self.places.len().trailing_zeros();
        (self.hash.of(key) >> (u64::BITS - bits)) as usize
    }

    /// The place after this one, the first after the last.
    #[inline]
    const fn behind(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.places.len().wrapping_sub(1)
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (VlanId, MacAddr, PortId)> {
        self.places.iter().filter_map(|place| {
            // Of a free place the VLAN is 0.
            let vlan = VlanId::new((place.key >> 48) as u16).ok()?;
            Some((vlan, MacAddr::from_u64(place.key), place.port))
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The port that owns the address already, when it is another.
    pub fn insert(&mut self, vlan: VlanId, mac: MacAddr, port: PortId) -> Result<(), PortId> {
        if let Some(owner) = self.lookup(vlan, mac) {
            return if owner == port { Ok(()) } else { Err(owner) };
        }
        if self.places.len() < 2 * (self.len + 1) {
            self.grow();
        }
        self.put(Place { key: key(vlan, mac), port });
        self.len += 1;
        Ok(())
    }

    /// Doubles the table.
    fn grow(&mut self) {
        let larger = free_places(2 * self.places.len());
        let old = std::mem::replace(&mut self.places, larger);
        old.into_iter().filter(|place| place.key != FREE).for_each(|place| self.put(place));
    }

    /// Puts a new key at the first free place of its search.
    fn put(&mut self, new: Place) {
        let mut at = self.home(new.key);
        while self.places[at].key != FREE {
            at = self.behind(at);
        }
        self.places[at] = new;
    }
}

fn free_places(count: usize) -> Box<[Place]> {
    const ANY: PortId = PortId::new(0).expect("below the number of slots");
    vec![Place { key: FREE, port: ANY }; count].into()
}

/// VLAN in the high 16 bits, address in the low 48: both whole, so keys are never shared.
const fn key(vlan: VlanId, mac: MacAddr) -> u64 {
    (vlan.get() as u64) << 48 | mac.as_u64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Places that the search for an entry looks at.
    fn places_searched(fib: &Fib, (vlan, mac): (VlanId, MacAddr)) -> usize {
        let (home, key) = (fib.home(key(vlan, mac)), key(vlan, mac));
        let order = fib.places.iter().cycle().skip(home);
        1 + order.take_while(|place| place.key != key).count()
    }

    /// Addresses in a row, as a hypervisor deals them out, are keys with a pattern. A hash that
    /// keeps the pattern is better than chance for most seeds and puts them all on one heap for
    /// some.
    #[test]
    fn addresses_in_a_row_are_found_soon_with_every_seed() {
        const ENTRIES: u64 = 500;
        let port = PortId::new(0).expect("legal");
        for vlans in [1, 4, 64] {
            let entry = |number: u64| {
                let vlan = VlanId::new(1 + (number % vlans) as u32).expect("legal");
                (vlan, MacAddr::from_u64(0x5254_0000_0000 + number))
            };
            for _ in 0..500 {
                let mut fib = Fib::default();
                for (vlan, mac) in (0..ENTRIES).map(entry) {
                    fib.insert(vlan, mac, port).expect("addresses are distinct");
                }
                let searched: usize = (0..ENTRIES).map(|n| places_searched(&fib, entry(n))).sum();
                assert!(searched < 3 * ENTRIES as usize, "{searched} places, {vlans} VLANs");
            }
        }
    }

    proptest! {
        /// The table is a map and nothing else: first owner wins, and every entry can be listed.
        #[test]
        fn behaves_as_a_map(entries in prop::collection::vec((1u16..5, 0u64..8, 0u16..4), 0..64)) {
            let (mut fib, mut model) = (Fib::default(), BTreeMap::new());
            for (vlan, mac, port) in entries {
                let vlan = VlanId::new(vlan).expect("legal");
                let (mac, port) = (MacAddr::from_u64(mac), PortId::new(port).expect("legal"));
                let owner = *model.entry((vlan, mac)).or_insert(port);
                let expected = if owner == port { Ok(()) } else { Err(owner) };
                prop_assert_eq!(fib.insert(vlan, mac, port), expected);
            }
            let listed: BTreeMap<_, _> = fib.iter().map(|(v, m, p)| ((v, m), p)).collect();
            prop_assert_eq!(&listed, &model);
            prop_assert_eq!(fib.len(), model.len());
            for ((vlan, mac), port) in model {
                prop_assert_eq!(fib.lookup(vlan, mac), Some(port));
            }
        }
    }
}
