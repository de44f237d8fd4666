//! The lines about how uplinks work together: `channel-group`, `lacp`, `failover order`,
//! `link-up delay`, `pinning`, and for the whole switch `lacp system-priority` and
//! `port-channel load-balance`.
//!
//! What NX-OS knows and this switch does not is recognised and refused with the reason, so that
//! nobody looks for a slip in a word that is right. Not here: which lines fit together (validate).

use proto::InterfaceName;

use super::cursor::{Cursor, Matched, match_keyword, problem_at};
use super::edit::Change;
use super::read::Reader;
use super::setting::{Sense, flag, optional};
use super::value;
use crate::config::{Pinning, Settings};
use crate::place::{Place, Setting};
use crate::problem::Problem;
use crate::teaming::{Channel, ChannelMode, LacpRate, LoadBalance};

/// What stands behind `lacp` in a port-profile or an interface.
const LACP: [(&str, Setting); 5] = [
    ("rate", Setting::LacpRate),
    ("port-priority", Setting::LacpPortPriority),
    ("min-links", Setting::LacpMinLinks),
    ("max-bundle", Setting::LacpMaxBundle),
    ("suspend-individual", Setting::LacpSuspendIndividual),
];
/// What stands behind `lacp` outside of blocks.
const LACP_GLOBAL: &str = "system-priority";

const PRIORITY: &str = "a priority (1..65535), the lower one first";
const LINKS: &str = "a number of links (1..16)";
const NIC: &str = "a NIC number (1..32)";

/// Whether the word behind `lacp` is the one that stands outside of blocks.
pub(super) fn is_global_lacp(word: &str) -> bool {
    let in_block = !matches!(match_keyword(word, &LACP), Matched::None);
    let global = !matches!(match_keyword(word, &[(LACP_GLOBAL, ())]), Matched::None);
    global && !in_block
}

/// `channel-group auto mode MODE`.
pub(super) fn channel_group(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(Setting, Change), Problem> {
    cursor.keyword("auto")?;
    let change = optional(cursor, sense, |c| {
        c.keyword("mode")?;
        channel_mode(c).map(Change::Channel)
    })?;
    Ok((Setting::ChannelGroup, change))
}

fn channel_mode(cursor: &mut Cursor<'_, '_>) -> Result<ChannelMode, Problem> {
    let modes = [
        ("active", ChannelMode::Active),
        ("passive", ChannelMode::Passive),
        ("on", ChannelMode::On),
        ("active-standby", ChannelMode::ActiveStandby),
    ];
    let place = cursor.span_to_end();
    let mode = cursor.choose(&modes)?;
    if mode != ChannelMode::On {
        return Ok(mode);
    }
    if cursor.peek().is_some_and(|word| word.text.eq_ignore_ascii_case("sub-group")) {
        return Err(problem_at(
            place,
            "`channel-group auto mode on sub-group` is not supported: which links end in one \
             physical switch is not learnt from CDP, nor counted by hand",
            "use `on mac-pinning` where the physical switches are independent, and `active` where \
             they are one (a stack, vPC or MLAG)",
        ));
    }
    if cursor.option(&[("mac-pinning", ())])?.is_none() {
        return Ok(ChannelMode::On);
    }
    let relative = cursor.option(&[("relative", ())])?.is_some();
    Ok(ChannelMode::MacPinning { relative })
}

/// `lacp ...` of a port.
pub(super) fn lacp(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(Setting, Change), Problem> {
    let setting = cursor.choose(&LACP)?;
    let links = 1..=Channel::MEMBERS_MAX;
    let change = match setting {
        Setting::LacpSuspendIndividual => flag(sense),
        Setting::LacpRate => optional(cursor, sense, |c| {
            let rates = [("fast", LacpRate::Fast), ("normal", LacpRate::Normal)];
            c.choose(&rates).map(Change::LacpRate)
        })?,
        Setting::LacpPortPriority => optional(cursor, sense, |c| {
            value::ranged(c, PRIORITY, 1..=u16::MAX).map(Change::Number)
        })?,
        _ => optional(cursor, sense, |c| value::ranged(c, LINKS, links).map(Change::Links))?,
    };
    Ok((setting, change))
}

/// `failover order N [N ...]`.
pub(super) fn failover_order(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(Setting, Change), Problem> {
    cursor.keyword("order")?;
    let change = optional(cursor, sense, |c| {
        let range = 1..=InterfaceName::NIC_MAX;
        let mut nics = vec![value::ranged(c, NIC, range.clone())?];
        further(c, NIC, range, &mut nics)?;
        Ok(Change::FailoverOrder(nics))
    })?;
    Ok((Setting::FailoverOrder, change))
}

/// `link-up delay SECONDS`.
pub(super) fn link_up_delay(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(Setting, Change), Problem> {
    cursor.keyword("delay")?;
    let change = optional(cursor, sense, |c| {
        let range = 0..=Settings::LINK_UP_DELAY_S_MAX;
        value::ranged(c, "a number of seconds (0..300)", range).map(Change::Number)
    })?;
    Ok((Setting::LinkUpDelay, change))
}

/// `lldp transmit`.
pub(super) fn lldp(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(Setting, Change), Problem> {
    cursor.keyword("transmit")?;
    Ok((Setting::LldpTransmit, flag(sense)))
}

/// `pinning id N [backup N ...]`.
pub(super) fn pinning(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(Setting, Change), Problem> {
    const ID: &str =
        "a NIC number (1..32), or a place from 0 in a group with `mac-pinning relative`";
    cursor.keyword("id")?;
    let change = optional(cursor, sense, |c| {
        let range = 0..=InterfaceName::NIC_MAX;
        let id = value::ranged(c, ID, range.clone())?;
        let mut ids = vec![id];
        if c.option(&[("backup", ())])?.is_some() {
            ids.push(value::ranged(c, ID, range.clone())?);
            distinct(c, &ids)?;
            further(c, ID, range, &mut ids)?;
        }
        if ids.len() > Pinning::BACKUPS_MAX + 1 {
            let message = format!("more than {} backups", Pinning::BACKUPS_MAX);
            return Err(c.problem_before(message, "when none of them is up, any other is taken"));
        }
        let backups = ids.split_off(1);
        Ok(Change::Pinning(Pinning { id, backups }))
    })?;
    Ok((Setting::Pinning, change))
}

/// Reads the rest of a list of numbers without repeats.
fn further(
    cursor: &mut Cursor<'_, '_>,
    what: &'static str,
    range: std::ops::RangeInclusive<u8>,
    numbers: &mut Vec<u8>,
) -> Result<(), Problem> {
    while let Some(number) = value::option_ranged(cursor, what, range.clone())? {
        numbers.push(number);
        distinct(cursor, numbers)?;
    }
    Ok(())
}

/// The number that was read last is not among those before it.
fn distinct(cursor: &Cursor<'_, '_>, numbers: &[u8]) -> Result<(), Problem> {
    match numbers.split_last() {
        Some((last, before)) if before.contains(last) => {
            Err(cursor.problem_before(format!("{last} stands twice"), "name each one once"))
        }
        _ => Ok(()),
    }
}

/// `lacp system-priority N`.
pub(super) fn system_priority(
    reader: &mut Reader,
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(), Problem> {
    let of_port = cursor.peek().is_some_and(|word| {
        matches!(match_keyword(word.text, &LACP), Matched::One(_)) && !is_global_lacp(word.text)
    });
    cursor.keyword(LACP_GLOBAL).map_err(|mut problem| {
        if of_port {
            "it belongs under `port-profile` or `interface`".clone_into(&mut problem.hint);
        }
        problem
    })?;
    let priority = match (sense, cursor.peek()) {
        (Sense::No | Sense::Default, None) => None,
        _ => Some(value::ranged(cursor, PRIORITY, 1..=u16::MAX)?),
    };
    cursor.finish()?;
    reader.spans.set(Place::LacpSystemPriority, cursor.span_before());
    reader.config.lacp_system_priority = priority.filter(|_| sense == Sense::Set);
    Ok(())
}

/// `port-channel load-balance ethernet METHOD`.
pub(super) fn load_balance(
    reader: &mut Reader,
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
) -> Result<(), Problem> {
    cursor.keyword("load-balance")?;
    cursor.keyword("ethernet")?;
    let method = match (sense, cursor.peek()) {
        (Sense::No | Sense::Default, None) => None,
        _ => Some(method(cursor)?),
    };
    if cursor.peek().is_some_and(|word| word.text.eq_ignore_ascii_case("module")) {
        return Err(problem_at(
            cursor.span_to_end(),
            "`module` is not supported here: one method holds for all hosts",
            "take it out",
        ));
    }
    cursor.finish()?;
    reader.spans.set(Place::LoadBalance, cursor.span_before());
    reader.config.load_balance = method.filter(|_| sense == Sense::Set);
    Ok(())
}

fn method(cursor: &mut Cursor<'_, '_>) -> Result<LoadBalance, Problem> {
    let methods = LoadBalance::ALL.map(|method| (method.name(), method));
    let known = methods.map(|(name, _)| (name, None)).into_iter();
    let all: Vec<_> = known.chain(REFUSED.map(|refused| (refused.0, Some(refused)))).collect();
    if let Some(word) = cursor.peek()
        && let Matched::One(Some((name, reason, hint))) = match_keyword(word.text, &all)
    {
        return Err(cursor.problem(format!("`{name}` is not supported: {reason}"), hint));
    }
    cursor.choose(&methods)
}

const TO_ONE: &str = "all frames to one destination would take one member, whoever sends them";
const FROM_ONE: &str =
    "a VM has one address as a rule, so it spreads no better than `source-mac`, and only IP";
const NO_ADDRESS: &str =
    "without addresses ports say little, and fragments and other protocols have none";
const HALF: &str = "with the addresses of one side it spreads less, for the same work";

/// The other methods of NX-OS: name, why not, what to use.
const REFUSED: [(&str, &str, &str); 16] = [
    ("destination-mac", TO_ONE, "use `source-dest-mac`"),
    ("destination-ip", TO_ONE, "use `source-dest-ip`"),
    ("destination-ip-vlan", TO_ONE, "use `source-dest-ip`"),
    ("source-ip", FROM_ONE, "use `source-mac`, or `source-dest-ip`"),
    ("source-ip-vlan", FROM_ONE, "use `source-mac`, or `source-dest-ip`"),
    ("source-port", NO_ADDRESS, "use `source-dest-ip-port`"),
    ("destination-port", NO_ADDRESS, "use `source-dest-ip-port`"),
    ("source-dest-port", NO_ADDRESS, "use `source-dest-ip-port`"),
    ("source-ip-port", HALF, "use `source-dest-ip-port`"),
    ("source-ip-port-vlan", HALF, "use `source-dest-ip-port-vlan`"),
    ("dest-ip-port", HALF, "use `source-dest-ip-port`"),
    ("dest-ip-port-vlan", HALF, "use `source-dest-ip-port-vlan`"),
    ("destination-ip-port", HALF, "use `source-dest-ip-port`"),
    ("destination-ip-port-vlan", HALF, "use `source-dest-ip-port-vlan`"),
    (
        "source-dest-ip-vlan",
        "the VLAN tells only flows apart whose addresses are the same",
        "use `source-dest-ip`, or `source-dest-ip-port-vlan`",
    ),
    ("vlan-only", "all frames of a VLAN would take one member", "use `source-mac`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_supported_or_refused_and_each_hint_names_one_that_is_supported() {
        let supported = LoadBalance::ALL.map(LoadBalance::name);
        for (i, (name, _, hint)) in REFUSED.iter().enumerate() {
            assert!(!supported.contains(name), "{name}");
            assert!(REFUSED[..i].iter().all(|(other, ..)| other != name), "{name} stands twice");
            let mut named = hint.split('`').skip(1).step_by(2).peekable();
            assert!(named.peek().is_some() && named.all(|n| supported.contains(&n)), "{hint}");
        }
    }

    #[test]
    fn the_word_of_the_whole_switch_is_told_from_those_of_a_port() {
        for word in ["system-priority", "sy", "SYS"] {
            assert!(is_global_lacp(word), "{word}");
        }
        for word in ["s", "suspend-individual", "rate", "systems", "x", ""] {
            assert!(!is_global_lacp(word), "{word}");
        }
    }
}
