//! From what entries accept in some bytes of a field to a trie that finds the class of a value.
//!
//! Values that the same entries accept are in one *class*; [`Classes`] has a row for each, a bit for
//! each entry. The [`Trie`] has a page of 256 children a node and ends as early as the class is clear.
//!
//! Where it sits: `tables` builds a trie for each piece of a key, packs its pages and joins its
//! classes. Invariant: pages and classes stay within the [`Limits`]; building stops when they do not.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashSet, HashTable};

use super::condition::ByteSet;

/// How large a trie may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Pages of 256 children.
    pub(super) pages: usize,
    /// Classes; at most 65,535.
    pub(super) classes: usize,
}

/// A trie or a join would exceed its limits.
#[derive(Debug)]
pub(super) struct TooLarge;

/// What follows a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    /// Another page, for the next byte.
    Page(u32),
    /// The rest of the value does not matter.
    Class(u16),
}

/// The pages of a trie and the classes that it leads to.
#[derive(Debug)]
pub(super) struct Trie {
    pub(super) root: Child,
    pub(super) pages: Vec<[Child; 256]>,
    pub(super) classes: Classes,
}

/// An entry, and one product of what it accepts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) entry: usize,
    pub(super) bytes: &'a [ByteSet],
}

impl Trie {
    /// The trie for `asks`; entries in `free` accept everything.
    pub(super) fn build(free: &Bits, asks: &[Ask<'_>], limits: Limits) -> Result<Self, TooLarge> {
        let classes = Classes::new(free.0.len());
        let mut trie = Self { root: Child::Page(0), pages: Vec::new(), classes };
        trie.root = trie.child(free, asks, limits)?;
        Ok(trie)
    }

    /// The part of the trie below a byte: entries in `whole` accept the rest whatever it is.
    fn child(&mut self, whole: &Bits, asks: &[Ask<'_>], limits: Limits) -> Result<Child, TooLarge> {
        if asks.is_empty() {
            let class = self.classes.of(&whole.0);
            let fits = usize::from(class) < limits.classes;
            return if fits { Ok(Child::Class(class)) } else { Err(TooLarge) };
        }
        let page = self.pages.len();
        if page >= limits.pages {
            return Err(TooLarge);
        }
        self.pages.push([Child::Class(0); 256]);
        let parts = Partition::of(asks.iter().filter_map(|ask| ask.bytes.first().copied()));
        let mut children = Vec::with_capacity(parts.examples.len());
        for byte in &parts.examples {
            let (mut whole, mut rest) = (whole.clone(), Vec::new());
            for ask in asks {
                let Some((first, bytes)) = ask.bytes.split_first() else { continue };
                if !first.contains(*byte) {
                    continue;
                }
                if bytes.iter().all(|set| *set == ByteSet::ALL) {
                    whole.set(ask.entry);
                } else {
                    rest.push(Ask { entry: ask.entry, bytes });
                }
            }
            children.push(self.child(&whole, &rest, limits)?);
        }
        self.pages[page] = parts.part_of.map(|part| children[usize::from(part)]);
        Ok(Child::Page(page as u32))
    }
}

/// A bit for each entry.
#[derive(Clone, Debug)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// None of the entries.
    pub(super) fn new(entries: usize) -> Self {
        Self(vec![0; entries.div_ceil(64).max(1)].into())
    }

    pub(super) fn set(&mut self, entry: usize) {
        self.0[entry / 64] |= 1 << (entry % 64);
    }
}

/// The rows of the classes of one trie or join, each different.
#[derive(Debug)]
pub(super) struct Classes {
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

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The rows in order of their classes.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.rows.chunks(self.row_len)
    }

    /// The class with this row, a new one if there is none.
    fn of(&mut self, row: &[u64]) -> u16 {
        let Self { row_len, rows, known, hasher } = self;
        let row_of = |class: &u16| {
            let start = usize::from(*class) * *row_len;
            &rows[start..start + *row_len]
        };
        let hash = hasher.hash_one(row);
        if let Some(class) = known.find(hash, |class| row_of(class) == row) {
            return *class;
        }
        let class = known.len() as u16;
        known.insert_unique(hash, class, |class| hasher.hash_one(row_of(class)));
        rows.extend(row);
        class
    }

    /// The classes of pairs of values, and which class each pair of classes has, those of `second`
    /// running fastest.
    pub(super) fn join(
        first: &Self,
        second: &Self,
        classes_max: usize,
    ) -> Result<(Self, Vec<u16>), TooLarge> {
        let mut joined = Self::new(first.row_len);
        let mut class_of = Vec::with_capacity(first.len() * second.len());
        let mut row = Vec::with_capacity(first.row_len);
        for a in first.rows() {
            for b in second.rows() {
                row.clear();
                row.extend(a.iter().zip(b).map(|(a, b)| a & b));
                let class = joined.of(&row);
                if usize::from(class) >= classes_max {
                    return Err(TooLarge);
                }
                class_of.push(class);
            }
        }
        Ok((joined, class_of))
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
