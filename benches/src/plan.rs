//! What is measured: frame sizes, addresses, flows and rules, the same for every switch.

use std::fmt;
use std::net::Ipv4Addr;

use proto::MacAddr;
use serde::{Deserialize, Serialize};

/// The CPU of the tester: generator and whatever the kernel runs for it.
pub const TESTER_CPU: usize = 0;
/// The CPU of the switch: its one worker, and with veth the sink, which the kernel runs inline.
pub const SWITCH_CPU: usize = 1;

/// MAC address of the end system behind each wire, A and B.
pub const MACS: [MacAddr; 2] =
    [MacAddr::from_u64(0x0257_4600_000a), MacAddr::from_u64(0x0257_4600_000b)];

/// Networks from which the flows of each wire's end system come, /8 each.
pub const NETWORKS: [Ipv4Addr; 2] = [Ipv4Addr::new(11, 0, 0, 0), Ipv4Addr::new(12, 0, 0, 0)];

/// UDP port that all flows go to.
pub const UDP_DST: u16 = 53;

/// The VLAN that both are in.
pub const VLAN: u16 = 10;

/// How long a frame is, in bytes of Ethernet with its check sequence, as RFC 2544 counts: what goes
/// through a socket is four bytes less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameSize {
    /// All frames of this size.
    Fixed(u16),
    /// The simple mix of the Internet: 7 frames of 64 bytes, 4 of 594, 1 of 1518.
    Imix,
}

impl FrameSize {
    /// The sizes of a full run. 1518 with check sequence is 1514 without.
    pub const ALL: [Self; 4] = [Self::Fixed(64), Self::Fixed(512), Self::Fixed(1518), Self::Imix];

    /// The sizes of twelve frames in turn, check sequence included.
    #[must_use]
    pub const fn pattern(self) -> [u16; 12] {
        match self {
            Self::Fixed(size) => [size; 12],
            Self::Imix => [64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64],
        }
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size} B"),
            Self::Imix => f.write_str("IMIX"),
        }
    }
}

/// One rule of an access list that no frame of a measurement matches: it denies TCP from a network
/// to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The source network.
    pub network: Ipv4Addr,
    /// Its prefix length.
    pub prefix_len: u8,
    /// The TCP destination port.
    pub port: u16,
}

/// The rules of a list of `rules`, without the last one, which permits everything: `rules - 1`
/// rules, none for an empty list.
pub fn rules(rules: u32) -> impl Iterator<Item = Rule> {
    (0..rules.saturating_sub(1)).map(|n| {
        let [_, _, high, low] = n.to_be_bytes();
        let network = Ipv4Addr::new(10, low % 200, high ^ (low % 250), 0);
        Rule { network, prefix_len: 24, port: 1024 + (n % 60_000) as u16 }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_differ_and_match_no_flow() {
        for count in [0, 1, 10, 100, 1000] {
            let all: Vec<Rule> = rules(count).collect();
            assert_eq!(all.len(), count.saturating_sub(1) as usize);
            let different: BTreeSet<_> = all.iter().map(|r| (r.network, r.port)).collect();
            assert_eq!(different.len(), all.len());
            assert!(all.iter().all(|rule| rule.network.octets()[0] == 10));
        }
    }

    #[test]
    fn the_mix_is_seven_four_one() {
        let pattern = FrameSize::Imix.pattern();
        let of = |size| pattern.iter().filter(|s| **s == size).count();
        assert_eq!((of(64), of(594), of(1518)), (7, 4, 1));
    }
}
