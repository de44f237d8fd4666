//! Replies that the golden outputs are made of.

use proto::rpc::operator as rpc;

/// A vEthernet that is up and an uplink that is down.
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
        ..rpc::Interface::default()
    };
    rpc::InterfacesReply { interfaces: vec![uplink, vethernet] }
}
