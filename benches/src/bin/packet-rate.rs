//! `packet-rate`: how many frames a second, through what, against what.

fn main() -> anyhow::Result<()> {
    benches::cli::run()
}
