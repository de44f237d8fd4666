//! Rows F1 to F6: frames from a vEthernet.

use proto::{EtherType, MacAddr, VlanId};
use tests::frames::{Frame, Tag, control};

use crate::main_lab::{A, ALL, B, C, GROUP, GROUP_V6, NATIVE, T, UNKNOWN};
use crate::rig::{Case, fresh, plain, pop, push};

/// A reserved VID (IEEE 802.1Q-2018 table 9-2).
const RESERVED: u16 = 4095;

/// Priority bits of a tag's control information.
const PRIORITY_5: u16 = 5 << 13;
const PRIORITY_7: u16 = 7 << 13;

/// F1: only from its own address.
pub(crate) fn f1_source() -> Vec<Case> {
    let spoofed = "source-mac-violation";
    let invalid = "source-mac-invalid";
    vec![
        Case::dropped("F1 another VM's address, broadcast", "a", plain(B, ALL), spoofed),
        Case::dropped("F1 another VM's address, to that VM", "a", plain(B, B), spoofed),
        Case::dropped("F1 an address of nobody", "a", plain(UNKNOWN, B), spoofed),
        Case::dropped("F1 an address of nobody, to the wire", "t", plain(UNKNOWN, C), spoofed),
        Case::dropped("F1 its own address but for one bit", "a", plain(flip(A), B), spoofed),
        Case::dropped("F1 multicast source", "a", plain(GROUP, B), invalid),
        Case::dropped("F1 broadcast source", "a", plain(ALL, ALL), invalid),
        Case::dropped("F1 zero source", "a", plain(MacAddr::ZERO, UNKNOWN), invalid),
        Case::dropped("F1 spoofed in a tag", "t", push(&plain(C, ALL), 20), spoofed),
    ]
}

fn flip(mac: MacAddr) -> MacAddr {
    let mut octets = mac.octets();
    octets[5] ^= 0x80;
    MacAddr::new(octets)
}

/// F2: frames of the link, which no switch may relay.
pub(crate) fn f2_link_local() -> Vec<Case> {
    let (bpdu, link_local) = ("bpdu-from-vm", "link-local-from-vm");
    let vlan_10 = VlanId::new(10_u16).expect("a VLAN");
    let mut cases = vec![
        Case::dropped("F2 STP", "a", control::stp(A), bpdu),
        Case::dropped("F2 topology change", "a", control::stp_topology_change(A), bpdu),
        Case::dropped("F2 RSTP", "a", control::rstp(A), bpdu),
        Case::dropped("F2 MSTP", "a", control::mstp(A), bpdu),
        Case::dropped("F2 PVST+ tagged", "t", control::pvst(T, vlan_10), bpdu),
        Case::dropped("F2 PVST+ tagged on an access port", "a", control::pvst(A, vlan_10), bpdu),
        Case::dropped("F2 PVST+ untagged", "a", control::pvst_untagged(A, vlan_10), bpdu),
        Case::dropped("F2 CDP", "a", control::cdp(A), link_local),
        Case::dropped("F2 LACP", "a", control::lacp(A), link_local),
        Case::dropped("F2 marker", "a", control::lacp_marker(A, 1), link_local),
        Case::dropped("F2 LLDP", "a", control::lldp(A), link_local),
        Case::dropped("F2 PAUSE", "a", control::pause(A), link_local),
    ];
    for last in 0..16_u8 {
        // What is sent to the two bridge groups is spanning tree, whatever is in it.
        let reason = if matches!(last, 0 | 8) { bpdu } else { link_local };
        let dst = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, last]);
        let name = format!("F2 any frame to {dst}");
        cases.push(Case::dropped(name, "b", plain(B, dst), reason));
        let name = format!("F2 tagged frame to {dst}");
        cases.push(Case::dropped(name, "t", push(&plain(T, dst), 20), reason));
    }
    cases
}

/// The group next to the sixteen that stay on the link is an ordinary one (01:80:c2:00:00:10 was
/// "all LANs bridge management", IEEE 802.1D-2004 clause 7.12.4).
pub(crate) fn f2_neighbour_of_link_local() -> Vec<Case> {
    let frame = plain(A, MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x10]));
    let tagged = push(&frame, 10);
    vec![
        Case::forwarded("F2 01:80:c2:00:00:10 is none of them", "a", frame.clone())
            .out("b", frame)
            .out_all(&["t", "eth1"], &tagged),
    ]
}

/// F3: tags and VLANs that the port does not take, and those that it does.
pub(crate) fn f3_vlans() -> Vec<Case> {
    let to_b = || plain(A, B);
    let from_t = || plain(T, UNKNOWN);
    let priority_tagged = push(&to_b(), PRIORITY_5);
    let two_tags = push(&push(&to_b(), 20), 0);
    let service_tag = Tag { tpid: EtherType::SERVICE_VLAN, tci: 10 };
    let service_tagged = |src| Frame::new(src, UNKNOWN).tag(service_tag).marker(fresh());
    let (inner_service, native_service) = (push(&service_tagged(T), 20), service_tagged(T));
    vec![
        Case::dropped("F3 tag of its own VLAN on access", "a", push(&to_b(), 10), "tag-on-access"),
        Case::dropped("F3 tag of another on access", "a", push(&to_b(), 20), "tag-on-access"),
        Case::dropped("F3 tag behind a priority tag on access", "a", two_tags, "tag-on-access"),
        Case::dropped("F3 VID 4095 on access", "a", push(&to_b(), RESERVED), "vid-reserved"),
        Case::dropped("F3 VID 4095 on a trunk", "t", push(&from_t(), RESERVED), "vid-reserved"),
        Case::dropped("F3 VLAN not allowed", "t", push(&from_t(), 40), "vlan-not-allowed"),
        Case::dropped(
            "F3 VLAN not allowed, broadcast",
            "t",
            push(&plain(T, ALL), 4094),
            "vlan-not-allowed",
        ),
        Case::forwarded("F3 priority tag on access", "a", priority_tagged.clone())
            .out("b", pop(&priority_tagged)),
        Case::dropped("F3 service tag on access", "a", service_tagged(A), "tag-on-access"),
        Case::forwarded("F3 a service tag behind a tag is payload", "t", inner_service.clone())
            .out("eth2", inner_service),
        // Untagged, the next switch would take the service tag for the frame's own.
        Case::forwarded("F3 a service tag in the native VLAN", "t", native_service.clone())
            .out("eth2", push(&native_service, NATIVE)),
    ]
}

/// F4: unicast to a VM of this host and VLAN goes to it alone.
pub(crate) fn f4_known_unicast() -> Vec<Case> {
    let (a_to_b, a_to_t, t_to_c, b_to_a) = (plain(A, B), plain(A, T), plain(T, C), plain(B, A));
    let (t_to_a, c_to_t) = (push(&plain(T, A), PRIORITY_7 | 10), plain(C, T));
    let twice = push(&push(&plain(T, C), 99), 20);
    vec![
        Case::forwarded("F4 access to access", "a", a_to_b.clone()).out("b", a_to_b),
        Case::forwarded("F4 and back", "b", b_to_a.clone()).out("a", b_to_a),
        Case::forwarded("F4 access to trunk", "a", a_to_t.clone()).out("t", push(&a_to_t, 10)),
        Case::forwarded("F4 trunk to access", "t", push(&t_to_c, 20)).out("c", t_to_c),
        Case::forwarded("F4 trunk to access with priority", "t", t_to_a.clone())
            .out("a", pop(&t_to_a)),
        Case::forwarded("F4 access VLAN 20 to trunk", "c", c_to_t.clone())
            .out("t", push(&c_to_t, 20)),
        Case::forwarded("F4 an inner tag stays", "t", twice.clone()).out("c", pop(&twice)),
        Case::dropped("F4 hairpin on access", "a", plain(A, A), "hairpin"),
        Case::dropped("F4 hairpin on a trunk", "t", push(&plain(T, T), 20), "hairpin"),
        Case::dropped("F4 hairpin in the native VLAN", "t", plain(T, T), "hairpin"),
    ]
}

/// F5: all other unicast goes to the port's uplink, once, and to no VM.
pub(crate) fn f5_unknown_unicast() -> Vec<Case> {
    let (from_a, from_b, from_t) = (plain(A, UNKNOWN), plain(B, UNKNOWN), plain(T, UNKNOWN));
    let (other_vlan, native_to_c) = (plain(A, C), plain(T, C));
    let twice = push(&push(&plain(T, UNKNOWN), PRIORITY_5 | 99), PRIORITY_7 | 20);
    let native_tagged = push(&plain(T, UNKNOWN), PRIORITY_5 | NATIVE);
    vec![
        Case::forwarded("F5 from an access port", "a", from_a.clone())
            .out("eth1", push(&from_a, 10)),
        Case::forwarded("F5 by the other uplink", "b", from_b.clone())
            .out("eth2", push(&from_b, 10)),
        Case::forwarded("F5 a VM of another VLAN is not local", "a", other_vlan.clone())
            .out("eth1", push(&other_vlan, 10)),
        Case::forwarded("F5 native on both sides", "t", from_t.clone()).out("eth2", from_t),
        Case::forwarded("F5 the native VLAN is a VLAN", "t", native_to_c.clone())
            .out("eth2", native_to_c),
        Case::forwarded("F5 a tag of the native VLAN comes off", "t", native_tagged.clone())
            .out("eth2", pop(&native_tagged)),
        Case::forwarded("F5 two tags pass with their priorities", "t", twice.clone())
            .out("eth2", twice),
        Case::dropped("F5 a VLAN without uplink", "t", push(&plain(T, UNKNOWN), 50), "no-uplink"),
    ]
}

/// F6: broadcast and multicast go to the VMs of the VLAN and to the port's uplink, once each.
pub(crate) fn f6_flood() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, dst) in [("broadcast", ALL), ("multicast", GROUP), ("IPv6 multicast", GROUP_V6)] {
        let (from_a, from_b, from_c) = (plain(A, dst), plain(B, dst), plain(C, dst));
        let (from_t, native) = (push(&plain(T, dst), PRIORITY_5 | 10), plain(T, dst));
        cases.extend([
            Case::forwarded(format!("F6 {name} from a"), "a", from_a.clone())
                .out_all(&["t", "eth1"], &push(&from_a, 10))
                .out("b", from_a),
            Case::forwarded(format!("F6 {name} from b"), "b", from_b.clone())
                .out_all(&["t", "eth2"], &push(&from_b, 10))
                .out("a", from_b),
            Case::forwarded(format!("F6 {name} in VLAN 20"), "c", from_c.clone())
                .out_all(&["t", "eth1"], &push(&from_c, 20)),
            Case::forwarded(format!("F6 {name} from a trunk"), "t", from_t.clone())
                .out_all(&["a", "b"], &pop(&from_t))
                .out("eth2", from_t),
            Case::forwarded(format!("F6 {name} in the native VLAN"), "t", native.clone())
                .out("eth2", native),
            Case::dropped(
                format!("F6 {name} that nobody is there for"),
                "t",
                push(&plain(T, dst), 50),
                "no-uplink",
            ),
        ]);
    }
    cases
}

/// When no uplink has a link: local traffic goes on, the rest says why not.
pub(crate) fn without_uplinks() -> Vec<Case> {
    let (unicast, broadcast) = (plain(A, B), plain(A, ALL));
    vec![
        Case::forwarded("F4 without uplinks", "a", unicast.clone()).out("b", unicast),
        Case::dropped("F5 without uplinks", "a", plain(A, UNKNOWN), "no-uplink"),
        Case::forwarded("F6 without uplinks", "a", broadcast.clone())
            .out("t", push(&broadcast, 10))
            .out("b", broadcast),
    ]
}

/// When `eth1` has lost its link: those that were pinned to it use the other uplink.
pub(crate) fn without_eth1() -> Vec<Case> {
    let (unicast, broadcast, from_c) = (plain(A, UNKNOWN), plain(A, ALL), plain(C, GROUP));
    vec![
        Case::forwarded("F5 by the uplink that is left", "a", unicast.clone())
            .out("eth2", push(&unicast, 10)),
        Case::forwarded("F6 by the uplink that is left", "a", broadcast.clone())
            .out_all(&["t", "eth2"], &push(&broadcast, 10))
            .out("b", broadcast),
        Case::forwarded("F6 in VLAN 20 by the uplink that is left", "c", from_c.clone())
            .out_all(&["t", "eth2"], &push(&from_c, 20)),
    ]
}
