//! What goes wrong in a data centre, and traffic that goes on: an uplink pulled, the supervisor
//! killed, a VM plugged out and in while nobody is there to ask.

use std::time::{Duration, Instant};

use super::{PC2, PC3, interface, milliseconds, vnic};
use crate::daemons::Deployment;
use crate::error::{LabError, Result};
use crate::link;
use crate::pinger::Pinger;
use crate::report::{Report, expect};
use crate::traffic::wait_ping;
use crate::wait::{SOON, wait_for_ok};

/// How long traffic may be cut off when an uplink is pulled.
const RECOVERY_MAX: Duration = Duration::from_secs(1);

/// Answers that a ping waits for after something was done to the network: half a second of them.
const ANSWERS: usize = 50;

/// Pulls the uplink that pc1 sends by.
pub(super) fn uplink(report: &mut Report, deployment: &Deployment) -> Result<()> {
    report.section("An uplink is pulled");
    let lab = deployment.lab();
    let before = pinned_to(deployment)?;
    let nic = interface(deployment, |row| row["name"] == before.as_str())?["adapter"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    // The switch's port at the other end of h1's eth1 is h1-1.
    let port = nic.replace("eth", "h1-");
    let tor = lab.ns("tor")?;
    report.check(&format!("{before} ({nic} of h1), by which pc1 sends, is pulled"), || {
        let mut pinger = Pinger::start(lab.ns("pc1")?, PC2, lab.dir())?;
        pinger.wait_replies(ANSWERS)?;
        link::down(tor, &port)?;
        pinger.wait_replies(ANSWERS)?;
        let outcome = pinger.finish()?;
        expect(outcome.gap < RECOVERY_MAX, format!("no answer for {:?}", outcome.gap))?;
        let (lost, gap) = (outcome.lost(), milliseconds(outcome.gap));
        Ok(format!("{lost} of {} pings lost, gap {gap}", outcome.sent))
    })?;
    report.check("pc1 sends by the other one", || {
        wait_for_ok("pc1 to be pinned elsewhere", SOON, || match pinned_to(deployment) {
            Ok(now) if now != before && !now.is_empty() => Ok(format!("by {now}")),
            other => Err(format!("{other:?}")),
        })
    })?;
    report.check("Plugged in again: the port comes up", || {
        link::up(tor, &port)?;
        wait_for_ok(format!("{before} to be up"), SOON, || {
            let row = interface(deployment, |row| row["name"] == before.as_str());
            match row.map_err(|error| error.to_string())? {
                row if row["status"] == "up" => Ok(String::new()),
                row => Err(row.to_string()),
            }
        })
    })?;
    Ok(())
}

/// Kills the supervisor, changes something on a host, and starts it again.
pub(super) fn supervisor(report: &mut Report, deployment: &mut Deployment) -> Result<()> {
    report.section("The supervisor is killed (SIGKILL)");
    let (vm, host) = ("pc3", "h1");
    let number = vnic(deployment, vm)?["name"].as_str().unwrap_or_default().to_owned();
    report.check("Traffic goes on, without a loss", || {
        let mut pinger = Pinger::start(deployment.lab().ns("pc1")?, PC2, deployment.lab().dir())?;
        deployment.supervisor()?.kill9()?;
        pinger.wait_replies(2 * ANSWERS)?;
        let outcome = pinger.finish()?;
        expect(outcome.lost() == 0, format!("{} pings lost", outcome.lost()))?;
        Ok(format!("{} of {} pings answered", outcome.received, outcome.sent))
    })?;
    report.check(&format!("Headless: {vm} plugged out of {host} and in again"), || {
        deployment.detach(vm)?;
        let attached = deployment.attach(vm)?;
        let [nic] = attached.as_slice() else {
            return Err(LabError::Unexpected(format!("{vm} has {} vNICs", attached.len())));
        };
        let output = &nic.output;
        expect(output.starts_with(&format!("{number} ")), format!("{number} is now {output}"))?;
        wait_ping(deployment.lab().ns("pc1")?, PC3)?;
        Ok(format!("{number} as before, reachable"))
    })?;
    let start = Instant::now();
    report.check("The supervisor is started again: both modules come back", || {
        deployment.start_supervisor()?;
        deployment.wait_in_sync()?;
        Ok(format!("in sync after {}", milliseconds(start.elapsed())))
    })?;
    report.check("It knows what happened meanwhile", || {
        wait_for_ok(format!("{number} to be up"), SOON, || {
            match vnic(deployment, vm).map_err(|error| error.to_string())? {
                row if row["status"] == "up" && row["name"] == number.as_str() => {
                    Ok(format!("{number} of {vm} is up"))
                }
                row => Err(row.to_string()),
            }
        })
    })?;
    Ok(())
}

/// The uplink that pc1 sends by, as `show interface` has it.
fn pinned_to(deployment: &Deployment) -> Result<String> {
    match vnic(deployment, "pc1")?["pinned_to"].as_str() {
        Some(uplink) => Ok(uplink.to_owned()),
        None => Err(LabError::Unexpected("pc1 has no uplink".to_owned())),
    }
}
