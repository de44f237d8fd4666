//! A partner that goes away and comes back, and cables that fail in one direction while both ends
//! keep their carrier: only LACP can tell.

use std::time::Duration;

use tests::ovs::BondConfig;
use tests::ovs_site::{BOND, OvsSite, PORTS, trunk};
use tests::patch::{Pass, Way};
use tests::pinger::Pinger;
use tests::port_channel::{member, unix_ns};

/// How long after a cut a member is left: three seconds of silence since the last LACPDU, which
/// was up to a second before; then the end that hears may have to be told. Of a busy machine.
const SILENCE: std::ops::Range<Duration> = Duration::from_millis(1_800)..Duration::from_secs(6);

/// How long a flow may stand still when Open vSwitch is not heard. It leaves a member when we say
/// that we are not in sync, and whatever else we say of a partner that has expired: that is when we
/// give it up, another three seconds later (IEEE 802.1AX-2020 clause 6.4.12).
const UNHEARD: Duration = Duration::from_secs(9);

/// A direction of a cable fails.
#[derive(Debug)]
struct Cut {
    cable: usize,
    way: Way,
    /// Words by which our member goes.
    reason: &'static str,
    /// No flow stands still for longer.
    gap_max: Duration,
}

const CUTS: [Cut; 4] = [
    Cut { cable: 0, way: Way::AToB, reason: "not in sync", gap_max: SILENCE.end },
    Cut { cable: 1, way: Way::BToA, reason: "LACP partner", gap_max: UNHEARD },
    Cut { cable: 1, way: Way::AToB, reason: "not in sync", gap_max: SILENCE.end },
    Cut { cable: 0, way: Way::BToA, reason: "LACP partner", gap_max: UNHEARD },
];

/// Answers that come by the member that is left.
const ANSWERS: usize = 50;

#[test]
fn a_silent_partner_is_left_and_joined_again() {
    let mut rig = OvsSite::start(&["channel-group auto mode active", "lacp rate fast"]);
    rig.bond(&BondConfig::lacp(trunk()));
    rig.wait_whole();
    for cut in CUTS {
        println!("{cut:?}");
        assert_left_and_joined(&rig, &cut);
    }

    // Quicker than any timeout.
    rig.ovs.restart_vswitchd().expect("it starts again");
    rig.wait_whole();

    // A crash that lasts.
    rig.ovs.vswitchd().expect("it runs").kill9().expect("killed");
    for cable in 0..2 {
        rig.wait_member(cable, "s", "no LACP partner heard");
    }
    rig.assert_cut_off();
    rig.ovs.start_vswitchd().expect("it starts");
    rig.wait_whole();
    rig.assert_healthy();
}

fn assert_left_and_joined(rig: &OvsSite, cut: &Cut) {
    let Cut { cable, way, reason, gap_max } = *cut;
    let mut ping =
        Pinger::start(rig.vm(), OvsSite::pc_address(), rig.site.lab().dir()).expect("answers");
    let before = unix_ns();
    rig.cables[cable].set(way, Pass::Nothing);
    let channel = rig.wait_member(cable, "s", reason);
    let since = member(&channel, cable)["since_unix_ns"].as_u64().expect("a time");
    let took = Duration::from_nanos(since.saturating_sub(before));
    assert!(SILENCE.contains(&took), "{took:?} after the cut");
    rig.wait_flags(if cable == 0 { "sP" } else { "Ps" });
    rig.wait_carrying(BOND, &[PORTS[1 - cable]]);
    ping.wait_replies(ANSWERS).expect("the other member carries");
    rig.cables[cable].set(way, Pass::All);
    rig.wait_flags("PP");
    rig.wait_carrying(BOND, &PORTS);
    ping.wait_replies(ANSWERS).expect("both carry");
    let outcome = ping.finish().expect("an outcome");
    assert!(outcome.gap < gap_max, "{outcome:?}");
}
