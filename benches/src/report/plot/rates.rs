//! Bars: what each switch delivers flat out at the standard setting, with the smallest and the
//! largest of the rounds.

use super::{WIDTH, role};
use crate::report::analysis::{Spread, delivered_pps, spread};
use crate::report::svg::{Anchor, Role, Svg, ticks};
use crate::suite::case::Case;
use crate::suite::results::Results;

const LEFT: f64 = 150.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 46.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;

/// A bar this many times as long as the next one is cut off, so that the others can be told apart.
const CUT_OFF: f64 = 2.5;

pub(super) fn draw(results: &Results) -> Option<String> {
    let bars: Vec<(&str, Spread)> = results
        .switches
        .iter()
        .filter_map(|switch| {
            let mpps = spread(results, &switch.name, Case::STANDARD, &delivered_pps)?.scaled(1e-6);
            Some((switch.name.as_str(), mpps))
        })
        .collect();
    let longest = longest(&bars)?;
    let marks = ticks(longest, 5);
    let max = marks.last().copied().filter(|max| *max > 0.0)?;
    let bottom = TOP + ROW * bars.len() as f64;
    let x = |mpps: f64| LEFT + (mpps / max).min(1.0) * (WIDTH - LEFT - RIGHT);

    let mut svg = Svg::new(
        WIDTH,
        bottom + 50.0,
        "Delivered, 64-byte frames, 100 rules, 1,000 flows, one core: median of the rounds",
    );
    for mark in marks {
        svg.line(&[(x(mark), TOP), (x(mark), bottom)], 1.0, Role::Grid);
        svg.text((x(mark), bottom + 18.0), Anchor::Middle, Role::Muted, &format!("{mark:.1}"));
    }
    let axis = "million frames a second; the fine line is the smallest to the largest round";
    svg.text(((LEFT + WIDTH - RIGHT) / 2.0, bottom + 40.0), Anchor::Middle, Role::Muted, axis);
    for (index, (name, mpps)) in bars.iter().enumerate() {
        let top = TOP + ROW * index as f64 + (ROW - BAR) / 2.0;
        let middle = top + BAR / 2.0;
        svg.text((LEFT - 10.0, middle + 4.5), Anchor::End, Role::Ink, name);
        svg.rect((LEFT, top), (x(mpps.median) - LEFT, BAR), role(name));
        if mpps.median > max {
            cut(&mut svg, x(max) - 24.0, top);
        } else {
            whisker(&mut svg, (x(mpps.min), x(mpps.max)), middle);
        }
        let end = x(mpps.median).max(x(mpps.max)) + 8.0;
        svg.text((end, middle + 4.5), Anchor::Start, Role::Ink, &format!("{:.2}", mpps.median));
    }
    Some(svg.finish())
}

/// The longest bar that is drawn whole.
fn longest(bars: &[(&str, Spread)]) -> Option<f64> {
    let mut lengths: Vec<f64> = bars.iter().map(|(_, mpps)| mpps.max).collect();
    lengths.sort_by(f64::total_cmp);
    let longest = lengths.pop()?;
    match lengths.last() {
        Some(next) if *next > 0.0 && longest > CUT_OFF * next => Some(*next),
        _ => Some(longest),
    }
}

fn whisker(svg: &mut Svg, (from, to): (f64, f64), middle: f64) {
    svg.line(&[(from, middle), (to, middle)], 1.5, Role::Ink);
    for end in [from, to] {
        svg.line(&[(end, middle - 4.0), (end, middle + 4.0)], 1.5, Role::Ink);
    }
}

/// Two gaps across a bar.
fn cut(svg: &mut Svg, x: f64, top: f64) {
    for offset in [0.0, 8.0] {
        let x = x + offset;
        svg.line(&[(x, top + BAR + 2.0), (x + 6.0, top - 2.0)], 3.0, Role::Ground);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_far_beyond_the_others_does_not_make_them_short() {
        let bar = |max| ("x", Spread::of(&[max]).unwrap());
        assert_eq!(longest(&[bar(1.9), bar(9.5), bar(1.0)]), Some(1.9));
        assert_eq!(longest(&[bar(1.9), bar(3.0)]), Some(3.0));
        assert_eq!(longest(&[bar(9.5)]), Some(9.5));
        assert_eq!(longest(&[]), None);
    }
}
