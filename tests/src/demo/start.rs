//! The beginning and the end of the demonstration: the lab, the daemons, the configuration.

use std::path::Path;

use super::{show, typed};
use crate::checks::Counts;
use crate::daemons::{Deployment, rows};
use crate::error::{LabError, Result};
use crate::lab::Lab;
use crate::report::{Report, expect};
use crate::topology::Topology;
use crate::wait::{SOON, wait_for_ok};

/// Builds the network and starts the daemons in it.
pub(super) fn bring_up(report: &mut Report, topology: Topology) -> Result<Deployment> {
    report.section("The lab and the daemons");
    let mut lab = None;
    report.must("Two hosts with two uplinks each, a switch between them", || {
        let built = lab.insert(Lab::build(topology)?);
        Ok(format!("{} network namespaces", built.nodes().count()))
    })?;
    let Some(lab) = lab else { return Err(LabError::Unexpected("no lab was built".into())) };
    let mut started = None;
    report.must("A supervisor, and a dataplane on each host", || {
        let deployment = started.insert(Deployment::start(lab)?);
        let table = deployment.show("module")?;
        let modules: Vec<_> = rows(&table)
            .filter(|row| row["kind"] == "Dataplane")
            .map(|row| format!("module {} is {}", row["module"], row["name"]).replace('"', ""))
            .collect();
        Ok(modules.join(", "))
    })?;
    started.ok_or_else(|| LabError::Unexpected("no deployment was started".into()))
}

/// Applies the configuration, plugs the VMs in and shows what there is now.
pub(super) fn configure(report: &mut Report, deployment: &Deployment, config: &Path) -> Result<()> {
    report.section("Configuration");
    report.must(&format!("weft apply {}", typed(config).display()), || {
        let printed = deployment.apply(config)?;
        let outcome = printed.lines().find(|line| line.starts_with("Committed"));
        Ok(outcome.unwrap_or_default().trim_end_matches('.').to_lowercase())
    })?;
    let vms: Vec<_> = deployment.lab().topology().vms.keys().cloned().collect();
    report.must("Four PCs and two routers plugged in as VMs", || {
        let mut count = 0;
        for vm in &vms {
            count += deployment.attach(vm)?.len();
        }
        Ok(format!("{count} vEthernets"))
    })?;
    report.must("Every port is up, and the hosts have said so", || {
        wait_for_ok("every port to be up", SOON, || {
            let table = deployment.show("interface").map_err(|error| error.to_string())?;
            let down = rows(&table).find(|row| row["status"] != "up");
            down.map_or(Ok(format!("{} ports", rows(&table).count())), |row| Err(row.to_string()))
        })
    })?;
    show(report, deployment, "show module")?;
    show(report, deployment, "show interface brief")?;
    show(report, deployment, "show mac address-table")
}

/// What all of it left in the counters, here and in the physical switch.
pub(super) fn look_back(report: &mut Report, deployment: &mut Deployment) -> Result<()> {
    report.section("Looking back");
    report.check("Every frame is accounted for: forwarded, consumed or dropped", || {
        let mut frames = 0;
        for host in deployment.lab().topology().hosts.keys() {
            let counts = wait_for_ok(format!("frames of {host} to be conserved"), SOON, || {
                let status = deployment.status(host).map_err(|error| error.to_string())?;
                let counts = Counts::read(&status);
                counts.check_conserved().map(|()| counts)
            })?;
            frames += counts.0.values().map(|port| port.rx).sum::<u64>();
        }
        Ok(format!("{frames} frames"))
    })?;
    report.check("No host sent a BPDU to the physical switch", || {
        let switch = deployment.lab().switch("tor")?;
        let mut bpdus = 0;
        for port in switch.ports() {
            bpdus += switch.counters(port)?.bpdus_received;
        }
        expect(bpdus == 0, format!("{bpdus} BPDUs")).map(|()| String::new())
    })?;
    report.check("No daemon has ended", || deployment.check_running().map(|()| String::new()))?;
    show(report, deployment, "show drops")
}

/// Takes everything down and looks for what is left.
pub(super) fn take_down(report: &mut Report, deployment: Deployment) -> Result<()> {
    let paths: Vec<_> = deployment.lab().nodes().map(|(_, namespace)| namespace.path()).collect();
    let dir = deployment.lab().dir().to_owned();
    report.check("Everything is removed", || {
        drop(deployment);
        let left = paths.iter().chain([&dir]).filter(|path| path.exists()).count();
        expect(left == 0, format!("{left} namespaces or folders are left"))?;
        Ok(String::new())
    })?;
    Ok(())
}
