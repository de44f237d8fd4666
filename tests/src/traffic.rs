//! Real traffic of real programs between two nodes: ping, TCP with its content checked, iperf3.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::error::{LabError, Result};
use crate::mutate::SplitMix64;
use crate::netns::Namespace;
use crate::process::Process;
use crate::wait::{SOON, wait_for_ok};

/// How long a transfer may stand still before it counts as dead.
const STALL: Duration = Duration::from_secs(10);

/// Block in which content is made, sent and compared.
const BLOCK_BYTES: usize = 64 << 10;

/// Sends one echo request and says whether the answer came within a second.
///
/// # Errors
/// Only when `ping` cannot be started.
pub fn ping_once(from: &Namespace, to: IpAddr) -> Result<bool> {
    let to = to.to_string();
    Ok(from.try_output("ping", &["-n", "-q", "-c", "1", "-W", "1", &to])?.status.success())
}

/// Pings until an answer comes.
///
/// # Errors
/// [`LabError::Timeout`] when none comes in ten seconds.
pub fn wait_ping(from: &Namespace, to: IpAddr) -> Result<()> {
    wait_for_ok(format!("{to} to answer {}", from.name()), SOON, || match ping_once(from, to) {
        Ok(true) => Ok(()),
        Ok(false) => Err("no answer".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// Pings `count` times, ten a second, and gives how many answers came.
///
/// # Errors
/// When `ping` cannot be started or prints what is no summary.
pub fn ping_count(from: &Namespace, to: IpAddr, count: u32) -> Result<u32> {
    let (count, to) = (count.to_string(), to.to_string());
    let output =
        from.try_output("ping", &["-n", "-q", "-c", &count, "-i", "0.1", "-W", "1", &to])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let received = text
        .lines()
        .find(|line| line.contains("packets transmitted"))
        .and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok());
    received.ok_or_else(|| LabError::Unexpected(format!("ping printed no summary: {text}")))
}

/// Sends `bytes` of pseudo-random content over one TCP connection to a listener in `to` and
/// compares every byte there.
///
/// # Errors
/// When the connection fails, stalls for ten seconds, or the content differs.
pub fn tcp_transfer(
    from: &Namespace,
    to: (&Namespace, SocketAddr),
    bytes: usize,
    seed: u64,
) -> Result<()> {
    let (to_ns, address) = to;
    let place = format!("TCP from {} to {address}", from.name());
    let listener = to_ns
        .run(|| TcpListener::bind(address))?
        .map_err(LabError::io(format!("cannot listen on {address} in {}", to_ns.name())))?;
    // Socket and connection are made inside; reading and writing may be done from anywhere.
    let sender = from
        .run(|| TcpStream::connect_timeout(&address, STALL))?
        .map_err(LabError::io(format!("{place}: cannot connect")))?;
    let (receiver, _) = listener.accept().map_err(LabError::io(format!("{place}: accept")))?;
    for stream in [&sender, &receiver] {
        stream.set_read_timeout(Some(STALL)).map_err(LabError::io(place.clone()))?;
        stream.set_write_timeout(Some(STALL)).map_err(LabError::io(place.clone()))?;
    }
    let (sent, received) = thread::scope(|scope| {
        let sending = scope.spawn(move || send_content(sender, bytes, seed));
        let received = compare_content(receiver, bytes, seed);
        (sending.join(), received)
    });
    received.map_err(LabError::io(format!("{place}: receiving")))?;
    match sent {
        Ok(sent) => sent.map_err(LabError::io(format!("{place}: sending"))),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn send_content(mut stream: TcpStream, bytes: usize, seed: u64) -> io::Result<()> {
    let mut random = SplitMix64::new(seed);
    let mut left = bytes;
    while left > 0 {
        let block = content(&mut random, left.min(BLOCK_BYTES));
        stream.write_all(&block)?;
        left -= block.len();
    }
    stream.shutdown(std::net::Shutdown::Write)
}

fn compare_content(mut stream: TcpStream, bytes: usize, seed: u64) -> io::Result<()> {
    let mut random = SplitMix64::new(seed);
    let mut done = 0;
    while done < bytes {
        let expected = content(&mut random, (bytes - done).min(BLOCK_BYTES));
        let mut block = vec![0; expected.len()];
        stream.read_exact(&mut block)?;
        if let Some(at) = (0..block.len()).find(|&at| block[at] != expected[at]) {
            return Err(io::Error::other(format!("byte {} differs", done + at)));
        }
        done += block.len();
    }
    if stream.read(&mut [0])? != 0 {
        return Err(io::Error::other("more bytes than were sent"));
    }
    Ok(())
}

/// The next block of content.
fn content(random: &mut SplitMix64, len: usize) -> Vec<u8> {
    let words = len.div_ceil(8);
    let mut block: Vec<u8> = (0..words).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    block.truncate(len);
    block
}

/// What `iperf3` measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// Bits of payload a second, at the receiver.
    pub bits_per_sec: f64,
    /// Segments that TCP sent again.
    pub retransmits: u64,
}

/// Runs `iperf3` over one TCP connection for some seconds.
///
/// # Errors
/// When `iperf3` is missing, cannot connect, or reports an error.
pub fn iperf3(
    from: &Namespace,
    to: (&Namespace, IpAddr),
    duration: Duration,
    log_dir: &std::path::Path,
) -> Result<Throughput> {
    iperf3_streams(from, to, 1, duration, log_dir)
}

/// As [`iperf3`], over several TCP connections at once; what it gives is their sum.
///
/// # Errors
/// As [`iperf3`].
pub fn iperf3_streams(
    from: &Namespace,
    to: (&Namespace, IpAddr),
    streams: u32,
    duration: Duration,
    log_dir: &std::path::Path,
) -> Result<Throughput> {
    let (to_ns, address) = to;
    let mut command = to_ns.command("iperf3");
    command.args(["--server", "--one-off", "--forceflush"]);
    let mut server = Process::spawn("iperf3-server", command, log_dir)?;
    wait_for_ok("the iperf3 server", SOON, || {
        server.check_running().map_err(|error| error.to_string())?;
        if server.log().contains("Server listening") { Ok(()) } else { Err(String::new()) }
    })?;
    let (address, seconds) = (address.to_string(), duration.as_secs().max(1).to_string());
    let streams = streams.to_string();
    let mut args = vec!["--client", &address, "--time", &seconds, "--parallel", &streams];
    args.extend(["--json", "--connect-timeout", "5000"]);
    let text = from.output("iperf3", &args)?;
    let report: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| LabError::Unexpected(format!("iperf3's report: {error}")))?;
    let end = &report["end"];
    match (end["sum_received"]["bits_per_second"].as_f64(), end["sum_sent"]["retransmits"].as_u64())
    {
        (Some(bits_per_sec), Some(retransmits)) => Ok(Throughput { bits_per_sec, retransmits }),
        _ => Err(LabError::Unexpected(format!("iperf3 reports no result: {}", report["error"]))),
    }
}
