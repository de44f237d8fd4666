//! Lines: what is delivered flat out by number of rules.

use super::{WIDTH, role};
use crate::report::analysis::{Spread, delivered_pps, spread};
use crate::report::svg::{Anchor, Role, Svg, ticks};
use crate::report::tables::grouped;
use crate::suite::case::Case;
use crate::suite::plan::{BRIDGE, OVS, RAW, RULES, WEFT};
use crate::suite::results::Results;

const LEFT: f64 = 60.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 330.0;
const HEIGHT: f64 = 390.0;
/// Lines of text must be this far apart.
const LINE_HEIGHT: f64 = 17.0;

/// The last one is drawn on top.
const SWITCHES: [&str; 4] = [RAW, OVS, BRIDGE, WEFT];

/// A line: its switch, and the figures by place in [`RULES`].
struct Series {
    switch: &'static str,
    points: Vec<(usize, Spread)>,
}

pub(super) fn draw(results: &Results) -> Option<String> {
    let all: Vec<Series> = SWITCHES.into_iter().filter_map(|it| series(results, it)).collect();
    let most = all.iter().flat_map(|it| &it.points).map(|(_, mpps)| mpps.max);
    let marks = ticks(most.reduce(f64::max)?, 5);
    let max = marks.last().copied().filter(|max| *max > 0.0)?;
    let y = |mpps: f64| BOTTOM - mpps / max * (BOTTOM - TOP);

    let mut svg = Svg::new(WIDTH, HEIGHT, "Delivered, 64-byte frames, by rules of the access list");
    svg.text((16.0, TOP - 14.0), Anchor::Start, Role::Muted, "million frames a second");
    for mark in marks {
        svg.line(&[(LEFT, y(mark)), (WIDTH - RIGHT, y(mark))], 1.0, Role::Grid);
        let text = format!("{mark:.1}");
        svg.text((LEFT - 8.0, y(mark) + 4.5), Anchor::End, Role::Muted, &text);
    }
    for (place, rules) in RULES.into_iter().enumerate() {
        let text = grouped(rules.into());
        svg.text((x(place), BOTTOM + 20.0), Anchor::Middle, Role::Muted, &text);
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    svg.text((middle, BOTTOM + 44.0), Anchor::Middle, Role::Muted, "rules on each port");
    for it in &all {
        let points: Vec<_> = it.points.iter().map(|(place, m)| (x(*place), y(m.median))).collect();
        svg.line(&points, 2.5, role(it.switch));
        for ((place, mpps), point) in it.points.iter().zip(&points) {
            svg.line(&[(x(*place), y(mpps.min)), (x(*place), y(mpps.max))], 1.5, role(it.switch));
            svg.disc(*point, 4.0, role(it.switch));
        }
    }
    label(&mut svg, &all, y);
    Some(svg.finish())
}

fn series(results: &Results, switch: &'static str) -> Option<Series> {
    let points: Vec<_> = RULES
        .into_iter()
        .enumerate()
        .filter_map(|(place, rules)| {
            let pps = spread(results, switch, Case::with_rules(rules), &delivered_pps)?;
            Some((place, pps.scaled(1e-6)))
        })
        .collect();
    // One point is no line.
    (points.len() > 1).then_some(Series { switch, points })
}

/// Numbers of rules are as far apart as their logarithms, and none is where 1 would be.
fn x(place: usize) -> f64 {
    let inner = WIDTH - RIGHT - LEFT - 40.0;
    LEFT + 20.0 + place as f64 / (RULES.len() - 1) as f64 * inner
}

/// Names at the ends of the lines, moved apart where they would touch.
fn label(svg: &mut Svg, all: &[Series], y: impl Fn(f64) -> f64) {
    let mut ends: Vec<(f64, &Series)> =
        all.iter().filter_map(|it| Some((y(it.points.last()?.1.median), it))).collect();
    ends.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut free = f64::MIN;
    for (end, it) in ends {
        let at = end.max(free);
        free = at + LINE_HEIGHT;
        let Some((place, mpps)) = it.points.last() else { continue };
        let left = x(*place) + 12.0;
        svg.disc((left + 4.0, at), 4.0, role(it.switch));
        let text = format!("{} {:.2}", it.switch, mpps.median);
        svg.text((left + 14.0, at + 4.5), Anchor::Start, Role::Ink, &text);
    }
}
