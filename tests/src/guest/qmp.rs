//! QEMU's machine protocol (QMP, docs/interop/qmp-spec.txt of QEMU): requests and answers are JSON
//! objects, one a line, with events between them.
//!
//! *Where it sits:* under [`super::Guest`], which pulls the cables of its NICs by it.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{LabError, Result};

/// How long QEMU may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to the monitor of a QEMU.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Takes the greeting and leaves the negotiation of capabilities behind.
    ///
    /// # Errors
    /// When the other side does not speak QMP.
    pub(super) fn new(stream: UnixStream) -> Result<Self> {
        stream
            .set_read_timeout(Some(ANSWER_TIMEOUT))
            .map_err(LabError::io("cannot set up the QMP socket"))?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        let greeting = qmp.message().map_err(LabError::io("no greeting of QMP"))?;
        if greeting.get("QMP").is_none() {
            return Err(LabError::Unexpected(format!("not a greeting of QMP: {greeting}")));
        }
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and gives what it returns.
    ///
    /// # Errors
    /// When QEMU refuses it (with its words) or does not answer.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let action = format!("QMP command {command} {arguments}");
        let request = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let stream = self.stream.get_mut();
        stream.write_all(request.as_bytes()).map_err(LabError::io(&action))?;
        loop {
            let mut answer = self.message().map_err(LabError::io(&action))?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(LabError::Unexpected(format!("{action}: {error}")));
            }
        }
    }

    fn message(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A monitor that answers the first requests by these lines.
    fn monitor(lines: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut requests = BufReader::new(theirs);
            requests.get_mut().write_all(b"{\"QMP\": {\"capabilities\": []}}\r\n").unwrap();
            for line in lines {
                let mut request = String::new();
                requests.read_line(&mut request).unwrap();
                requests.get_mut().write_all(line.as_bytes()).unwrap();
            }
        });
        ours
    }

    #[test]
    fn events_are_passed_over_and_refusals_are_errors() {
        let stream = monitor(&[
            "{\"return\": {}}\n",
            "{\"event\": \"RESET\", \"data\": {}}\n{\"return\": {\"running\": true}}\n",
            "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'nic9' not found\"}}\n",
        ]);
        let mut qmp = Qmp::new(stream).unwrap();
        assert_eq!(qmp.execute("query-status", &json!({})).unwrap(), json!({ "running": true }));
        let error = qmp.execute("set_link", &json!({ "name": "nic9" })).unwrap_err().to_string();
        assert!(error.contains("set_link") && error.contains("'nic9' not found"), "{error}");
        // The monitor is gone.
        assert!(qmp.execute("query-status", &json!({})).is_err());
    }
}
