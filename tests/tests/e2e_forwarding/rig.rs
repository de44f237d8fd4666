//! One host with VMs and uplinks, the far ends of all of them in the test's hands, and the way a
//! row of the forwarding table is checked.
//!
//! A *place* is where a frame can go in or come out: a VM (its `eth0`), or a NIC of the host
//! (`eth1`, `eth2`), which means the far end of its cable. Places have the names that the
//! dataplane's status has for their ports.
//!
//! A case injects one frame. Then *all* counters of the dataplane must have moved as expected and
//! no others, and every place must have got exactly the copies that are named, byte for byte. That
//! nothing else arrives is certain because of *fences*: frames that are sent when the counters say
//! that the case's frame has been dealt with, by ways that lead to every place; what has not come
//! before the fence does not come.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto::MacAddr;
use tests::checks::{Counts, Watched};
use tests::frames::{Frame, marker_of};
use tests::inject::Injector;
use tests::lab::Lab;
use tests::link;
use tests::sniff::Sniffer;
use tests::topology::Topology;
use tests::wait::{SOON, wait_for_ok, wait_until};

/// The one host.
pub(crate) const HOST: &str = "h1";

/// Markers from here on are fences.
const FENCES: u64 = 1 << 40;

/// Longer than the time between two announcements of an address.
const SILENCE: Duration = Duration::from_millis(700);

/// How long a case's counters have to become what they must be.
const SETTLED: Duration = Duration::from_secs(5);

static NEXT_MARKER: AtomicU64 = AtomicU64::new(1);

/// The frames that came out, by place.
pub(crate) type Came = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// Whether a frame is a fence.
pub(crate) fn is_fence(frame: &[u8]) -> bool {
    marker_of(frame).is_some_and(|id| id >= FENCES)
}

/// A number that no other frame of this process has.
pub(crate) fn fresh() -> u64 {
    NEXT_MARKER.fetch_add(1, Ordering::Relaxed)
}

/// An untagged frame that nothing answers.
pub(crate) fn plain(src: MacAddr, dst: MacAddr) -> Vec<u8> {
    Frame::new(src, dst).marker(fresh())
}

/// The frame with an 802.1Q tag in front: what a push must give. `tci` has priority and VID.
pub(crate) fn push(frame: &[u8], tci: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00], &tci.to_be_bytes(), &frame[12..]].concat()
}

/// The frame without its outer tag: what a pop must give.
pub(crate) fn pop(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &frame[16..]].concat()
}

/// How a frame must end.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Forwarded,
    Consumed,
    Dropped(&'static str),
}

/// One frame and what must become of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    name: String,
    from: &'static str,
    frame: Vec<u8>,
    ending: Ending,
    copies: Vec<(&'static str, Vec<u8>)>,
    refused: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn new(name: impl Into<String>, from: &'static str, frame: Vec<u8>, ending: Ending) -> Self {
        Self { name: name.into(), from, frame, ending, copies: Vec::new(), refused: Vec::new() }
    }

    /// A frame that goes into `from` and is forwarded: name its copies with [`Case::out`].
    pub(crate) fn forwarded(name: impl Into<String>, from: &'static str, frame: Vec<u8>) -> Self {
        Self::new(name, from, frame, Ending::Forwarded)
    }

    /// A frame that a control task gets, and nobody else.
    pub(crate) fn consumed(name: impl Into<String>, from: &'static str, frame: Vec<u8>) -> Self {
        Self::new(name, from, frame, Ending::Consumed)
    }

    /// A frame that nobody gets, for this reason.
    pub(crate) fn dropped(
        name: impl Into<String>,
        from: &'static str,
        frame: Vec<u8>,
        reason: &'static str,
    ) -> Self {
        Self::new(name, from, frame, Ending::Dropped(reason))
    }

    /// A copy comes out here, with exactly these bytes.
    #[must_use]
    pub(crate) fn out(mut self, place: &'static str, bytes: Vec<u8>) -> Self {
        self.copies.push((place, bytes));
        self
    }

    /// The same bytes come out at all these places.
    #[must_use]
    pub(crate) fn out_all(mut self, places: &[&'static str], bytes: &[u8]) -> Self {
        self.copies.extend(places.iter().map(|place| (*place, bytes.to_vec())));
        self
    }

    /// The port of this place refuses its copy, for this reason.
    #[must_use]
    pub(crate) fn refused(mut self, place: &'static str, reason: &'static str) -> Self {
        self.refused.push((place, reason));
        self
    }

    /// How the counters must move.
    fn expected_counts(&self) -> Counts {
        let mut counts = Counts::default();
        let port = counts.port(self.from);
        port.rx = 1;
        match self.ending {
            Ending::Forwarded => port.forwarded = 1,
            Ending::Consumed => port.consumed = 1,
            Ending::Dropped(reason) => drop(port.drops.insert(reason.to_owned(), 1)),
        }
        for (place, _) in &self.copies {
            counts.port(place).tx += 1;
        }
        for (place, reason) in &self.refused {
            *counts.port(place).tx_drops.entry((*reason).to_owned()).or_default() += 1;
        }
        counts
    }
}

/// A broadcast that is known to work: where it goes in, with which tag, and where it comes out.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    /// Place where it goes in.
    pub(crate) from: &'static str,
    /// Its source.
    pub(crate) src: MacAddr,
    /// VID of its tag, when it has one.
    pub(crate) vid: Option<u16>,
    /// Places that get it.
    pub(crate) reaches: Vec<&'static str>,
}

/// A running lab of one host.
#[derive(Debug)]
pub(crate) struct Rig {
    // Field order is drop order: the logs are printed while everything still stands.
    pub(crate) weft: Watched,
    places: BTreeMap<&'static str, Place>,
    fences: Vec<Fence>,
    /// All counters, as far as they are accounted for.
    counts: Counts,
}

#[derive(Debug)]
struct Place {
    sniffer: Sniffer,
    injector: Injector,
}

impl Rig {
    /// Builds a lab whose host is [`HOST`] and whose node `wire` has the far ends of its NICs
    /// under the same names, applies the configuration, and attaches the VMs. Fences must lead to
    /// every place.
    pub(crate) fn start(topology: &str, config: &str, fences: &[Fence]) -> Self {
        let topology = Topology::parse(topology).expect("a good topology");
        let weft = Watched::start(Lab::build(topology).expect("a lab")).expect("the product runs");
        let mut rig = Self {
            weft,
            places: BTreeMap::new(),
            fences: fences.to_vec(),
            counts: Counts::default(),
        };
        let reached = fences.iter().flat_map(|fence| &fence.reaches).copied();
        let (vms, nics): (Vec<&str>, Vec<&str>) = std::collections::BTreeSet::from_iter(reached)
            .into_iter()
            .partition(|place| rig.weft.lab().topology().vms.contains_key(*place));
        for nic in &nics {
            rig.add_place(nic, "wire", nic);
        }
        rig.weft.apply_text(config).expect("the configuration is applied");
        rig.wait_uplinks(nics.len());
        for vm in &vms {
            rig.weft.attach(vm).expect("the VM is attached");
            rig.weft.wait_port_up(HOST, vm).expect("its port comes up");
            rig.add_place(vm, vm, "eth0");
        }
        rig.wait_silence();
        rig
    }

    /// Waits until the announcements of addresses, which are repeated a few times, have ended.
    pub(crate) fn wait_silence(&self) {
        let heard = || self.places.values().map(|place| place.sniffer.count(|_| true)).sum();
        let (mut last, mut since): (usize, _) = (heard(), Instant::now());
        wait_until("silence at all places", SOON, || {
            let now = heard();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() >= SILENCE
        })
        .expect("it becomes silent");
    }

    fn add_place(&mut self, place: &'static str, node: &str, interface: &str) {
        let namespace = self.weft.lab().ns(node).expect("a node");
        let sniffer = Sniffer::start(namespace, interface).expect("a sniffer");
        let injector = Injector::open(namespace, interface).expect("an injector");
        self.places.insert(place, Place { sniffer, injector });
    }

    /// Waits until so many uplinks have a link.
    pub(crate) fn wait_uplinks(&self, count: usize) {
        wait_for_ok(format!("{count} uplinks"), SOON, || {
            let status = self.weft.status(HOST).map_err(|error| error.to_string())?;
            let ports = status["ports"].as_array().cloned().unwrap_or_default();
            let up = ports.iter().filter(|port| {
                let name = port["name"].as_str().unwrap_or_default();
                name.starts_with("Ethernet") && port["link_up"] == true
            });
            if up.count() == count { Ok(()) } else { Err(status.to_string()) }
        })
        .expect("the uplinks come up");
    }

    /// The capture at a place.
    pub(crate) fn sniffer(&self, place: &str) -> &Sniffer {
        &self.places[place].sniffer
    }

    /// Sends a frame into a place.
    pub(crate) fn inject(&self, place: &str, frame: &[u8]) {
        self.places[place].injector.send(frame).expect("the frame is sent");
    }

    /// Gives what has come out everywhere so far, forgets it, and takes the counters as they are.
    pub(crate) fn settle(&mut self) -> Came {
        let (id, _) = self.send_fences().expect("the fences are sent");
        let came = self.before_fence(id).expect("the fences pass");
        // A frame is counted as sent after it has left: two looks must agree.
        self.counts = wait_for_ok("the counters to stand still", SOON, || {
            let first = self.weft.counts(HOST).map_err(|error| error.to_string())?;
            let second = self.weft.counts(HOST).map_err(|error| error.to_string())?;
            let moved = second.since(&first);
            if moved == Counts::default() { Ok(second) } else { Err(moved.to_string()) }
        })
        .expect("nothing moves");
        self.counts.check_conserved().expect("frames are conserved");
        came
    }

    /// Waits until so many frames have been received, at all ports together, since the counters
    /// were last looked at; leaves them unlooked at.
    pub(crate) fn wait_received(&self, frames: u64) {
        wait_for_ok(format!("{frames} frames to be counted"), SOON, || {
            let now = self.weft.counts(HOST).map_err(|error| error.to_string())?;
            let moved = now.since(&self.counts);
            let received: u64 = moved.0.values().map(|port| port.rx).sum();
            if received == frames { Ok(()) } else { Err(moved.to_string()) }
        })
        .expect("all frames are counted");
    }

    /// Takes the link from NICs, and their far ends out of the places; what the fences did there
    /// they do by `heir` from now on. Gives what came out meanwhile.
    pub(crate) fn lose_uplinks(&mut self, lost: &[&str], heir: Option<&'static str>) -> Came {
        let wire = self.weft.lab().ns("wire").expect("the wire");
        for nic in lost {
            link::down(wire, nic).expect("the link goes down");
        }
        self.places.retain(|place, _| !lost.contains(place));
        for fence in &mut self.fences {
            let reached = fence.reaches.len();
            fence.reaches.retain(|place| !lost.contains(place));
            if fence.reaches.len() < reached {
                fence.reaches.extend(heir);
            }
        }
        let vms = &self.weft.lab().topology().vms;
        self.wait_uplinks(self.places.keys().filter(|place| !vms.contains_key(**place)).count());
        self.wait_silence();
        self.settle()
    }

    /// Checks cases one after the other, and that frames are conserved in the end.
    ///
    /// # Panics
    /// When a case is not as it must be; all cases are tried before.
    pub(crate) fn check(&mut self, cases: impl IntoIterator<Item = Case>) {
        let (mut failures, mut count) = (String::new(), 0);
        for case in cases {
            count += 1;
            if let Err(failure) = self.check_one(&case) {
                writeln!(failures, "* {} (into {}): {failure}", case.name, case.from)
                    .expect("a String takes text");
                self.settle();
            }
        }
        self.weft.wait_conserved(HOST).expect("frames are conserved");
        assert!(failures.is_empty(), "of {count} cases these failed:\n{failures}");
    }

    fn check_one(&mut self, case: &Case) -> Result<(), String> {
        let place = &self.places[case.from];
        place.injector.send(&case.frame).map_err(|error| error.to_string())?;
        let counted = self.wait_counts(&case.expected_counts());
        let copies = self.fence();
        // Both are told when both are wrong: together they say what happened.
        match (counted, copies.and_then(|copies| compare(case, &copies))) {
            (Ok(()), result) => result,
            (Err(counted), Ok(())) => Err(counted),
            (Err(counted), Err(copies)) => Err(format!("{counted}; {copies}")),
        }
    }

    /// Waits until the counters have moved like this since they were last looked at, and takes
    /// them as looked at.
    pub(crate) fn wait_counts(&mut self, expected: &Counts) -> Result<(), String> {
        let mut last = self.counts.clone();
        let settled = wait_for_ok("the counters", SETTLED, || {
            last = self.weft.counts(HOST).map_err(|error| error.to_string())?;
            let moved = last.since(&self.counts);
            if moved == *expected { Ok(()) } else { Err(moved.to_string()) }
        });
        let moved = last.since(&self.counts);
        self.counts = last;
        settled.map_err(|_| format!("counted{moved}\n    instead of{expected}"))
    }

    /// Sends the fences and gives what came out before them, by place.
    fn fence(&mut self) -> Result<Came, String> {
        let (id, expected) = self.send_fences()?;
        let came = self.before_fence(id)?;
        self.wait_counts(&expected).map_err(|problem| format!("fences: {problem}"))?;
        Ok(came)
    }

    /// Sends the fences; gives their number and how they must be counted.
    fn send_fences(&self) -> Result<(u64, Counts), String> {
        let id = FENCES + fresh();
        let mut expected = Counts::default();
        for fence in &self.fences {
            let frame = Frame::new(fence.src, MacAddr::BROADCAST).marker(id);
            let frame = fence.vid.map_or(frame.clone(), |vid| push(&frame, vid));
            self.places[fence.from].injector.send(&frame).map_err(|error| error.to_string())?;
            let port = expected.port(fence.from);
            port.rx += 1;
            port.forwarded += 1;
            for place in &fence.reaches {
                expected.port(place).tx += 1;
            }
        }
        Ok((id, expected))
    }

    /// What came out before the fences with this number; it is forgotten.
    fn before_fence(&self, id: u64) -> Result<Came, String> {
        let mut came = Came::new();
        for (name, place) in &self.places {
            let frames =
                place.sniffer.before_marker(id, SOON).map_err(|error| error.to_string())?;
            let others = frames.into_iter().map(|captured| captured.bytes);
            came.insert(*name, others.filter(|bytes| !is_fence(bytes)).collect());
            place.sniffer.clear();
        }
        Ok(came)
    }
}

/// Whether each place got what it must, and nothing else.
fn compare(case: &Case, came: &Came) -> Result<(), String> {
    let mut problems = String::new();
    for (place, came) in came {
        let mut came = came.clone();
        let mut expected: Vec<_> = case
            .copies
            .iter()
            .filter(|(to, _)| to == place)
            .map(|(_, bytes)| bytes.clone())
            .collect();
        came.sort();
        expected.sort();
        if came != expected {
            let (came, expected) = (show(&came), show(&expected));
            write!(problems, "\n    {place} got {came}\n    instead of {expected}")
                .expect("a String takes text");
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The beginnings of frames, in hexadecimal.
fn show(frames: &[Vec<u8>]) -> String {
    const SHOWN_BYTES: usize = 34;
    if frames.is_empty() {
        return "nothing".to_owned();
    }
    let one = |frame: &Vec<u8>| {
        let hex: String =
            frame.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}.. ({} bytes)", frame.len())
    };
    frames.iter().map(one).collect::<Vec<_>>().join(", ")
}
