//! Single frames through a switch, by packet sockets at the tester's ends: whether it forwards yet,
//! and whether it drops what it should.
//!
//! Only before a measurement: its sink takes the frames before any socket hears them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tests::error::{LabError, Result};
use tests::frames::{Frame, contains};
use tests::packet::{Hear, PacketSocket};
use tests::wait::wait_for_ok;

use crate::plan::{MACS, NETWORKS, Rule, UDP_DST};
use crate::wires::{Wire, Wires};

/// How long a switch has to begin to forward.
const DEADLINE: Duration = Duration::from_secs(20);

/// What probes carry, so that they are told from all else.
const MARK: &[u8] = b"packet-rate probe ";

/// UDP source port of probes.
const PROBE_PORT: u16 = 7;

/// The packet sockets at both tester's ends.
#[derive(Debug)]
pub struct Probe {
    sockets: [PacketSocket; 2],
    sent: u64,
}

impl Probe {
    /// Opens the sockets.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn open(wires: &Wires) -> Result<Self> {
        let open = |wire: Wire| PacketSocket::open(wires.tester(), wire.tester(), Hear::Incoming);
        Ok(Self { sockets: [open(Wire::A)?, open(Wire::B)?], sent: 0 })
    }

    /// Sends frames into both wires until one has come out of each, or `alive` fails.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after 20 seconds, or that of `alive`.
    pub fn wait_forwards(&mut self, mut alive: impl FnMut() -> Result<()>) -> Result<()> {
        for from in Wire::BOTH {
            let what = format!("a frame from {} at {}", from.tester(), from.other().tester());
            wait_for_ok(what, DEADLINE, || {
                if let Err(ended) = alive() {
                    return Ok(Err(ended));
                }
                match self.try_pass(from) {
                    Ok(true) => Ok(Ok(())),
                    Ok(false) => Err("nothing".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            })??;
        }
        Ok(())
    }

    /// Sends a frame that `rule` denies into a wire and a permitted one behind it; whether the
    /// first came out before the second.
    ///
    /// # Errors
    /// When the second one does not come out.
    pub fn passes_denied(&mut self, from: Wire, rule: Rule) -> Result<bool> {
        let denied = denied(from, rule);
        let mut passed = false;
        self.send(from, &denied)?;
        let permitted = self.next(from);
        self.send(from, &permitted)?;
        wait_for_ok("the permitted frame", DEADLINE, || {
            while let Some(frame) = self.receive(from.other()).map_err(|error| error.to_string())? {
                passed |= frame == denied;
                if frame == permitted {
                    return Ok(passed);
                }
            }
            Err(format!("nothing; the denied one passed: {passed}"))
        })
    }

    /// Sends a frame, and looks whether any probe has come out of the other wire.
    fn try_pass(&mut self, from: Wire) -> Result<bool> {
        let frame = self.next(from);
        self.send(from, &frame)?;
        while let Some(frame) = self.receive(from.other())? {
            if contains(&frame, MARK) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next(&mut self, from: Wire) -> Vec<u8> {
        self.sent += 1;
        let mark = [MARK, self.sent.to_string().as_bytes()].concat();
        let [src, dst] = [from, from.other()].map(host);
        let (src, dst) = (SocketAddrV4::new(src, PROBE_PORT), SocketAddrV4::new(dst, UDP_DST));
        frame(from).udp4(src, dst, &mark)
    }

    fn send(&self, into: Wire, frame: &[u8]) -> Result<()> {
        let action = format!("cannot send by {}", into.tester());
        self.sockets[into.index()].send(frame).map_err(LabError::io(action))
    }

    fn receive(&mut self, out_of: Wire) -> Result<Option<Vec<u8>>> {
        let action = format!("cannot receive by {}", out_of.tester());
        let received = self.sockets[out_of.index()].receive().map_err(LabError::io(action))?;
        Ok(received.map(|(_, frame)| frame.to_vec()))
    }
}

/// Waits until a switch forwards both ways.
///
/// # Errors
/// As [`Probe::wait_forwards`].
pub fn wait_forwards(wires: &Wires, alive: impl FnMut() -> Result<()>) -> Result<()> {
    Probe::open(wires)?.wait_forwards(alive)
}

/// The first host of a wire's network.
fn host(wire: Wire) -> Ipv4Addr {
    let [network, ..] = NETWORKS[wire.index()].octets();
    Ipv4Addr::new(network, 0, 0, 1)
}

fn frame(from: Wire) -> Frame {
    Frame::new(MACS[from.index()], MACS[from.other().index()])
}

/// The start of a connection that a rule denies.
fn denied(from: Wire, rule: Rule) -> Vec<u8> {
    const SYN: u8 = 0x02;
    let [a, b, c, _] = rule.network.octets();
    let src = SocketAddrV4::new(Ipv4Addr::new(a, b, c, 9), 40_000);
    frame(from).tcp4(src, SocketAddrV4::new(host(from.other()), rule.port), SYN, MARK)
}
