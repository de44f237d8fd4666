//! An XDP program that the kernel runs over and over on live frames (BPF_PROG_TEST_RUN with
//! BPF_F_TEST_XDP_LIVE_FRAMES).
//!
//! A call waits for grace periods of RCU, for milliseconds, however few frames it is for. So there is
//! one call for as long as the traffic lasts, on a thread of its own, and a signal to that thread
//! ends it.

use std::fs::File;
use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aya::Ebpf;
use aya::programs::{ProgramError, TestRun, TestRunAttrs, TestRunOptions, Xdp};
use core_affinity::CoreId;
use nix::sched::{CloneFlags, setns};
use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;
use tests::error::LabError;
use tokio::signal::unix::{SignalKind, signal};

use super::error::TesterError;
use crate::bpf::BpfError;
use crate::plan::TESTER_CPU;

/// Runs of the program before the kernel looks at what else there is to do, such as receiving at the
/// other end of the wire: NAPI's budget, and a quarter of the ring of a veth.
const BATCH: u32 = 64;

/// Ends the call: nobody else uses it.
const STOP_SIGNAL: Signal = Signal::SIGUSR2;
/// Between two of them: one that comes just before the call is lost.
const STOP_INTERVAL: Duration = Duration::from_millis(2);

/// The thread that is in the call.
#[derive(Debug)]
pub(crate) struct LiveRun {
    stop: Arc<AtomicBool>,
    /// Not joined before it is taken, so that its handle stays valid.
    thread: Option<JoinHandle<Result<(), TesterError>>>,
}

/// What the thread is to do.
struct Task {
    namespace: PathBuf,
    bpf: Arc<Ebpf>,
    program: &'static str,
    frame: Vec<u8>,
    stop: Arc<AtomicBool>,
}

impl LiveRun {
    /// Starts to run a loaded XDP program on frames of `frame_bytes`, in a namespace, on
    /// [`TESTER_CPU`]. What the program redirects to is looked up in that namespace.
    ///
    /// # Errors
    /// When the thread cannot be started or cannot be where it belongs.
    pub(crate) fn start(
        namespace: &Path,
        bpf: Arc<Ebpf>,
        program: &'static str,
        frame_bytes: usize,
    ) -> Result<Self, TesterError> {
        catch_stop_signal()?;
        let stop = Arc::new(AtomicBool::new(false));
        let task = Task {
            namespace: namespace.to_owned(),
            bpf,
            program,
            frame: vec![0; frame_bytes],
            stop: Arc::clone(&stop),
        };
        let (settled, is_settled) = mpsc::channel();
        let thread = thread::Builder::new().name("generator".to_owned()).spawn(move || {
            task.settle()?;
            // Fails only when nobody waits for it any more.
            settled.send(()).ok();
            task.run()
        });
        let thread = thread.map_err(LabError::io("cannot start the generator"))?;
        let run = Self { stop, thread: Some(thread) };
        if is_settled.recv().is_err() {
            run.stop()?;
            return Err(TesterError::Generator("has not started".to_owned()));
        }
        Ok(run)
    }

    /// Whether the thread still runs.
    pub(crate) fn goes_on(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Ends the thread.
    ///
    /// # Errors
    /// With what ended it before.
    pub(crate) fn stop(mut self) -> Result<(), TesterError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), TesterError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.stop.store(true, Ordering::Release);
        while !thread.is_finished() {
            pthread_kill(thread.as_pthread_t(), STOP_SIGNAL)
                .map_err(LabError::errno("cannot signal the generator"))?;
            thread::sleep(STOP_INTERVAL);
        }
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("tester: {error}");
        }
    }
}

impl Task {
    /// Moves the thread into the namespace and onto the tester's CPU.
    fn settle(&self) -> Result<(), TesterError> {
        let place = self.namespace.display();
        let file = File::open(&self.namespace);
        let file = file.map_err(LabError::io(format!("cannot open {place}")))?;
        setns(&file, CloneFlags::CLONE_NEWNET)
            .map_err(LabError::errno(format!("cannot enter {place}")))?;
        if core_affinity::set_for_current(CoreId { id: TESTER_CPU }) {
            return Ok(());
        }
        Err(TesterError::Generator(format!("cannot run on CPU {TESTER_CPU}")))
    }

    /// Runs the program until told to stop.
    fn run(&self) -> Result<(), TesterError> {
        let program = self.bpf.program(self.program).ok_or(BpfError::Missing(self.program))?;
        let program: &Xdp = program.try_into().map_err(|_| BpfError::Missing(self.program))?;
        while !self.stop.load(Ordering::Acquire) {
            let run = program.test_run(TestRunOptions {
                data_in: Some(&self.frame),
                repeat: u32::MAX,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::new()
            });
            match run {
                Ok(_) => {}
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(BpfError::Program(self.program, error).into()),
            }
        }
        Ok(())
    }
}

/// Gives the signal a handler that does nothing: without one it would end the process. It stays for
/// the life of the process.
fn catch_stop_signal() -> Result<(), TesterError> {
    let catch = || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let _inside = runtime.enter();
        signal(SignalKind::from_raw(STOP_SIGNAL as i32)).map(drop)
    };
    Ok(catch().map_err(LabError::io(format!("cannot handle {STOP_SIGNAL}")))?)
}

fn is_interrupted(error: &ProgramError) -> bool {
    let ProgramError::SyscallError(error) = error else { return false };
    error.io_error.kind() == io::ErrorKind::Interrupted
}
