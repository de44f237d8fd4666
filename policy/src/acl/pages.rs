//! From what entries accept in one chunk of a key to pages that find the class of a value.
//!
//! Values that the same entries accept are in one *class*; [`Classes`] has a row for each, a bit
//! for each entry. A chunk is looked up in two steps, high byte then low byte, the second in one of
//! at most 256 [`Pages`].
//!
//! Where it sits: `tables` builds pages for each piece of a key. Invariant: there
//! are no more classes than the caller allows; building stops when there would be.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashSet, HashTable};

use super::condition::ByteSet;

/// More classes than allowed.
#[derive(Debug)]
pub(super) struct TooLarge;

/// How the values of a chunk lead to classes.
#[derive(Debug)]
pub(super) struct Pages {
    /// High byte to page.
    pub(super) page_of: [u16; 256],
    /// Low byte to class.
    pub(super) pages: Vec<[u16; 256]>,
    pub(super) classes: Classes,
}

/// An entry, and one product of what it accepts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) entry: usize,
    pub(super) high: ByteSet,
    pub(super) low: ByteSet,
}

impl Pages {
    /// The pages for `asks`; entries in `free` accept everything.
    pub(super) fn build(free: &Bits, asks: &[Ask], classes_max: usize) -> Result<Self, TooLarge> {
        let mut classes = Classes::new(free.0.len());
        let high = Partition::of(asks.iter().map(|ask| ask.high));
        let (mut pages, mut row) = (Vec::new(), free.clone());
        for high_byte in &high.examples {
            let (mut whole, mut partly) = (free.clone(), Vec::new());
            for ask in asks.iter().filter(|ask| ask.high.contains(*high_byte)) {
                if ask.low == ByteSet::ALL {
                    whole.set(ask.entry);
                } else {
                    partly.push(ask);
                }
            }
            let low = Partition::of(partly.iter().map(|ask| ask.low));
            let mut class_of_part = Vec::with_capacity(low.examples.len());
            for low_byte in &low.examples {
                row.0.copy_from_slice(&whole.0);
                for ask in partly.iter().filter(|ask| ask.low.contains(*low_byte)) {
                    row.set(ask.entry);
                }
                class_of_part.push(classes.of(&row.0, classes_max)?);
            }
            pages.push(low.part_of.map(|part| class_of_part[usize::from(part)]));
        }
        Ok(Self { page_of: high.part_of.map(u16::from), pages, classes })
    }
}

/// A bit for each entry; a multiple of [`GROUP_LEN`] words.
#[derive(Clone, Debug)]
pub(super) struct Bits(Box<[u64]>);

/// Words that a search looks at together: two or one vector instructions for each row.
pub(super) const GROUP_LEN: usize = 4;

impl Bits {
    /// None of the entries.
    pub(super) fn new(entries: usize) -> Self {
        Self(vec![0; groups(entries) * GROUP_LEN].into())
    }

    pub(super) fn set(&mut self, entry: usize) {
        self.0[entry / 64] |= 1 << (entry % 64);
    }
}

/// Groups of words in a row for so many entries; at least one.
pub(super) const fn groups(entries: usize) -> usize {
    let groups = entries.div_ceil(64 * GROUP_LEN);
    if groups == 0 { 1 } else { groups }
}

/// The rows of the classes of one piece, each different.
#[derive(Debug)]
pub(super) struct Classes {
    /// In words.
    row_len: usize,
    rows: Vec<u64>,
    known: HashTable<u16>,
    hasher: RandomState,
}

impl Classes {
    fn new(row_len: usize) -> Self {
        let (known, hasher) = (HashTable::new(), RandomState::default());
        Self { row_len, rows: Vec::new(), known, hasher }
    }

    /// The rows in order of their classes.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.rows.chunks(self.row_len)
    }

    /// The class with this row, a new one if there is none.
    fn of(&mut self, row: &[u64], classes_max: usize) -> Result<u16, TooLarge> {
        let Self { row_len, rows, known, hasher } = self;
        let row_of = |class: &u16| {
            let start = usize::from(*class) * *row_len;
            &rows[start..start + *row_len]
        };
        let hash = hasher.hash_one(row);
        if let Some(class) = known.find(hash, |class| row_of(class) == row) {
            return Ok(*class);
        }
        if known.len() >= classes_max {
            return Err(TooLarge);
        }
        let class = u16::try_from(known.len()).map_err(|_| TooLarge)?;
        known.insert_unique(hash, class, |class| hasher.hash_one(row_of(class)));
        rows.extend(row);
        Ok(class)
    }
}

/// The 256 bytes in parts, so that each set holds all of a part or nothing of it.
struct Partition {
    part_of: [u8; 256],
    /// A byte of each part.
    examples: Vec<u8>,
}

impl Partition {
    fn of(sets: impl Iterator<Item = ByteSet>) -> Self {
        let mut partition = Self { part_of: [0; 256], examples: vec![0] };
        let mut seen: HashSet<ByteSet, RandomState> = HashSet::default();
        for set in sets {
            if partition.examples.len() == 256 {
                break;
            }
            if seen.insert(set) {
                partition.refine(set);
            }
        }
        partition
    }

    /// Splits the parts of which the set holds some bytes and not others.
    fn refine(&mut self, set: ByteSet) {
        let mut moved = [None; 256];
        for (byte, part) in (0..=u8::MAX).zip(&mut self.part_of) {
            let old = usize::from(*part);
            if set.contains(byte) != set.contains(self.examples[old]) {
                *part = *moved[old].get_or_insert_with(|| {
                    self.examples.push(byte);
                    (self.examples.len() - 1) as u8
                });
            }
        }
    }
}
