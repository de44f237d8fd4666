//! What LLDP and CDP have in common: a frame that may be tagged, text that strangers wrote, and
//! addresses to manage a device by.
//!
//! *Where it sits:* [`lldp`](super::lldp) and [`cdp`](super::cdp) read their fields into these.
//! *Invariants:* (1) nothing here copies or allocates: a value borrows the frame; (2) whatever the
//! octets are, what a [`Text`] prints is bounded, on one line, and moves no terminal's cursor.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{ethernet, vlan};
use crate::types::EtherType;

/// The most characters that a [`Text`] prints. LLDP's strings end at 255 octets; the version of a
/// CDP device is the longest there is, and a switch's has some 300.
pub const TEXT_CHARS_MAX: usize = 512;

/// Stands for what cannot be printed.
const UNPRINTABLE: char = '?';

/// The type/length field of a frame and what is behind it, behind one 802.1Q tag as well: Cisco's
/// switches tag their frames on a trunk whose native VLAN is tagged. `None`: cut in its header.
pub(super) fn payload(frame: &[u8]) -> Option<(EtherType, &[u8])> {
    let (header, rest) = ethernet::Header::split(frame)?;
    if header.ether_type() != EtherType::VLAN {
        return Some((header.ether_type(), rest));
    }
    let (tag, rest) = vlan::Header::split(rest)?;
    Some((tag.ether_type(), rest))
}

/// Text as it stands in a frame, of unknown encoding and intent.
///
/// It prints as UTF-8 with no more than [`TEXT_CHARS_MAX`] characters: space, line breaks
/// and NULs around it are left out, those inside become one space, and each character that controls
/// a terminal or hides or turns its neighbours becomes `?`, as do octets that are not UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// These octets.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The octets as they stand in the frame.
    #[must_use]
    pub const fn octets(self) -> &'a [u8] {
        self.0
    }

    /// Whether it prints as what it is: UTF-8 without one character that is replaced. NULs at the
    /// end do not count, which some devices leave there.
    #[must_use]
    pub fn is_printable(self) -> bool {
        let end = self.0.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        let text = self.0.get(..end).unwrap_or_default();
        core::str::from_utf8(text).is_ok_and(|text| text.chars().all(is_shown))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        let (mut room, mut gap) = (TEXT_CHARS_MAX, false);
        for chunk in self.0.utf8_chunks() {
            let invalid = (!chunk.invalid().is_empty()).then_some(UNPRINTABLE);
            for c in chunk.valid().chars().chain(invalid) {
                if c.is_whitespace() || c == '\0' {
                    // Written before the next character, if there is any before and behind it.
                    gap = room < TEXT_CHARS_MAX;
                    continue;
                }
                let needed = 1 + usize::from(gap);
                if room < needed {
                    return Ok(());
                }
                if gap {
                    f.write_char(' ')?;
                }
                f.write_char(if is_shown(c) { c } else { UNPRINTABLE })?;
                (room, gap) = (room - needed, false);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

/// Whether a character prints as itself: it is no control, and none of Unicode's invisible ones,
/// which turn the direction of text or join with what is beside them.
fn is_shown(c: char) -> bool {
    let invisible = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !invisible
}

/// The addresses that a device says it is managed by: the first of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Addresses {
    /// The first IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The first IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl Addresses {
    /// The address to show where there is room for one: IPv4 before IPv6.
    #[must_use]
    pub fn first(&self) -> Option<IpAddr> {
        self.v4.map(IpAddr::V4).or(self.v6.map(IpAddr::V6))
    }

    /// Keeps the address if it is the first of its family. One that is unspecified says nothing:
    /// devices without an address announce 0.0.0.0.
    pub(super) fn add(&mut self, address: IpAddr) {
        match address {
            _ if address.is_unspecified() => {}
            IpAddr::V4(v4) => self.v4 = self.v4.or(Some(v4)),
            IpAddr::V6(v6) => self.v6 = self.v6.or(Some(v6)),
        }
    }
}

/// The address in four or sixteen octets.
pub(super) fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(octets: &[u8]) -> String {
        Text::new(octets).to_string()
    }

    #[test]
    fn text_is_printed_on_one_line() {
        assert_eq!(
            shown(b"Cisco IOS Software\r\nTechnical Support"),
            "Cisco IOS Software Technical Support"
        );
        assert_eq!(shown(b"\t leaf-1 \0\0"), "leaf-1");
        assert_eq!(shown(b"a\0b"), "a b");
        assert_eq!(shown("Küche 2".as_bytes()), "Küche 2");
        assert_eq!(shown(b""), "");
        assert_eq!(shown(b" \n"), "");
    }

    #[test]
    fn what_moves_a_cursor_or_hides_is_not_printed() {
        assert_eq!(shown(b"\x1b[2Jroot"), "?[2Jroot");
        assert_eq!(shown(b"\x07\x7f\x80\xff"), "????");
        assert_eq!(shown("a\u{202e}b\u{200b}\u{9b}".as_bytes()), "a?b??");
        assert_eq!(shown(b"caf\xe9"), "caf?");
    }

    #[test]
    fn text_ends_at_its_bound() {
        assert_eq!(shown(&[b'x'; 70_000]).len(), TEXT_CHARS_MAX);
        let words = b"ab ".repeat(1000);
        assert_eq!(shown(&words).len(), TEXT_CHARS_MAX);
        assert!(!shown(&words).ends_with(' '));
    }

    #[test]
    fn printable_is_what_stays_as_it_is() {
        assert!(Text::from("Ethernet1/1").is_printable());
        assert!(Text::new(b"sw1\0").is_printable());
        assert!(!Text::new(b"a\0b").is_printable());
        assert!(!Text::new(&[0x02, 0, 0, 0, 0, 1]).is_printable());
        assert!(!Text::new(&[0xc3]).is_printable());
    }

    #[test]
    fn the_first_address_of_a_family_stays() {
        let mut addresses = Addresses::default();
        assert_eq!(addresses.first(), None);
        for address in ["::", "2001:db8::1", "0.0.0.0", "192.0.2.1", "192.0.2.2", "2001:db8::2"] {
            addresses.add(address.parse().unwrap());
        }
        assert_eq!(addresses.v6, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(addresses.first(), Some("192.0.2.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn any_octets_print_in_bounds_and_in_one_line(octets: Vec<u8>) {
            let text = shown(&octets);
            prop_assert!(text.chars().count() <= TEXT_CHARS_MAX);
            prop_assert!(text.chars().all(is_shown), "{text:?}");
            prop_assert_eq!(text.trim(), &text);
        }

        #[test]
        fn printable_text_prints_as_itself(text in "[!-~]([ -~]{0,60}[!-~])?") {
            prop_assume!(!text.contains("  "));
            prop_assert!(Text::from(text.as_str()).is_printable());
            prop_assert_eq!(Text::from(text.as_str()).to_string(), text);
        }
    }
}
