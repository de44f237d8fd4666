//! What a physical VLAN switch does with one frame (IEEE 802.1Q), as a function without I/O.
//!
//! *Invariants*
//! 1. A frame never leaves by the port it came in by, nor by a port that is not in its VLAN.
//! 2. Addresses 01:80:c2:00:00:01..0f are never forwarded; BPDUs only while spanning tree is off
//!    (then the switch is transparent to them, as real ones with STP disabled are).
//! 3. A source address that turns up on another port moves there and the move is counted: on a
//!    healthy network there are none, and a loop or a duplicated frame shows as thousands.

use std::collections::{BTreeSet, HashMap};

use proto::{EtherType, MacAddr, VlanId};

use crate::frames::Header;
use crate::frames::control::PVST;

const TAG_LEN: usize = 4;
const ADDRESSES_LEN: usize = 12;

/// How a port carries VLANs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortMode {
    /// One VLAN, without tags: a PC's socket.
    Access(VlanId),
    /// Many VLANs with tags: toward a host or another switch.
    Trunk {
        /// VLANs that may pass.
        allowed: BTreeSet<VlanId>,
        /// VLAN of untagged frames, sent without a tag; it must be allowed too to pass.
        native: Option<VlanId>,
    },
}

impl PortMode {
    /// VLAN of a frame that comes in with this outer VID, or `None` when the port drops it.
    fn classify(&self, vid: Option<u16>) -> Option<VlanId> {
        match (self, vid) {
            // VID 0 is a priority tag: the frame has no VLAN of its own.
            (Self::Access(vlan), None | Some(0)) => Some(*vlan),
            (Self::Access(_), Some(_)) => None,
            (Self::Trunk { native, .. }, None | Some(0)) => *native,
            (Self::Trunk { .. }, Some(vid)) => VlanId::new(vid).ok(),
        }
        .filter(|vlan| self.carries(*vlan))
    }

    fn carries(&self, vlan: VlanId) -> bool {
        match self {
            Self::Access(own) => *own == vlan,
            Self::Trunk { allowed, .. } => allowed.contains(&vlan),
        }
    }

    fn sends_untagged(&self, vlan: VlanId) -> bool {
        match self {
            Self::Access(_) => true,
            Self::Trunk { native, .. } => *native == Some(vlan),
        }
    }
}

/// What a port has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames that came in.
    pub received: u64,
    /// Frames that left.
    pub sent: u64,
    /// Frames that came in and belong to no VLAN of this port.
    pub vlan_drops: u64,
    /// BPDUs that came in, of any kind. A dataplane must never cause one.
    pub bpdus_received: u64,
    /// Frames that could not be sent: link down, longer than the MTU.
    pub send_errors: u64,
}

/// A frame to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Index of the port.
    pub port: usize,
    /// The frame in that port's tag form.
    pub frame: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Port {
    mode: PortMode,
    counters: PortCounters,
}

/// The state of a switch: ports, addresses learned, whether spanning tree is on.
#[derive(Debug, Default)]
pub struct Bridge {
    ports: Vec<Port>,
    learned: HashMap<(VlanId, MacAddr), usize>,
    moves: u64,
    stp: bool,
}

impl Bridge {
    /// A switch without ports.
    pub fn new(stp: bool) -> Self {
        Self { stp, ..Self::default() }
    }

    /// Adds a port; gives its index.
    pub fn add_port(&mut self, mode: PortMode) -> usize {
        self.ports.push(Port { mode, counters: PortCounters::default() });
        self.ports.len() - 1
    }

    /// Changes the VLANs of a port; what was learned on it is forgotten.
    pub fn set_mode(&mut self, port: usize, mode: PortMode) {
        self.ports[port].mode = mode;
        self.flush(port);
    }

    /// Turns spanning tree on or off.
    pub fn set_stp(&mut self, on: bool) {
        self.stp = on;
    }

    /// Whether spanning tree is on.
    pub fn stp(&self) -> bool {
        self.stp
    }

    /// Counters of a port.
    pub fn counters(&self, port: usize) -> PortCounters {
        self.ports[port].counters
    }

    /// Notes what became of a frame that was to be sent.
    pub fn count_sent(&mut self, port: usize, ok: bool) {
        let counters = &mut self.ports[port].counters;
        if ok {
            counters.sent += 1;
        } else {
            counters.send_errors += 1;
        }
    }

    /// Where an address was last seen.
    pub fn lookup(&self, vlan: VlanId, mac: MacAddr) -> Option<usize> {
        self.learned.get(&(vlan, mac)).copied()
    }

    /// How often an address was seen on another port than before.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Forgets the addresses of a port whose link is down.
    pub fn flush(&mut self, port: usize) {
        self.learned.retain(|_, at| *at != port);
    }

    /// Decides on a frame that came in by `port`.
    pub fn receive(&mut self, port: usize, frame: &[u8]) -> Vec<Output> {
        self.ports[port].counters.received += 1;
        let Some(header) = Header::read(frame) else { return Vec::new() };
        // Only an 802.1Q tag says a VLAN here; an 802.1ad tag is payload.
        let tag = header.tags.first().filter(|tag| tag.tpid == EtherType::VLAN);
        if !self.passes_link_local(port, header.dst) {
            return Vec::new();
        }
        let Some(vlan) = self.ports[port].mode.classify(tag.map(|tag| tag.vid())) else {
            self.ports[port].counters.vlan_drops += 1;
            return Vec::new();
        };
        self.learn(vlan, header.src, port);
        let known = (!header.dst.is_multicast()).then(|| self.lookup(vlan, header.dst)).flatten();
        let inner = untagged(frame, tag.is_some());
        let tci = vlan.get() | tag.map_or(0, |tag| tag.tci & 0xf000);
        (0..self.ports.len())
            .filter(|&out| out != port && known.is_none_or(|known| known == out))
            .filter(|&out| self.ports[out].mode.carries(vlan))
            .map(|out| {
                let bare = self.ports[out].mode.sends_untagged(vlan);
                let frame = if bare { inner.clone() } else { tagged(&inner, tci) };
                Output { port: out, frame }
            })
            .collect()
    }

    /// Counts BPDUs; says whether a frame to this destination may go on (invariant 2).
    fn passes_link_local(&mut self, port: usize, dst: MacAddr) -> bool {
        let bpdu = dst == crate::frames::control::BRIDGE_GROUP || dst == PVST;
        if bpdu {
            self.ports[port].counters.bpdus_received += 1;
            return !self.stp;
        }
        !dst.is_link_local()
    }

    fn learn(&mut self, vlan: VlanId, src: MacAddr, port: usize) {
        if src.is_valid_source()
            && self.learned.insert((vlan, src), port).is_some_and(|o| o != port)
        {
            self.moves += 1;
        }
    }
}

/// The frame without its outer tag.
fn untagged(frame: &[u8], has_tag: bool) -> Vec<u8> {
    let rest = if has_tag { ADDRESSES_LEN + TAG_LEN } else { ADDRESSES_LEN };
    [&frame[..ADDRESSES_LEN], &frame[rest..]].concat()
}

/// The frame with an 802.1Q tag.
fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
    let tpid = EtherType::VLAN.get().to_be_bytes();
    [&frame[..ADDRESSES_LEN], &tpid, &tci.to_be_bytes(), &frame[ADDRESSES_LEN..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Frame, Tag, control};

    const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);

    fn vlan(vid: u16) -> VlanId {
        VlanId::new(vid).unwrap()
    }

    /// Ports: 0 access 10, 1 access 20, 2 trunk 10+20, 3 trunk 10 native 10.
    fn bridge() -> Bridge {
        let mut bridge = Bridge::new(false);
        bridge.add_port(PortMode::Access(vlan(10)));
        bridge.add_port(PortMode::Access(vlan(20)));
        bridge.add_port(PortMode::Trunk { allowed: [vlan(10), vlan(20)].into(), native: None });
        bridge.add_port(PortMode::Trunk { allowed: [vlan(10)].into(), native: Some(vlan(10)) });
        bridge
    }

    fn out(port: usize, frame: Vec<u8>) -> Output {
        Output { port, frame }
    }

    #[test]
    fn a_broadcast_stays_in_its_vlan_in_each_ports_tag_form() {
        let bare = Frame::new(A, MacAddr::BROADCAST);
        let outputs = bridge().receive(0, &bare.clone().marker(1));
        let expected = [
            out(2, [bare.clone().vlan(vlan(10)).marker(1), vec![0; 4]].concat()),
            out(3, bare.clone().marker(1)),
        ];
        assert_eq!(outputs, expected);
        let outputs = bridge().receive(2, &bare.clone().vlan(vlan(20)).marker(2));
        assert_eq!(outputs.len(), 1);
        assert_eq!((outputs[0].port, Header::read(&outputs[0].frame).unwrap().vid()), (1, None));
    }

    #[test]
    fn a_learned_address_gets_its_frames_alone_and_may_move() {
        let mut bridge = bridge();
        bridge.receive(2, &Frame::new(B, A).vlan(vlan(10)).marker(1));
        let to_b = Frame::new(A, B).marker(2);
        assert_eq!(bridge.receive(0, &to_b).iter().map(|o| o.port).collect::<Vec<_>>(), [2]);
        // Another VLAN knows nothing of it.
        assert_eq!((bridge.lookup(vlan(20), B), bridge.moves()), (None, 0));
        bridge.receive(3, &Frame::new(B, A).marker(3));
        assert_eq!((bridge.lookup(vlan(10), B), bridge.moves()), (Some(3), 1));
        bridge.flush(3);
        assert_eq!(bridge.receive(0, &to_b).len(), 2);
    }

    #[test]
    fn frames_of_no_vlan_of_the_port_are_dropped_and_counted() {
        let mut bridge = bridge();
        let frame = Frame::new(A, MacAddr::BROADCAST);
        assert!(bridge.receive(0, &frame.clone().vlan(vlan(10)).marker(1)).is_empty());
        assert!(bridge.receive(2, &frame.clone().marker(2)).is_empty());
        assert!(bridge.receive(2, &frame.clone().vlan(vlan(30)).marker(3)).is_empty());
        let reserved = Tag { tpid: EtherType::VLAN, tci: 0x0fff };
        assert!(bridge.receive(2, &frame.tag(reserved).marker(4)).is_empty());
        assert_eq!((bridge.counters(0).vlan_drops, bridge.counters(2).vlan_drops), (1, 3));
    }

    #[test]
    fn priority_bits_survive_and_a_priority_tag_is_no_vlan() {
        let tag = Tag { tpid: EtherType::VLAN, tci: 0xa000 };
        let outputs = bridge().receive(0, &Frame::new(A, MacAddr::BROADCAST).tag(tag).marker(1));
        let header = Header::read(&outputs[0].frame).unwrap();
        assert_eq!((header.tags.len(), header.vid(), header.tags[0].pcp()), (1, Some(10), 5));
    }

    #[test]
    fn bpdus_pass_only_while_spanning_tree_is_off_and_link_local_never() {
        let mut bridge = bridge();
        assert_eq!(bridge.receive(0, &control::rstp(A)).len(), 2);
        bridge.set_stp(true);
        assert!(bridge.receive(0, &control::rstp(A)).is_empty());
        assert!(bridge.receive(2, &control::pvst(A, vlan(10))).is_empty());
        assert_eq!((bridge.counters(0).bpdus_received, bridge.counters(2).bpdus_received), (2, 1));
        assert!(bridge.receive(0, &control::lacp(A)).is_empty());
        assert!(bridge.receive(0, &control::lldp(A)).is_empty());
    }
}
