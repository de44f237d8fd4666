//! Wrong configurations and what is said of them, exactly: `bad_configs.txt`.
//!
//! A case is `### NAME`, optionally `--- base` and a good configuration that the text is applied
//! over, `--- text`, and `--- problems` as [`render`] writes them. `UPDATE_GOLDEN=1` writes the
//! problems anew; read the difference before you commit it.

use std::fmt::Write as _;
use std::path::Path;

use policy::Config;
use policy::lang::{parse, render};
use policy::validate::check;

/// A case of the table.
#[derive(Debug, Default)]
struct Case {
    name: String,
    base: String,
    text: String,
    problems: String,
}

fn read_table(table: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut part = "";
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            part = "";
            continue;
        }
        if let Some(name) = line.strip_prefix("--- ") {
            part = name;
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        let text = match part {
            "base" => &mut case.base,
            "text" => &mut case.text,
            "problems" => &mut case.problems,
            _ => continue,
        };
        text.push_str(line);
        text.push('\n');
    }
    for case in &mut cases {
        // A blank line parts the cases.
        case.problems = format!("{}\n", case.problems.trim_end());
    }
    cases
}

fn write_table(cases: &[Case]) -> String {
    let mut table = String::new();
    for (i, Case { name, base, text, problems }) in cases.iter().enumerate() {
        let blank = if i == 0 { "" } else { "\n" };
        let base = if base.is_empty() { String::new() } else { format!("--- base\n{base}") };
        write!(table, "{blank}### {name}\n{base}--- text\n{text}--- problems\n{problems}").unwrap();
    }
    table
}

fn problems_of(case: &Case) -> String {
    let base = match parse(&case.base) {
        Ok(base) => base,
        Err(problems) => panic!("{}: {}", case.name, render("base", &case.base, &problems)),
    };
    match check(&base, &case.text) {
        Ok(_) => panic!("{}: nothing is wrong with it", case.name),
        Err(problems) => render("site.cfg", &case.text, &problems),
    }
}

#[test]
fn every_wrong_configuration_gets_its_message() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_configs.txt");
    let table = std::fs::read_to_string(&path).unwrap();
    let mut cases = read_table(&table);
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for case in &mut cases {
        let problems = problems_of(case);
        if update {
            case.problems = problems;
        } else {
            assert_eq!(problems, case.problems, "case `{}`", case.name);
        }
    }
    if update {
        std::fs::write(&path, write_table(&cases)).unwrap();
    } else {
        assert_eq!(write_table(&cases), table, "the table is not in its form");
    }
}

#[test]
fn a_switch_out_of_the_box_is_good() {
    assert!(check(&Config::default(), "").is_ok());
}
