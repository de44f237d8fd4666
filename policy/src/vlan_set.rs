//! A set of VLANs: constant-time membership for the core, ranges for people.

use std::fmt;
use std::str::FromStr;

use proto::{TypeError, VlanId};

const WORDS: usize = 4096 / 64;

/// A set of VLANs as a bitmap of 512 bytes; prints as `1-5,10`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanSet([u64; WORDS]);

impl VlanSet {
    /// The empty set.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Every legal VLAN, 1..=4094.
    #[must_use]
    pub fn all() -> Self {
        VlanId::all().collect()
    }

    /// Whether the VLAN is in the set.
    #[must_use]
    #[inline]
    pub fn contains(&self, vlan: VlanId) -> bool {
        let (word, bit) = Self::place(vlan);
        self.0.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Adds a VLAN; true when it was not there.
    pub fn insert(&mut self, vlan: VlanId) -> bool {
        let (word, bit) = Self::place(vlan);
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    /// Adds every VLAN from `first` to `last`; none when `last` is below `first`.
    pub fn insert_range(&mut self, first: VlanId, last: VlanId) {
        let (first, last) = (usize::from(first.get()), usize::from(last.get()));
        if last < first {
            return;
        }
        let words = self.0.iter_mut().enumerate().take(last / 64 + 1).skip(first / 64);
        for (i, word) in words {
            let from = first.saturating_sub(i * 64);
            let to = (last - i * 64).min(63);
            *word |= (u64::MAX << from) & (u64::MAX >> (63 - to));
        }
    }

    /// Removes a VLAN; true when it was there.
    pub fn remove(&mut self, vlan: VlanId) -> bool {
        let (word, bit) = Self::place(vlan);
        let old = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        old
    }

    /// Whether no VLAN is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    /// How many VLANs are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// The VLANs of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = VlanId> + '_ {
        VlanId::all().filter(|v| self.contains(*v))
    }

    /// The VLANs that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (word, mask) in both.0.iter_mut().zip(other.0) {
            *word &= mask;
        }
        both
    }

    /// The VLANs that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut either = self.clone();
        for (word, more) in either.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        either
    }

    /// The VLANs that are in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for (word, less) in rest.0.iter_mut().zip(other.0) {
            *word &= !less;
        }
        rest
    }

    fn place(vlan: VlanId) -> (usize, u64) {
        let v = usize::from(vlan.get());
        (v / 64, 1 << (v % 64))
    }
}

impl FromIterator<VlanId> for VlanSet {
    fn from_iter<I: IntoIterator<Item = VlanId>>(vlans: I) -> Self {
        let mut set = Self::EMPTY;
        for vlan in vlans {
            set.insert(vlan);
        }
        set
    }
}

impl Extend<VlanId> for VlanSet {
    fn extend<I: IntoIterator<Item = VlanId>>(&mut self, vlans: I) {
        for vlan in vlans {
            self.insert(vlan);
        }
    }
}

/// Text that is not a list of VLANs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VlanSetError {
    /// An item is not `N` or `N-M`.
    #[error("`{0}` is not a VLAN list, expected numbers and ranges such as 10,20-22")]
    Syntax(String),
    /// A number is outside 1..=4094.
    #[error(transparent)]
    Range(#[from] TypeError),
    /// A range that ends before it starts.
    #[error("the range {0}-{1} ends before it starts")]
    Reversed(VlanId, VlanId),
}

impl FromStr for VlanSet {
    type Err = VlanSetError;

    /// Reads what [`VlanSet`] prints, `1-5,10` or `none`; also `all`.
    fn from_str(text: &str) -> Result<Self, VlanSetError> {
        match text {
            "none" => return Ok(Self::EMPTY),
            "all" => return Ok(Self::all()),
            _ => {}
        }
        let vlan = |digits: &str, item: &str| {
            let legal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            // Nine digits fit u32; a longer number is out of range as well.
            match (legal, digits.get(..9).unwrap_or(digits).parse::<u32>()) {
                (true, Ok(number)) => Ok(VlanId::new(number)?),
                _ => {
                    let shown = if item.is_empty() { text } else { item };
                    Err(VlanSetError::Syntax(shown.chars().take(64).collect()))
                }
            }
        };
        let mut set = Self::EMPTY;
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (vlan(first, item)?, vlan(last, item)?);
            if last < first {
                return Err(VlanSetError::Reversed(first, last));
            }
            set.insert_range(first, last);
        }
        Ok(set)
    }
}

impl fmt::Display for VlanSet {
    /// The NX-OS form: ascending, runs as ranges, `none` when empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut vlans = self.iter().map(VlanId::get).peekable();
        let mut first = true;
        while let Some(start) = vlans.next() {
            let mut end = start;
            while let Some(next) = vlans.next_if_eq(&(end + 1)) {
                end = next;
            }
            if !first {
                f.write_str(",")?;
            }
            first = false;
            match end - start {
                0 => write!(f, "{start}")?,
                _ => write!(f, "{start}-{end}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for VlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VlanSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(vlans: &[u16]) -> VlanSet {
        vlans.iter().filter_map(|v| VlanId::new(*v).ok()).collect()
    }

    #[test]
    fn prints_runs_as_ranges() {
        assert_eq!(set(&[]).to_string(), "none");
        assert_eq!(set(&[7]).to_string(), "7");
        assert_eq!(set(&[1, 2, 3, 10, 12, 13]).to_string(), "1-3,10,12-13");
        assert_eq!(VlanSet::all().to_string(), "1-4094");
        assert_eq!(VlanSet::all().len(), 4094);
    }

    #[test]
    fn reads_what_it_prints() {
        for vlans in [set(&[]), set(&[7]), set(&[1, 2, 3, 10, 4094]), VlanSet::all()] {
            assert_eq!(vlans.to_string().parse(), Ok(vlans));
        }
        assert_eq!("3,1-2,2".parse(), Ok(set(&[1, 2, 3])));
        assert_eq!("all".parse(), Ok(VlanSet::all()));
    }

    #[test]
    fn refuses_what_is_no_list() {
        for (text, message) in [
            ("", "`` is not a VLAN list, expected numbers and ranges such as 10,20-22"),
            ("1,", "`1,` is not a VLAN list, expected numbers and ranges such as 10,20-22"),
            ("1-", "`1-` is not a VLAN list, expected numbers and ranges such as 10,20-22"),
            ("+1", "`+1` is not a VLAN list, expected numbers and ranges such as 10,20-22"),
            ("1-2-3", "`1-2-3` is not a VLAN list, expected numbers and ranges such as 10,20-22"),
            ("0", "VLAN 0 is out of range, expected 1..4094"),
            ("99999999999", "VLAN 999999999 is out of range, expected 1..4094"),
            ("20-10", "the range 20-10 ends before it starts"),
        ] {
            let problem = text.parse::<VlanSet>().map_err(|e| e.to_string());
            assert_eq!(problem, Err(message.to_owned()));
        }
    }

    #[test]
    fn a_range_is_every_vlan_from_first_to_last() {
        for (first, last) in [(1, 1), (1, 63), (63, 64), (64, 127), (65, 200), (1, 4094), (9, 8)] {
            let mut range = VlanSet::EMPTY;
            let vlan = |n: u16| VlanId::new(n).unwrap();
            range.insert_range(vlan(first), vlan(last));
            assert_eq!(range, (first..=last).map(vlan).collect(), "{first}-{last}");
        }
    }

    #[test]
    fn set_algebra() {
        let (a, b) = (set(&[1, 2, 100]), set(&[2, 3]));
        assert_eq!(a.union(&b), set(&[1, 2, 3, 100]));
        assert_eq!(a.intersection(&b), set(&[2]));
        assert_eq!(a.difference(&b), set(&[1, 100]));
    }

    #[test]
    fn insert_and_remove_say_what_changed() {
        let mut vlans = set(&[1]);
        assert!(
            !vlans.insert(VlanId::DEFAULT) && vlans.remove(VlanId::DEFAULT) && vlans.is_empty()
        );
    }
}
