//! Rows R1 to R9: frames from an uplink.

use std::collections::BTreeMap;

use proto::{MacAddr, VlanId};
use tests::frames::{Frame, control};

use crate::main_lab::{A, ALL, B, C, GROUP, GROUP_V6, NATIVE, REMOTE, T, UNKNOWN};
use crate::rig::{Case, fresh, plain, pop, push};

const UPLINKS: [&str; 2] = ["eth1", "eth2"];

/// A reserved VID (IEEE 802.1Q-2018 table 9-2).
const RESERVED: u16 = 4095;

/// Priority bits of a tag's control information.
const PRIORITY_5: u16 = 5 << 13;
const PRIORITY_6: u16 = 6 << 13;

/// A frame in a VLAN, as the physical switch sends it on the trunk.
fn tagged(src: MacAddr, dst: MacAddr, vid: u16) -> Vec<u8> {
    push(&plain(src, dst), vid)
}

/// R1: frames that speak to the switch itself.
pub(crate) fn r1_control() -> Vec<Case> {
    let mut cases = Vec::new();
    for uplink in UPLINKS {
        cases.extend([
            Case::consumed("R1 LACP", uplink, control::lacp(REMOTE)),
            Case::consumed("R1 marker", uplink, control::lacp_marker(REMOTE, 7)),
            Case::consumed("R1 LLDP", uplink, control::lldp(REMOTE)),
            Case::consumed("R1 CDP", uplink, control::cdp(REMOTE)),
            Case::consumed("R1 CDP in a tag", uplink, push(&control::cdp(REMOTE), 1)),
        ]);
    }
    // LLDP for the nearest customer bridge has the address of spanning tree.
    let lldp = [&control::BRIDGE_GROUP.octets()[..], &control::lldp(REMOTE)[6..]].concat();
    cases.push(Case::consumed("R1 LLDP to the bridge group", "eth1", lldp));
    for last in [1, 3, 0xd] {
        let dst = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, last]);
        let name = format!("R1 no task for {dst}");
        cases.push(Case::dropped(name, "eth1", plain(REMOTE, dst), "link-local-from-wire"));
    }
    cases.push(Case::dropped("R1 PAUSE", "eth1", control::pause(REMOTE), "link-local-from-wire"));
    cases
}

/// R2: spanning tree of any kind.
pub(crate) fn r2_bpdus() -> Vec<Case> {
    let vlan_10 = VlanId::new(10_u16).expect("a VLAN");
    let provider = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 8]);
    let mut cases = Vec::new();
    for uplink in UPLINKS {
        for (name, frame) in [
            ("STP", control::stp(REMOTE)),
            ("topology change", control::stp_topology_change(REMOTE)),
            ("RSTP", control::rstp(REMOTE)),
            ("MSTP", control::mstp(REMOTE)),
            ("PVST+ tagged", control::pvst(REMOTE, vlan_10)),
            ("PVST+ untagged", control::pvst_untagged(REMOTE, vlan_10)),
            ("RSTP in a tag", push(&control::rstp(REMOTE), 10)),
            ("a provider's", Frame::new(REMOTE, provider).llc(&[0x42, 0x42, 0x03, 0, 0, 0, 0])),
        ] {
            cases.push(Case::dropped(format!("R2 {name}"), uplink, frame, "bpdu-from-wire"));
        }
    }
    cases
}

/// R3: the VLANs of the uplink. What a VLAN is that nobody here is in is said too.
pub(crate) fn r3_vlans() -> Vec<Case> {
    let not_allowed = "vlan-not-allowed";
    let mut cases = Vec::new();
    for uplink in UPLINKS {
        cases.extend([
            Case::dropped("R3 VLAN 50", uplink, tagged(REMOTE, ALL, 50), not_allowed),
            Case::dropped("R3 VLAN 50 unicast", uplink, tagged(REMOTE, T, 50), not_allowed),
            Case::dropped("R3 VLAN 4094", uplink, tagged(REMOTE, ALL, 4094), not_allowed),
            Case::dropped("R3 VID 4095", uplink, tagged(REMOTE, ALL, RESERVED), "vid-reserved"),
            Case::dropped(
                "R3 nobody in VLAN 40",
                uplink,
                tagged(REMOTE, ALL, 40),
                "no-local-member",
            ),
        ]);
    }
    cases
}

/// R4: a local source came back.
pub(crate) fn r4_own_source(designated: &Designated) -> Vec<Case> {
    let reason = "own-source-from-uplink";
    let mut cases = Vec::new();
    for uplink in UPLINKS {
        cases.extend([
            Case::dropped("R4 broadcast", uplink, tagged(A, ALL, 10), reason),
            Case::dropped("R4 to another VM", uplink, tagged(A, B, 10), reason),
            Case::dropped("R4 to itself", uplink, tagged(A, A, 10), reason),
            Case::dropped("R4 to nobody", uplink, tagged(B, UNKNOWN, 10), reason),
            Case::dropped("R4 a trunk's VLAN 20", uplink, tagged(T, ALL, 20), reason),
            Case::dropped("R4 a trunk's native VLAN", uplink, plain(T, ALL), reason),
        ]);
    }
    // An address is local only in its own VLANs.
    let uplink = designated.of(20);
    let other_vlan = tagged(A, ALL, 20);
    cases.push(
        Case::forwarded("R4 the address in another VLAN", uplink, other_vlan.clone())
            .out("c", pop(&other_vlan))
            .out("t", other_vlan),
    );
    cases
}

/// R5: unicast by the pinned uplink of its VM. R6: by the other one, which is a duplicate.
pub(crate) fn r5_r6_unicast() -> Vec<Case> {
    let duplicate = "not-pinned-uplink";
    let (to_a, to_b) = (tagged(REMOTE, A, PRIORITY_5 | 10), tagged(REMOTE, B, 10));
    let (to_c, to_t) = (tagged(REMOTE, C, 20), tagged(REMOTE, T, PRIORITY_6 | 20));
    let (native_to_t, priority_to_t) = (plain(REMOTE, T), tagged(REMOTE, T, PRIORITY_5));
    let twice = push(&tagged(REMOTE, T, 99), 20);
    vec![
        Case::forwarded("R5 to a", "eth1", to_a.clone()).out("a", pop(&to_a)),
        Case::forwarded("R5 to b", "eth2", to_b.clone()).out("b", pop(&to_b)),
        Case::forwarded("R5 to c", "eth1", to_c.clone()).out("c", pop(&to_c)),
        Case::forwarded("R5 to a trunk with priority", "eth2", to_t.clone()).out("t", to_t.clone()),
        Case::forwarded("R5 untagged to a trunk", "eth2", native_to_t.clone())
            .out("t", native_to_t.clone()),
        Case::forwarded("R5 priority tag to a trunk", "eth2", priority_to_t.clone())
            .out("t", pop(&priority_to_t)),
        Case::forwarded("R5 two tags to a trunk", "eth2", twice.clone()).out("t", twice),
        Case::dropped("R6 to a by eth2", "eth2", to_a, duplicate),
        Case::dropped("R6 to b by eth1", "eth1", to_b, duplicate),
        Case::dropped("R6 to c by eth2", "eth2", to_c, duplicate),
        Case::dropped("R6 to a trunk by eth1", "eth1", to_t, duplicate),
        Case::dropped("R6 native to a trunk by eth1", "eth1", native_to_t, duplicate),
    ]
}

/// R7: unicast to nobody here.
pub(crate) fn r7_unknown_unicast() -> Vec<Case> {
    let reason = "unknown-unicast-from-uplink";
    let mut cases = Vec::new();
    for uplink in UPLINKS {
        cases.extend([
            Case::dropped("R7 nobody", uplink, tagged(REMOTE, UNKNOWN, 10), reason),
            Case::dropped("R7 c, but in VLAN 10", uplink, tagged(REMOTE, C, 10), reason),
            Case::dropped("R7 a, but in VLAN 20", uplink, tagged(REMOTE, A, 20), reason),
            Case::dropped("R7 a, untagged", uplink, plain(REMOTE, A), reason),
        ]);
    }
    cases
}

/// The designated uplink of each VLAN, as it was found out.
#[derive(Debug)]
pub(crate) struct Designated(pub(crate) BTreeMap<u16, &'static str>);

impl Designated {
    fn of(&self, vid: u16) -> &'static str {
        self.0[&vid]
    }

    fn not_of(&self, vid: u16) -> &'static str {
        if self.of(vid) == UPLINKS[0] { UPLINKS[1] } else { UPLINKS[0] }
    }
}

/// R8: floods by the designated uplink of the VLAN, and by the other one.
pub(crate) fn r8_flood(designated: &Designated) -> Vec<Case> {
    let duplicate = "not-designated-uplink";
    let mut cases = Vec::new();
    for (name, dst) in [("broadcast", ALL), ("multicast", GROUP), ("IPv6 multicast", GROUP_V6)] {
        let in_10 = tagged(REMOTE, dst, PRIORITY_5 | 10);
        let in_20 = tagged(REMOTE, dst, 20);
        let native = plain(REMOTE, dst);
        let priority = Frame::new(REMOTE, dst).marker(fresh());
        cases.extend([
            Case::forwarded(format!("R8 {name} in VLAN 10"), designated.of(10), in_10.clone())
                .out_all(&["a", "b"], &pop(&in_10))
                .out("t", in_10.clone()),
            Case::dropped(format!("R8 {name} in VLAN 10"), designated.not_of(10), in_10, duplicate),
            Case::forwarded(format!("R8 {name} in VLAN 20"), designated.of(20), in_20.clone())
                .out("c", pop(&in_20))
                .out("t", in_20.clone()),
            Case::dropped(format!("R8 {name} in VLAN 20"), designated.not_of(20), in_20, duplicate),
            Case::forwarded(format!("R8 {name} native"), designated.of(NATIVE), native.clone())
                .out("t", native.clone()),
            Case::dropped(
                format!("R8 {name} native"),
                designated.not_of(NATIVE),
                native,
                duplicate,
            ),
            Case::forwarded(
                format!("R8 {name}, priority tag"),
                designated.of(NATIVE),
                push(&priority, PRIORITY_6),
            )
            .out("t", priority),
        ]);
    }
    cases
}

/// When `eth1` has lost its link: the other uplink receives for all VMs and VLANs.
pub(crate) fn without_eth1() -> Vec<Case> {
    let (to_a, to_c) = (tagged(REMOTE, A, 10), tagged(REMOTE, C, 20));
    let (in_10, in_20, native) =
        (tagged(REMOTE, ALL, 10), tagged(REMOTE, ALL, 20), plain(REMOTE, ALL));
    vec![
        Case::forwarded("R5 by the uplink that is left", "eth2", to_a.clone()).out("a", pop(&to_a)),
        Case::forwarded("R5 to c by the uplink that is left", "eth2", to_c.clone())
            .out("c", pop(&to_c)),
        Case::forwarded("R8 VLAN 10 by the uplink that is left", "eth2", in_10.clone())
            .out_all(&["a", "b"], &pop(&in_10))
            .out("t", in_10),
        Case::forwarded("R8 VLAN 20 by the uplink that is left", "eth2", in_20.clone())
            .out("c", pop(&in_20))
            .out("t", in_20),
        Case::forwarded("R8 native by the uplink that is left", "eth2", native.clone())
            .out("t", native),
    ]
}
