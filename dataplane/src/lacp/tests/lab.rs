//! Two sides and the cables between them, with time that jumps from event to event.

use super::*;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    A,
    B,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A cable between a NIC of each side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cable {
    /// NIC of A, NIC of B.
    pub(super) nics: [u8; 2],
    /// Of 256 frames, how many are lost: from A, from B.
    pub(super) lost: [u16; 2],
    /// How long a frame takes.
    pub(super) delay_ns: u64,
}

/// A frame on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    arrives_ns: u64,
    to: Side,
    nic: u8,
    frame: [u8; FRAME_LEN],
}

/// Two sides.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) now_ns: u64,
    pub(super) sides: [Lacp; 2],
    systems: [SystemId; 2],
    pub(super) cables: Vec<Cable>,
    flights: Vec<Flight>,
    pub(super) changes: [Vec<Change>; 2],
    rates: [RateCheck; 2],
    random: u64,
}

impl Lab {
    /// With cable `n` between NIC `n` of both sides, and every link up.
    pub(super) fn new(a: &[PortConfig], b: &[PortConfig]) -> Self {
        let nics = a.iter().map(|port| (port.nic, port.nic)).collect::<Vec<_>>();
        let mut lab = Self::wired([system(32768, 1), system(32768, 2)], &nics);
        lab.configure(Side::A, a);
        lab.configure(Side::B, b);
        for (nic, _) in nics {
            lab.set_link(nic, true);
        }
        lab
    }

    /// Without ports, with these cables, all links down.
    pub(super) fn wired(systems: [SystemId; 2], nics: &[(u8, u8)]) -> Self {
        let cable = |(a, b): &(u8, u8)| Cable { nics: [*a, *b], lost: [0; 2], delay_ns: MS };
        Self {
            now_ns: 0,
            sides: systems.map(Lacp::new),
            systems,
            cables: nics.iter().map(cable).collect(),
            flights: Vec::new(),
            changes: [Vec::new(), Vec::new()],
            rates: [RateCheck::default(), RateCheck::default()],
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub(super) fn side(&self, side: Side) -> &Lacp {
        &self.sides[side as usize]
    }

    pub(super) fn configure(&mut self, side: Side, ports: &[PortConfig]) {
        self.sides[side as usize].configure(self.now_ns, self.systems[side as usize], ports);
        self.collect(side);
    }

    /// The daemon of this side starts anew: it remembers nothing, and says no goodbye.
    pub(super) fn restart(&mut self, side: Side, ports: &[PortConfig]) {
        let links = self.sides[side as usize].links;
        let mut fresh = Lacp::new(self.systems[side as usize]);
        fresh.links = links;
        self.sides[side as usize] = fresh;
        self.rates[side as usize] = RateCheck::default();
        self.configure(side, ports);
    }

    /// Sets the carrier of both ends of the cable at this NIC of A; what is on its way is lost.
    pub(super) fn set_link(&mut self, nic_of_a: u8, up: bool) {
        let cable = *self.cables.iter().find(|cable| cable.nics[0] == nic_of_a).unwrap();
        if !up {
            self.flights.retain(|flight| flight.nic != cable.nics[flight.to as usize]);
        }
        for side in [Side::A, Side::B] {
            self.sides[side as usize].link(self.now_ns, cable.nics[side as usize], up);
            self.collect(side);
        }
    }

    /// From now on of 256 frames from `side` by this NIC of A's, so many are lost.
    pub(super) fn lose(&mut self, nic_of_a: u8, from: Side, of_256: u16) {
        let cable = self.cables.iter_mut().find(|cable| cable.nics[0] == nic_of_a).unwrap();
        cable.lost[from as usize] = of_256;
    }

    pub(super) fn run(&mut self, time_ns: u64) {
        let until_ns = self.now_ns + time_ns;
        for _ in 0..1_000_000 {
            let deadlines = self.sides.iter().filter_map(Lacp::next_deadline_ns);
            let arrivals = self.flights.iter().map(|flight| flight.arrives_ns);
            let next_ns = deadlines.chain(arrivals).min().unwrap_or(u64::MAX).max(self.now_ns);
            self.now_ns = next_ns.min(until_ns);
            self.deliver();
            for side in [Side::A, Side::B] {
                self.sides[side as usize].poll(self.now_ns);
                self.collect(side);
                let next_ns = self.side(side).next_deadline_ns();
                assert!(next_ns.is_none_or(|next_ns| next_ns > self.now_ns));
            }
            if next_ns > until_ns {
                return;
            }
        }
        panic!("too many events before {until_ns}");
    }

    /// Runs until a condition holds, and gives the time that took.
    pub(super) fn run_until(&mut self, limit_ns: u64, holds: impl Fn(&Self) -> bool) -> u64 {
        let start_ns = self.now_ns;
        while !holds(self) {
            assert!(self.now_ns - start_ns < limit_ns, "{}", self.flags());
            self.run(10 * MS);
        }
        self.now_ns - start_ns
    }

    fn deliver(&mut self) {
        let now_ns = self.now_ns;
        let (due, later) =
            self.flights.drain(..).partition(|flight: &Flight| flight.arrives_ns <= now_ns);
        self.flights = later;
        let due: Vec<Flight> = due;
        for Flight { to, nic, frame, .. } in due {
            self.sides[to as usize].receive(now_ns, nic, &frame);
            self.collect(to);
        }
    }

    fn collect(&mut self, side: Side) {
        check(self.side(side));
        let lacp = &mut self.sides[side as usize];
        self.changes[side as usize].extend(lacp.take_changes());
        let transmits: Vec<Transmit> = lacp.take_transmits().collect();
        for transmit in transmits {
            // The goodbye of a port may be one more than it may send otherwise.
            let is_enabled = self
                .side(side)
                .port_statuses()
                .any(|port| port.nic == transmit.nic && port.receive != ReceiveState::PortDisabled);
            if is_enabled {
                self.rates[side as usize].sent(self.now_ns, &transmit);
            }
            self.send(side, &transmit);
        }
    }

    fn send(&mut self, side: Side, transmit: &Transmit) {
        let by = |cable: &&Cable| cable.nics[side as usize] == transmit.nic;
        let Some(cable) = self.cables.iter().find(by).copied() else { return };
        // xorshift: the same losses for the same calls.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        if (self.random >> 32) as u8 as u16 >= cable.lost[side as usize] {
            self.flights.push(Flight {
                arrives_ns: self.now_ns + cable.delay_ns,
                to: side.other(),
                nic: cable.nics[side.other() as usize],
                frame: transmit.frame,
            });
        }
    }

    pub(super) fn status(&self, side: Side, nic: u8) -> PortStatus {
        self.side(side).port_statuses().find(|port| port.nic == nic).unwrap()
    }

    /// The letters of A's members and of B's, by NIC: `PP PP`.
    pub(super) fn flags(&self) -> String {
        let of = |side| {
            let mut ports: Vec<_> = self.side(side).port_statuses().collect();
            ports.sort_by_key(|port| port.nic);
            ports.iter().map(|port| port.member.flag.letter()).collect::<String>()
        };
        format!("{} {}", of(Side::A), of(Side::B))
    }
}
