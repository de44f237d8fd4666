//! `instructions`: what a frame costs in instructions, counted by callgrind, against the ceilings
//! that are committed.
//!
//! `make instructions` checks, as CI does. It needs `valgrind`, and for `--stages` `addr2line`.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow, bail};
use benches::count::ceilings::Ceilings;
use benches::count::measure::{Count, count};
use benches::count::{inside, stages, symbols};
use benches::workload::cases::Case;
use clap::Parser;

/// The cases whose stages are shown when none is named.
const STAGES_OF: [&str; 2] = ["pipeline.100", "worker.100"];

/// Counts the instructions that a frame costs, without I/O.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Arguments {
    /// Cases; all when none is named
    cases: Vec<String>,
    /// Fail when a figure is above its ceiling, or far below it
    #[arg(long)]
    check: bool,
    /// Write the figures down as ceilings
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Show where on a frame's way they are spent
    #[arg(long, conflicts_with_all = ["check", "write"])]
    stages: bool,
    /// The file of ceilings
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/ceilings.toml"))]
    ceilings: PathBuf,
    /// Be the program that is counted
    #[arg(long, hide = true)]
    inside: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let cases = selected(arguments)?;
    if arguments.inside {
        for case in cases {
            println!("{}", inside::run(&mut *case.make()));
        }
        return Ok(());
    }
    ctrlc::set_handler(tests::wait::interrupt)?;
    let counts = count_all(&cases)?;
    if arguments.stages {
        return show_stages(&counts);
    }
    let mut ceilings = if arguments.ceilings.exists() {
        Ceilings::parse(&fs::read_to_string(&arguments.ceilings)?)
            .with_context(|| arguments.ceilings.display().to_string())?
    } else {
        Ceilings::default()
    };
    show(&counts, &ceilings);
    if arguments.write {
        return write(&counts, &mut ceilings, &arguments.ceilings);
    }
    if arguments.check { check(&counts, &ceilings) } else { Ok(()) }
}

/// The cases that are asked for.
fn selected(arguments: &Arguments) -> Result<Vec<Case>> {
    let mut names = arguments.cases.clone();
    if names.is_empty() && arguments.stages {
        names.extend(STAGES_OF.map(str::to_owned));
    }
    if names.is_empty() {
        return Ok(Case::all());
    }
    let case = |name: &String| {
        let all = || Case::all().into_iter().map(Case::name).collect::<Vec<_>>().join(", ");
        Case::named(name).ok_or_else(|| anyhow!("there is no case `{name}`: {}", all()))
    };
    names.iter().map(case).collect()
}

/// Counts the cases, as many at a time as there are CPUs. A count does not care who else runs.
fn count_all(cases: &[Case]) -> Result<Vec<(String, Count)>> {
    let directory = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let lock = || results.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while let Some((at, case)) = take(cases, &next) {
            let name = case.name();
            let own = directory.path().join(&name);
            let result = fs::create_dir(&own)
                .map_err(anyhow::Error::from)
                .and_then(|()| Ok(count(case, &own)?));
            lock().push((at, name, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut results = std::mem::take(&mut *lock());
    results.sort_by_key(|(at, ..)| *at);
    results.into_iter().map(|(_, name, result)| Ok((name, result?))).collect()
}

/// The next case that nobody has taken, and its place.
fn take(cases: &[Case], next: &AtomicUsize) -> Option<(usize, Case)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, *cases.get(at)?))
}

fn show(counts: &[(String, Count)], ceilings: &Ceilings) {
    println!("{:<28} {:>12} {:>8}", "case", "instructions", "ceiling");
    for (name, count) in counts {
        let ceiling = ceilings.ceilings.get(name).map_or("-".to_owned(), |c| format!("{c:.1}"));
        println!("{name:<28} {:>12.1} {ceiling:>8}", count.per_frame);
    }
}

/// Fails when a figure is not held by its ceiling, or when memory was allocated.
fn check(counts: &[(String, Count)], ceilings: &Ceilings) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        println!("the ceilings are of x86-64: not checked");
        return Ok(());
    }
    let mut problems = Vec::new();
    for (name, count) in counts {
        problems.extend(ceilings.judge(name, count.per_frame).problem(name, count.per_frame));
        if count.allocations > 0 {
            problems.push(format!("{name}: {} calls of the allocator", count.allocations));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let compiler = compiler()?;
    if compiler != ceilings.compiler {
        problems.push(format!("the ceilings are of {}, this is {compiler}", ceilings.compiler));
    }
    bail!("{}", problems.join("\n              "))
}

fn write(counts: &[(String, Count)], ceilings: &mut Ceilings, path: &Path) -> Result<()> {
    for (name, count) in counts {
        ceilings.set(name, count.per_frame);
    }
    ceilings.compiler = compiler()?;
    let names: Vec<String> = Case::all().into_iter().map(Case::name).collect();
    fs::write(path, ceilings.to_text(&names)).with_context(|| path.display().to_string())
}

/// The compiler that cargo uses here.
fn compiler() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc).arg("--version").output().context("rustc --version")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A table for a document: stages down, cases across, instructions a frame.
fn show_stages(counts: &[(String, Count)]) -> Result<()> {
    let program = std::env::current_exe()?;
    let object = program.display().to_string();
    let directory = tempfile::tempdir()?;
    let mut tables = Vec::new();
    for (_, count) in counts {
        let addresses = stages::addresses(&count.profile, &object);
        let chains = symbols::chains(&program, &addresses, directory.path())?;
        let root = inside::COUNTED.trim_matches('*');
        let table = stages::table(&count.profile, &chains, &object, root);
        let frames = count.profile_frames as f64;
        tables
            .push(table.into_iter().map(|(name, cost)| (name, cost / frames)).collect::<Vec<_>>());
    }
    let row = |name: &str, cells: Vec<String>| println!("| {name} | {} |", cells.join(" | "));
    row("stage", counts.iter().map(|(name, _)| name.clone()).collect());
    println!("|---|{}", "--:|".repeat(counts.len()));
    for stage in stages::names() {
        let of =
            |table: &Vec<(&str, f64)>| table.iter().find(|(name, _)| *name == stage).map(|c| c.1);
        if tables.iter().any(|table| of(table).is_some()) {
            let cell = |table| of(table).map_or(String::new(), |cost| format!("{cost:.1}"));
            row(stage, tables.iter().map(cell).collect());
        }
    }
    row("all", counts.iter().map(|(_, count)| format!("{:.1}", count.per_frame)).collect());
    Ok(())
}
