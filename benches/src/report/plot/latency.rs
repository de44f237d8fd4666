//! Round-trip times of each switch at each load, from p50 over p99 to p99.9, on a logarithmic axis.

use super::{WIDTH, role};
use crate::measure::latency::LOADS_PERCENT;
use crate::report::analysis::{TIMES, Time, round_trip_us, spread};
use crate::report::svg::{Anchor, Role, Svg};
use crate::suite::case::Case;
use crate::suite::results::Results;

const LEFT: f64 = 210.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 76.0;
const ROW: f64 = 22.0;
/// Between two switches.
const GAP: f64 = 12.0;

/// How large the marks of [`TIMES`] are.
const RADII: [f64; 3] = [6.0, 4.5, 3.0];

/// A switch at a load: medians of the rounds, in microseconds.
struct Row<'a> {
    switch: &'a str,
    percent: u32,
    us: [f64; 3],
}

pub(super) fn draw(results: &Results) -> Option<String> {
    let rows = rows(results);
    let all = || rows.iter().flat_map(|row| row.us);
    let decades = Decades {
        from: all().reduce(f64::min)?.max(0.1).log10().floor(),
        to: all().reduce(f64::max)?.max(0.1).log10().ceil(),
    };
    let gaps = rows.iter().filter(|row| row.percent == LOADS_PERCENT[0]).count() as f64 * GAP;
    let bottom = TOP + ROW * rows.len() as f64 + gaps;

    let mut svg = Svg::new(
        WIDTH,
        bottom + 56.0,
        "Round trips, 64-byte frames, 100 rules, at a part of each switch's own rate",
    );
    legend(&mut svg);
    decades.draw(&mut svg, bottom);
    let mut y = TOP;
    for row in &rows {
        if row.percent == LOADS_PERCENT[0] {
            y += GAP;
            svg.text((16.0, y + 4.5), Anchor::Start, Role::Ink, row.switch);
        }
        svg.text((LEFT - 12.0, y + 4.5), Anchor::End, Role::Muted, &format!("{} %", row.percent));
        let points = row.us.map(|us| (decades.x(us), y));
        svg.line(&points, 1.5, role(row.switch));
        for (point, radius) in points.into_iter().zip(RADII) {
            svg.disc(point, radius, role(row.switch));
        }
        y += ROW;
    }
    Some(svg.finish())
}

fn rows(results: &Results) -> Vec<Row<'_>> {
    let row = |switch, percent| {
        let median = |time: Time| {
            let read = round_trip_us(percent, time);
            Some(spread(results, switch, Case::STANDARD, &read)?.median)
        };
        let [(_, p50), (_, p99), (_, p999)] = TIMES;
        Some(Row { switch, percent, us: [median(p50)?, median(p99)?, median(p999)?] })
    };
    let switches = results.switches.iter().map(|switch| switch.name.as_str());
    switches
        .flat_map(|switch| LOADS_PERCENT.map(|percent| row(switch, percent)))
        .flatten()
        .collect()
}

fn legend(svg: &mut Svg) {
    let mut x = LEFT + 20.0;
    for ((name, _), radius) in TIMES.into_iter().zip(RADII) {
        svg.disc((x, TOP - 28.0), radius, Role::Muted);
        svg.text((x + 10.0, TOP - 23.5), Anchor::Start, Role::Muted, name);
        x += 70.0;
    }
    svg.text((16.0, TOP - 23.5), Anchor::Start, Role::Muted, "switch");
    svg.text((LEFT - 12.0, TOP - 23.5), Anchor::End, Role::Muted, "load");
}

/// The axis, from one power of ten to another.
struct Decades {
    from: f64,
    to: f64,
}

impl Decades {
    fn x(&self, us: f64) -> f64 {
        let part = (us.max(0.1).log10() - self.from) / (self.to - self.from).max(1.0);
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn draw(&self, svg: &mut Svg, bottom: f64) {
        let last = self.to.max(self.from + 1.0);
        let mut decade = self.from;
        while decade <= last {
            for factor in [1.0, 2.0, 5.0] {
                let us = factor * 10_f64.powf(decade);
                if us.log10() > last + 1e-9 {
                    break;
                }
                let x = self.x(us);
                svg.line(&[(x, TOP - 8.0), (x, bottom)], 1.0, Role::Grid);
                svg.text((x, bottom + 18.0), Anchor::Middle, Role::Muted, &format!("{us}"));
            }
            decade += 1.0;
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let axis = "microseconds (logarithmic)";
        svg.text((middle, bottom + 42.0), Anchor::Middle, Role::Muted, axis);
    }
}
