//! The page, in Markdown.

use std::fmt::Write;

use super::{RESULTS, plot, tables};
use crate::suite::plan::RAW;
use crate::suite::results::Results;

/// The page of a run. `attachments` have a title and a text each.
#[must_use]
pub fn text(results: &Results, attachments: &[(&str, String)]) -> String {
    let mut page = String::new();
    head(&mut page, results);
    section(&mut page, "Bars", BARS);
    page += &tables::bars(results);
    figures(&mut page, results);
    for (title, text) in attachments {
        section(&mut page, title, "");
        block(&mut page, "text", text);
    }
    section(&mut page, "Switches", SWITCHES);
    page += &tables::switches(results);
    section(&mut page, "Machine", &machine(results));
    page += &tables::noise(results);
    section(&mut page, "How it is measured", &method(results));
    section(&mut page, "Traps", TRAPS);
    page.truncate(page.trim_end().len());
    page + "\n"
}

fn head(page: &mut String, results: &Results) {
    let machine = &results.machine;
    writeln!(page, "# Packet rate\n").ok();
    writeln!(
        page,
        "How many frames a second Weft forwards between two interfaces on one core, against what \
         else there is, in the same run. Measured {} at commit {}, on {}. Ratios are the result: \
         they were taken within a round, and the median of {} interleaved rounds stands here. \
         Absolute rates only illustrate them.\n",
        machine.date,
        machine.commit,
        machine.line(),
        results.method.rounds
    )
    .ok();
    writeln!(
        page,
        "This page is written by `make bench`. All figures of all rounds: [{RESULTS}]({RESULTS})."
    )
    .ok();
}

/// Plots and tables of rates and times.
fn figures(page: &mut String, results: &Results) {
    let plots = plot::all(results);
    let picture = |page: &mut String, file: &str| {
        if let Some(plot) = plots.iter().find(|plot| plot.file == file) {
            writeln!(page, "![{}]({file})\n", plot.title).ok();
        }
    };
    section(page, "The standard setting", STANDARD);
    picture(page, "rates.svg");
    *page += &tables::standard(results);
    section(page, "Round trips", ROUND_TRIPS);
    picture(page, "latency.svg");
    *page += &tables::latency(results);
    section(page, "One dimension at a time", DIMENSIONS);
    picture(page, "rules.svg");
    let all = tables::dimensions();
    let tables = all.iter().filter_map(|dimension| tables::dimension(results, dimension));
    *page += &tables.collect::<Vec<_>>().join("\n");
}

fn section(page: &mut String, title: &str, text: &str) {
    // Whatever comes before, a table or a paragraph, ends with some line ends.
    page.truncate(page.trim_end().len());
    writeln!(page, "\n\n## {title}\n").ok();
    if !text.is_empty() {
        writeln!(page, "{text}\n").ok();
    }
}

fn block(page: &mut String, language: &str, text: &str) {
    writeln!(page, "```{language}\n{}\n```", text.trim_end()).ok();
}

const BARS: &str = "\
At the standard setting: 64-byte frames, 1,000 flows, 100 rules on each port, from A to B, one core.";

const STANDARD: &str = "\
Flat out: the generator sends as fast as it can. No loss: the highest rate of a search (RFC 2544, \
clause 26.1) at which each frame arrived, and beside it the highest at which at most one in 100,000 \
was lost. At overload 1, 2 and 4 times of what was delivered flat out is offered; the part of the \
best that is delivered then must not collapse. The last column says how much was really offered at \
4x: a switch that works on the generator's core leaves it no time for more.";

const ROUND_TRIPS: &str = "\
Of probes among the frames, at 10 % and 80 % of the rate that each switch bore with one frame in \
100,000 lost, so the loads differ from switch to switch. A probe passes the switch twice. Medians of \
the rounds.";

const DIMENSIONS: &str = "\
Flat out; all else is as in the standard setting. Where a switch has no figure, it was not measured \
there.";

const SWITCHES: &str = "\
Each has one core for forwarding, and Debian's version. The rules are the same in each one's own \
language: an access list, OpenFlow, an nftables chain with a rule a line (`linux-bridge`) or with \
one set (`linux-bridge-set`). `raw-afxdp` and `xdp-redirect` have none: they are the limits.";

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "{}\n\nWhat others used during each measurement, in percent of one core; where it is much, \
         the figures of that round say little:",
        [
            ("CPU", machine.cpu.clone()),
            ("cores", machine.cores.to_string()),
            ("memory", format!("{} MiB", machine.memory_mib)),
            ("platform", machine.platform.clone()),
            ("kernel", machine.kernel.clone()),
            ("system", machine.system.clone()),
            ("date", machine.date.clone()),
            ("commit", format!("{} (a `+` marks local changes)", machine.commit)),
        ]
        .map(|(name, value)| format!("- {name}: {value}"))
        .join("\n")
    )
}

fn method(results: &Results) -> String {
    let it = &results.method;
    let seconds = |ms: u64| ms as f64 / 1e3;
    format!(
        "\
```text
  generator ──▶ tester-a ═══ switch-a ── the switch ── switch-b ═══ tester-b ──▶ sink
  core 0                     core 1
```

- Two veth cables between a tester's namespace and the switch's, MTU 1500, nothing else in either.
- The generator is an XDP program that the kernel runs on fresh frames on core 0 \
(`BPF_PROG_TEST_RUN` with live frames); it varies the source address over the flows, keeps the rate by a \
token bucket, and counts every frame that it sends. The sink is a program on the far end that counts \
and drops: in traffic control, or in XDP for a switch that sends by XDP.
- The switch forwards on core 1 with its one worker or poll-mode thread. What is in the kernel alone, \
bridge and redirect, forwards on the core that its frames come from, the generator's: threads of its \
own on core 1 make it slower.
- In each round every switch in turn is set up between fresh wires, measured, and taken down; the \
order moves on by one in each round. Rounds: {}, {} s in all.
- A rate is counted for {} s after a warm-up, round trips for {} s at 1,000 probes a second. A trial of the search \
is {} s; trials with loss before a rate counts as not borne: {}; the search ends at {:.0} %.
- Sizes include the check sequence, as in RFC 2544: 64 bytes are 60 on a veth. IMIX is 7 frames of 64, \
4 of 594 and 1 of 1518 bytes.

Once more: `make bench`, as root. A part of it: `packet-rate run --switches weft,{RAW} --rounds 5`. \
This page from the figures: `packet-rate report`.",
        it.rounds,
        it.took_s,
        seconds(it.rate_ms),
        seconds(it.latency_ms),
        seconds(it.trial_ms),
        it.attempts,
        it.resolution * 100.0
    )
}

const TRAPS: &str = "\
- All of it is copied on these wires: AF_XDP on a veth has no zero copy, and each frame that a program sends \
becomes a socket buffer, which costs most of the time. On a NIC with zero copy all rates are higher, \
and the ratios others.
- The sink runs on the core that forwards: what counts a frame runs where it is sent.
- One long run of the generator is fast; many short ones wait for the kernel milliseconds each.
- An XDP sink behind a switch that sends socket buffers makes the kernel copy each one: a third of \
the rate. Traffic control behind one that sends by XDP costs about as much.
- A veth takes frames of XDP only while it polls: with a program on it, or with generic receive \
offload on.
- On a virtual machine the hypervisor takes cores away for milliseconds. Any switch loses frames \
then, whose queues hold less than a millisecond; hence two attempts at each rate, and the second rate.
- One run says little: another placement in memory, another start, other neighbours. Rounds show it: \
see the ranges.
- `weft / it` may be above 1 and Weft still below the limit of the kernel (`xdp-redirect`), which \
looks at nothing and copies nothing.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_page_says_what_where_and_against_what() {
        let results = sample::results();
        let page = text(&results, &[("Other", "figure 1\n".to_owned())]);
        for part in ["A CPU", "0123456789ab", "2026-01-02", "not installed \\| a pipe", "MISSED"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        for plot in ["rates.svg", "rules.svg", "latency.svg"] {
            assert_eq!(page.matches(&format!("({plot})")).count(), 1, "{plot}");
        }
        assert!(page.contains("## Other\n\n```text\nfigure 1\n```"));
        assert!(!page.contains("\n\n\n"), "{page}");
        assert_eq!(page.matches("```").count() % 2, 0);
    }

    #[test]
    fn a_run_without_figures_has_a_page_too() {
        let page = text(&sample::empty(), &[]);
        assert!(page.contains("not measured") && !page.contains(".svg"), "{page}");
    }
}
