//! The bare loop: frames copied from one TAP to the other with their virtio-net headers, by a
//! process that does nothing else. No switch on TAPs moves frames with fewer system calls or
//! copies, so it is the limit that ours is held against.
//!
//! The loop sleeps as soon as both TAPs are empty. One that looks again some times first answers
//! sooner (RTT), but moves no more of one TCP stream, and less of eight.
//!
//! *Invariant:* the TAPs are made by the code that makes those of the product, with the same
//! offloads.
//!
//! The program `tap-copy` runs [`serve`].

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::Command;

use ::tests::daemons::program_beside;
use ::tests::error::{LabError, Result};
use ::tests::netns::Namespace;
use ::tests::process::Process;
use ::tests::traffic::wait_ping;
use ::tests::wait::{SOON, wait_for_ok};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pmd::tap::{Tap, TapConfig};
use tempfile::TempDir;

use super::{ADDRESSES, Join, Joined, NIC};
use crate::plan::{MACS, SWITCH_CPU};

/// The program that runs the loop.
const PROGRAM: &str = "tap-copy";

/// What it prints when the TAPs are there.
pub const READY: &str = "ready";

/// Room for the longest frame: a super-frame of 64 KiB of IP, its Ethernet header and tags, and the
/// virtio-net header.
const BUFFER_BYTES: usize = (64 << 10) + 64;

/// Frames taken from one TAP before the other has its turn, as many as a burst of ours.
const TURN_FRAMES: usize = pmd::BURST_MAX;

/// The loop, as a kind of switch.
#[derive(Debug)]
pub struct Copy;

/// The running loop.
#[derive(Debug)]
struct Copying {
    process: Process,
    ends: [Namespace; 2],
    _logs: TempDir,
}

impl Join for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn start(&self) -> Result<Box<dyn Joined>> {
        let ends = super::pair()?;
        let logs = tempfile::tempdir().map_err(LabError::io("cannot make a folder for logs"))?;
        let mut command = Command::new(program_beside(PROGRAM)?);
        command.args(["--cpu", &SWITCH_CPU.to_string()]).args([ends[0].name(), ends[1].name()]);
        let mut process = Process::spawn(PROGRAM, command, logs.path())?;
        wait_for_ok("the copy loop", SOON, || {
            process.check_running().map_err(|error| error.to_string())?;
            if process.log().contains(READY) { Ok(()) } else { Err(process.log()) }
        })?;
        for (index, end) in ends.iter().enumerate() {
            super::address(end, index)?;
        }
        wait_ping(&ends[0], ADDRESSES[1].into())?;
        Ok(Box::new(Copying { process, ends, _logs: logs }))
    }
}

impl Joined for Copying {
    fn end(&self, index: usize) -> Option<&Namespace> {
        self.ends.get(index)
    }

    fn describe(&self) -> String {
        "read(2), write(2), poll(2) when both TAPs are empty".to_owned()
    }

    fn check(&mut self) -> Result<()> {
        self.process.check_running()
    }
}

/// Makes a TAP in each of the namespaces, says so by `ready`, and copies between them until the
/// process is ended.
///
/// # Errors
/// When a TAP cannot be made, or is taken away.
pub fn serve(namespaces: &[String; 2], ready: impl FnOnce()) -> Result<Infallible> {
    let mut queues = Vec::new();
    for (netns, mac) in namespaces.iter().zip(MACS) {
        let config =
            TapConfig { ifname: NIC.to_owned(), netns: netns.clone(), mac, mtu_bytes: 1500 };
        let queue = Tap::open_queue(&config).map_err(|e| LabError::Unexpected(e.to_string()))?;
        queues.push(File::from(queue));
    }
    ready();
    run(&queues[0], &queues[1]).map_err(LabError::io("copying"))
}

fn run(a: &File, b: &File) -> io::Result<Infallible> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let moved = turn(a, b, &mut buffer)? + turn(b, a, &mut buffer)?;
        if moved == 0 {
            let readable = |file| PollFd::new(file, PollFlags::POLLIN);
            match poll(&mut [readable(a.as_fd()), readable(b.as_fd())], PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Copies what waits on one side, up to [`TURN_FRAMES`] frames; says how many there were.
fn turn(mut from: impl Read, mut to: impl Write, buffer: &mut [u8]) -> io::Result<usize> {
    for moved in 0..TURN_FRAMES {
        let len = match from.read(buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(moved),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(moved),
            Err(error) => return Err(error),
        };
        // A TAP takes a frame whole or not at all, and then it is lost, as on a wire. Once the TAP
        // is gone, reading from it ends the loop.
        to.write_all(&buffer[..len]).ok();
    }
    Ok(TURN_FRAMES)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Gives one frame a read, then nothing.
    struct Queue(VecDeque<Vec<u8>>);

    impl Read for Queue {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let frame = self.0.pop_front().ok_or(ErrorKind::WouldBlock)?;
            buffer[..frame.len()].copy_from_slice(&frame);
            Ok(frame.len())
        }
    }

    #[derive(Default)]
    struct Wire(Vec<Vec<u8>>);

    impl Write for Wire {
        fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
            if frame.len() == 13 {
                return Err(ErrorKind::InvalidInput.into());
            }
            self.0.push(frame.to_vec());
            Ok(frame.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_turn_copies_frame_by_frame_and_passes_over_a_refused_one() {
        let mut queue = Queue([vec![1; 60], vec![2; 13], vec![3; 65_600]].into());
        let (mut wire, mut buffer) = (Wire::default(), vec![0; BUFFER_BYTES]);
        assert_eq!(turn(&mut queue, &mut wire, &mut buffer).unwrap(), 3);
        assert_eq!(wire.0, [vec![1; 60], vec![3; 65_600]]);
        assert_eq!(turn(&mut queue, &mut wire, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_turn_ends_though_more_waits() {
        let mut queue = Queue(std::iter::repeat_n(vec![1; 60], TURN_FRAMES + 5).collect());
        let mut buffer = vec![0; BUFFER_BYTES];
        assert_eq!(turn(&mut queue, Wire::default(), &mut buffer).unwrap(), TURN_FRAMES);
        assert_eq!(turn(&mut queue, Wire::default(), &mut buffer).unwrap(), 5);
    }
}
