//! `lab`: builds a network of namespaces from a file and runs the product in it.
//!
//! Whatever ends it, Ctrl-C and SIGTERM included, takes everything down. What a SIGKILL leaves
//! behind is removed by the next lab on the machine.

#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use tests::daemons::Deployment;
use tests::demo;
use tests::error::LabError;
use tests::lab::{self, Lab};
use tests::standing::Standing;
use tests::topology::Topology;
use tests::wait::{interrupt, wait_interrupt};

/// Networks of namespaces, described by a file, in which Weft runs.
#[derive(Debug, Parser)]
#[command(name = "lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build a lab, start the daemons in it and keep it up until Ctrl-C or `lab down`
    Up {
        /// Topology (YAML)
        file: PathBuf,
        /// Configuration to apply once the daemons run; the VMs are attached after it
        #[arg(long, value_name = "FILE")]
        apply: Option<PathBuf>,
        /// Build the network alone, without the daemons
        #[arg(long, conflicts_with = "apply")]
        bare: bool,
    },
    /// Take down a lab that is up, and what killed labs left behind
    Down {
        /// Topology (YAML)
        file: PathBuf,
    },
    /// Check a topology without building it
    Check {
        /// Topology (YAML)
        file: PathBuf,
    },
    /// Run a command in a node of a lab that is up
    Exec {
        /// Topology (YAML)
        file: PathBuf,
        /// Name of the node
        node: String,
        /// Command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Show the product at work on the classroom network, with a report
    Demo {
        /// Topology (YAML); its configuration is the .cfg file beside it
        #[arg(default_value = "examples/practica.yaml")]
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let interrupted = error.downcast_ref::<LabError>();
            if matches!(interrupted, Some(LabError::Interrupted)) {
                eprintln!("lab: interrupted, everything is removed");
            } else {
                eprintln!("lab: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Says whether all went well.
fn run(verb: Verb) -> anyhow::Result<bool> {
    match verb {
        Verb::Up { file, apply, bare } => up(&file, apply.as_deref(), bare),
        Verb::Down { file } => down(&file),
        Verb::Check { file } => {
            let topology = Topology::load(&file)?;
            let Topology { name, hosts, vms, pcs, links, .. } = &topology;
            println!(
                "{name}: {} hosts, {} VMs, {} PCs, {} cables",
                hosts.len(),
                vms.len(),
                pcs.len(),
                links.len()
            );
            Ok(true)
        }
        Verb::Exec { file, node, command } => exec(&file, &node, &command),
        Verb::Demo { file } => {
            catch_signals()?;
            Ok(demo::run(&file)?)
        }
    }
}

fn up(file: &Path, apply: Option<&Path>, bare: bool) -> anyhow::Result<bool> {
    catch_signals()?;
    let topology = Topology::load(file)?;
    if let Some(standing) = Standing::find(&topology.name)? {
        bail!("lab `{}` is up already (pid {})", standing.name, standing.pid);
    }
    let lab = Lab::build(topology)?;
    if bare {
        let _record = Standing::of(&lab, None).record()?;
        stand(&lab, None);
        return Ok(true);
    }
    let mut deployment = Deployment::start(lab)?;
    if let Some(config) = apply {
        print!("{}", deployment.apply(config)?);
        let vms: Vec<_> = deployment.lab().topology().vms.keys().cloned().collect();
        for vm in vms {
            deployment.attach(&vm)?;
        }
    }
    let socket = deployment.admin_socket();
    let _record = Standing::of(deployment.lab(), Some(socket.clone())).record()?;
    stand(deployment.lab(), Some(&socket));
    deployment.check_running()?;
    Ok(true)
}

/// Prints where everything is and waits for the end.
fn stand(lab: &Lab, admin_socket: Option<&Path>) {
    for (node, namespace) in lab.nodes() {
        println!("{node:<20} {}", namespace.name());
    }
    if let Some(socket) = admin_socket {
        println!("weft --server unix:{} show module", socket.display());
    }
    println!("lab `{}` is up; Ctrl-C takes it down", lab.topology().name);
    wait_interrupt();
}

fn down(file: &Path) -> anyhow::Result<bool> {
    let topology = Topology::load(file)?;
    let standing = Standing::find(&topology.name)?;
    match &standing {
        Some(standing) => standing.take_down()?,
        None => println!("lab `{}` is not up", topology.name),
    }
    for namespace in lab::sweep()? {
        println!("removed {namespace}, left behind by a lab that was killed");
    }
    Ok(true)
}

fn exec(file: &Path, node: &str, command: &[String]) -> anyhow::Result<bool> {
    let topology = Topology::load(file)?;
    let Some(standing) = Standing::find(&topology.name)? else {
        bail!("lab `{}` is not up", topology.name);
    };
    let Some(namespace) = standing.namespaces.get(node) else {
        let known: Vec<_> = standing.namespaces.keys().map(String::as_str).collect();
        bail!("no node `{node}`; there are: {}", known.join(", "));
    };
    let error = Command::new("ip").args(["netns", "exec", namespace]).args(command).exec();
    Err(error).context("cannot start `ip netns exec`")
}

/// From here on SIGINT, SIGTERM and SIGHUP make every wait end, so that the lab unwinds.
///
/// By handler and not by a blocked mask: the daemons would inherit the mask, and not hear their own
/// SIGTERM.
fn catch_signals() -> anyhow::Result<()> {
    ctrlc::set_handler(interrupt).context("cannot handle signals")
}
