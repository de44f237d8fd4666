//! Tests of LACP. [`Bench`] is one side with a partner made by hand, [`lab`] is two sides with
//! cables between them; both check after every step what must always hold ([`check`]).

mod lab;
mod machines;
mod marker;
mod pair;
mod property;
mod selection;

use std::collections::VecDeque;

use policy::teaming::LacpRate;
use proto::MacAddr;
use proto::frame::lacp::{Lacpdu, PortInfo, PortState, SlowPdu, SystemId, parse};

use super::*;

/// A second.
const S: u64 = 1_000_000_000;
/// A millisecond.
const MS: u64 = 1_000_000;

fn system(priority: u16, last: u8) -> SystemId {
    SystemId { priority, mac: MacAddr::new([0x02, 0, 0, 0, 0xff, last]) }
}

/// A member of port-channel 1: active, fast, and everything else as it is without configuration.
fn config(nic: u8) -> PortConfig {
    PortConfig {
        nic,
        key: 1,
        mac: MacAddr::new([0x02, 0, 0, 0, 0, nic]),
        admin_up: true,
        active: true,
        rate: LacpRate::Fast,
        port_priority: 32768,
        min_links: 1,
        max_bundle: 8,
        suspend_individual: true,
        rank: 0,
    }
}

fn configs(nics: std::ops::RangeInclusive<u8>) -> Vec<PortConfig> {
    nics.map(config).collect()
}

/// What holds after every call.
fn check(lacp: &Lacp) {
    for group in &lacp.groups {
        let carrying: Vec<&Port> = group.ports.iter().filter(|port| port.member.carries).collect();
        let status = group.status(lacp.system);
        assert_eq!((status.up, status.carrying), (!carrying.is_empty(), carrying.len()));
        assert_eq!(status.reason.is_none(), status.up, "{status:?}");
        if group.is_fallback {
            assert!(!group.suspend_individual && carrying.len() <= 1);
            assert!(group.ports.iter().all(|port| !port.is_enabled()
                || port.defaulted
                || port.partner.system.mac == port.system.mac));
        } else if !carrying.is_empty() {
            assert!((group.min_links..=group.max_bundle).contains(&carrying.len()));
        }
        let mut attached = group.ports.iter().filter(|port| port.mux.state.is_attached());
        if let Some(first) = attached.next() {
            let lag = |port: &Port| (port.partner.system, port.partner.key);
            assert!(attached.all(|port| lag(port) == lag(first)), "{group:#?}");
        }
        for port in &group.ports {
            check_port(group, port);
        }
    }
}

fn check_port(group: &Group, port: &Port) {
    let context = || format!("{port:#?}");
    let state = port.actor().state;
    let carries = state.has(PortState::DISTRIBUTING);
    assert_eq!(carries, state.has(PortState::COLLECTING));
    assert_eq!(carries, port.member.carries, "{}", context());
    assert_eq!(carries, port.member.flag.carries());
    assert_eq!(port.member.flag == Flag::Bundled, port.member.reason.is_none());
    assert_eq!(port.member.flag == Flag::Down, !port.is_enabled(), "{}", context());
    if carries {
        assert!(state.has(PortState::SYNCHRONIZATION));
        assert!(port.is_partner_in_sync(), "{}", context());
    }
    if port.mux.state.is_attached() {
        assert_eq!(port.selected, Selected::Selected, "{}", context());
    }
    assert_eq!(port.mux.state == MuxState::Detached, port.selected == Selected::Unselected);
    if port.selected != Selected::Unselected {
        assert!(port.is_enabled());
        assert_ne!(port.partner.system.mac, port.system.mac, "looped");
        assert_eq!(port.defaulted, group.is_fallback, "{}", context());
    }
    match port.receive.state {
        ReceiveState::PortDisabled => assert!(!port.is_enabled()),
        ReceiveState::Current => assert!(port.is_enabled() && !port.defaulted),
        ReceiveState::Defaulted => assert!(port.is_enabled() && port.defaulted),
        ReceiveState::Expired => assert!(port.is_enabled() && !port.is_partner_in_sync()),
    }
    assert_eq!(port.receive.state == ReceiveState::Expired, state.has(PortState::EXPIRED));
    assert_eq!(
        port.mux.wait_while.is_some() && !port.mux.has_waited(),
        port.mux.wait_while.is_some()
    );
    if port.periodic.state == PeriodicState::NoPeriodic {
        assert!(!port.ntt && port.periodic.timer.is_none());
    }
}

/// No window of a second has more than three LACPDUs, or ten responses, of one port.
#[derive(Debug, Default)]
struct RateCheck {
    /// By NIC and kind: when the last ones were sent.
    sent_ns: std::collections::BTreeMap<(u8, bool), VecDeque<u64>>,
}

impl RateCheck {
    fn sent(&mut self, now_ns: u64, transmit: &Transmit) {
        let is_lacp = matches!(parse(&transmit.frame), Ok(SlowPdu::Lacp(_)));
        let sent_ns = self.sent_ns.entry((transmit.nic, is_lacp)).or_default();
        let allowed = if is_lacp { 3 } else { 10 };
        if sent_ns.len() == allowed {
            let first_ns = sent_ns.pop_front().unwrap();
            assert!(now_ns >= first_ns + S, "NIC {}: {sent_ns:?} {now_ns}", transmit.nic);
        }
        sent_ns.push_back(now_ns);
    }
}

/// One side, and a partner made by hand.
#[derive(Debug)]
struct Bench {
    lacp: Lacp,
    now_ns: u64,
    /// LACPDUs that this side sent and nobody took.
    sent: Vec<(u8, Lacpdu)>,
    changes: Vec<Change>,
    rate: RateCheck,
}

impl Bench {
    const ACTOR: u8 = 1;

    /// With these ports, whose links are up.
    fn new(ports: &[PortConfig]) -> Self {
        let mut bench = Self {
            lacp: Lacp::new(system(32768, Self::ACTOR)),
            now_ns: 0,
            sent: Vec::new(),
            changes: Vec::new(),
            rate: RateCheck::default(),
        };
        bench.configure(ports);
        for port in ports {
            bench.link(port.nic, true);
        }
        bench
    }

    fn configure(&mut self, ports: &[PortConfig]) {
        self.lacp.configure(self.now_ns, system(32768, Self::ACTOR), ports);
        self.collect();
    }

    fn link(&mut self, nic: u8, up: bool) {
        self.lacp.link(self.now_ns, nic, up);
        self.collect();
    }

    fn receive(&mut self, nic: u8, pdu: Lacpdu) {
        self.lacp.receive(self.now_ns, nic, &pdu.to_frame(MacAddr::new([2, 9, 9, 9, 9, nic])));
        self.collect();
    }

    /// Lets every timer act in its time, until `now_ns`.
    fn run_to(&mut self, until_ns: u64) {
        for _ in 0..100_000 {
            let next_ns = self.lacp.next_deadline_ns().unwrap_or(u64::MAX);
            self.now_ns = next_ns.min(until_ns);
            self.lacp.poll(self.now_ns);
            self.collect();
            assert!(self.lacp.next_deadline_ns().is_none_or(|next_ns| next_ns > self.now_ns));
            if self.now_ns == until_ns {
                return;
            }
        }
        panic!("too many deadlines before {until_ns}");
    }

    fn run(&mut self, time_ns: u64) {
        self.run_to(self.now_ns + time_ns);
    }

    fn collect(&mut self) {
        check(&self.lacp);
        for transmit in self.lacp.take_transmits() {
            self.rate.sent(self.now_ns, &transmit);
            if let Ok(SlowPdu::Lacp(pdu)) = parse(&transmit.frame) {
                self.sent.push((transmit.nic, pdu));
            }
        }
        self.changes.extend(self.lacp.take_changes());
    }

    fn status(&self, nic: u8) -> PortStatus {
        self.lacp.port_statuses().find(|port| port.nic == nic).unwrap()
    }

    fn flag(&self, nic: u8) -> Flag {
        self.status(nic).member.flag
    }

    /// The letters of these members.
    fn flags(&self, nics: std::ops::RangeInclusive<u8>) -> String {
        nics.map(|nic| self.flag(nic).letter()).collect()
    }

    fn group(&self) -> GroupStatus {
        self.lacp.groups().next().unwrap()
    }

    /// What a partner on this NIC sends that hears this side and is attached.
    fn in_sync(&self, nic: u8) -> Lacpdu {
        Lacpdu { actor: partner(nic), partner: self.status(nic).actor, collector_max_delay: 0 }
    }

    /// The partner keeps saying that it is in sync on these NICs, until they have settled.
    fn converge(&mut self, nics: std::ops::RangeInclusive<u8>) {
        self.speak(nics, 3 * S);
    }

    /// The partner says so every half second.
    fn speak(&mut self, nics: std::ops::RangeInclusive<u8>, time_ns: u64) {
        let until_ns = self.now_ns + time_ns;
        while self.now_ns < until_ns {
            for nic in nics.clone() {
                self.receive(nic, self.in_sync(nic));
            }
            self.run((S / 2).min(until_ns - self.now_ns));
        }
        for nic in nics {
            self.receive(nic, self.in_sync(nic));
        }
    }
}

/// A partner's port that is active, fast and in sync.
fn partner(port: u8) -> PortInfo {
    PortInfo {
        system: system(100, 2),
        key: 7,
        port_priority: 255,
        port: u16::from(port) + 100,
        state: PortState::new(0x3f),
    }
}
