//! The rows of the forwarding table, as names that traces and tests speak of.

use std::fmt;

macro_rules! rules {
    ($($rule:ident = $text:literal;)+) => {
        /// A row of the forwarding table: F1..F6 for frames of vEthernets, R1..R9 for frames of
        /// uplinks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $text] $rule,)+
        }

        impl Rule {
            /// Every row, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)+];

            /// What the row says.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$rule => $text,)+ }
            }
        }
    };
}

rules! {
    F1 = "a vEthernet sends from the addresses it may use, and no other";
    F2 = "link-constrained frames of a VM are never forwarded";
    F3 = "a frame is in a VLAN that its port carries, in the form the port takes";
    F4 = "unicast to a local address goes to its port alone";
    F5 = "unicast to any other address goes once to the pinned uplink";
    F6 = "broadcast and multicast go to the local members and once to the pinned uplink";
    R1 = "slow protocols, LLDP and CDP from the wire go to the control task of the uplink";
    R2 = "a BPDU from the wire goes nowhere";
    R3 = "a frame from the wire is in a VLAN that the uplink carries";
    R4 = "a local address as source from the wire: the frame came back";
    R5 = "unicast to a local address by its port's pinned uplink goes to that port";
    R6 = "unicast to a local address by another uplink is a duplicate";
    R7 = "unicast from the wire to an address that is not local is dropped";
    R8 = "broadcast and multicast by the VLAN's designated uplink go to the local members";
    R9 = "a frame from the wire never goes to the wire";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
