//! A direction of a cable fails while both ends keep their carrier: only LACP can tell.

use std::time::Duration;

use tests::guest::{Pass, Way};
use tests::port_channel::{member, unix_ns};

use crate::rig::{Rig, fast_bond};

/// How long after a cut a member is left: three seconds of silence since the last LACPDU, which
/// was up to a second before; then the end that hears may have to be told. Of a busy machine.
const SILENCE: std::ops::Range<Duration> = Duration::from_millis(1_800)..Duration::from_secs(6);

/// A cut, and by which words our member goes.
struct Cut {
    nic: usize,
    way: Way,
    pass: Pass,
    reason: &'static str,
}

#[test]
fn a_partner_that_falls_silent_is_left_in_time() {
    // Data would still flow.
    run(&[
        Cut { nic: 0, way: Way::FromGuest, pass: Pass::AllButSlow, reason: "silent" },
        Cut { nic: 1, way: Way::ToGuest, pass: Pass::AllButSlow, reason: "not in sync" },
    ]);
}

#[test]
fn a_one_way_link_is_left_by_both_ends() {
    run(&[
        Cut { nic: 1, way: Way::FromGuest, pass: Pass::Nothing, reason: "silent" },
        Cut { nic: 0, way: Way::ToGuest, pass: Pass::Nothing, reason: "not in sync" },
    ]);
}

fn run(cuts: &[Cut]) {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast"]);
    rig.bond(&fast_bond());
    for cut in cuts {
        rig.wait_carried("PP", &[0, 1]);
        let before = unix_ns();
        rig.guest.pass(cut.nic, cut.way, cut.pass);
        let channel = rig.wait_flags(if cut.nic == 0 { "sP" } else { "Ps" });
        let since = member(&channel, cut.nic)["since_unix_ns"].as_u64().expect("a time");
        let took = Duration::from_nanos(since.saturating_sub(before));
        assert!(SILENCE.contains(&took), "{took:?} after the cut");
        rig.wait_carried(if cut.nic == 0 { "sP" } else { "Ps" }, &[1 - cut.nic]);
        rig.wait_event("member-down", cut.nic, before, cut.reason);
        rig.guest.pass(cut.nic, cut.way, Pass::All);
        rig.wait_carried("PP", &[0, 1]);
        rig.wait_event("member-up", cut.nic, since, "carries for port-channel1");
    }
    rig.assert_healthy();
}
