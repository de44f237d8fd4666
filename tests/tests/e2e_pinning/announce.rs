//! What the physical network is told when addresses move: reverse ARP (RFC 903) for each of them,
//! by the new uplink, several times.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::{EtherType, MacAddr};
use tests::frames::Header;
use tests::wait::{SOON, wait_for_ok};

use crate::rig::{ALL, Rig, mac};

/// How often a move is told.
const TELLINGS: usize = 4;

/// In which time everything is told once.
const FIRST_TELLING_MAX: Duration = Duration::from_secs(1);

/// Two trunks with 50 VLANs each: a hundred addresses, behind NIC 1, beside one behind NIC 2.
const CONFIG: &str = "
vlan 10,100-149,200-249
port-profile type vethernet A
  switchport mode trunk
  switchport trunk allowed vlan 100-149
  pinning id 1 backup 2
  state enabled
port-profile type vethernet B
  switchport mode trunk
  switchport trunk allowed vlan 200-249
  pinning id 1 backup 2
  state enabled
port-profile type vethernet C
  switchport access vlan 10
  pinning id 1 backup 2
  state enabled
port-profile type vethernet D
  switchport access vlan 10
  pinning id 2 backup 1
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10,100-149,200-249
  channel-group auto mode on mac-pinning
  link-up delay 1
  state enabled
interface Ethernet3/1-2
  inherit port-profile UPLINK
";

/// An address in a VLAN.
type Place = (MacAddr, Option<u16>);

/// The addresses that move with NIC 1.
fn moving() -> Vec<Place> {
    let trunk = |vm: &'static str, from: u16| (from..from + 50).map(move |v| (mac(vm), Some(v)));
    trunk("a", 100).chain(trunk("b", 200)).chain([(mac("c"), Some(10))]).collect()
}

/// How often each address was announced at an end.
fn announced(rig: &Rig, nic: u8) -> BTreeMap<Place, usize> {
    let mut announced = BTreeMap::new();
    for frame in rig.end(nic).sniffer.frames() {
        let header = Header::read(&frame.bytes).expect("a frame");
        if header.ethertype == EtherType::RARP {
            assert_reverse_request(&frame.bytes, &header);
            *announced.entry((header.src, header.vid())).or_default() += 1;
        }
    }
    announced
}

/// Waits until exactly this has been announced at an end.
fn wait_announced(rig: &Rig, nic: u8, expected: &BTreeMap<Place, usize>) {
    wait_for_ok(format!("all tellings by NIC {nic}"), SOON, || {
        let now = announced(rig, nic);
        if now == *expected { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .expect("each address is announced so often");
}

/// A reverse request: a broadcast that asks for the address of its own sender.
fn assert_reverse_request(frame: &[u8], header: &Header) {
    let own = header.src.octets();
    // Ethernet, IPv4, lengths 6 and 4, operation 3; then who asks and about whom.
    let body = [&[0, 1, 8, 0, 6, 4, 0, 3], &own[..], &[0; 4], &own[..], &[0; 4]].concat();
    assert_eq!(header.dst, ALL, "{frame:02x?}");
    assert!(frame[header.payload_at..].starts_with(&body), "{frame:02x?}");
}

#[test]
fn a_hundred_moved_addresses_are_announced_within_a_second_and_four_times_each() {
    let mut rig = Rig::start(CONFIG, &["a", "b", "c", "d"]);
    let moving = moving();
    let by = |times: usize| -> BTreeMap<Place, usize> {
        moving.iter().map(|place| (*place, times)).collect()
    };
    // The arrival of the VMs.
    wait_announced(&rig, 1, &by(TELLINGS));
    wait_announced(&rig, 2, &[((mac("d"), Some(10)), TELLINGS)].into());

    // The loss of NIC 1, and its return, after which it is held down for a second.
    for (is_loss, to, delay) in [(true, 2, Duration::ZERO), (false, 1, Duration::from_secs(1))] {
        let before = rig.wait_announced();
        rig.end(1).sniffer.clear();
        rig.end(2).sniffer.clear();
        let since = Instant::now();
        if is_loss {
            rig.cut(1)
        } else {
            rig.mend(1)
        }
        wait_for_ok("all addresses to be announced", SOON, || {
            let now = announced(&rig, to).len();
            if now >= moving.len() { Ok(()) } else { Err(format!("{now} of them")) }
        })
        .expect("all are announced");
        let took = since.elapsed();
        assert!(took >= delay, "announced {took:?} after the link, not after {delay:?}");
        assert!(took < delay + FIRST_TELLING_MAX, "the first telling took {took:?}");
        wait_announced(&rig, to, &by(TELLINGS));
        let sent = rig.wait_announced() - before;
        assert_eq!(sent as usize, TELLINGS * moving.len(), "by the dataplane's count");
        assert_eq!(announced(&rig, to), by(TELLINGS), "by NIC {to}, no more than that");
        assert_eq!(announced(&rig, 3 - to), BTreeMap::new(), "by NIC {}", 3 - to);
    }
    rig.finish();
}
