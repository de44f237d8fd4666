//! A Linux bridge between veths with all their offloads on: TCP crosses it in super-frames inside
//! the kernel. It has no CPU of its own; the senders run it.

use tests::error::Result;
use tests::link;
use tests::netns::Namespace;
use tests::traffic::wait_ping;

use super::{ADDRESSES, Join, Joined, NIC};

/// The bridge, as a kind of switch.
#[derive(Debug)]
pub struct Bridge;

#[derive(Debug)]
struct Bridged {
    ends: [Namespace; 2],
    _switch: Namespace,
}

impl Join for Bridge {
    fn name(&self) -> &'static str {
        "bridge"
    }

    fn start(&self) -> Result<Box<dyn Joined>> {
        let (ends, switch) = (super::pair()?, Namespace::create("sw")?);
        switch.ip("link add name br0 type bridge mcast_snooping 0")?;
        link::up(&switch, "br0")?;
        for (index, end) in ends.iter().enumerate() {
            let port = format!("port{index}");
            end.ip(&format!(
                "link add name {NIC} type veth peer name {port} netns {}",
                switch.name()
            ))?;
            switch.ip(&format!("link set dev {port} master br0"))?;
            link::up(&switch, &port)?;
            super::address(end, index)?;
        }
        wait_ping(&ends[0], ADDRESSES[1].into())?;
        Ok(Box::new(Bridged { ends, _switch: switch }))
    }
}

impl Joined for Bridged {
    fn end(&self, index: usize) -> Option<&Namespace> {
        self.ends.get(index)
    }

    fn describe(&self) -> String {
        "Linux bridge, veth, offloads on".to_owned()
    }

    fn check(&mut self) -> Result<()> {
        Ok(())
    }
}
