//! The tables of a compiled list: for each chunk of a key, which entries accept which value.
//!
//! A *dimension* looks one chunk up in two steps, high byte then low byte, and finds the *class* of
//! the value: values that the same entries accept share one. Each class has a row, a bit for each
//! entry (layout: [`BLOCK_LEN`]). Chunks that no rule asks about have no dimension.
//!
//! Where it sits: `compile` builds it from [`Condition`]s, `eval` searches it. Invariants: page
//! numbers, classes and row starts are in range; rows of one list have one length.
//!
//! Bounds: a dimension has at most 256 pages of 512 bytes, and rows of [`ROWS_BYTES_MAX`]. A chunk
//! that would need more (thousands of rules with wildcards that are not contiguous, or of distinct
//! port ranges) is cut in two bytes with at most 256 classes each. A port range is no product of
//! bytes, so then a rule becomes up to three entries for each port, which stand together.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashSet, HashTable};

use super::condition::{ByteSet, Condition, Product, chunk};

/// Rows of more than one word are made of blocks: a summary word, of which bit `n` says that word `n`
/// behind it is not zero, and 64 words. The last block may be shorter.
pub(super) const BLOCK_LEN: usize = 65;

/// What the rows of one dimension may take while its chunk is looked up whole. Random IPv4 hosts in
/// 4,000 rules take 2 MiB for the low halves of an address.
pub(super) const ROWS_BYTES_MAX: usize = 4 << 20;

/// The tables of one list.
#[derive(Debug)]
pub(super) struct BitVectors {
    pub(super) dimensions: Box<[Dimension]>,
    /// Pages of 256: low byte to class.
    pub(super) classes: Box<[u16]>,
    /// Rows of all dimensions.
    pub(super) words: Box<[u64]>,
    /// Words in each row.
    pub(super) row_len: usize,
}

/// How one chunk, or one byte of it, is looked up.
#[derive(Debug)]
pub(super) struct Dimension {
    pub(super) chunk: u8,
    /// Brings the byte down when the chunk is looked up by byte.
    pub(super) shift: u8,
    pub(super) mask: u16,
    /// Where the row of class 0 starts in [`BitVectors::words`].
    pub(super) rows: usize,
    /// High byte to page.
    pub(super) pages: [u16; 256],
}

/// One rule, or one of the products that it was cut into.
#[derive(Clone, Copy, Debug)]
struct Entry {
    rule: usize,
    /// Of each chunk that is looked up by byte: which product.
    picks: [u8; chunk::IPV6_COUNT],
}

/// A chunk needs more classes than it may have.
struct TooManyClasses;

impl BitVectors {
    /// The tables for these rules, and which rule each entry stands for, ascending. `rows_bytes_max`
    /// is [`ROWS_BYTES_MAX`] but in tests.
    pub(super) fn build(rules: &[Box<[Condition]>], rows_bytes_max: usize) -> (Self, Vec<usize>) {
        let mut by_byte = [false; chunk::IPV6_COUNT];
        // Each round cuts one more chunk, so there are no more rounds than chunks.
        loop {
            let entries = expand(rules, &by_byte);
            let mut tables = Tables::new(entries.len(), rows_bytes_max);
            match tables.add_all(rules, &entries, &by_byte) {
                Ok(()) => {
                    let rule_of_entry = entries.iter().map(|entry| entry.rule).collect();
                    return (tables.finish(), rule_of_entry);
                }
                Err(chunk) => by_byte[chunk] = true,
            }
        }
    }

    /// What the tables take, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.dimensions) + size_of_val(&*self.classes) + size_of_val(&*self.words)
    }
}

/// The entries of the rules: several of one rule when a chunk that is looked up by byte has several
/// products.
fn expand(rules: &[Box<[Condition]>], by_byte: &[bool]) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(rules.len());
    for (rule, conditions) in rules.iter().enumerate() {
        let start = entries.len();
        entries.push(Entry { rule, picks: [0; chunk::IPV6_COUNT] });
        for (chunk, condition) in conditions.iter().enumerate().filter(|(c, _)| by_byte[*c]) {
            let Condition::Union(products) = condition else { continue };
            let so_far = start..entries.len();
            for pick in 1..products.len() {
                for at in so_far.clone() {
                    let mut entry: Entry = entries[at];
                    entry.picks[chunk] = pick as u8;
                    entries.push(entry);
                }
            }
        }
    }
    entries
}

/// Which part of a chunk a dimension looks at.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    High,
    Low,
}

/// The tables while they grow.
struct Tables {
    entries: usize,
    row_len: usize,
    /// Of a dimension that looks at a whole chunk.
    classes_max: usize,
    dimensions: Vec<Dimension>,
    classes: Vec<u16>,
    words: Vec<u64>,
}

impl Tables {
    fn new(entries: usize, rows_bytes_max: usize) -> Self {
        let words = entries.div_ceil(64).max(1);
        let row_len = if words == 1 { 1 } else { words + words.div_ceil(64) };
        // Prefixes and ranges have two ends each. A chunk in which there are more classes than that
        // has wildcards that are not contiguous, and the next rule could double them.
        let classes_max = (2 * entries + 1).max(1024).min(rows_bytes_max / 8 / row_len);
        Self {
            entries,
            row_len,
            classes_max: classes_max.min(usize::from(u16::MAX)),
            dimensions: Vec::new(),
            classes: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Adds the dimensions of every chunk; the chunk that must be looked up by byte when one is
    /// too large.
    fn add_all(
        &mut self,
        rules: &[Box<[Condition]>],
        entries: &[Entry],
        by_byte: &[bool],
    ) -> Result<(), usize> {
        let chunks = rules.first().map_or(0, |conditions| conditions.len());
        for chunk in 0..chunks {
            if rules.iter().all(|conditions| conditions[chunk] == Condition::Any) {
                continue;
            }
            let parts: &[Part] =
                if by_byte[chunk] { &[Part::High, Part::Low] } else { &[Part::Whole] };
            for part in parts {
                self.add(rules, entries, chunk, *part).map_err(|TooManyClasses| chunk)?;
            }
        }
        Ok(())
    }

    /// Adds one dimension.
    fn add(
        &mut self,
        rules: &[Box<[Condition]>],
        entries: &[Entry],
        chunk: usize,
        part: Part,
    ) -> Result<(), TooManyClasses> {
        let mut free = Bits::new(self.entries);
        let mut asks: Vec<(usize, Product)> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let Condition::Union(products) = &rules[entry.rule][chunk] else {
                free.set(at);
                continue;
            };
            let picked = products[usize::from(entry.picks[chunk])];
            match part {
                Part::Whole => asks.extend(products.iter().map(|product| (at, *product))),
                Part::High => asks.push((at, Product { high: ByteSet::ALL, low: picked.high })),
                Part::Low => asks.push((at, Product { high: ByteSet::ALL, low: picked.low })),
            }
        }
        let (shift, mask) = match part {
            Part::Whole => (0, u16::MAX),
            Part::High => (8, 0xff),
            Part::Low => (0, 0xff),
        };
        let rows = self.words.len();
        let pages = self.add_pages(&free, &asks, part)?;
        self.dimensions.push(Dimension { chunk: chunk as u8, shift, mask, rows, pages });
        Ok(())
    }

    /// The pages and rows of a dimension: `free` entries accept every value, of the others each of
    /// `asks` says what one accepts.
    fn add_pages(
        &mut self,
        free: &Bits,
        asks: &[(usize, Product)],
        part: Part,
    ) -> Result<[u16; 256], TooManyClasses> {
        let classes_max = match part {
            Part::Whole => self.classes_max,
            Part::High | Part::Low => 256,
        };
        let mut known = KnownRows::new(self.words.len(), self.row_len);
        let high = Partition::of(asks.iter().map(|(_, product)| product.high));
        let first_page = self.classes.len() / 256;
        let mut row = free.clone();
        for high_byte in &high.examples {
            let mut whole = free.clone();
            let mut partly: Vec<(usize, ByteSet)> = Vec::new();
            for (at, product) in asks.iter().filter(|(_, p)| p.high.contains(*high_byte)) {
                if product.low == ByteSet::ALL {
                    whole.set(*at);
                } else {
                    partly.push((*at, product.low));
                }
            }
            let low = Partition::of(partly.iter().map(|(_, set)| *set));
            let mut class_of_part = Vec::with_capacity(low.examples.len());
            for low_byte in &low.examples {
                row.clone_from(&whole);
                for (at, _) in partly.iter().filter(|(_, set)| set.contains(*low_byte)) {
                    row.set(*at);
                }
                let class = known.class_of(&row, &mut self.words);
                if usize::from(class) >= classes_max {
                    return Err(TooManyClasses);
                }
                class_of_part.push(class);
            }
            self.classes.extend(low.part_of.iter().map(|part| class_of_part[usize::from(*part)]));
        }
        Ok(high.part_of.map(|part| (first_page + usize::from(part)) as u16))
    }

    fn finish(self) -> BitVectors {
        BitVectors {
            dimensions: self.dimensions.into(),
            classes: self.classes.into(),
            words: self.words.into(),
            row_len: self.row_len,
        }
    }
}

/// The rows of one dimension by what they hold.
struct KnownRows {
    first: usize,
    row_len: usize,
    table: HashTable<u16>,
    hasher: RandomState,
    scratch: Vec<u64>,
}

impl KnownRows {
    /// No row yet; the first will start at `first`.
    fn new(first: usize, row_len: usize) -> Self {
        let (table, hasher) = (HashTable::new(), RandomState::default());
        Self { first, row_len, table, hasher, scratch: Vec::with_capacity(row_len) }
    }

    /// The class that has this row; a new one gets its row behind `words`.
    fn class_of(&mut self, bits: &Bits, words: &mut Vec<u64>) -> u16 {
        bits.write_row(&mut self.scratch);
        let Self { first, row_len, hasher, scratch, .. } = self;
        let row_of = |class: u16| {
            let start = *first + usize::from(class) * *row_len;
            start..start + *row_len
        };
        let hash = hasher.hash_one(&*scratch);
        let same = |class: &u16| words[row_of(*class)] == **scratch;
        if let Some(class) = self.table.find(hash, same) {
            return *class;
        }
        let class = self.table.len() as u16;
        let rehash = |class: &u16| hasher.hash_one(&words[row_of(*class)]);
        self.table.insert_unique(hash, class, rehash);
        words.extend_from_slice(scratch);
        class
    }
}

/// A bit for each entry.
#[derive(Debug)]
struct Bits(Box<[u64]>);

impl Clone for Bits {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    fn clone_from(&mut self, other: &Self) {
        self.0.copy_from_slice(&other.0);
    }
}

impl Bits {
    fn new(entries: usize) -> Self {
        Self(vec![0; entries.div_ceil(64).max(1)].into())
    }

    fn set(&mut self, entry: usize) {
        self.0[entry / 64] |= 1 << (entry % 64);
    }

    /// The bits as a row: with a summary before each 64 words when there is more than one word.
    fn write_row(&self, row: &mut Vec<u64>) {
        row.clear();
        if let [word] = *self.0 {
            row.push(word);
            return;
        }
        for block in self.0.chunks(BLOCK_LEN - 1) {
            let used = block.iter().enumerate().filter(|(_, word)| **word != 0);
            row.push(used.fold(0, |summary, (at, _)| summary | 1 << at));
            row.extend(block);
        }
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
