//! The tables of a compiled list, laid out for the search.
//!
//! Each chunk of two bytes that some rule asks about is a *piece*: pages find the class of the
//! frame's value, and a class has a row with a bit for each entry that accepts it. A long row has a
//! *summary*, a word with a bit for each stripe of the row that is not zero.
//!
//! Where it sits: `compile` builds it from [`Condition`]s with the pages and classes of `pages`,
//! `eval` searches it. Invariants: all positions in the tables are in range; rows of one list have
//! one length.
//!
//! # Bounds
//!
//! A piece has at most 256 pages of 512 bytes, and rows of `rows_bytes_max`. A chunk that would
//! need more (thousands of rules with wildcards that are not contiguous) becomes two pieces of one
//! byte, which have 256 classes at most. A port range is no product of bytes, so a rule with ranges
//! then becomes up to three entries for each port that is cut; they stand together.

use super::condition::{ByteSet, Condition, field};
use super::pages::{Ask, Bits, GROUP_LEN, Pages, TooLarge, groups};

/// What the rows of one piece may take: 4,000 rules on random hosts need 4 MiB.
pub(super) const ROWS_BYTES_MAX: usize = 4 << 20;

/// The tables of one list.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) pieces: Box<[Piece]>,
    /// Pages of all pieces: low byte to class.
    pub(super) classes: Box<[u16]>,
    /// Rows of all pieces.
    pub(super) rows: Rows,
}

/// The rows of the classes of all pieces.
#[derive(Debug)]
pub(super) enum Rows {
    /// Of lists with up to [`GROUP_LEN`] words of entries.
    Short(Box<[Group]>),
    /// Of longer ones.
    Long {
        /// One a row: bit `n` says that stripe `n` of the row is not zero.
        summaries: Box<[u64]>,
        groups: Box<[Group]>,
        /// Groups in each row.
        row_len: usize,
        /// Words that a bit of the summary stands for: one, or whole groups.
        stripe_len: usize,
    },
}

/// Words of a row that are looked at together.
pub(super) type Group = [u64; GROUP_LEN];

/// How a chunk, or one byte of it, is looked up.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) chunk: usize,
    /// The row of class 0.
    pub(super) first_row: usize,
    /// High byte to where its page starts in [`Tables::classes`].
    pub(super) page_of: [u32; 256],
}

/// One rule, or one of the products that it was cut into.
#[derive(Clone, Copy, Debug)]
struct Entry {
    rule: usize,
    /// Of each field that is cut: which product.
    picks: [u8; field::COUNT_MAX],
}

/// A chunk of a field, or one byte of it.
#[derive(Clone, Copy, Debug)]
struct Cut {
    chunk: usize,
    field: usize,
    /// The first byte in the field.
    start: usize,
    bytes: usize,
}

impl Tables {
    /// The tables for rules on fields of these widths, and which rule each entry stands for,
    /// ascending. `rows_bytes_max` is [`ROWS_BYTES_MAX`] but in tests.
    pub(super) fn build(
        widths: &[usize],
        rules: &[Box<[Condition]>],
        rows_bytes_max: usize,
    ) -> (Self, Vec<usize>) {
        let chunks = widths
            .iter()
            .enumerate()
            .flat_map(|(field, width)| (0..*width).step_by(2).map(move |start| (field, start)));
        let cut = |(chunk, (field, start))| Cut { chunk, field, start, bytes: 2 };
        let asked = |cut: &Cut| rules.iter().any(|rule| asks(&rule[cut.field], cut));
        let mut cuts: Vec<Cut> = chunks.enumerate().map(cut).filter(asked).collect();
        // Each round halves one piece, and single bytes always fit.
        loop {
            let entries = expand(rules, &cuts);
            match pages(rules, &entries, &cuts, rows_bytes_max) {
                Ok(pages) => {
                    let tables = Self::lay_out(&cuts, pages, entries.len());
                    return (tables, entries.iter().map(|entry| entry.rule).collect());
                }
                Err(too_large) => {
                    let high = &mut cuts[too_large];
                    high.bytes = 1;
                    let low = Cut { start: high.start + 1, ..*high };
                    cuts.insert(too_large + 1, low);
                }
            }
        }
    }

    fn lay_out(cuts: &[Cut], found: Vec<Pages>, entries: usize) -> Self {
        let (mut pieces, mut pages, mut words) = (Vec::new(), Vec::new(), Vec::new());
        let row_len = groups(entries) * GROUP_LEN;
        for (cut, found) in cuts.iter().zip(found) {
            let first_page = pages.len();
            let page_of = found.page_of.map(|page| (first_page + usize::from(page) * 256) as u32);
            let first_row = words.len() / row_len;
            pieces.push(Piece { chunk: cut.chunk, first_row, page_of });
            pages.extend(found.pages.as_flattened());
            words.extend(found.classes.rows().flatten());
        }
        Self { pieces: pieces.into(), classes: pages.into(), rows: Rows::of(words, row_len) }
    }

    /// What the tables take, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let pages = size_of_val(&*self.classes) + size_of_val(&*self.pieces);
        pages
            + match &self.rows {
                Rows::Short(groups) => size_of_val(&**groups),
                Rows::Long { summaries, groups, .. } => {
                    size_of_val(&**summaries) + size_of_val(&**groups)
                }
            }
    }
}

impl Rows {
    /// Rows of this many words, one after the other.
    fn of(words: Vec<u64>, row_len: usize) -> Self {
        let groups = words.as_chunks().0.into();
        if row_len == GROUP_LEN {
            return Self::Short(groups);
        }
        let stripe_len = match row_len.div_ceil(64) {
            1 => 1,
            words => words.next_multiple_of(GROUP_LEN),
        };
        let summary = |row: &[u64]| {
            let stripes = row.chunks(stripe_len).enumerate();
            let used = stripes.filter(|(_, stripe)| stripe.iter().any(|word| *word != 0));
            used.fold(0, |summary, (at, _)| summary | 1 << at)
        };
        let summaries = words.chunks(row_len).map(summary).collect();
        Self::Long { summaries, groups, row_len: row_len / GROUP_LEN, stripe_len }
    }
}

/// Whether a condition says something of these bytes of its field.
fn asks(condition: &Condition, cut: &Cut) -> bool {
    let bytes = cut.start..cut.start + cut.bytes;
    match condition {
        Condition::Any => false,
        Condition::Union(products) => {
            products.iter().any(|product| product[bytes.clone()].iter().any(|s| *s != ByteSet::ALL))
        }
    }
}

/// The entries of the rules: several of one rule when a field has several products, which then is
/// one chunk, and the chunk is cut in bytes.
fn expand(rules: &[Box<[Condition]>], cuts: &[Cut]) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(rules.len());
    for (rule, conditions) in rules.iter().enumerate() {
        let start = entries.len();
        entries.push(Entry { rule, picks: [0; field::COUNT_MAX] });
        // The high byte stands for both.
        for cut in cuts.iter().filter(|cut| cut.bytes == 1 && cut.start % 2 == 0) {
            let Condition::Union(products) = &conditions[cut.field] else { continue };
            let so_far = start..entries.len();
            for pick in 1..products.len() {
                for at in so_far.clone() {
                    let mut entry: Entry = entries[at];
                    entry.picks[cut.field] = pick as u8;
                    entries.push(entry);
                }
            }
        }
    }
    entries
}

/// The pages of each piece, or the number of one that is too large.
fn pages(
    rules: &[Box<[Condition]>],
    entries: &[Entry],
    cuts: &[Cut],
    rows_bytes_max: usize,
) -> Result<Vec<Pages>, usize> {
    let row_bytes = 8 * GROUP_LEN * groups(entries.len());
    // Prefixes and ranges have two ends each. A chunk in which there are more classes than that has
    // wildcards that are not contiguous, and the next rule could double them.
    let classes_max = (2 * entries.len() + 1).max(1024).min(rows_bytes_max / row_bytes);
    let build = |(at, cut): (usize, &Cut)| {
        let classes_max = if cut.bytes == 1 { 256 } else { classes_max };
        pages_of(rules, entries, cut, classes_max).map_err(|TooLarge| at)
    };
    cuts.iter().enumerate().map(build).collect()
}

fn pages_of(
    rules: &[Box<[Condition]>],
    entries: &[Entry],
    cut: &Cut,
    classes_max: usize,
) -> Result<Pages, TooLarge> {
    let mut free = Bits::new(entries.len());
    let mut asks = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let Condition::Union(products) = &rules[entry.rule][cut.field] else {
            free.set(at);
            continue;
        };
        let pick = usize::from(entry.picks[cut.field]);
        let products = if cut.bytes == 1 { &products[pick..=pick] } else { &products[..] };
        for product in products {
            let (high, low) = match (cut.bytes, cut.start % 2) {
                (1, 0) => (product[cut.start], ByteSet::ALL),
                (1, _) => (ByteSet::ALL, product[cut.start]),
                _ => (product[cut.start], product[cut.start + 1]),
            };
            if high == ByteSet::ALL && low == ByteSet::ALL {
                free.set(at);
            } else {
                asks.push(Ask { entry: at, high, low });
            }
        }
    }
    Pages::build(&free, &asks, classes_max)
}
