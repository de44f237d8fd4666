//! Lists of interfaces: `Ethernet3/1`, `eth 3/1-2`, `Ethernet3/1, Vethernet5-7`.

use std::collections::BTreeSet;

use proto::{InterfaceName, ModuleId, VethId};

use super::cursor::{Cursor, Matched, list, match_keyword, problem_at, shorten};
use super::lex::count;
use crate::problem::{Problem, Span};

/// How many interfaces one command may name.
pub(super) const LIST_LEN_MAX: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ethernet,
    PortChannel,
    Vethernet,
}

const KINDS: [(&str, Kind); 3] = [
    ("ethernet", Kind::Ethernet),
    ("vethernet", Kind::Vethernet),
    ("port-channel", Kind::PortChannel),
];

/// Reads the rest of the line as a list of interfaces, each once, in the order written.
pub(super) fn interfaces(
    cursor: &mut Cursor<'_, '_>,
) -> Result<Vec<(InterfaceName, Span)>, Problem> {
    let Some(words) = cursor.line().words_from(cursor.position()) else {
        // Nothing there: `choose` finds that out and says what is missing.
        cursor.option_value::<()>("an interface such as Ethernet3/1", |_| None)?;
        return Err(cursor.unexpected());
    };
    let mut found: Vec<(InterfaceName, Span)> = Vec::new();
    let mut seen: BTreeSet<InterfaceName> = BTreeSet::new();
    let mut column = words.column;
    for item in words.text.split(',') {
        let blanks = count(item) - count(item.trim_start());
        let text = item.trim();
        let span = Span {
            line: cursor.line().number,
            column: column + blanks,
            length: count(text).max(1),
        };
        column += count(item) + 1;
        for name in range(text, span)? {
            if seen.insert(name) {
                found.push((name, span));
            }
            if found.len() > LIST_LEN_MAX {
                let message = format!("more than {LIST_LEN_MAX} interfaces in one command");
                return Err(problem_at(span, message, "use several commands"));
            }
        }
    }
    cursor.skip_rest();
    Ok(found)
}

/// One item of the list.
fn range(text: &str, span: Span) -> Result<Vec<InterfaceName>, Problem> {
    let bad = |hint: &str| {
        let shown = shorten(text);
        problem_at(span, format!("`{shown}` is not an interface"), hint)
    };
    let (word, numbers) =
        text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len()));
    let kind = match match_keyword(word.trim_end(), &KINDS) {
        Matched::One(kind) if !word.is_empty() => kind,
        Matched::Several(names) if !word.is_empty() => {
            let message = format!("`{}` is ambiguous: {}", word.trim_end(), list(&names, "or"));
            return Err(problem_at(span, message, "write more letters of the word you mean"));
        }
        _ => return Err(bad("expected `ethernet` MODULE/NIC or `vethernet` N")),
    };
    let (prefix, numbers) = match (kind, numbers.split_once('/')) {
        (Kind::Ethernet, Some((module, nics))) => (Some(module), nics),
        (Kind::Ethernet, None) => return Err(bad("expected `ethernet` MODULE/NIC")),
        (_, Some(_)) => return Err(bad("only `ethernet` has a module number")),
        (_, None) => (None, numbers),
    };
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |digits: &str| -> Result<u32, Problem> {
        // A number of more than nine digits is out of every range.
        match digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
            true => Ok(digits.parse().unwrap_or(u32::MAX)),
            false => Err(bad("expected a number, or a range such as 1-4")),
        }
    };
    let (first, last) = (number(first)?, number(last)?);
    let module = prefix.map(number).transpose()?;
    if last < first {
        return Err(bad("the range ends before it starts"));
    }
    if usize::try_from(last - first).map_or(true, |n| n >= LIST_LEN_MAX) && first != last {
        let message = format!("more than {LIST_LEN_MAX} interfaces in one command");
        return Err(problem_at(span, message, "use several commands"));
    }
    (first..=last).map(|n| one(kind, module, n, span)).collect()
}

fn one(kind: Kind, module: Option<u32>, number: u32, span: Span) -> Result<InterfaceName, Problem> {
    let wrong = |message: String| problem_at(span, message, "");
    match kind {
        Kind::Vethernet => {
            VethId::new(number).map(InterfaceName::Vethernet).map_err(|e| wrong(e.to_string()))
        }
        Kind::PortChannel => match u16::try_from(number) {
            Ok(n) if (1..=InterfaceName::PORT_CHANNEL_MAX).contains(&n) => {
                Ok(InterfaceName::PortChannel(n))
            }
            _ => Err(wrong(format!("port-channel {number} is out of range, expected 1..4096"))),
        },
        Kind::Ethernet => {
            let module = ModuleId::new(module.unwrap_or(0)).map_err(|e| wrong(e.to_string()))?;
            match u8::try_from(number) {
                Ok(nic) if (1..=InterfaceName::NIC_MAX).contains(&nic) => {
                    Ok(InterfaceName::Ethernet { module, nic })
                }
                _ => Err(wrong(format!("NIC {number} is out of range, expected 1..32"))),
            }
        }
    }
}
