//! The one table of drop reasons: it yields the enum, the names, the help and the counter index.
//!
//! A frame that is not forwarded has exactly one of these (design rules F1..F6 and R1..R9). The
//! name is what an operator reads in `show drops`, in metrics and in traces.

macro_rules! drop_reasons {
    ($($variant:ident = $name:literal, $help:literal;)+) => {
        /// Why a frame was not forwarded. The discriminant is the index of its counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $(#[doc = $help] $variant,)+
        }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The kebab-case name that operators see.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence for the operator: what happened and what to look at.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }
        }
    };
}

drop_reasons! {
    Malformed = "malformed", "The frame is shorter than its Ethernet header or its tag.";
    SourceMacInvalid = "source-mac-invalid", "The source address is a group address or all zeros.";
    SourceMacViolation = "source-mac-violation", "The source address is not one this vEthernet may use.";
    BpduFromVm = "bpdu-from-vm", "A VM sent a spanning-tree frame; the switch takes no part in STP.";
    LinkLocalFromVm = "link-local-from-vm", "A VM sent a frame that no bridge may relay (01:80:c2:00:00:0x, CDP, VTP).";
    BpduFromWire = "bpdu-from-wire", "A spanning-tree frame from the physical network: never answered, never relayed.";
    TagOnAccess = "tag-on-access", "A tagged frame came in at an access port.";
    VlanNotAllowed = "vlan-not-allowed", "The VLAN of the frame is not allowed on the port.";
    VidReserved = "vid-reserved", "The frame carries VLAN identifier 4095.";
    AclIngress = "acl-ingress", "The port's inbound access list denied the frame.";
    AclEgress = "acl-egress", "The outbound access list of the destination port denied the frame.";
    Hairpin = "hairpin", "The destination is behind the port the frame came from.";
    NoUplink = "no-uplink", "The destination is not local and no uplink of the VLAN is up.";
    NoLocalMember = "no-local-member", "A flooded frame from the wire found no port of its VLAN that may have it.";
    OwnSourceFromUplink = "own-source-from-uplink", "The frame of a local VM came back from the wire.";
    NotPinnedUplink = "not-pinned-uplink", "A unicast frame came by another uplink than its port is pinned to: a duplicate.";
    NotDesignatedUplink = "not-designated-uplink", "A flooded frame came by an uplink that does not receive for its VLAN: a duplicate.";
    UnknownUnicastFromUplink = "unknown-unicast-from-uplink", "A unicast frame from the wire is for no local VM.";
    MtuExceeded = "mtu-exceeded", "The frame (or its segments) is larger than the port's MTU.";
    PortDown = "port-down", "The port that the frame came in at, or was for, is administratively or operationally down.";
    PortUnknown = "port-unknown", "The frame came in at a port that no snapshot describes.";
    LinkLocalFromWire = "link-local-from-wire", "A link-constrained frame from the wire that no control task takes.";
    OffloadUnsupported = "offload-unsupported", "The frame needs a segmentation or checksum that the switch cannot complete.";
    TxQueueFull = "tx-queue-full", "The transmit queue of the destination port was full.";
    NoMemory = "no-memory", "The packet memory had no free chunk.";
}

impl DropReason {
    /// The index of this reason's counter, below [`DropReason::COUNT`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The reason with this kebab-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_indexes_are_dense() {
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert_eq!(DropReason::from_name(reason.name()), Some(*reason));
            assert!(reason.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            assert!(reason.help().ends_with('.'));
        }
    }
}
