//! The demonstration: the classroom network of `examples/practica.yaml` from nothing to working
//! traffic, with a check mark a line.
//!
//! *Where it sits:* behind `lab demo` and `make demo`; the nodes and addresses that it names are
//! those of the example, and the configuration is the `.cfg` file beside the `.yaml`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::daemons::{Deployment, rows};
use crate::error::{LabError, Result};
use crate::frames::Header;
use crate::lab::Lab;
use crate::link;
use crate::report::{Report, expect};
use crate::sniff::Sniffer;
use crate::topology::Topology;
use crate::traffic::{iperf3, ping_count, ping_once, tcp_transfer, wait_ping};
use crate::wait::{SOON, wait_until};

const PC2: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 10, 12));
const PC3: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 20, 13));
const PC4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 30, 14));
const R1_LAN_A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 10, 1));
const R2_LAN_C: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 30, 2));
const TEACHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 10, 100));

/// An address of LAN-A that pc3, in LAN-B, takes to show that the VLANs are apart.
const IMPOSTOR: Ipv4Addr = Ipv4Addr::new(10, 10, 10, 99);

/// The rule of the example that is edited live, before and after.
const RULE: (&str, &str) = ("10 deny icmp any any", "10 permit icmp any any");

/// How long each throughput is measured.
const MEASURED: Duration = Duration::from_secs(2);

/// Runs the demonstration and prints its report; says whether every check passed. Nothing is left
/// of the lab when it returns.
///
/// # Errors
/// When something fails without which nothing else can be shown, or the user interrupts.
pub fn run(topology: &Path) -> Result<bool> {
    let config = topology.with_extension("cfg");
    let config = fs::read_to_string(&config)
        .map_err(LabError::io(format!("cannot read {}", config.display())))?;
    let mut report = Report::new();
    let mut deployment = bring_up(&mut report, topology, &config)?;
    lans(&mut report, &deployment)?;
    routers(&mut report, &deployment)?;
    acl(&mut report, &deployment, &config)?;
    failures(&mut report, &mut deployment)?;
    wire(&mut report, &deployment)?;
    take_down(&mut report, deployment)?;
    Ok(report.finish())
}

fn bring_up(report: &mut Report, topology: &Path, config: &str) -> Result<Deployment> {
    report.section("The lab, the daemons and their configuration");
    let mut lab = None;
    report.must("two hosts, a physical switch, a supervisor, seven systems", || {
        let built = lab.insert(Lab::build(Topology::load(topology)?)?);
        Ok(format!("{} namespaces", built.nodes().count()))
    })?;
    let Some(lab) = lab else { return Err(LabError::Unexpected("no lab was built".into())) };
    let mut started = None;
    report.must(
        "supervisor and dataplanes run, and both hosts are modules of one switch",
        || {
            let deployment = started.insert(Deployment::start(lab)?);
            let table = deployment.show("module")?;
            let modules: Vec<_> = rows(&table).map(|row| row["name"].to_string()).collect();
            Ok(modules.join(" ").replace('"', ""))
        },
    )?;
    let Some(deployment) = started else {
        return Err(LabError::Unexpected("no deployment was started".into()));
    };
    report
        .must("practica.cfg is applied", || deployment.apply_text(config).map(|_| String::new()))?;
    let vms: Vec<_> = deployment.lab().topology().vms.keys().cloned().collect();
    report.must("four PCs and two routers are attached", || {
        let mut count = 0;
        for vm in &vms {
            count += deployment.attach(vm)?.len();
        }
        Ok(format!("{count} vEthernets"))
    })?;
    Ok(deployment)
}

fn lans(report: &mut Report, deployment: &Deployment) -> Result<()> {
    let lab = deployment.lab();
    let (pc1, pc2, pc3) = (lab.ns("pc1")?, lab.ns("pc2")?, lab.ns("pc3")?);
    report.section("LANs");
    let reaches = |from, to| wait_ping(from, to).map(|()| String::new());
    report.check("same host: pc1 reaches r1", || reaches(pc1, R1_LAN_A))?;
    report.check("across hosts: pc1 reaches pc2", || reaches(pc1, PC2))?;
    report.check("to the wire: pc1 reaches the teacher's PC", || reaches(pc1, TEACHER))?;
    let gbits = |measured: crate::traffic::Throughput| {
        format!("{:.2} Gbit/s of TCP", measured.bits_per_sec / 1e9)
    };
    report.check("same host: iperf3 from pc1 to r1", || {
        iperf3(pc1, (lab.ns("r1")?, R1_LAN_A), MEASURED, lab.dir()).map(gbits)
    })?;
    report.check("across hosts: iperf3 from pc1 to pc2", || {
        iperf3(pc1, (pc2, PC2), MEASURED, lab.dir()).map(gbits)
    })?;
    report.check("LAN-A and LAN-B are apart, even with an address of the other", || {
        link::add_address(pc3, "eth0", &format!("{IMPOSTOR}/24"))?;
        let sniffer = Sniffer::start(pc3, "eth0")?;
        let asker = link::mac(pc1, "eth0")?;
        expect(!ping_once(pc1, IMPOSTOR.into())?, format!("{IMPOSTOR} answered pc1"))?;
        let leaked =
            sniffer.count(|frame| Header::read(frame).is_some_and(|header| header.src == asker));
        expect(leaked == 0, format!("{leaked} frames of pc1 came to pc3"))?;
        pc3.ip(&format!("address del {IMPOSTOR}/24 dev eth0")).map(|_| String::new())
    })?;
    Ok(())
}

fn routers(report: &mut Report, deployment: &Deployment) -> Result<()> {
    let lab = deployment.lab();
    let (pc1, pc4) = (lab.ns("pc1")?, lab.ns("pc4")?);
    report.section("Routers");
    report.check("pc1 reaches pc3 by r1, from LAN-A to LAN-B", || {
        wait_ping(pc1, PC3).map(|()| String::new())
    })?;
    report.check("10 MB of TCP from pc1 to pc4 by r1 and r2, content compared", || {
        tcp_transfer(pc1, (pc4, SocketAddr::new(PC4, 7000)), 10_000_000, 1)?;
        Ok("not a byte differs".to_owned())
    })?;
    Ok(())
}

fn acl(report: &mut Report, deployment: &Deployment, config: &str) -> Result<()> {
    let lab = deployment.lab();
    let (pc2, pc4) = (lab.ns("pc2")?, lab.ns("pc4")?);
    report.section("Access list");
    report.check("BLOCK-ICMP-C: pc4 cannot ping its router", || {
        expect(!ping_once(pc4, R2_LAN_C)?, "the router answered")?;
        Ok(String::new())
    })?;
    report.check("but TCP of pc4 passes", || {
        tcp_transfer(pc4, (pc2, SocketAddr::new(PC2, 7001)), 100_000, 2)?;
        Ok(String::new())
    })?;
    report.check("its first rule edited live to permit: pc4 can ping", || {
        let (deny, permit) = RULE;
        expect(config.contains(deny), format!("practica.cfg has no rule `{deny}`"))?;
        deployment.apply_text(&config.replace(deny, permit))?;
        wait_ping(pc4, R2_LAN_C)?;
        Ok(String::new())
    })?;
    report.check("and edited back: it cannot", || {
        deployment.apply_text(config)?;
        wait_until("the router to stop answering", SOON, || {
            ping_once(pc4, R2_LAN_C).is_ok_and(|answered| !answered)
        })?;
        Ok(String::new())
    })?;
    Ok(())
}

fn failures(report: &mut Report, deployment: &mut Deployment) -> Result<()> {
    report.section("Failures");
    for port in ["h1-1", "h1-2"] {
        report.check(&format!("uplink {port} loses its link: pc1 still reaches pc2"), || {
            let lab = deployment.lab();
            let (tor, pc1) = (lab.ns("tor")?, lab.ns("pc1")?);
            link::down(tor, port)?;
            let reached = wait_ping(pc1, PC2);
            link::up(tor, port)?;
            reached.and_then(|()| wait_ping(pc1, PC2)).map(|()| String::new())
        })?;
    }
    report.check("the supervisor is killed: traffic goes on", || {
        deployment.supervisor()?.kill9()?;
        let answers = ping_count(deployment.lab().ns("pc1")?, PC2, 20)?;
        expect(answers == 20, format!("{answers} of 20 pings answered"))?;
        Ok("20 of 20 pings answered".to_owned())
    })?;
    report.check("it starts again: both modules come back", || {
        deployment.start_supervisor()?;
        let hosts: Vec<_> = deployment.lab().topology().hosts.keys().cloned().collect();
        hosts.iter().try_for_each(|host| deployment.wait_registered(host))?;
        Ok(String::new())
    })?;
    report.check("no daemon has ended", || deployment.check_running().map(|()| String::new()))?;
    Ok(())
}

/// What the physical switch saw of all this.
fn wire(report: &mut Report, deployment: &Deployment) -> Result<()> {
    let switch = deployment.lab().switch("tor")?;
    report.section("The physical switch");
    report.check("no host sent a BPDU", || {
        let mut bpdus = 0;
        for port in switch.ports() {
            bpdus += switch.counters(port)?.bpdus_received;
        }
        expect(bpdus == 0, format!("{bpdus} BPDUs"))?;
        Ok(String::new())
    })?;
    Ok(())
}

fn take_down(report: &mut Report, deployment: Deployment) -> Result<()> {
    report.section("The end");
    let paths: Vec<_> = deployment.lab().nodes().map(|(_, namespace)| namespace.path()).collect();
    let dir = deployment.lab().dir().to_owned();
    report.check("everything is removed", || {
        drop(deployment);
        let left = paths.iter().chain([&dir]).filter(|path| path.exists()).count();
        expect(left == 0, format!("{left} namespaces or folders are left"))?;
        Ok(String::new())
    })?;
    Ok(())
}
