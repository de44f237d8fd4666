//! The tables of a compiled list, laid out for the search.
//!
//! Each chunk of two bytes that some rule asks about is a *piece*: pages find the class of the
//! frame's value, and a class has a row with a bit for each entry that accepts it. Long rows are
//! saved by *joins*: a small table that makes one class of two, where it stays small.
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
use super::pages::{Ask, Bits, Classes, GROUP_LEN, Pages, TooLarge, groups};

/// Rows of more groups than this have summaries. Fewer are searched one after the other: where all
/// fields of the rules overlap, a summary rules out little.
const PLAIN_GROUPS_MAX: usize = 8;

/// A long row is made of blocks: a group of which the first word is a summary, where bit `n` says
/// that group `n` behind it is not zero, and 64 groups. The last block may be shorter.
pub(super) const BLOCK_LEN: usize = 65;

/// What the rows of one piece or join may take: 4,000 rules on random hosts need 4 MiB.
pub(super) const ROWS_BYTES_MAX: usize = 4 << 20;

/// Cells of 2 bytes in one join: the table stays in the first level of the cache with its rows.
const JOIN_CELLS_MAX: usize = 8192;

/// The tables of one list.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) pieces: Box<[Piece]>,
    /// Pages of all pieces: low byte to class.
    pub(super) classes: Box<[u16]>,
    pub(super) joins: Box<[Join]>,
    /// Cells of all joins.
    pub(super) joined: Box<[u16]>,
    pub(super) rows: Box<[Rows]>,
    /// Rows of all pieces that are left.
    pub(super) groups: Box<[Group]>,
    /// Groups in each row, summaries included.
    pub(super) row_len: usize,
    /// Rows have summaries.
    pub(super) summaries: bool,
}

/// Words of a row that are looked at together.
pub(super) type Group = [u64; GROUP_LEN];

/// How a chunk, or one byte of it, is looked up.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) chunk: usize,
    /// Where the row of class 0 starts in [`Tables::groups`], if the piece is in no join.
    pub(super) rows: usize,
    /// High byte to where its page starts in [`Tables::classes`].
    pub(super) page_of: [u32; 256],
}

/// Two pieces of which one class is made; it replaces the class of the first.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) first: usize,
    pub(super) second: usize,
    /// How many classes the second has.
    pub(super) stride: usize,
    /// The cell of class 0 with class 0.
    pub(super) start: usize,
}

/// The rows of a piece that is left after the joins.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) piece: usize,
    /// Where the row of class 0 starts in [`Tables::groups`].
    pub(super) start: usize,
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
                    let tables = Self::lay_out(&cuts, pages, entries.len(), rows_bytes_max);
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

    fn lay_out(cuts: &[Cut], found: Vec<Pages>, entries: usize, rows_bytes_max: usize) -> Self {
        let row_groups = groups(entries);
        let summaries = row_groups > PLAIN_GROUPS_MAX;
        let summary_groups = if summaries { row_groups.div_ceil(BLOCK_LEN - 1) } else { 0 };
        let (mut pieces, mut pages, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for (cut, found) in cuts.iter().zip(found) {
            let first = pages.len();
            let page_of = found.page_of.map(|page| (first + usize::from(page) * 256) as u32);
            pieces.push(Piece { chunk: cut.chunk, rows: 0, page_of });
            pages.extend(found.pages.as_flattened());
            classes.push(Some(found.classes));
        }
        let (mut joins, mut joined) = (Vec::new(), Vec::new());
        if row_groups > 1 {
            let classes_max = rows_bytes_max / 8 / GROUP_LEN / row_groups;
            join_pieces(&mut classes, &mut joins, &mut joined, classes_max);
        }
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for (piece, classes) in classes.iter().enumerate() {
            let Some(classes) = classes else { continue };
            rows.push(Rows { piece, start: groups.len() });
            pieces[piece].rows = groups.len();
            classes.rows().for_each(|row| write_row(row, summaries, &mut groups));
        }
        Self {
            pieces: pieces.into(),
            classes: pages.into(),
            joins: joins.into(),
            joined: joined.into(),
            rows: rows.into(),
            groups: groups.into(),
            row_len: row_groups + summary_groups,
            summaries,
        }
    }

    /// What the tables take, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let pages = size_of_val(&*self.classes) + size_of_val(&*self.pieces);
        pages + size_of_val(&*self.joined) + size_of_val(&*self.groups)
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

/// Joins the two pieces with the fewest pairs of classes as long as there are two that have few.
fn join_pieces(
    classes: &mut [Option<Classes>],
    joins: &mut Vec<Join>,
    joined: &mut Vec<u16>,
    classes_max: usize,
) {
    loop {
        let of = |at: &usize| classes[*at].as_ref().map_or(usize::MAX, Classes::len);
        let mut left: Vec<usize> = (0..classes.len()).filter(|at| classes[*at].is_some()).collect();
        left.sort_by_key(of);
        let [first, second, ..] = left[..] else { return };
        let (Some(a), Some(b)) = (&classes[first], &classes[second]) else { return };
        if a.len() * b.len() > JOIN_CELLS_MAX {
            return;
        }
        let Ok((both, cells)) = Classes::join(a, b, classes_max) else { return };
        joins.push(Join { first, second, stride: b.len(), start: joined.len() });
        joined.extend(cells);
        (classes[first], classes[second]) = (Some(both), None);
    }
}

/// Appends a row, with a summary before each 64 groups if wanted.
fn write_row(row: &[u64], summaries: bool, groups: &mut Vec<Group>) {
    let (row, _) = row.as_chunks::<GROUP_LEN>();
    for block in row.chunks(BLOCK_LEN - 1) {
        if summaries {
            let used = block.iter().enumerate().filter(|(_, group)| **group != [0; GROUP_LEN]);
            let summary = used.fold(0, |summary, (at, _)| summary | 1 << at);
            let mut group = [0; GROUP_LEN];
            group[0] = summary;
            groups.push(group);
        }
        groups.extend(block);
    }
}
