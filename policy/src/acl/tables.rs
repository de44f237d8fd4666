//! The tables of a compiled list, laid out for the search.
//!
//! Each field that some rule asks about is a *piece* with a trie, which finds the class of the
//! frame's value (see `trie`); a class has a row with a bit for each entry that accepts it. Long rows
//! are saved by *joins*: a small table that makes one class of two, where it stays small.
//!
//! Where it sits: `compile` builds it from [`Condition`]s, `eval` searches it. Invariants: all
//! positions in the tables are in range; rows of one list have one length.
//!
//! # Bounds
//!
//! A trie has at most [`PAGES_MAX`] pages and rows of `rows_bytes_max`. A field that would need more
//! (thousands of rules with wildcards that are not contiguous) is cut in two pieces, down to single
//! bytes, which have one page and 256 classes at most. A port range is no product of bytes, so a rule
//! with ranges becomes up to three entries for each port that is cut; they stand together.

use super::condition::{ByteSet, Condition, field};
use super::trie::{Ask, Bits, Child, Classes, Limits, TooLarge, Trie};

/// Rows of more words than this have summaries. Fewer are searched as they are, without a branch
/// that depends on the frame.
const PLAIN_WORDS_MAX: usize = 4;

/// Long rows are made of blocks: a summary word, of which bit `n` says that word `n` behind it is not
/// zero, and 64 words. The last block may be shorter.
pub(super) const BLOCK_LEN: usize = 65;

/// What the rows of one piece or join may take: 4,000 rules on random hosts need 4 MiB.
pub(super) const ROWS_BYTES_MAX: usize = 4 << 20;

/// Pages of 1 KiB in one trie: 1,000 random IPv4 hosts need 2,500.
const PAGES_MAX: usize = 4096;

/// Cells of 2 bytes in one join: the table stays in the first level of the cache with its rows.
const JOIN_CELLS_MAX: usize = 8192;

/// The tables of one list.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) pieces: Box<[Piece]>,
    /// Nodes of all tries: see [`node`].
    pub(super) nodes: Box<[u32]>,
    pub(super) joins: Box<[Join]>,
    /// Cells of all joins.
    pub(super) joined: Box<[u16]>,
    pub(super) rows: Box<[Rows]>,
    /// Rows of all pieces.
    pub(super) words: Box<[u64]>,
    /// Words in each row, summaries included.
    pub(super) row_len: usize,
    /// Rows have summaries.
    pub(super) summaries: bool,
}

/// How a field, or a part of one, is looked up.
#[derive(Debug)]
pub(super) struct Piece {
    /// The root of its trie.
    pub(super) root: u32,
    /// The node of class 0; those of the others follow.
    pub(super) class_node: u32,
    pub(super) field: u8,
    /// The leading bits of the field that are not looked at.
    pub(super) skipped_bits: u8,
    /// How many bytes are looked at.
    pub(super) bytes: u8,
}

/// Two pieces of which one class is made; it replaces the class of the first.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) first: u8,
    pub(super) second: u8,
    /// How many classes the second has.
    pub(super) stride: u32,
    /// The cell of class 0 with class 0.
    pub(super) start: usize,
}

/// The rows of a piece that is still there after the joins.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) piece: u8,
    /// The first word of the row of class 0.
    pub(super) start: usize,
}

/// A node as a word: where its children start, and which bits of the next byte choose one of them:
/// all for a page. A class is a node whose only child is itself, so that every search can take the
/// same number of steps.
const fn node(children: usize, byte_mask: u8) -> u32 {
    (children as u32) << 8 | byte_mask as u32
}

/// One rule, or one of the products that it was cut into.
#[derive(Clone, Copy, Debug)]
struct Entry {
    rule: usize,
    /// Of each field that is cut: which product.
    picks: [u8; field::COUNT_MAX],
}

/// Bytes of a field.
#[derive(Clone, Copy, Debug)]
struct Cut {
    field: usize,
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
        let asked = |field: &usize| rules.iter().any(|rule| rule[*field] != Condition::Any);
        let whole = |field: usize| Cut { field, start: 0, bytes: widths[field] };
        let mut cuts: Vec<Cut> = (0..widths.len()).filter(asked).map(whole).collect();
        // Each round halves one piece, and single bytes always fit.
        loop {
            let entries = expand(rules, widths, &cuts);
            match tries(rules, &entries, &cuts, rows_bytes_max) {
                Ok(tries) => {
                    let tables = Self::lay_out(&cuts, tries, entries.len(), rows_bytes_max);
                    return (tables, entries.iter().map(|entry| entry.rule).collect());
                }
                Err(too_large) => {
                    let cut = &mut cuts[too_large];
                    let half = cut.bytes / 2;
                    let second = Cut { start: cut.start + half, bytes: cut.bytes - half, ..*cut };
                    cut.bytes = half;
                    cuts.insert(too_large + 1, second);
                }
            }
        }
    }

    fn lay_out(cuts: &[Cut], tries: Vec<Trie>, entries: usize, rows_bytes_max: usize) -> Self {
        let words = entries.div_ceil(64).max(1);
        let summaries = words > PLAIN_WORDS_MAX;
        let row_len = if summaries { words + words.div_ceil(64) } else { words };
        let mut nodes = Vec::new();
        let pack = |(cut, trie): (&Cut, &Trie)| pack(*cut, trie, &mut nodes);
        let pieces = cuts.iter().zip(&tries).map(pack).collect();
        let mut classes = tries.into_iter().map(|trie| Some(trie.classes)).collect::<Vec<_>>();
        let (mut joins, mut joined) = (Vec::new(), Vec::new());
        if summaries {
            let classes_max = (rows_bytes_max / 8 / words).min(usize::from(u16::MAX));
            join_pieces(&mut classes, &mut joins, &mut joined, classes_max);
        }
        let (mut rows, mut row_words) = (Vec::new(), Vec::new());
        for (piece, classes) in classes.iter().enumerate() {
            let Some(classes) = classes else { continue };
            rows.push(Rows { piece: piece as u8, start: row_words.len() });
            for row in classes.rows() {
                if summaries {
                    write_blocks(row, &mut row_words);
                } else {
                    row_words.extend(row);
                }
            }
        }
        Self {
            pieces,
            nodes: nodes.into(),
            joins: joins.into(),
            joined: joined.into(),
            rows: rows.into(),
            words: row_words.into(),
            row_len,
            summaries,
        }
    }

    /// What the tables take, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let words = size_of_val(&*self.words) + size_of_val(&*self.nodes);
        words + size_of_val(&*self.joined) + size_of_val(&*self.pieces)
    }
}

/// The entries of the rules: several of one rule when a field that is cut has several products.
fn expand(rules: &[Box<[Condition]>], widths: &[usize], cuts: &[Cut]) -> Vec<Entry> {
    let is_cut = |field: usize| cuts.iter().any(|c| c.field == field && c.bytes != widths[field]);
    let cut_fields: Vec<usize> = (0..widths.len()).filter(|field| is_cut(*field)).collect();
    let mut entries = Vec::with_capacity(rules.len());
    for (rule, conditions) in rules.iter().enumerate() {
        let start = entries.len();
        entries.push(Entry { rule, picks: [0; field::COUNT_MAX] });
        for field in &cut_fields {
            let Condition::Union(products) = &conditions[*field] else { continue };
            let so_far = start..entries.len();
            for pick in 1..products.len() {
                for at in so_far.clone() {
                    let mut entry: Entry = entries[at];
                    entry.picks[*field] = pick as u8;
                    entries.push(entry);
                }
            }
        }
    }
    entries
}

/// A trie for each piece, or the number of one that is too large.
fn tries(
    rules: &[Box<[Condition]>],
    entries: &[Entry],
    cuts: &[Cut],
    rows_bytes_max: usize,
) -> Result<Vec<Trie>, usize> {
    let words = entries.len().div_ceil(64).max(1);
    // Prefixes and ranges have two ends each, and a page for each byte but the first. A field that
    // needs more has wildcards that are not contiguous, and the next rule could double it.
    let classes = (2 * entries.len() + 1).max(1024).min(rows_bytes_max / 8 / words);
    let limits = |cut: &Cut| match cut.bytes {
        1 => Limits { pages: 1, classes: 256 },
        bytes => Limits {
            pages: (entries.len() * (bytes - 1) + 64).min(PAGES_MAX),
            classes: classes.min(usize::from(u16::MAX)),
        },
    };
    let whole = |cut: &Cut| !cuts.iter().any(|c| c.field == cut.field && c.start != cut.start);
    let build = |(at, cut): (usize, &Cut)| {
        trie(rules, entries, cut, whole(cut), limits(cut)).map_err(|TooLarge| at)
    };
    cuts.iter().enumerate().map(build).collect()
}

fn trie(
    rules: &[Box<[Condition]>],
    entries: &[Entry],
    cut: &Cut,
    whole: bool,
    limits: Limits,
) -> Result<Trie, TooLarge> {
    let mut free = Bits::new(entries.len());
    let mut asks = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let Condition::Union(products) = &rules[entry.rule][cut.field] else {
            free.set(at);
            continue;
        };
        let pick = usize::from(entry.picks[cut.field]);
        let products = if whole { &products[..] } else { &products[pick..=pick] };
        for product in products {
            let bytes = &product[cut.start..cut.start + cut.bytes];
            if bytes.iter().all(|set| *set == ByteSet::ALL) {
                free.set(at);
            } else {
                asks.push(Ask { entry: at, bytes });
            }
        }
    }
    Trie::build(&free, &asks, limits)
}

/// Appends the nodes of a trie: its classes, then its pages.
fn pack(cut: Cut, trie: &Trie, nodes: &mut Vec<u32>) -> Piece {
    let class_node = nodes.len();
    let pages = class_node + trie.classes.len();
    let word = |child: Child| match child {
        Child::Class(class) => node(class_node + usize::from(class), 0),
        Child::Page(page) => node(pages + page as usize * 256, u8::MAX),
    };
    nodes.extend((class_node..pages).map(|own| node(own, 0)));
    nodes.extend(trie.pages.as_flattened().iter().copied().map(word));
    Piece {
        root: word(trie.root),
        class_node: class_node as u32,
        field: cut.field as u8,
        skipped_bits: cut.start as u8 * 8,
        bytes: cut.bytes as u8,
    }
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
        let (stride, start) = (b.len() as u32, joined.len());
        joins.push(Join { first: first as u8, second: second as u8, stride, start });
        joined.extend(cells);
        (classes[first], classes[second]) = (Some(both), None);
    }
}

/// Appends a row with a summary before each 64 words.
fn write_blocks(row: &[u64], words: &mut Vec<u64>) {
    for block in row.chunks(BLOCK_LEN - 1) {
        let used = block.iter().enumerate().filter(|(_, word)| **word != 0);
        words.push(used.fold(0, |summary, (at, _)| summary | 1 << at));
        words.extend(block);
    }
}
