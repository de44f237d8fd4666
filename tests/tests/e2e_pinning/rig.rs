//! One host with three NICs whose cables end in the test's hands, and VMs on it.
//!
//! An *end* is the far end of a cable, by the number of its NIC. A *place* is where frames go in
//! or come out: a VM or an end. Every frame that a test sends has a number, so that copies are
//! counted.
//!
//! VMs `a` to `d` have profiles `A` to `D`; a test's configuration says what these are, and which
//! of `Ethernet3/1-3` are used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto::MacAddr;
use serde_json::Value;
use tests::checks::{Counts, Watched};
use tests::daemons::rows;
use tests::frames::{Frame, marker_of};
use tests::inject::Injector;
use tests::lab::Lab;
use tests::link;
use tests::sniff::Sniffer;
use tests::topology::Topology;
use tests::wait::{SOON, wait_for_ok, wait_until};

/// The one host: module 3.
pub(crate) const HOST: &str = "h1";

/// A station behind the uplinks.
pub(crate) const REMOTE: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);
pub(crate) const ALL: MacAddr = MacAddr::BROADCAST;

const TOPOLOGY: &str = "
name: pinning
mgmt: { ipv4-subnet: 192.168.94.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    far: { kind: pc, nics: [ { name: p1 }, { name: p2 }, { name: p3 } ] }
    a: { kind: vm, host: h1, nics: [ { name: eth0, profile: A, mac: '02:00:00:00:00:0a' } ] }
    b: { kind: vm, host: h1, nics: [ { name: eth0, profile: B, mac: '02:00:00:00:00:0b' } ] }
    c: { kind: vm, host: h1, nics: [ { name: eth0, profile: C, mac: '02:00:00:00:00:0c' } ] }
    d: { kind: vm, host: h1, nics: [ { name: eth0, profile: D, mac: '02:00:00:00:00:0d' } ] }
  links:
    - endpoints: [ 'h1:eth1', 'far:p1' ]
    - endpoints: [ 'h1:eth2', 'far:p2' ]
    - endpoints: [ 'h1:eth3', 'far:p3' ]
";

static NEXT_MARKER: AtomicU64 = AtomicU64::new(1);

/// A number that no other frame of this process has.
pub(crate) fn fresh() -> u64 {
    NEXT_MARKER.fetch_add(1, Ordering::Relaxed)
}

/// Address of a VM.
pub(crate) fn mac(vm: &str) -> MacAddr {
    let letter = vm.bytes().next().expect("a VM has a name");
    MacAddr::new([2, 0, 0, 0, 0, letter - b'a' + 0xa])
}

/// Where frames go in and come out.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) sniffer: Sniffer,
    pub(crate) injector: Injector,
}

impl Place {
    fn open(weft: &Watched, node: &str, interface: &str) -> Self {
        let namespace = weft.lab().ns(node).expect("a node");
        let sniffer = Sniffer::start(namespace, interface).expect("a sniffer");
        let injector = Injector::open(namespace, interface).expect("an injector");
        Self { sniffer, injector }
    }

    /// How many copies of the numbered frame have come out here.
    pub(crate) fn copies(&self, id: u64) -> usize {
        self.sniffer.count(|frame| marker_of(frame) == Some(id))
    }

    /// How many copies of each numbered frame have come out here.
    pub(crate) fn tally(&self) -> BTreeMap<u64, usize> {
        let mut tally = BTreeMap::new();
        for id in self.sniffer.frames().iter().filter_map(|frame| marker_of(&frame.bytes)) {
            *tally.entry(id).or_default() += 1;
        }
        tally
    }
}

/// The product on one host.
#[derive(Debug)]
pub(crate) struct Rig {
    // Field order is drop order: the logs are printed while everything still stands.
    pub(crate) weft: Watched,
    ends: BTreeMap<u8, Place>,
    vms: BTreeMap<&'static str, Place>,
}

impl Rig {
    /// Starts it with this configuration and plugs the VMs in, one after the other, once all
    /// uplinks that the configuration enables have their link.
    pub(crate) fn start(config: &str, vms: &[&'static str]) -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let weft = Watched::start(Lab::build(topology).expect("a lab")).expect("the product runs");
        let ends =
            (1..=3).map(|nic| (nic, Place::open(&weft, "far", &format!("p{nic}")))).collect();
        let mut rig = Self { weft, ends, vms: BTreeMap::new() };
        rig.weft.apply_text(config).expect("the configuration is applied");
        rig.weft.wait_in_sync().expect("the host has it");
        rig.wait_uplinks();
        for vm in vms {
            rig.weft.attach(vm).expect("the VM is plugged in");
            rig.weft.wait_port_up(HOST, vm).expect("its port comes up");
            rig.vms.insert(vm, Place::open(&rig.weft, vm, "eth0"));
        }
        rig.wait_announced();
        rig
    }

    /// Waits until all uplinks have their link.
    fn wait_uplinks(&self) {
        wait_for_ok("the uplinks", SOON, || {
            let status = self.weft.status(HOST).map_err(|error| error.to_string())?;
            let is_uplink =
                |port: &&Value| port["name"].as_str().is_some_and(|n| n.starts_with("Ethernet"));
            let mut uplinks = rows(&status["ports"]).filter(is_uplink).peekable();
            let all_up = uplinks.peek().is_some() && uplinks.all(|port| port["link_up"] == true);
            if all_up { Ok(()) } else { Err(status.to_string()) }
        })
        .expect("the uplinks come up");
    }

    /// Waits until everything has been announced as often as it is: the count stands still for
    /// longer than the time between two tellings.
    pub(crate) fn wait_announced(&self) -> u64 {
        const STILL: Duration = Duration::from_millis(700);
        let (mut last, mut since) = (self.announcements(), Instant::now());
        wait_until("the announcements to end", SOON, || {
            // The answer may be long in coming, and old by then.
            let (asked, now) = (Instant::now(), self.announcements());
            if now != last {
                (last, since) = (now, Instant::now());
            }
            asked.saturating_duration_since(since) >= STILL
        })
        .expect("announcements end");
        last
    }

    /// Announcements that the host has sent so far, by its own count.
    pub(crate) fn announcements(&self) -> u64 {
        let status = self.weft.status(HOST).expect("the dataplane answers");
        status["announcements"].as_u64().expect("a number of announcements")
    }

    pub(crate) fn end(&self, nic: u8) -> &Place {
        &self.ends[&nic]
    }

    pub(crate) fn vm(&self, vm: &str) -> &Place {
        &self.vms[vm]
    }

    /// The VMs that are plugged in.
    pub(crate) fn vms(&self) -> impl Iterator<Item = (&'static str, &Place)> {
        self.vms.iter().map(|(vm, place)| (*vm, place))
    }

    /// Takes the link of an uplink away.
    pub(crate) fn cut(&self, nic: u8) {
        let far = self.weft.lab().ns("far").expect("the far ends");
        link::down(far, &format!("p{nic}")).expect("the link goes down");
    }

    /// Gives it back. What the socket of its end tells of the loss is not for a sender to hear.
    pub(crate) fn mend(&mut self, nic: u8) {
        let (far, name) = (self.weft.lab().ns("far").expect("the far ends"), format!("p{nic}"));
        link::up(far, &name).expect("the link comes up");
        let injector = Injector::open(far, &name).expect("an injector");
        self.ends.get_mut(&nic).expect("an end").injector = injector;
    }

    /// The row of `show pinning` of a VM.
    pub(crate) fn pin(&self, vm: &str) -> Value {
        let reply = self.weft.show("pinning").expect("show pinning");
        let row = rows(&reply["pins"]).find(|row| row["owner"] == vm).cloned();
        row.unwrap_or_else(|| panic!("no pin of {vm}: {reply:#}"))
    }

    /// Name of the vEthernet of a VM.
    pub(crate) fn port(&self, vm: &str) -> String {
        self.pin(vm)["port"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `show pinning` has a VM on this uplink for this reason, and gives the row.
    pub(crate) fn wait_pin(&self, vm: &str, uplink: &str, reason: &str) -> Value {
        wait_for_ok(format!("{vm} on {uplink}, {reason}"), SOON, || {
            let row = self.pin(vm);
            if row["uplink"] == uplink && row["reason"] == reason { Ok(row) } else { Err(row) }
        })
        .expect("show pinning")
    }

    /// Waits for an event of this kind of this port whose message has these words in it.
    pub(crate) fn wait_event(&self, kind: &str, port: &str, words: &str) {
        wait_for_ok(format!("{kind} of `{port}` with `{words}`"), SOON, || {
            let table = self.weft.show("logging").map_err(|error| error.to_string())?;
            let is_it = |event: &Value| {
                let message = event["message"].as_str().unwrap_or_default();
                event["kind"] == kind && event["port"] == port && message.contains(words)
            };
            if rows(&table).any(is_it) { Ok(()) } else { Err(table.to_string()) }
        })
        .expect("show logging");
    }

    /// The flags of the members in `show port-channel summary`, in their order: `PSD`.
    pub(crate) fn flags(&self) -> String {
        let reply = self.weft.show("port-channel summary").expect("show port-channel summary");
        let members = rows(&reply["channels"]).flat_map(|channel| rows(&channel["members"]));
        members.filter_map(|member| member["flag"].as_str()).collect()
    }

    pub(crate) fn wait_flags(&self, expected: &str) {
        wait_for_ok(format!("flags {expected}"), SOON, || {
            let flags = self.flags();
            if flags == expected { Ok(()) } else { Err(flags) }
        })
        .expect("show port-channel summary");
    }

    /// Sends a numbered frame out of a VM; gives its number.
    pub(crate) fn send(&self, vm: &str, dst: MacAddr) -> u64 {
        let id = fresh();
        let frame = Frame::new(mac(vm), dst).marker(id);
        self.vm(vm).injector.send(&frame).expect("the VM sends");
        id
    }

    /// Waits until the numbered frame has come out at an end, and gives this; a second copy at
    /// another one is found by [`Rig::assert_single`].
    pub(crate) fn wait_end(&self, id: u64) -> u8 {
        wait_for_ok(format!("frame {id} at an end"), SOON, || {
            let mut ends = self.ends.iter().filter(|(_, end)| end.copies(id) > 0);
            ends.next().map(|(nic, _)| *nic).ok_or("at none")
        })
        .expect("the frame leaves")
    }

    /// The end at which a broadcast and a unicast to nobody from a VM come out, which must be the
    /// same.
    pub(crate) fn leaves_by(&self, vm: &str) -> u8 {
        let broadcast = self.wait_end(self.send(vm, ALL));
        assert_eq!(self.wait_end(self.send(vm, REMOTE)), broadcast, "{vm}: unicast and broadcast");
        broadcast
    }

    /// Checks that no numbered frame has come out at the ends more than once, in all this time.
    pub(crate) fn assert_single(&self) {
        let mut tally: BTreeMap<u64, usize> = BTreeMap::new();
        for end in self.ends.values() {
            for (id, copies) in end.tally() {
                *tally.entry(id).or_default() += copies;
            }
        }
        tally.retain(|_, copies| *copies > 1);
        assert!(tally.is_empty(), "frames that left more than once, with their copies: {tally:?}");
    }

    /// The counters now.
    pub(crate) fn counts(&self) -> Counts {
        self.weft.counts(HOST).expect("the dataplane answers")
    }

    /// Waits until exactly this has been counted since `before`.
    pub(crate) fn wait_counts(&self, before: &Counts, expected: &Counts) {
        wait_for_ok(format!("counts{expected}"), SOON, || {
            let now = self.counts().since(before);
            if now == *expected { Ok(()) } else { Err(now.to_string()) }
        })
        .expect("the counters");
    }

    /// Checks that the daemons run and that frames are conserved, and not doubled.
    pub(crate) fn finish(mut self) {
        self.weft.check_running().expect("all daemons run");
        self.weft.wait_conserved(HOST).expect("frames are conserved");
        self.assert_single();
    }
}
