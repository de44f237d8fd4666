//! `raw-forward IFNAME IFNAME`: moves every frame between two interfaces by AF_XDP until it is ended.
//!
//! The measurements start it as the limit that the product is held against.

use anyhow::bail;
use benches::switches::raw::Forwarder;

fn main() -> anyhow::Result<()> {
    let interfaces: Vec<String> = std::env::args().skip(1).collect();
    let [a, b] = interfaces.as_slice() else { bail!("usage: raw-forward IFNAME IFNAME") };
    let forwarder = Forwarder::open([a, b])?;
    println!("{} ready", forwarder.mode());
    forwarder.run()
}
