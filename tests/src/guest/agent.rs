//! The command channel: shell commands to the guest, their output and exit code back.
//!
//! *Where it sits:* between [`super::Guest::run`] and `init.sh`, which is the other end; a virtio
//! serial port in the guest, a Unix socket of QEMU here.
//!
//! *Invariants*
//! 1. Answers have their lengths in front, so nothing that a command prints can be taken for the
//!    end of its output.
//! 2. Each request has a marker of its own, and what does not begin with it is skipped: after a
//!    request that was given up, the next one works.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};

/// What the channel itself may take, beyond the time of the commands: a busy machine, a cold guest.
const CHANNEL_GRACE: Duration = Duration::from_secs(10);

/// What commands in the guest left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code of the last command; 137 when they took too long and were killed.
    pub code: i32,
    /// What they wrote to stdout.
    pub stdout: String,
    /// What they wrote to stderr.
    pub stderr: String,
}

/// The end of the channel on this side.
#[derive(Debug)]
pub(super) struct Agent {
    stream: BufReader<UnixStream>,
    requests: u64,
}

impl Agent {
    /// An agent on a connected socket of QEMU.
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), requests: 0 }
    }

    /// Runs commands, which the guest kills when they take longer than `limit` (rounded up to
    /// whole seconds).
    pub(super) fn run(&mut self, commands: &str, limit: Duration) -> Result<Output> {
        let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
        let deadline = Duration::from_secs(seconds) + CHANNEL_GRACE;
        self.exchange(commands, seconds.max(1), deadline).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => LabError::Timeout {
                what: format!("the guest's answer to `{commands}`"),
                waited: deadline,
                last: String::new(),
            },
            _ => LabError::Io { action: format!("guest: `{commands}`"), source },
        })
    }

    fn exchange(&mut self, commands: &str, seconds: u64, deadline: Duration) -> io::Result<Output> {
        let give_up = Instant::now() + deadline;
        self.requests += 1;
        let marker = format!("{:016x}", RandomState::new().hash_one(self.requests));
        let request = format!("{marker} {seconds} {}\n", base64(commands.as_bytes()));
        self.stream.get_mut().set_write_timeout(Some(deadline))?;
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (code, lengths) = loop {
            let line = self.line(give_up)?;
            let mut words = line.split(' ');
            if words.next() == Some(&marker) {
                let numbers: Option<Vec<usize>> = words.map(|word| word.parse().ok()).collect();
                match numbers.as_deref() {
                    Some(&[code, out, err]) => break (code, [out, err]),
                    _ => return Err(io::Error::other(format!("it answers `{line}`"))),
                }
            }
        };
        let mut texts = Vec::new();
        for length in lengths {
            let mut bytes = vec![0; length];
            self.set_timeout(give_up)?;
            self.stream.read_exact(&mut bytes)?;
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        let stderr = texts.pop().unwrap_or_default();
        let stdout = texts.pop().unwrap_or_default();
        Ok(Output { code: i32::try_from(code).unwrap_or(i32::MAX), stdout, stderr })
    }

    fn line(&mut self, give_up: Instant) -> io::Result<String> {
        self.set_timeout(give_up)?;
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned())
    }

    fn set_timeout(&self, give_up: Instant) -> io::Result<()> {
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.get_ref().set_read_timeout(Some(left))
    }
}

/// Base64 with padding (RFC 4648 section 4): any bytes on one line.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut octets = [0; 4];
        octets[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(octets);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 0x3f;
            let padding = digit > group.len();
            text.push(if padding { '=' } else { char::from(ALPHABET[index as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn base64_is_as_the_rfc_has_it() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xfe]), "/+/+");
    }

    /// An agent whose other end answers each request by what `answer` makes of its marker.
    fn agent(answer: impl Fn(&str) -> String + Send + 'static) -> Agent {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut requests = BufReader::new(theirs);
            let mut line = String::new();
            while requests.read_line(&mut line).unwrap_or(0) > 0 {
                let marker = line.split(' ').next().unwrap();
                requests.get_mut().write_all(answer(marker).as_bytes()).unwrap();
                line.clear();
            }
        });
        Agent::new(ours)
    }

    #[test]
    fn output_and_code_come_back_whatever_was_there_before() {
        let rest = "rest of another answer\n0123456789abcdef 0 1 1\n\nno end of line";
        let mut agent = agent(move |marker| format!("{rest}\n{marker} 3 4 5\nout\nerror"));
        for _ in 0..2 {
            let output = agent.run("false", Duration::from_secs(1)).unwrap();
            let expected = Output { code: 3, stdout: "out\n".into(), stderr: "error".into() };
            assert_eq!(output, expected);
        }
    }

    #[test]
    fn a_wrong_answer_and_an_end_are_errors() {
        let mut wrong = agent(|marker| format!("\n{marker} what\n"));
        let error = wrong.run("true", Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains("`true`") && error.contains("what"), "{error}");
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(Agent::new(ours).run("true", Duration::from_secs(1)).is_err());
    }
}
