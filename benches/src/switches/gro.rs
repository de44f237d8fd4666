//! Generic receive offload on the ends of the wires, for the polling that it brings.
//!
//! A veth that is sent to by XDP, as the tester's generator does, takes frames only while it polls:
//! with an XDP program of its own, or with this. The poll then runs where the sender does, so a
//! switch that is made of the kernel shares the tester's core. That is the faster way for it:
//! polled by threads bound to the core of the switch (`/sys/class/net/IF/threaded`), the bridge and
//! the redirect forward fewer frames, since each changes the core on its way.

use tests::error::Result;
use tests::netns::Namespace;

/// Generic receive offload on two interfaces; off again on drop, as cables are made.
#[derive(Debug)]
pub(super) struct Gro {
    namespace: Namespace,
    interfaces: [&'static str; 2],
}

impl Gro {
    /// Turns it on.
    ///
    /// # Errors
    /// With the words of `ethtool`.
    pub(super) fn on(namespace: &Namespace, interfaces: [&'static str; 2]) -> Result<Self> {
        let gro = Self { namespace: namespace.share(), interfaces };
        gro.set("on")?;
        Ok(gro)
    }

    fn set(&self, state: &str) -> Result<()> {
        self.interfaces.iter().try_for_each(|interface| {
            self.namespace.output("ethtool", &["-K", interface, "gro", state]).map(drop)
        })
    }
}

impl Drop for Gro {
    fn drop(&mut self) {
        if let Err(error) = self.set("off") {
            eprintln!("packet-rate: {error}");
        }
    }
}
