//! Quick runs on real wires: that a report comes out, and nothing is left behind. How fast anything
//! is cannot be tested on a machine that does other things too. Needs root.

use std::fs;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use benches::report::analysis::{delivered_pps, spread};
use benches::report::machine::Machine;
use benches::report::{self, PAGE, RESULTS};
use benches::suite::case::Case;
use benches::suite::plan::{BRIDGE_SET, Plan, RAW, REDIRECT};
use benches::suite::results::{Figure, Results};
use benches::suite::run;
use benches::switch::Switch;
use benches::switches::bridge::Bridge;
use benches::switches::redirect::Redirect;

/// One at a time: all generators are on one CPU.
static ONE: Mutex<()> = Mutex::new(());

#[test]
fn a_quick_run_of_the_limits_gives_a_report() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_packet-rate");
    let ran = Command::new(program)
        .args(["run", "--quick", "--switches", &format!("{RAW},{REDIRECT}"), "--out"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("not measured"), "{ran:?}");

    let results = Results::read(&folder.path().join(RESULTS)).unwrap();
    for switch in [RAW, REDIRECT] {
        let rate = spread(&results, switch, Case::STANDARD, &delivered_pps);
        assert!(rate.unwrap().median > 0.0, "{switch}");
        let has = |kind: fn(&Figure) -> bool| {
            results.records.iter().any(|it| it.switch == switch && kind(&it.figure))
        };
        assert!(has(|it| matches!(it, Figure::Overload(loads) if loads.len() == 3)), "{switch}");
        assert!(has(|it| matches!(it, Figure::Throughput { trials: 1.., .. })), "{switch}");
        assert!(has(|it| matches!(it, Figure::Latency(all) if all.len() == 2)), "{switch}");
    }
    let page = fs::read_to_string(folder.path().join(PAGE)).unwrap();
    assert!(page.contains("native"), "{page}");

    let again = tempfile::tempdir().unwrap();
    let rendered = Command::new(program)
        .args(["report", "--from"])
        .arg(folder.path().join(RESULTS))
        .arg("--out")
        .arg(again.path())
        .status();
    assert!(rendered.unwrap().success());
    for file in [PAGE, RESULTS, "rates.svg"] {
        let read = |folder: &tempfile::TempDir| fs::read_to_string(folder.path().join(file));
        assert_eq!(read(&folder).unwrap(), read(&again).unwrap(), "{file}");
    }
}

#[test]
fn a_switch_that_cannot_be_measured_ends_nothing() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let switches: Vec<Box<dyn Switch>> = vec![Box::new(Bridge::SET), Box::new(Redirect)];
    let mut plan = Plan::quick();
    // A bridge has no set of rules without rules.
    for block in &mut plan.blocks {
        block.setting.rules = 0;
    }
    let mut lines = Vec::new();
    let mut tell = |line: &str| lines.push(line.to_owned());
    let results = run::run(&switches, &plan, Machine::this(), &mut tell).unwrap();

    let rate = |switch| spread(&results, switch, Case::with_rules(0), &delivered_pps);
    assert!(rate(REDIRECT).unwrap().median > 0.0, "{lines:?}");
    assert_eq!(rate(BRIDGE_SET), None);
    assert_eq!(results.switches[0].missing.len(), 1, "{lines:?}");
    assert!(results.switches[1].missing.is_empty(), "{lines:?}");
    assert!(report::page::text(&results, &[]).contains(&results.switches[0].missing[0]));
}
