//! Which uplink each vEthernet sends by, how it came there, and how long its last move took.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use policy::snapshot::Role;
use proto::PortId;
use proto::rpc::switch;

use super::chassis::Chassis;
use super::control::Control;
use crate::clock::unix_time_ns;
use crate::core::pinning::{Cause, Repin};

/// Ports that are named one by one when many move at once: the supervisor keeps so many events.
const NAMED_MAX: usize = 32;

/// The moves of one vEthernet from uplink to uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    count: u32,
    last_unix_ns: u64,
    last_duration_ns: u64,
}

impl Moves {
    /// One more, which took this long from what caused it until every worker forwarded by it.
    fn add(&mut self, duration: Duration) {
        self.count = self.count.saturating_add(1);
        self.last_unix_ns = unix_time_ns();
        self.last_duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    }
}

impl<C: Chassis> Control<C> {
    /// Workers forward by new pins since a moment ago: counts the moves, and tells of them. `began`
    /// is when what caused them was heard of.
    pub(super) fn moved(&mut self, repins: &[Repin], began: Instant) {
        let (now, took) = (Instant::now(), began.elapsed());
        let mut told = Vec::new();
        for repin in repins {
            if repin.to.is_none() {
                self.announcer.forget(repin.port);
                continue;
            }
            self.announcer.moved(repin.port, now);
            if repin.cause != Cause::New {
                self.moves.entry(self.port_name(repin.port)).or_default().add(took);
                told.push(*repin);
            }
        }
        self.announce();
        self.tell_moves(&told, took);
    }

    /// Tells of moves: of all in one sentence, then of the first ones by name.
    fn tell_moves(&self, moves: &[Repin], took: Duration) {
        let place = |repin: &Repin| {
            self.team.uplink(repin.port).map(|place| place.to_string()).unwrap_or_default()
        };
        let places: BTreeSet<String> = moves.iter().map(place).collect();
        let is_moved = |port: PortId| moves.iter().any(|repin| repin.port == port);
        let addresses = self.snapshot.fib().iter().filter(|(.., port)| is_moved(*port)).count();
        if !moves.is_empty() {
            let s = if moves.len() == 1 { "" } else { "s" };
            let es = if addresses == 1 { "" } else { "es" };
            let places: Vec<String> = places.into_iter().collect();
            let message = format!(
                "{} vEthernet{s} with {addresses} MAC address{es} moved to {} in {:.1} ms",
                moves.len(),
                places.join(", "),
                took.as_secs_f64() * 1e3,
            );
            self.event("notice", "", "pins-moved", message);
        }
        for repin in moves.iter().take(NAMED_MAX) {
            let (name, place, cause) =
                (self.port_name(repin.port), place(repin), repin.cause.name());
            self.event(
                "notice",
                &name,
                "repinned",
                format!("{name} now sends by {place}: {cause}"),
            );
        }
    }

    /// The pins as they stand.
    pub(super) fn pins(&self) -> Vec<switch::Pin> {
        let pin = |port: &policy::snapshot::Port| {
            let Role::Vethernet(_) = &port.role else { return None };
            let name = port.name.to_string();
            let moves = self.moves.get(&name).copied().unwrap_or_default();
            let label = |it: Option<proto::InterfaceName>| it.map(|it| it.to_string());
            Some(switch::Pin {
                uplink: label(self.team.uplink(port.id)).unwrap_or_default(),
                preferred: label(self.team.preferred(port.id)).unwrap_or_default(),
                reason: self.team.reason(port.id).map_or("", |reason| reason.name()).to_owned(),
                port: name,
                moves: moves.count,
                moved_unix_ns: moves.last_unix_ns,
                move_duration_ns: moves.last_duration_ns,
            })
        };
        self.snapshot.ports().filter_map(pin).collect()
    }
}
