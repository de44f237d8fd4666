//! The hash that spreads flows over the members of a port-channel.
//!
//! The same fields give the same hash in every process, on every host and in every release: it has
//! no seed, so that `show` and `trace` on any machine can say which member a flow takes. It is not
//! meant to withstand a sender that picks addresses on purpose; all such a sender can do is load
//! one member with its own flows.

use super::key::{Fragment, FrameKey, L3};
use crate::types::{IpProto, MacAddr, VlanId};

/// Which fields of a frame make its flow, by the names that NX-OS gives them.
///
/// `source-virtual-port-id` is not here: it is no field of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowHash {
    /// `source-mac`.
    SourceMac,
    /// `source-dest-mac`.
    SourceDestMac,
    /// `source-dest-ip`: of a frame without IP, the MAC addresses.
    SourceDestIp,
    /// `source-dest-ip-port`: of a fragment, or without ports, the IP addresses alone, so that all
    /// fragments of a packet take one way.
    SourceDestIpPort,
    /// `source-dest-ip-port-vlan`: as above, with the VLAN.
    SourceDestIpPortVlan,
}

impl FlowHash {
    /// Every choice.
    pub const ALL: [Self; 5] = [
        Self::SourceMac,
        Self::SourceDestMac,
        Self::SourceDestIp,
        Self::SourceDestIpPort,
        Self::SourceDestIpPortVlan,
    ];

    /// The NX-OS name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceMac => "source-mac",
            Self::SourceDestMac => "source-dest-mac",
            Self::SourceDestIp => "source-dest-ip",
            Self::SourceDestIpPort => "source-dest-ip-port",
            Self::SourceDestIpPortVlan => "source-dest-ip-port-vlan",
        }
    }

    /// The choice with this NX-OS name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }
}

impl FrameKey {
    /// The hash of the flow that this frame belongs to. `vlan` is the one that the frame was
    /// classified to: a frame from an access port carries no tag.
    ///
    /// All 32 bits are spread well: `(u64::from(hash) * members) >> 32` picks one of `members`.
    #[must_use]
    #[inline]
    pub fn flow_hash(&self, fields: FlowHash, vlan: VlanId) -> u32 {
        let state = match fields {
            FlowHash::SourceMac => mix(START, self.src.as_u64()),
            FlowHash::SourceDestMac => macs(self.src, self.dst),
            FlowHash::SourceDestIp => self.addresses(),
            FlowHash::SourceDestIpPort => mix(self.addresses(), self.ports()),
            FlowHash::SourceDestIpPortVlan => {
                mix(self.addresses(), self.ports() | u64::from(vlan.get()) << 48)
            }
        };
        (mix(state, START) >> 32) as u32
    }

    /// The IP addresses; without IP, the MAC addresses.
    #[inline]
    fn addresses(&self) -> u64 {
        match self.l3 {
            L3::Other => macs(self.src, self.dst),
            L3::Ipv4 => mix(START, (self.ip_src << 32 | self.ip_dst) as u64),
            L3::Ipv6 => {
                let source = mix(mix(START, (self.ip_src >> 64) as u64), self.ip_src as u64);
                mix(mix(source, (self.ip_dst >> 64) as u64), self.ip_dst as u64)
            }
        }
    }

    /// Protocol and ports in the low 40 bits; 0 when no port is to be looked at.
    #[inline]
    fn ports(&self) -> u64 {
        let has_ports = self.has_l4
            && self.fragment == Fragment::Whole
            && matches!(self.proto, IpProto::TCP | IpProto::UDP | IpProto::SCTP);
        if has_ports {
            u64::from(self.proto.get()) << 32
                | u64::from(self.l4_src) << 16
                | u64::from(self.l4_dst)
        } else {
            0
        }
    }
}

/// First 64 bits of the fractional part of the square root of 2.
const START: u64 = 0x6a09_e667_f3bc_c908;
/// The same of the square root of 3.
const MULTIPLIER: u64 = 0xbb67_ae85_84ca_a73b;
/// The same of the square root of 5.
const WHITENER: u64 = 0x3c6e_f372_fe94_f82b;

#[inline]
fn macs(src: MacAddr, dst: MacAddr) -> u64 {
    mix(mix(START, src.as_u64()), dst.as_u64())
}

/// Takes 64 more bits into the state: both halves of a 128-bit product, so that every bit of
/// the input reaches every bit of the outcome.
#[inline]
const fn mix(state: u64, value: u64) -> u64 {
    let product = (state ^ value ^ WHITENER) as u128 * MULTIPLIER as u128;
    let folded = product as u64 ^ (product >> 64) as u64;
    folded.rotate_left(29).wrapping_mul(MULTIPLIER) ^ folded >> 32
}

#[cfg(test)]
mod tests;
