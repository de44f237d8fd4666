//! A port-channel by LACP with Open vSwitch, which balances by flow as well.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::ovs::{BondConfig, BondMode, LacpTime};
use tests::ovs_site::{BOND, NEGOTIATION, OvsSite, trunk};
use tests::patch::{End, Pass};
use tests::stream::{Report, Stream};

use crate::{OUTAGE_MAX, STEADY, alone, check, load, tcp_survives};

const LOAD_BALANCE: &str = "port-channel load-balance ethernet source-dest-ip-port\n";

/// Three LACPDUs at the fast rate, and what a busy machine adds.
const SILENCE_MAX: Duration = Duration::from_secs(6);
const TCP_PORT: u16 = 7000;

struct Rig(OvsSite);

impl Rig {
    fn start() -> Self {
        let site = OvsSite::start(&["channel-group auto mode active", "lacp rate fast"]);
        site.site.apply_text(LOAD_BALANCE).expect("applied");
        site.bond(&BondConfig {
            mode: BondMode::BalanceTcp,
            lacp_time: LacpTime::Fast,
            ..BondConfig::lacp(trunk())
        });
        let rig = Self(site);
        rig.wait_flags("PP");
        rig
    }

    fn wait_flags(&self, flags: &str) {
        self.0.wait_flags(flags);
        let carrying = flags.matches('P').count();
        self.0
            .ovs
            .wait_lacp(BOND, NEGOTIATION, |lacp| lacp.carrying().len() == carrying)
            .expect("Open vSwitch agrees");
    }

    /// Runs the streams, and lets this happen in their midst.
    fn under_load(
        &self,
        happens: impl FnOnce() -> Instant,
        after: Duration,
    ) -> ([Report; 2], Instant) {
        let ends = [(self.0.vm(), OvsSite::vm_address()), (&self.0.pc, OvsSite::pc_address())];
        let stream = Stream::start(ends, &load()).expect("a stream");
        stream.run(STEADY).expect("it runs");
        let event = happens();
        stream.run(after).expect("it runs on");
        (stream.finish().expect("reports"), event)
    }

    /// Lets this happen in the midst of a TCP stream, which must come through whole.
    fn under_tcp(&self, happens: impl FnOnce() -> Instant) {
        let to = SocketAddr::new(OvsSite::vm_address(), TCP_PORT);
        tcp_survives(&self.0.pc, (self.0.vm(), to), happens);
    }
}

#[test]
fn a_member_of_a_channel_is_lost_by_its_carrier_and_by_silence() {
    let _alone = alone();
    let mut rig = Rig::start();
    let pull = || rig.0.cables[0].pull(End::A).expect("pulled").not_before;
    let (reports, event) = rig.under_load(pull, STEADY);
    check("port-channel, carrier lost", &reports, event, OUTAGE_MAX);
    rig.wait_flags("DP");
    rig.0.cables[0].put_back().expect("put back");
    rig.wait_flags("PP");
    rig.under_tcp(pull);
    rig.0.cables[0].put_back().expect("put back");
    rig.wait_flags("PP");

    let silence = || {
        let event = Instant::now();
        rig.0.cables[0].set_both(Pass::Nothing);
        event
    };
    let (reports, event) = rig.under_load(silence, SILENCE_MAX);
    check("port-channel, member silent", &reports, event, SILENCE_MAX);
    rig.wait_flags("sP");
    rig.0.cables[0].set_both(Pass::All);
    rig.wait_flags("PP");
    rig.0.assert_healthy();
}
