//! Replies that the golden outputs are made of.

use proto::rpc::operator as rpc;

/// A vEthernet that is up, an uplink that is down and one that is up in its port-channel.
pub(super) fn interfaces() -> rpc::InterfacesReply {
    let setting = |name: &str, value: &str, origin: &str| rpc::Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        origin: origin.to_owned(),
    };
    let vethernet = rpc::Interface {
        name: "Vethernet1".to_owned(),
        module: 3,
        status: "up".to_owned(),
        admin: "up".to_owned(),
        mode: "access".to_owned(),
        vlan: "10".to_owned(),
        mtu_bytes: 1500,
        profile: "WEB".to_owned(),
        owner: "vm1".to_owned(),
        adapter: "eth0".to_owned(),
        mac: "02:57:46:00:00:01".to_owned(),
        kind: "tap".to_owned(),
        pinned_to: "Ethernet3/1".to_owned(),
        description: "the web server".to_owned(),
        counters: Some(rpc::Counters {
            rx_frames: 1000,
            rx_bytes: 640_000,
            rx_multicast: 3,
            rx_broadcast: 7,
            tx_frames: 2000,
            tx_bytes: 1_280_000,
            tx_multicast: 1,
            tx_broadcast: 2,
            forwarded: 990,
            consumed: 0,
            dropped: 10,
            tx_dropped: 4,
        }),
        settings: vec![
            setting("switchport mode", "access", "default"),
            setting("switchport access vlan", "10", "port-profile WEB"),
            setting("mtu", "1500", "default"),
            setting("shutdown", "no", "interface"),
        ],
        ..rpc::Interface::default()
    };
    let uplink = rpc::Interface {
        name: "Ethernet3/1".to_owned(),
        module: 3,
        status: "down".to_owned(),
        reason: "link not connected".to_owned(),
        admin: "up".to_owned(),
        mode: "trunk".to_owned(),
        vlan: "1 (native)".to_owned(),
        allowed_vlans: "10-12,20".to_owned(),
        mtu_bytes: 9000,
        profile: "UPLINK".to_owned(),
        adapter: "ens1".to_owned(),
        kind: "native copy".to_owned(),
        counters: Some(rpc::Counters::default()),
        channel: 1,
        channel_mode: "active".to_owned(),
        channel_flag: "D".to_owned(),
        channel_reason: "link is down".to_owned(),
        ..rpc::Interface::default()
    };
    let member = rpc::Interface {
        name: "Ethernet3/2".to_owned(),
        status: "up".to_owned(),
        reason: String::new(),
        adapter: "ens2".to_owned(),
        channel_flag: "P".to_owned(),
        channel_reason: String::new(),
        lacp: Some(lacp_port()),
        neighbors: vec![neighbor()],
        pinned: vec!["Vethernet1".to_owned(), "Vethernet2".to_owned()],
        ..uplink.clone()
    };
    rpc::InterfacesReply { interfaces: vec![uplink, member, vethernet] }
}

/// The moment of the samples.
const NOW_NS: u64 = 1_700_000_000_000_000_000;

/// A port-channel by LACP that has trouble, one of a host that is offline, and pinned uplinks.
pub(super) fn port_channels() -> rpc::PortChannelsReply {
    let member = |port: &str, flag: &str, reason: &str| rpc::ChannelMember {
        port: port.to_owned(),
        flag: flag.to_owned(),
        reason: reason.to_owned(),
        since_unix_ns: NOW_NS,
    };
    let channel = |module, flags: &str, mode: &str, members| rpc::PortChannel {
        module,
        module_status: if module == 4 { "offline" } else { "ok" }.to_owned(),
        number: 1,
        name: "port-channel1".to_owned(),
        flags: flags.to_owned(),
        kind: "Eth".to_owned(),
        protocol: if mode == "active" { "LACP" } else { "NONE" }.to_owned(),
        mode: mode.to_owned(),
        members,
        ..rpc::PortChannel::default()
    };
    let lacp = vec![
        member("Ethernet3/1", "P", ""),
        member("Ethernet3/2", "s", "the partner is silent"),
        member("Ethernet3/3", "D", "link is down"),
        member("Ethernet3/4", "H", "8 members are in use"),
    ];
    let was = "module 4 is offline, was up";
    let away = rpc::PortChannel {
        reason: was.to_owned(),
        ..channel(4, "SR", "on", vec![member("Ethernet4/1", "R", was)])
    };
    let pinned = vec![member("Ethernet5/1", "P", ""), member("Ethernet5/2", "P", "")];
    rpc::PortChannelsReply {
        channels: vec![
            channel(3, "SU", "active", lacp),
            away,
            channel(5, "SU", "on mac-pinning", pinned),
        ],
        load_balance: Some(rpc::LoadBalance {
            method: "source-dest-ip-port".to_owned(),
            non_ip: "source-dest-mac".to_owned(),
            fragments: "source-dest-ip".to_owned(),
        }),
    }
}

/// A member of a port-channel that speaks LACP.
fn lacp_port() -> rpc::LacpPort {
    let bits = ["activity", "aggregation", "synchronization", "collecting", "distributing"];
    let info = |priority, system: &str, key, port, state| rpc::LacpInfo {
        system_priority: priority,
        system: system.to_owned(),
        key,
        port_priority: 32768,
        port,
        state,
        state_bits: bits.map(str::to_owned).to_vec(),
    };
    rpc::LacpPort {
        module: 3,
        module_status: "ok".to_owned(),
        port: "Ethernet3/1".to_owned(),
        channel: 1,
        mode: "active".to_owned(),
        flag: "P".to_owned(),
        actor: Some(info(32768, "02:57:46:00:00:01", 1, 1, 0x3d)),
        partner: Some(info(4096, "00:1b:54:c2:00:01", 7, 0x107, 0x3d)),
        receive: "CURRENT".to_owned(),
        mux: "DISTRIBUTING".to_owned(),
        periodic: "SLOW_PERIODIC".to_owned(),
        selected: "SELECTED".to_owned(),
        actor_churn: "NO_ACTOR_CHURN".to_owned(),
        partner_churn: "NO_PARTNER_CHURN".to_owned(),
        pdus_sent: 120,
        pdus_received: 118,
        markers_received: 1,
        marker_responses_sent: 1,
        last_received_unix_ns: NOW_NS - 12_000_000_000,
        ..rpc::LacpPort::default()
    }
}

/// A member that works, and one whose partner never spoke.
pub(super) fn lacp() -> rpc::LacpReply {
    let silent = rpc::LacpPort {
        port: "Ethernet3/2".to_owned(),
        flag: "s".to_owned(),
        reason: "the partner is silent".to_owned(),
        receive: "DEFAULTED".to_owned(),
        mux: "DETACHED".to_owned(),
        periodic: "FAST_PERIODIC".to_owned(),
        selected: "UNSELECTED".to_owned(),
        actor_churn: "ACTOR_CHURN".to_owned(),
        actor_churns: 1,
        pdus_received: 0,
        last_received_unix_ns: 0,
        ..lacp_port()
    };
    rpc::LacpReply { unix_time_ns: NOW_NS, ports: vec![lacp_port(), silent] }
}

/// What one uplink hears by LLDP.
fn neighbor() -> rpc::Neighbor {
    rpc::Neighbor {
        module: 3,
        module_status: "ok".to_owned(),
        port: "Ethernet3/1".to_owned(),
        adapter: "ens1".to_owned(),
        protocol: "LLDP".to_owned(),
        chassis_id: "001b.54c2.0001".to_owned(),
        system_name: "tor1".to_owned(),
        port_id: "Ethernet1/7".to_owned(),
        port_description: "to h1".to_owned(),
        platform: "Nexus Operating System (NX-OS) Software, version 10.3".to_owned(),
        capabilities: vec!["bridge".to_owned(), "router".to_owned()],
        management_address: "192.0.2.1".to_owned(),
        native_vlan: 1,
        hold_time_s: 120,
        heard_unix_ns: NOW_NS - 30_000_000_000,
        mtu_bytes: 9216,
    }
}

/// A switch that says much, and one that says little to a host that is offline.
pub(super) fn neighbors() -> rpc::NeighborsReply {
    let terse = rpc::Neighbor {
        module: 4,
        module_status: "offline".to_owned(),
        port: "Ethernet4/2".to_owned(),
        adapter: "ens2".to_owned(),
        protocol: "LLDP".to_owned(),
        chassis_id: "001b.54c2.0002".to_owned(),
        port_id: "0200.0000.0077".to_owned(),
        hold_time_s: 120,
        heard_unix_ns: NOW_NS - 300_000_000_000,
        ..rpc::Neighbor::default()
    };
    rpc::NeighborsReply { unix_time_ns: NOW_NS, neighbors: vec![neighbor(), terse] }
}
