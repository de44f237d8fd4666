//! The switch doing what it was told: LANs, isolation between them, routers, an access list.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{PC2, PC3, PC4, R1_LAN_A, R2_LAN_C, TEACHER, milliseconds, rtt, show, typed};
use crate::daemons::Deployment;
use crate::error::{LabError, Result};
use crate::frames::Header;
use crate::link;
use crate::report::{Report, expect};
use crate::sniff::Sniffer;
use crate::traffic::{Throughput, iperf3, ping_count, ping_once, tcp_transfer, wait_ping};

/// An address of LAN-A that pc3, in LAN-B, takes to show that the VLANs are apart.
const IMPOSTOR: Ipv4Addr = Ipv4Addr::new(10, 10, 10, 99);

/// The rule of the example that is edited live, before and after.
const RULE: (&str, &str) = ("10 deny icmp any any", "10 permit icmp any any");

/// How long each throughput is measured.
const MEASURED: Duration = Duration::from_secs(2);

/// Bytes of the transfer whose content is compared.
const TRANSFER_BYTES: usize = 10_000_000;

/// Within a LAN: on one host, between hosts, to the wire, and not into another LAN.
pub(super) fn lans(report: &mut Report, deployment: &Deployment) -> Result<()> {
    let lab = deployment.lab();
    let (pc1, pc2, pc3) = (lab.ns("pc1")?, lab.ns("pc2")?, lab.ns("pc3")?);
    let gbits = |measured: Throughput| format!("{:.2} Gbit/s", measured.bits_per_sec / 1e9);
    report.section("LANs: VMs of one VLAN, wherever they run");
    report.check("Same host: ping from pc1 to r1", || rtt(deployment, pc1, R1_LAN_A))?;
    report.check("Across hosts: ping from pc1 to pc2", || rtt(deployment, pc1, PC2))?;
    report.check("To the wire: ping from pc1 to the teacher's physical PC", || {
        rtt(deployment, pc1, TEACHER)
    })?;
    report.check("Same host: iperf3 (TCP) from pc1 to r1", || {
        iperf3(pc1, (lab.ns("r1")?, R1_LAN_A), MEASURED, lab.dir()).map(gbits)
    })?;
    report.check("Across hosts: iperf3 (TCP) from pc1 to pc2", || {
        iperf3(pc1, (pc2, PC2), MEASURED, lab.dir()).map(gbits)
    })?;
    report.check("Isolation: pc3 (LAN-B) with an address of LAN-A hears nothing", || {
        link::add_address(pc3, "eth0", &format!("{IMPOSTOR}/24"))?;
        let sniffer = Sniffer::start(pc3, "eth0")?;
        let asker = link::mac(pc1, "eth0")?;
        expect(!ping_once(pc1, IMPOSTOR.into())?, format!("{IMPOSTOR} answered pc1"))?;
        let leaked =
            sniffer.count(|frame| Header::read(frame).is_some_and(|header| header.src == asker));
        expect(leaked == 0, format!("{leaked} frames of pc1 came to pc3"))?;
        pc3.ip(&format!("address del {IMPOSTOR}/24 dev eth0"))?;
        Ok("0 frames leaked".to_owned())
    })?;
    Ok(())
}

/// Between LANs, by the routers.
pub(super) fn routers(report: &mut Report, deployment: &Deployment) -> Result<()> {
    let lab = deployment.lab();
    let (pc1, pc4) = (lab.ns("pc1")?, lab.ns("pc4")?);
    report.section("Routers: VMs that join the LANs");
    report
        .check("From LAN-A to LAN-B: ping from pc1 to pc3 by r1", || rtt(deployment, pc1, PC3))?;
    report.check("From LAN-A to LAN-C: 10 MB of TCP, pc1 to pc4 by r1 and r2", || {
        let start = Instant::now();
        tcp_transfer(pc1, (pc4, SocketAddr::new(PC4, 7000)), TRANSFER_BYTES, 1)?;
        Ok(format!("no byte differs, {}", milliseconds(start.elapsed())))
    })?;
    Ok(())
}

/// An access list that blocks and then, edited live, permits.
pub(super) fn access_list(
    report: &mut Report,
    deployment: &Deployment,
    config: &Path,
) -> Result<()> {
    let lab = deployment.lab();
    let (pc2, pc4) = (lab.ns("pc2")?, lab.ns("pc4")?);
    report.section("Access list BLOCK-ICMP-C: nobody in LAN-C may ping");
    report.check("pc4 cannot ping its router", || {
        let answers = ping_count(pc4, R2_LAN_C, 3)?;
        expect(answers == 0, format!("{answers} of 3 pings answered"))?;
        Ok("0 of 3 answered".to_owned())
    })?;
    report.check("TCP from pc4 to pc2 passes", || {
        tcp_transfer(pc4, (pc2, SocketAddr::new(PC2, 7001)), 100_000, 2).map(|()| String::new())
    })?;
    let edited = edited_copy(deployment, config)?;
    let mut printed = String::new();
    let mut start = Instant::now();
    report.check("Its first rule edited live, from deny to permit", || {
        printed = deployment.apply(&edited)?;
        let applied = start.elapsed();
        start = Instant::now();
        wait_ping(pc4, R2_LAN_C)?;
        Ok(format!("applied in {}, pc4 can ping", milliseconds(applied)))
    })?;
    report.show(&format!("weft apply {}", typed(&edited).display()), &printed);
    report.check("Edited back", || {
        deployment.apply(config)?;
        let answers = ping_count(pc4, R2_LAN_C, 3)?;
        expect(answers == 0, format!("{answers} of 3 pings answered"))?;
        Ok("0 of 3 answered".to_owned())
    })?;
    show(report, deployment, "show access-lists BLOCK-ICMP-C")
}

/// The configuration with the rule changed, in a file of the lab.
fn edited_copy(deployment: &Deployment, config: &Path) -> Result<std::path::PathBuf> {
    let text = fs::read_to_string(config)
        .map_err(LabError::io(format!("cannot read {}", config.display())))?;
    let (deny, permit) = RULE;
    expect(text.contains(deny), format!("{} has no rule `{deny}`", config.display()))?;
    let edited = deployment.lab().dir().join("edited.cfg");
    fs::write(&edited, text.replace(deny, permit))
        .map_err(LabError::io(format!("cannot write {}", edited.display())))?;
    Ok(edited)
}
