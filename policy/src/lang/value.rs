//! Values that stand in several kinds of lines: numbers, names, addresses, text.

use std::ops::RangeInclusive;
use std::str::FromStr;

use proto::{MacAddr, TypeError};

use super::cursor::Cursor;
use super::lex::count;
use crate::config::{Name, is_printable};
use crate::problem::{Problem, Span};
use crate::vlan_set::{VlanSet, VlanSetError};

/// Whether a word is a number.
pub(super) fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Reads a number with a checked type, when the next word is a number.
pub(super) fn option_number<T>(
    cursor: &mut Cursor<'_, '_>,
    what: &'static str,
    check: impl FnOnce(u32) -> Result<T, TypeError>,
) -> Result<Option<T>, Problem> {
    cursor.option_value(what, |text| {
        digits(text).then(|| match text.parse() {
            Ok(number) => check(number).map_err(|e| e.to_string()),
            Err(_) => Err(format!("{text} is out of range, expected {what}")),
        })
    })
}

/// Reads a number with a checked type.
pub(super) fn number<T>(
    cursor: &mut Cursor<'_, '_>,
    what: &'static str,
    check: impl FnOnce(u32) -> Result<T, TypeError>,
) -> Result<T, Problem> {
    match option_number(cursor, what, check)? {
        Some(value) => Ok(value),
        None => Err(cursor.unexpected()),
    }
}

/// Reads a number in a range, when the next word is a number.
pub(super) fn option_ranged<T: FromStr + PartialOrd>(
    cursor: &mut Cursor<'_, '_>,
    what: &'static str,
    range: RangeInclusive<T>,
) -> Result<Option<T>, Problem> {
    cursor.option_value(what, |text| {
        digits(text).then(|| match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(format!("{text} is out of range, expected {what}")),
        })
    })
}

/// Reads a number in a range.
pub(super) fn ranged<T: FromStr + PartialOrd>(
    cursor: &mut Cursor<'_, '_>,
    what: &'static str,
    range: RangeInclusive<T>,
) -> Result<T, Problem> {
    match option_ranged(cursor, what, range)? {
        Some(number) => Ok(number),
        None => Err(cursor.unexpected()),
    }
}

/// Reads the name of an object.
pub(super) fn name(cursor: &mut Cursor<'_, '_>, what: &'static str) -> Result<Name, Problem> {
    cursor.value(what, |text| Some(text.parse::<Name>().map_err(|e| e.to_string())))
}

/// A MAC address, when a word looks like one.
pub(super) fn mac(text: &str) -> Option<Result<MacAddr, String>> {
    let meant = text.contains(['.', ':', '-']) && text.starts_with(|c: char| c.is_ascii_hexdigit());
    meant.then(|| text.parse::<MacAddr>().map_err(|e| e.to_string()))
}

/// Reads a VLAN list of numbers and ranges, not empty.
pub(super) fn vlan_list(cursor: &mut Cursor<'_, '_>) -> Result<VlanSet, Problem> {
    cursor.value("a VLAN list such as 10,20-22", |text| {
        text.starts_with(|c: char| c.is_ascii_digit())
            .then(|| text.parse().map_err(|e: VlanSetError| e.to_string()))
    })
}

/// Reads the rest of the line as text of printable characters.
pub(super) fn printable(
    cursor: &mut Cursor<'_, '_>,
    what: &'static str,
    len_max: usize,
) -> Result<String, Problem> {
    let text = cursor.free_text(what)?;
    let whole = cursor.line().span(&text);
    if let Some((i, c)) = (0u32..).zip(text.text.chars()).find(|(_, c)| !is_printable(*c)) {
        let span = Span { column: whole.column + i, length: 1, ..whole };
        let message = format!("the character U+{:04X} cannot be seen", u32::from(c));
        let hint = "write visible characters and blanks only";
        return Err(super::cursor::problem_at(span, message, hint));
    }
    let length = count(text.text);
    if usize::try_from(length).is_ok_and(|length| length > len_max) {
        let message = format!("{what} of {length} characters is too long");
        let hint = format!("write at most {len_max} characters");
        return Err(super::cursor::problem_at(whole, message, hint));
    }
    Ok(text.text.to_owned())
}
