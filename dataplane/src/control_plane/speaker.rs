//! The loop: obey, hear, let time pass, send, tell, wait.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use crossbeam::channel::{Receiver, Sender, TryRecvError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use proto::frame::ControlKind;
use proto::frame::lacp::SystemId;
use proto::{HostId, MacAddr};
use tracing::{error, warn};

use super::nic::Nic;
use super::{Command, NicSettings, Seen, Settings};
use crate::clock::unix_time_ns;
use crate::lacp::{Lacp, PortConfig};
use crate::neighbor::{self, Identity, Neighbors};
use crate::notice::Notice;

/// Longest sleep, so that a clock that jumps costs little.
const SLEEP_MAX_MS: u64 = 1_000;
/// Rounds of hearing before time passes: a flood of control frames must not stop the timers.
const ROUNDS_MAX: usize = 8;

/// Everything that the thread owns.
pub(super) struct Speaker {
    commands: Receiver<Command>,
    wake: Arc<EventFd>,
    notices: Sender<Notice>,
    seen: Arc<ArcSwap<Seen>>,
    clock: Instant,
    /// Wall-clock time at which the clock stood at 0. Read once: what is shown of the past stays.
    epoch_unix_ns: u64,
    system: SystemId,
    nics: BTreeMap<u8, Nic>,
    /// The NICs whose netdev has carrier, also those that are not in use: one that is later does not
    /// get it anew.
    carriers: BTreeSet<u8>,
    lacp: Lacp,
    neighbors: Neighbors,
    identity: Option<(HostId, String)>,
}

impl Speaker {
    pub(super) fn new(
        commands: Receiver<Command>,
        wake: Arc<EventFd>,
        notices: Sender<Notice>,
        seen: Arc<ArcSwap<Seen>>,
        clock: Instant,
    ) -> Self {
        let system = SystemId { priority: 0, mac: MacAddr::ZERO };
        let (nics, carriers, lacp) = (BTreeMap::new(), BTreeSet::new(), Lacp::new(system));
        let since_ns = u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let epoch_unix_ns = unix_time_ns().saturating_sub(since_ns);
        let (neighbors, identity) = (Neighbors::default(), None);
        Self {
            commands,
            wake,
            notices,
            seen,
            clock,
            epoch_unix_ns,
            system,
            nics,
            carriers,
            lacp,
            neighbors,
            identity,
        }
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) {
        while self.obey() {
            self.open();
            self.hear();
            self.lacp.poll(self.now_ns());
            self.neighbors.poll(self.now_ns());
            self.send();
            self.introduce();
            self.tell();
            if let Err(e) = self.wait() {
                error!("the control plane cannot wait: {e}");
                return;
            }
        }
        // Every partner is told, and re-teams at once.
        self.lacp.configure(self.now_ns(), self.system, &[]);
        self.send();
        let now_ns = self.now_ns();
        self.nics.values_mut().for_each(|nic| nic.lldp.set_on(now_ns, false));
        self.introduce();
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes the orders that wait; false when there will be no more.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Configure(settings)) => self.configure(settings),
                Ok(Command::Link { nic, up }) => self.link(nic, up),
                Err(TryRecvError::Empty) => return true,
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn configure(&mut self, settings: Settings) {
        // First those that go, while their sockets are open: their partners are to be told.
        let stays = |nic: &u8| settings.nics.iter().any(|of| of.nic == *nic);
        let mut old = std::mem::take(&mut self.nics);
        self.system = settings.system;
        self.lacp.configure(self.now_ns(), self.system, &ports(&settings.nics, &old));
        let now_ns = self.now_ns();
        for transmit in self.lacp.take_transmits() {
            if let Some(nic) = old.get_mut(&transmit.nic) {
                nic.send(&transmit.frame, now_ns);
            }
        }
        for (number, nic) in &mut old {
            if !stays(number) {
                nic.lldp.set_on(now_ns, false);
                introduce(nic, self.identity.as_ref(), now_ns);
                self.neighbors.remove(now_ns, *number);
            }
        }
        old.retain(|nic, _| stays(nic));
        self.identity = Some((settings.host, settings.name));
        for of in settings.nics {
            let (number, lldp_transmit) = (of.nic, of.lldp_transmit);
            let mut nic = match old.remove(&number) {
                Some(mut nic) if nic.settings.ifname == of.ifname => {
                    nic.settings = of;
                    nic
                }
                _ => {
                    let mut nic = Nic::new(of);
                    nic.carrier = self.carriers.contains(&number);
                    nic.lldp.link(now_ns, nic.carrier);
                    nic
                }
            };
            nic.lldp.set_on(now_ns, lldp_transmit);
            self.nics.insert(number, nic);
        }
    }

    fn link(&mut self, nic: u8, up: bool) {
        let now_ns = self.now_ns();
        if up {
            self.carriers.insert(nic);
        } else {
            self.carriers.remove(&nic);
        }
        if let Some(nic) = self.nics.get_mut(&nic) {
            nic.set_carrier(up);
            nic.lldp.link(now_ns, up);
        }
        if !up {
            self.neighbors.link_down(now_ns, nic);
        }
        self.lacp.link(now_ns, nic, up);
    }

    /// Opens the sockets that can be had; the address of a new one may be another.
    fn open(&mut self) {
        let now_ns = self.now_ns();
        let opened =
            self.nics.values_mut().filter_map(|nic| nic.open(now_ns).then_some(())).count();
        if opened > 0 {
            let settings: Vec<NicSettings> =
                self.nics.values().map(|nic| nic.settings.clone()).collect();
            self.lacp.configure(now_ns, self.system, &ports(&settings, &self.nics));
        }
    }

    /// Takes the frames that wait. All of them before time passes, so that a late thread takes no
    /// partner for lost whose LACPDUs are there.
    fn hear(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let now_ns = self.now_ns();
            let mut is_more = false;
            for (number, nic) in &mut self.nics {
                let (lacp, neighbors) = (&mut self.lacp, &mut self.neighbors);
                is_more |= nic.hear(now_ns, |frame| match kind(frame) {
                    ControlKind::Slow => lacp.receive(now_ns, *number, frame),
                    ControlKind::Lldp | ControlKind::Cdp => {
                        // What cannot be read is counted there.
                        neighbors.receive(now_ns, *number, frame).ok();
                    }
                    _ => {}
                });
            }
            if !is_more {
                return;
            }
        }
    }

    fn send(&mut self) {
        let now_ns = self.now_ns();
        for transmit in self.lacp.take_transmits() {
            if let Some(nic) = self.nics.get_mut(&transmit.nic) {
                nic.send(&transmit.frame, now_ns);
            }
        }
    }

    /// Says by LLDP who is here, where that is due.
    fn introduce(&mut self) {
        let now_ns = self.now_ns();
        for nic in self.nics.values_mut() {
            introduce(nic, self.identity.as_ref(), now_ns);
        }
    }

    /// Shows how things stand, then tells what has changed: who hears of it finds it there.
    fn tell(&mut self) {
        let changes: Vec<_> = self.lacp.take_changes().collect();
        self.seen.store(Arc::new(Seen {
            groups: self.lacp.groups().collect(),
            ports: self.lacp.port_statuses().collect(),
            neighbors: self.neighbors.iter().cloned().collect(),
            epoch_unix_ns: self.epoch_unix_ns,
        }));
        for change in changes {
            // The control thread looks at every tick as well, so one that is lost is only late.
            self.notices.try_send(Notice::Member(change)).ok();
        }
        let now_ns = self.now_ns();
        for change in self.neighbors.take_changes() {
            if change.kind == neighbor::ChangeKind::New
                && change.neighbor.announcement.protocol == neighbor::Protocol::Lldp
                && let Some(nic) = self.nics.get_mut(&change.neighbor.nic)
            {
                nic.lldp.new_neighbor(now_ns);
            }
            self.notices.try_send(Notice::Neighbor(Box::new(change))).ok();
        }
    }

    /// Sleeps until a frame comes, an order, or the next deadline.
    fn wait(&self) -> nix::Result<()> {
        let lacp = self.lacp.next_deadline_ns();
        // One that was never open has no address to speak from yet.
        let speaking = self.nics.values().filter(|nic| nic.mac().is_some());
        let lldp = speaking.filter_map(|nic| nic.lldp.next_deadline_ns());
        let reopen = self.nics.values().filter_map(Nic::deadline_ns);
        let deadlines = reopen.chain(lldp).chain(lacp).chain(self.neighbors.next_deadline_ns());
        let left_ns = deadlines.min().map_or(u64::MAX, |at| at.saturating_sub(self.now_ns()));
        let left_ms = left_ns.div_ceil(1_000_000).min(SLEEP_MAX_MS);
        let timeout = PollTimeout::try_from(left_ms).unwrap_or(PollTimeout::ZERO);
        let sockets = self.nics.values().filter_map(Nic::fd);
        let mut fds: Vec<PollFd<'_>> = std::iter::once(self.wake.as_fd())
            .chain(sockets)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
        // Empty when nobody called.
        self.wake.read().ok();
        Ok(())
    }
}

fn introduce(nic: &mut Nic, identity: Option<&(HostId, String)>, now_ns: u64) {
    let Some((due, mac)) = nic.mac().and_then(|mac| Some((nic.lldp.poll(now_ns)?, mac))) else {
        return;
    };
    let Some((host, host_name)) = identity else { return };
    let NicSettings { ifname, port, .. } = &nic.settings;
    let identity = Identity { host: *host, host_name, ifname, port };
    match identity.frame(mac, due) {
        Ok(frame) => nic.send(&frame, now_ns),
        Err(e) => warn!("{port}: no LLDP: {e}"),
    }
}

/// What kind of control frame this is; runts are none.
fn kind(frame: &[u8]) -> ControlKind {
    proto::frame::parse(frame).map_or(ControlKind::None, |key| key.control_kind(frame))
}

/// The ports of all port-channels with LACP whose sockets have been opened.
fn ports(settings: &[NicSettings], nics: &BTreeMap<u8, Nic>) -> Vec<PortConfig> {
    let port = |of: &NicSettings| {
        let (lacp, mac) = (of.lacp?, nics.get(&of.nic)?.mac()?);
        let channel = lacp.channel;
        Some(PortConfig {
            nic: of.nic,
            key: u16::from(channel.number),
            mac,
            admin_up: lacp.admin_up,
            active: channel.mode == policy::teaming::ChannelMode::Active,
            rate: channel.lacp_rate,
            port_priority: channel.lacp_port_priority,
            min_links: channel.min_links,
            max_bundle: channel.max_bundle,
            suspend_individual: channel.suspend_individual,
            rank: channel.rank,
        })
    };
    settings.iter().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;
    use nix::sys::eventfd::EfdFlags;

    use super::*;

    fn nic(ifname: &str) -> NicSettings {
        let (ifname, port) = (ifname.to_owned(), "Ethernet3/1".to_owned());
        NicSettings { nic: 1, ifname, port, lacp: None, lldp_transmit: true }
    }

    fn settings(nics: Vec<NicSettings>) -> Settings {
        let system = SystemId { priority: 1, mac: MacAddr::ZERO };
        Settings { system, host: HostId::new([1; 16]), name: "h1".to_owned(), nics }
    }

    #[test]
    fn an_uplink_that_has_carrier_before_it_is_configured_says_who_is_here() {
        let (orders, commands) = bounded(8);
        let (notices, _told) = bounded(8);
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).expect("an eventfd"));
        let seen = Arc::new(ArcSwap::default());
        let mut speaker = Speaker::new(commands, wake, notices, seen, Instant::now());
        let mut speaks_after = |order: Command| {
            orders.send(order).expect("there is room");
            speaker.obey();
            speaker.nics.get(&1).is_some_and(|nic| nic.lldp.next_deadline_ns().is_some())
        };
        assert!(!speaks_after(Command::Link { nic: 1, up: true }));
        assert!(speaks_after(Command::Configure(settings(vec![nic("eth1")]))));
        // Also when it is another netdev, or comes back into use.
        assert!(speaks_after(Command::Configure(settings(vec![nic("eth7")]))));
        assert!(!speaks_after(Command::Configure(settings(Vec::new()))));
        assert!(speaks_after(Command::Configure(settings(vec![nic("eth7")]))));
        assert!(!speaks_after(Command::Link { nic: 1, up: false }));
        assert!(!speaks_after(Command::Configure(settings(vec![nic("eth1")]))));
    }
}
