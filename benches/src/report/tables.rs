//! The tables of the page.

use super::analysis::{self, Spread, TIMES, by_round, delivered_bps, delivered_pps, ratio, spread};
use super::bars;
use crate::measure::latency::LOADS_PERCENT;
use crate::measure::overload::FACTORS;
use crate::suite::case::Case;
use crate::suite::plan::{END_SYSTEMS, FLOWS, RAW, RULES, WEFT};
use crate::suite::results::{Record, Results};
use crate::tester::Directions;

/// What stands where nothing was measured.
const NONE: &str = "–";

/// A table in Markdown: the first column is text, the others are figures.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&mut head.iter().map(|cell| (*cell).to_owned()));
    text += &format!("|---|{}\n", "---:|".repeat(head.len().saturating_sub(1)));
    for row in rows {
        text += &line(&mut row.iter().cloned());
    }
    text
}

/// A whole number, its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The bars: what, figure, range over the rounds, bar, verdict.
#[must_use]
pub fn bars(results: &Results) -> String {
    let rows: Vec<_> = bars::all(results)
        .into_iter()
        .map(|check| {
            let figure = text(check.figure, |it| format!("**{:.3}**", it.median));
            let range = text(check.figure, |it| format!("{:.3} – {:.3}", it.min, it.max));
            let verdict = check.verdict();
            vec![check.name.clone(), figure, range, check.bar(), verdict.to_owned()]
        })
        .collect();
    table(&["bar", "figure", "range of the rounds", "limit", "verdict"], &rows)
}

/// Every switch at the standard setting.
#[must_use]
pub fn standard(results: &Results) -> String {
    let head = [
        "switch",
        "flat out, Mpps",
        "range of the rounds",
        "/ raw-afxdp",
        "weft / it",
        "no loss, Mpps",
        "1e-5 loss, Mpps",
        "1x / best",
        "2x / best",
        "4x / best",
        "4x: offered / best",
    ];
    let row = |switch: &str| {
        let read = |read: analysis::Reading<'_>| spread(results, switch, Case::STANDARD, read);
        let rate = read(&delivered_pps);
        let to_raw = ratio(results, switch, RAW, Case::STANDARD);
        let of_it = ratio(results, WEFT, switch, Case::STANDARD);
        let mut row = vec![
            switch.to_owned(),
            mpps(rate),
            text(rate, |it| format!("{:.3} – {:.3}", it.min / 1e6, it.max / 1e6)),
            text(to_raw, |it| format!("**{:.2}**", it.median)),
            text(of_it, |it| format!("{:.2}", it.median)),
            mpps(read(&analysis::zero_loss_pps)),
            mpps(read(&analysis::partial_loss_pps)),
        ];
        row.extend(FACTORS.map(|factor| {
            text(read(&analysis::of_best(factor)), |it| format!("{:.2}", it.median))
        }));
        let offered = read(&analysis::offered_of_best(FACTORS[FACTORS.len() - 1]));
        row.push(text(offered, |it| format!("{:.1}", it.median)));
        row
    };
    table(&head, &measured(results, &[Case::STANDARD]).into_iter().map(row).collect::<Vec<_>>())
}

/// Round-trip times, in microseconds.
#[must_use]
pub fn latency(results: &Results) -> String {
    let columns: Vec<_> = LOADS_PERCENT
        .into_iter()
        .flat_map(|percent| TIMES.map(|(name, time)| (percent, name, time)))
        .collect();
    let heads: Vec<String> =
        columns.iter().map(|(percent, name, _)| format!("{name} at {percent} %, µs")).collect();
    let mut head = vec!["switch"];
    head.extend(heads.iter().map(String::as_str));
    let row = |switch: &str| {
        let mut row = vec![switch.to_owned()];
        row.extend(columns.iter().map(|(percent, _, time)| {
            let read = analysis::round_trip_us(*percent, *time);
            let us = spread(results, switch, Case::STANDARD, &read);
            text(us, |it| format!("{:.1}", it.median))
        }));
        row
    };
    table(&head, &measured(results, &[Case::STANDARD]).into_iter().map(row).collect::<Vec<_>>())
}

/// One dimension: what it is called, and its cases with their names.
#[derive(Debug)]
pub struct Dimension {
    /// What differs.
    pub title: &'static str,
    /// The cases.
    pub cases: Vec<(String, Case)>,
}

/// All dimensions, in the order of the page.
#[must_use]
pub fn dimensions() -> Vec<Dimension> {
    let numbers = |numbers: &[u32], case: fn(u32) -> Case| {
        numbers.iter().map(|n| (grouped(u64::from(*n)), case(*n))).collect()
    };
    let sizes = crate::plan::FrameSize::ALL;
    let both = [("one way", Directions::AToB), ("both ways", Directions::Both)];
    vec![
        Dimension { title: "Rules on each port", cases: numbers(&RULES, Case::with_rules) },
        Dimension {
            title: "Frame size",
            cases: sizes.map(|size| (size.to_string(), Case::with_size(size))).to_vec(),
        },
        Dimension { title: "Flows", cases: numbers(&FLOWS, Case::with_flows) },
        Dimension {
            title: "Directions",
            cases: both.map(|(n, it)| (n.to_owned(), Case::with_directions(it))).to_vec(),
        },
        Dimension {
            title: "End systems (1: behind an uplink is the other one)",
            cases: numbers(&END_SYSTEMS, Case::with_end_systems),
        },
    ]
}

/// A dimension: Mpps of each switch, and ours as a part of the raw forward; `None` when nothing but
/// the standard was measured in it.
#[must_use]
pub fn dimension(results: &Results, dimension: &Dimension) -> Option<String> {
    let others: Vec<Case> =
        dimension.cases.iter().map(|(_, case)| *case).filter(|it| *it != Case::STANDARD).collect();
    let switches = measured(results, &others);
    if switches.is_empty() {
        return None;
    }
    let mut head = vec![dimension.title.to_owned()];
    head.extend(switches.iter().map(|switch| format!("{switch}, Mpps")));
    head.extend([format!("{WEFT} / {RAW}"), format!("{WEFT}, Gbit/s")]);
    let row = |(name, case): &(String, Case)| {
        let mut row = vec![name.clone()];
        row.extend(switches.iter().map(|it| mpps(spread(results, it, *case, &delivered_pps))));
        let ratio = ratio(results, WEFT, RAW, *case);
        row.push(text(ratio, |it| format!("**{:.3}**", it.median)));
        let bits = spread(results, WEFT, *case, &delivered_bps);
        row.push(text(bits, |it| format!("{:.2}", it.median / 1e9)));
        row
    };
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    Some(table(&head, &dimension.cases.iter().map(row).collect::<Vec<_>>()))
}

/// What others did during each round, in percent of one core.
#[must_use]
pub fn noise(results: &Results) -> String {
    let row = |round: u32| {
        let records = results.records.iter().filter(|record| record.round == round);
        let of = |read: fn(&Record) -> f64| {
            let figures: Vec<f64> = records.clone().map(read).collect();
            text(Spread::of(&figures), |it| format!("{:.1} / {:.1}", it.median, it.max))
        };
        let (others, steal) = (of(|it| it.noise.others_percent), of(|it| it.noise.steal_percent));
        vec![(round + 1).to_string(), others, steal]
    };
    let rows: Vec<_> = (0..results.method.rounds).map(row).collect();
    let head =
        ["round", "other programs, %: median / most", "taken by the hypervisor, %: median / most"];
    table(&head, &rows)
}

/// Every switch, what it is, and what could not be measured.
#[must_use]
pub fn switches(results: &Results) -> String {
    let or_none = |text: String| if text.is_empty() { NONE.to_owned() } else { text };
    let row = |switch: &crate::suite::results::Measured| {
        vec![switch.name.clone(), or_none(switch.about.clone()), or_none(switch.missing.join("; "))]
    };
    let rows: Vec<_> = results.switches.iter().map(row).collect();
    table(&["switch", "version and ports", "not measured"], &rows).replace("---:|", "---|")
}

/// The switches of which there is a rate in one of the cases.
fn measured<'a>(results: &'a Results, cases: &[Case]) -> Vec<&'a str> {
    let names = results.switches.iter().map(|switch| switch.name.as_str());
    let has = |name: &str, case: &Case| !by_round(results, name, *case, &delivered_pps).is_empty();
    names.filter(|name| cases.iter().any(|case| has(name, case))).collect()
}

/// The median in million frames a second.
fn mpps(spread: Option<Spread>) -> String {
    text(spread, |it| match it.median > 0.0 {
        true => format!("{:.3}", it.median / 1e6),
        false => "none".to_owned(),
    })
}

fn text(spread: Option<Spread>, write: impl Fn(Spread) -> String) -> String {
    spread.map_or_else(|| NONE.to_owned(), write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// All lines of a table have the same number of columns; gives its rows.
    fn check_columns(table: &str) -> Vec<&str> {
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines.len() > 2, "{table}");
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])), "{table}");
        lines[2..].to_vec()
    }

    #[test]
    fn tables_have_as_many_columns_everywhere() {
        let results = sample::results();
        assert_eq!(check_columns(&bars(&results)).len(), 6);
        assert_eq!(check_columns(&standard(&results)).len(), 5);
        assert_eq!(check_columns(&latency(&results)).len(), 5);
        assert_eq!(check_columns(&noise(&results)).len(), 3);
        assert_eq!(check_columns(&switches(&results)).len(), 6);
        for it in dimensions() {
            let Some(table) = dimension(&results, &it) else { continue };
            assert_eq!(check_columns(&table).len(), it.cases.len());
        }
    }

    #[test]
    fn cells_have_the_medians() {
        let results = sample::results();
        let standard = standard(&results);
        let weft = standard.lines().find(|line| line.starts_with("| weft")).unwrap();
        let begin = "| weft | 1.801 | 1.800 – 1.802 | **0.90** | 1.00 | 1.200 | 1.300 | 1.00 |";
        assert!(weft.starts_with(begin), "{weft}");
        let rules = dimension(&results, &dimensions()[0]).unwrap();
        assert!(rules.contains("| 1,000 | 1.801 | 2.001 | 1.601 | 0.501 | **0.900** |"), "{rules}");
    }

    #[test]
    fn a_dimension_of_which_only_the_standard_was_measured_is_left_out() {
        let mut results = sample::results();
        assert!(dimension(&results, &dimensions()[1]).is_none());
        results.records.clear();
        assert!(dimensions().iter().all(|it| dimension(&results, it).is_none()));
    }

    #[test]
    fn thousands_are_apart() {
        let texts: Vec<_> = [0, 999, 1000, 100_000, 1_234_567].map(grouped).into();
        assert_eq!(texts, ["0", "999", "1,000", "100,000", "1,234,567"]);
    }
}
