//! The port-channel of a host with two uplinks, as its users see and configure it.
//!
//! *Where it sits:* above [`crate::checks`]; the networks with a partner at the other end are made of
//! one. Its functions panic instead of returning an error: then the test fails with the daemons'
//! logs and status on stderr ([`Watched`]).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::checks::Watched;
use crate::daemons::rows;
use crate::wait::wait_for_ok;

/// VMs in VLAN 10 and uplinks that carry it, which inherit their profile when they are told to.
pub const LAN_CONFIG: &str = "
vlan 10
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  state enabled
";

/// The product on one host, `h1`, whose uplinks `Ethernet3/1` and `Ethernet3/2` are teamed.
#[derive(Debug)]
pub struct PortChannel {
    /// The product.
    pub site: Watched,
    /// How long both ends are given to agree, or to notice that a partner is lost.
    patience: Duration,
}

impl PortChannel {
    /// Not configured yet.
    pub fn new(site: Watched, patience: Duration) -> Self {
        Self { site, patience }
    }

    /// Configures the switch, with these lines in the uplinks' profile `UPLINK`, and plugs the VMs
    /// in.
    ///
    /// # Panics
    /// When the switch refuses; so all functions here, also when what is waited for does not come.
    pub fn configure(&self, config: &str, lines: &[&str], vms: &[&str]) {
        self.site.apply_text(config).expect("applied");
        self.uplinks(lines);
        let inherit = "interface Ethernet3/1-2\n  inherit port-profile UPLINK\n";
        self.site.apply_text(inherit).expect("applied");
        for vm in vms {
            self.site.attach(vm).expect("the VM is plugged in");
        }
    }

    /// Puts these lines into the uplinks' profile.
    pub fn uplinks(&self, lines: &[&str]) {
        self.under("port-profile type ethernet UPLINK", lines);
    }

    /// Puts these lines under one uplink, 0 or 1.
    pub fn uplink(&self, number: usize, lines: &[&str]) {
        self.under(&format!("interface {}", name(number)), lines);
    }

    fn under(&self, head: &str, lines: &[&str]) {
        let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        self.site.apply_text(&format!("{head}\n{lines}")).expect("applied");
    }

    /// Waits until the port-channel is as wanted in `show port-channel summary`.
    pub fn wait_channel(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for_ok(what, self.patience, || {
            let reply = self.site.show("port-channel summary").map_err(|e| e.to_string())?;
            let channel = rows(&reply["channels"]).next().cloned();
            channel.filter(|channel| wanted(channel)).ok_or_else(|| reply.to_string())
        })
        .expect("show port-channel summary")
    }

    /// Waits until members have these flags, in their order.
    pub fn wait_flags(&self, wanted: &str) -> Value {
        self.wait_channel(&format!("members to be {wanted}"), |channel| flags(channel) == wanted)
    }

    /// Waits until a member has this flag and a reason with these words.
    pub fn wait_member(&self, number: usize, flag: &str, reason: &str) -> Value {
        let is_so = |channel: &Value| {
            let of = member(channel, number);
            of["flag"] == flag && of["reason"].as_str().is_some_and(|text| text.contains(reason))
        };
        self.wait_channel(&format!("{} to be {flag}, {reason}", name(number)), is_so)
    }

    /// Checks that the daemons run and that no frame is unaccounted for.
    pub fn assert_healthy(&mut self) {
        self.site.check_running().expect("all daemons run");
        self.site.wait_conserved("h1").expect("frames are conserved");
    }
}

/// The name of an uplink, 0 or 1.
pub fn name(number: usize) -> String {
    format!("Ethernet3/{}", number + 1)
}

/// The row of an uplink, 0 or 1, in a port-channel.
pub fn member(channel: &Value, number: usize) -> &Value {
    let port = name(number);
    rows(&channel["members"]).find(|member| member["port"] == *port).unwrap_or(&Value::Null)
}

/// The flags of all members in one word, in their order: `PSD`.
pub fn flags(channel: &Value) -> String {
    rows(&channel["members"]).filter_map(|member| member["flag"].as_str()).collect()
}

/// Wall-clock time, as members have it in `since_unix_ns`.
///
/// # Panics
/// When the clock is not set.
pub fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    u64::try_from(now.as_nanos()).expect("a time before 2500")
}
