//! Access lists: the heading, the lines under it, and `resequence`.

use std::collections::BTreeMap;

use super::cursor::{Cursor, problem_at};
use super::entry;
use super::entry_text::print_entry;
use super::nearest::nearest;
use super::read::{Block, BlockHead, Reader};
use super::{ACLS_MAX, ENTRIES_MAX, value};
use crate::acl::{Acl, AclKind, Entry, Sequence};
use crate::config::Name;
use crate::place::Place;
use crate::problem::{Problem, Span};

/// The distance of numbers that are not given.
const STEP: Sequence = 10;
/// The highest number of an entry.
const SEQUENCE_MAX: Sequence = Sequence::MAX - 1;

impl Reader {
    /// `ip access-list NAME`.
    pub(super) fn access_list(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        kind: AclKind,
    ) -> Result<(), Problem> {
        let before = self.broken;
        self.open_broken(Block::Acl(kind, None));
        cursor.keyword("access-list")?;
        let name = value::name(cursor, "the name of an access list")?;
        let span = cursor.span_before();
        cursor.finish()?;
        let full = self.config.acls.len() >= ACLS_MAX;
        match self.config.acls.get(&name) {
            Some(old) if old.kind != kind => return Err(other_kind(span, &name, old.kind)),
            Some(_) => {}
            None if full => {
                return Err(problem_at(span, format!("more than {ACLS_MAX} access lists"), ""));
            }
            None => {
                self.config.acls.insert(name.clone(), Acl::new(kind));
            }
        }
        self.spans.set(Place::Acl(kind, name.clone()), span);
        self.broken = before;
        self.block = Block::Acl(kind, Some(name));
        Ok(())
    }

    /// `no ip access-list NAME`.
    pub(super) fn no_access_list(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        kind: AclKind,
    ) -> Result<(), Problem> {
        let name = self.existing_access_list(cursor, kind)?;
        cursor.finish()?;
        self.config.acls.remove(&name);
        self.entered.remove(&name);
        Ok(())
    }

    /// Reads `access-list NAME` of a list that exists.
    fn existing_access_list(
        &self,
        cursor: &mut Cursor<'_, '_>,
        kind: AclKind,
    ) -> Result<Name, Problem> {
        cursor.keyword("access-list")?;
        let name = value::name(cursor, "the name of an access list")?;
        let span = cursor.span_before();
        match self.config.acls.get(&name) {
            Some(old) if old.kind != kind => Err(other_kind(span, &name, old.kind)),
            Some(_) => Ok(name),
            None => {
                let near = nearest(name.as_str(), self.config.acls.keys().map(Name::as_str));
                let hint = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
                Err(problem_at(span, format!("there is no {kind} access-list `{name}`"), hint))
            }
        }
    }

    /// `resequence ip access-list NAME START STEP`.
    pub(super) fn resequence(&mut self, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
        let kinds = AclKind::ALL.map(|kind| (word(kind), kind));
        let kind = cursor.choose(&kinds)?;
        let name = self.existing_access_list(cursor, kind)?;
        self.touch(self.config.acls.get(&name).map_or(0, |acl| acl.entries.len()));
        let start = number(cursor, "the first number")?;
        let step = number(cursor, "the step")?;
        cursor.finish()?;
        let Some(acl) = self.config.acls.get_mut(&name) else { return Ok(()) };
        let last = u64::from(start)
            + u64::from(step) * u64::try_from(acl.entries.len().saturating_sub(1)).unwrap_or(0);
        if last > u64::from(SEQUENCE_MAX) {
            let message = format!("the last entry would have number {last}");
            return Err(cursor.problem_before(message, "numbers end at 4294967294"));
        }
        let entries = std::mem::take(&mut acl.entries);
        // The last number was checked above; no number behind it is asked for.
        let numbers = (0..).map(|i: Sequence| start + i * step);
        acl.entries = entries.into_values().zip(numbers).map(|(e, number)| (number, e)).collect();
        self.entered.remove(&name);
        Ok(())
    }

    /// A line of an access list.
    pub(super) fn acl_line(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        kind: AclKind,
        name: Option<Name>,
        heads: &[(&'static str, BlockHead)],
    ) -> Result<(), Problem> {
        if let Some(sequence) = entry::sequence(cursor)? {
            let span = cursor.span_before();
            let entry = entry::entry(cursor, kind)?;
            return self.enter(kind, name, Some((sequence, span)), entry, cursor);
        }
        match self.choose_head(cursor, heads)? {
            BlockHead::Leave => {
                cursor.finish()?;
                self.block = Block::Top;
                Ok(())
            }
            BlockHead::Entry => {
                cursor.rewind(0);
                let entry = entry::entry(cursor, kind)?;
                self.enter(kind, name, None, entry, cursor)
            }
            BlockHead::Statistics => self.statistics(cursor, kind, name, true),
            BlockHead::No => self.no_acl_line(cursor, kind, name, heads),
            _ => Err(cursor.unexpected()),
        }
    }

    fn statistics(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        kind: AclKind,
        name: Option<Name>,
        on: bool,
    ) -> Result<(), Problem> {
        cursor.keyword("per-entry")?;
        cursor.finish()?;
        let Some(name) = name else { return Ok(()) };
        if let Some(acl) = self.config.acls.get_mut(&name) {
            acl.statistics = on;
        }
        self.spans.set(Place::AclStatistics(kind, name), cursor.span_before());
        Ok(())
    }

    /// `no 10`, `no 10 permit ...`, `no permit ...`, `no statistics per-entry`.
    fn no_acl_line(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        kind: AclKind,
        name: Option<Name>,
        heads: &[(&'static str, BlockHead)],
    ) -> Result<(), Problem> {
        let start = cursor.span_to_end();
        let sequence = entry::sequence(cursor)?;
        let entry = match (sequence, cursor.peek()) {
            (Some(_), None) => None,
            (Some(_), Some(_)) => Some(entry::entry(cursor, kind)?),
            (None, _) => {
                let position = cursor.position();
                match cursor.choose(&super::read::without_senses(heads))? {
                    BlockHead::Statistics => return self.statistics(cursor, kind, name, false),
                    _ => {
                        cursor.rewind(position);
                        Some(entry::entry(cursor, kind)?)
                    }
                }
            }
        };
        let Some(name) = name else { return Ok(()) };
        if sequence.is_none() {
            self.touch_search(&name);
        }
        let Some(acl) = self.config.acls.get_mut(&name) else { return Ok(()) };
        let fits = |(number, old): &(&Sequence, &Entry)| {
            sequence.is_none_or(|s| s == **number) && entry.as_ref().is_none_or(|e| e == *old)
        };
        let found = match sequence {
            Some(number) => acl.entries.get_key_value(&number).filter(fits),
            None => acl.entries.iter().find(fits),
        };
        let Some(number) = found.map(|(number, _)| *number) else {
            let message = match (sequence, entry) {
                (Some(number), Some(_)) => match acl.entries.get(&number) {
                    Some(old) => {
                        format!("the entry is `{}`, not this one", print_entry(kind, number, old))
                    }
                    None => format!("there is no entry {number}"),
                },
                (Some(number), None) => format!("there is no entry {number}"),
                (None, _) => "there is no such entry".to_owned(),
            };
            return Err(problem_at(start, message, ""));
        };
        acl.entries.remove(&number);
        if let Some(entered) = self.entered.get_mut(&name) {
            entered.remove(&number);
        }
        Ok(())
    }

    /// Counts a search through a list; looking at an entry is far less than changing an object.
    fn touch_search(&mut self, name: &Name) {
        let entries = self.config.acls.get(name).map_or(0, |acl| acl.entries.len());
        self.touch(entries / 64);
    }

    /// Puts an entry into a list. With a number it takes the place of an entry from before this
    /// text. Without one, an entry that the list had before this text stays where it is, so that a
    /// file can be applied twice; a new one goes to the end.
    fn enter(
        &mut self,
        kind: AclKind,
        name: Option<Name>,
        sequence: Option<(Sequence, Span)>,
        entry: Entry,
        cursor: &Cursor<'_, '_>,
    ) -> Result<(), Problem> {
        let Some(name) = name else { return Ok(()) };
        if sequence.is_none() {
            self.touch_search(&name);
        }
        let Some(acl) = self.config.acls.get_mut(&name) else { return Ok(()) };
        let line = cursor.line();
        let entered = self.entered.entry(name.clone()).or_default();
        let number = match sequence {
            Some((number, span)) => {
                if let Some(first) = entered.get(&number) {
                    return Err(problem_at(
                        span,
                        format!("entry {number} stands twice, first in line {first}"),
                        "give it a number of its own",
                    ));
                }
                number
            }
            None => match old_place(acl, entered, &entry) {
                Some(number) => number,
                None => next_number(acl).ok_or_else(|| {
                    let hint = format!("renumber it: `resequence {kind} access-list {name} 10 10`");
                    problem_at(line.span_from(0), "no number is left behind the last entry", hint)
                })?,
            },
        };
        if acl.entries.len() >= ENTRIES_MAX && !acl.entries.contains_key(&number) {
            let message = format!("more than {ENTRIES_MAX} entries");
            return Err(problem_at(line.span_from(0), message, "use several access lists"));
        }
        entered.insert(number, line.number);
        acl.entries.insert(number, entry);
        self.spans.set(Place::AclEntry(kind, name, number), line.span_from(0));
        Ok(())
    }
}

/// The number of an equal entry that was there before this text.
fn old_place(acl: &Acl, entered: &BTreeMap<Sequence, u32>, entry: &Entry) -> Option<Sequence> {
    if acl.entries.len() == entered.len() {
        return None;
    }
    let old = |number: &Sequence| !entered.contains_key(number);
    acl.entries.iter().find(|(number, e)| *e == entry && old(number)).map(|(number, _)| *number)
}

fn next_number(acl: &Acl) -> Option<Sequence> {
    match acl.entries.last_key_value() {
        None => Some(STEP),
        Some((last, _)) => last.checked_add(STEP).filter(|number| *number <= SEQUENCE_MAX),
    }
}

fn number(cursor: &mut Cursor<'_, '_>, what: &'static str) -> Result<Sequence, Problem> {
    match cursor.option_value(what, |_| None::<Result<(), String>>)? {
        Some(()) => Err(cursor.unexpected()),
        None => match entry::sequence(cursor)? {
            Some(number) => Ok(number),
            None => Err(cursor.unexpected()),
        },
    }
}

/// The first word of a kind's commands.
const fn word(kind: AclKind) -> &'static str {
    match kind {
        AclKind::Mac => "mac",
        AclKind::Ipv4 => "ip",
        AclKind::Ipv6 => "ipv6",
    }
}

fn other_kind(span: Span, name: &Name, kind: AclKind) -> Problem {
    let hint = format!("give it another name, or write `{kind} access-list {name}`");
    problem_at(span, format!("access list `{name}` is of kind {kind}"), hint)
}
