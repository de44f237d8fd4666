//! The configuration language, NX-OS's: text to [`Config`] and back.
//!
//! ```text
//! text --lex--> lines of words --read--> blocks and commands --(setting, edit, ...)--> Config
//!                                 \--> problems with line and column     \--> Spans
//! Config --print--> text
//! ```
//!
//! A text is applied over a base as if it were typed there: commands add, replace, or with `no`
//! and `default` take away. What a text leaves out stays as it was.
//!
//! Invariants: `parse(print(x)) == x`; `apply(x, "") == x`; no text makes it panic; a text with a
//! problem changes nothing, and all its problems are reported at once. Unknown words are problems.
//! Indentation means nothing: a block ends with `exit`, `end` or the next command that stands
//! outside of blocks. Keywords may be abbreviated as long as one alone begins so.
//!
//! Not here: whether the outcome makes sense (`validate`); defaults and inheritance (`resolve`).

mod access_list;
mod block;
mod cursor;
mod edit;
mod entry;
mod entry_text;
mod interface;
mod lex;
mod names;
mod nearest;
mod print;
mod read;
mod render;
mod setting;
mod teaming;
mod value;

#[cfg(test)]
mod tests;

pub use cursor::Expected;
pub use entry_text::print_entry;
pub use print::{Line as PrintedLine, Section, print, sections, setting_lines};
pub use render::render;

pub(crate) use cursor::list;
pub(crate) use nearest::nearest;
pub(crate) use print::{nic_list, vlan_list};
pub(crate) use read::Broken;

use crate::acl::{AclKind, Entry, Sequence};
use crate::config::Config;
use crate::place::Spans;
use crate::problem::Problem;

/// The longest text, in bytes: what bounds the work of reading one. 64 access lists of 1,000 long
/// entries are 8 MiB.
pub const TEXT_LEN_MAX: usize = 16 << 20;
/// The longest line, in characters; the longest VLAN list has 10,240.
pub const LINE_LEN_MAX: usize = 16_384;
/// The most entries of one access list.
pub const ENTRIES_MAX: usize = 16_384;
/// The most access lists.
pub const ACLS_MAX: usize = 4_096;
/// The most port-profiles.
pub const PROFILES_MAX: usize = 4_096;
/// The most interfaces with settings of their own.
pub const INTERFACES_MAX: usize = 16_384;
/// How many times a text may touch an object (a line for 100 interfaces touches 100): far more
/// than any sensible text does, and little enough to be done in seconds.
pub const WORK_MAX: usize = 16 << 20;
/// How many problems are reported before reading stops.
pub const PROBLEMS_MAX: usize = 200;

/// What a text makes of a configuration.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The outcome.
    pub config: Config,
    /// Where the text speaks of which part of it.
    pub spans: Spans,
}

/// Reads a whole configuration: [`apply`] on a switch out of the box.
///
/// # Errors
/// All problems of the text, in its order.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    apply(&Config::default(), text)
}

/// Applies a text over a configuration.
///
/// # Errors
/// All problems of the text, in its order. Whether the outcome makes sense is not looked at.
pub fn apply(base: &Config, text: &str) -> Result<Config, Vec<Problem>> {
    read(base, text).map(|parsed| parsed.config)
}

/// Applies a text over a configuration and says where its parts stand, so that
/// [`validate_at`](crate::validate::validate_at) can point at them.
///
/// # Errors
/// As [`apply`].
pub fn read(base: &Config, text: &str) -> Result<Parsed, Vec<Problem>> {
    let (parsed, problems, _) = read_leniently(base, text);
    if problems.is_empty() { Ok(parsed) } else { Err(problems) }
}

/// Applies what can be read of a text; with the problems, and what may be missing for them.
pub(crate) fn read_leniently(base: &Config, text: &str) -> (Parsed, Vec<Problem>, Broken) {
    let mut reader = read::Reader::new(base);
    if text.len() > TEXT_LEN_MAX {
        reader.problems.push(Problem {
            span: None,
            path: String::new(),
            message: format!("a text of {} bytes is too long", text.len()),
            hint: format!("at most {TEXT_LEN_MAX} bytes can be applied at once"),
        });
    } else {
        for line in lex::lines(text) {
            if !reader.line(&line) {
                break;
            }
        }
    }
    let parsed = Parsed { config: reader.config, spans: reader.spans };
    (parsed, reader.problems, reader.broken)
}

/// What could come next behind the unfinished last line of a text: for completion and help. The
/// last line is taken as it stands, so it must end before the word that is being typed. Empty
/// when the line has a mistake already.
#[must_use]
pub fn expected_next(base: &Config, text: &str) -> Vec<Expected> {
    let (before, last) = text.rsplit_once('\n').map_or(("", text), |(b, l)| (b, l));
    let mut reader = read::Reader::new(base);
    if text.len() > TEXT_LEN_MAX {
        return Vec::new();
    }
    for line in lex::lines(before) {
        reader.line(&line);
        reader.problems.clear();
    }
    reader.expected_at_end(&lex::Line::new(1, last))
}

/// Reads one entry of an access list as [`print_entry`] writes it, the number included.
///
/// # Errors
/// The text is not an entry of a list of this kind, or has no number.
pub fn parse_entry(kind: AclKind, text: &str) -> Result<(Sequence, Entry), Problem> {
    let line = lex::Line::new(1, text);
    let mut cursor = cursor::Cursor::new(&line);
    let Some(sequence) = entry::sequence(&mut cursor)? else { return Err(cursor.unexpected()) };
    Ok((sequence, entry::entry(&mut cursor, kind)?))
}
