//! The file of ceilings: what each case may cost.
//!
//! A figure above its ceiling is a regression. One far below it is a gain that nobody holds on to:
//! the ceiling has to come down with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

/// What a written ceiling has above the figure, so that a seed or another libc does not matter.
const MARGIN: f64 = 0.03;
/// The same in instructions, for cases of few: a seed moves a search by one place or two.
const MARGIN_INSTRUCTIONS: f64 = 3.0;
/// How far a figure may stand below its ceiling, beside twice that.
const SLACK: f64 = 0.10;

/// The ceilings, and what they were measured with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceilings {
    /// What `rustc --version` said: another compiler has other figures.
    pub compiler: String,
    /// Instructions a frame, by name of case.
    pub ceilings: BTreeMap<String, f64>,
}

/// What is wrong with a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is near its ceiling and not above.
    Holds,
    /// It is above.
    Above {
        /// The ceiling.
        ceiling: f64,
    },
    /// It is so far below that the ceiling holds nothing any more.
    FarBelow {
        /// The ceiling.
        ceiling: f64,
    },
    /// Nobody has set one.
    Missing,
}

impl Ceilings {
    /// Reads the file.
    ///
    /// # Errors
    /// Where and why it is no such file.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What is to be said of a case's figure, in instructions a frame.
    #[must_use]
    pub fn judge(&self, case: &str, per_frame: f64) -> Verdict {
        let Some(&ceiling) = self.ceilings.get(case) else { return Verdict::Missing };
        if per_frame > ceiling {
            Verdict::Above { ceiling }
        } else if per_frame < ceiling * (1.0 - SLACK) - 2.0 * MARGIN_INSTRUCTIONS {
            Verdict::FarBelow { ceiling }
        } else {
            Verdict::Holds
        }
    }

    /// Sets the ceiling of a case that costs so much.
    pub fn set(&mut self, case: &str, per_frame: f64) {
        let ceiling = per_frame * (1.0 + MARGIN) + MARGIN_INSTRUCTIONS;
        let ceiling = (ceiling * 10.0).ceil() / 10.0;
        self.ceilings.insert(case.to_owned(), ceiling);
    }

    /// The file, with the cases in this order; those that are not among them are left out.
    #[must_use]
    pub fn to_text(&self, cases: &[String]) -> String {
        let mut text = String::from(
            "# The most instructions that a frame may cost, by case: what was measured, 3 % and 3 more.\n\
             # `make instructions` checks, `make ceilings` measures and writes this file anew.\n",
        );
        let compiler = toml::Value::from(self.compiler.as_str());
        let named = |case: &String| self.ceilings.get(case).map(|ceiling| (case.clone(), *ceiling));
        let lines = cases.iter().filter_map(named);
        let lines: String =
            lines.map(|(case, ceiling)| format!("\"{case}\" = {ceiling:.1}\n")).collect();
        // Writing to a string cannot fail.
        write!(text, "compiler = {compiler}\n\n[ceilings]\n{lines}").ok();
        text
    }
}

impl Verdict {
    /// What to tell whoever changed the figure; `None` when nothing is wrong.
    #[must_use]
    pub fn problem(&self, case: &str, per_frame: f64) -> Option<String> {
        let problem = match self {
            Self::Holds => return None,
            Self::Above { ceiling } => format!(
                "{case}: {per_frame:.1} instructions a frame, above the ceiling of {ceiling:.1}"
            ),
            Self::FarBelow { ceiling } => format!(
                "{case}: {per_frame:.1} instructions a frame, more than {:.0} % below the ceiling \
                 of {ceiling:.1}: write the gain down with `make ceilings`",
                SLACK * 100.0
            ),
            Self::Missing => format!(
                "{case}: {per_frame:.1} instructions a frame and no ceiling: set it with \
                 `make ceilings`"
            ),
        };
        Some(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings() -> Ceilings {
        let text = "compiler = \"rustc 1\"\n[ceilings]\n\"parse.udp4\" = 50.0\nfib = 60.5\n";
        Ceilings::parse(text).unwrap()
    }

    #[test]
    fn figures_are_held_between_ceiling_and_slack() {
        let ceilings = ceilings();
        assert_eq!(ceilings.judge("parse.udp4", 50.0), Verdict::Holds);
        assert_eq!(ceilings.judge("parse.udp4", 39.0), Verdict::Holds);
        assert_eq!(ceilings.judge("parse.udp4", 50.1), Verdict::Above { ceiling: 50.0 });
        assert_eq!(ceilings.judge("parse.udp4", 38.9), Verdict::FarBelow { ceiling: 50.0 });
        assert_eq!(ceilings.judge("parse", 1.0), Verdict::Missing);
    }

    #[test]
    fn problems_name_case_figure_and_ceiling() {
        let ceilings = ceilings();
        let problem = |figure| ceilings.judge("parse.udp4", figure).problem("parse.udp4", figure);
        assert_eq!(problem(48.0), None);
        let above = problem(51.26).unwrap();
        assert_eq!(above, "parse.udp4: 51.3 instructions a frame, above the ceiling of 50.0");
        let below = problem(20.0).unwrap();
        assert!(below.contains("20.0") && below.contains("50.0") && below.contains("ceilings"));
    }

    #[test]
    fn a_written_file_holds_what_was_measured_and_can_be_read() {
        let mut ceilings = ceilings();
        ceilings.set("worker.100", 1000.0);
        ceilings.set("fib", 58.09);
        let cases = ["fib".to_owned(), "worker.100".to_owned()];
        let text = ceilings.to_text(&cases);
        let read = Ceilings::parse(&text).unwrap();
        assert_eq!(read.compiler, "rustc 1");
        let figures: Vec<_> = read.ceilings.iter().map(|(case, c)| (case.as_str(), *c)).collect();
        assert_eq!(figures, [("fib", 62.9), ("worker.100", 1033.0)]);
        assert_eq!(read.judge("worker.100", 1000.0), Verdict::Holds);
        assert!(text.find("fib") < text.find("worker.100"), "in the order of the cases");
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        assert!(Ceilings::parse("compiler = 1").is_err());
        assert!(Ceilings::parse("compiler = \"x\"\nceiling = 3\n[ceilings]\n").is_err());
    }
}
