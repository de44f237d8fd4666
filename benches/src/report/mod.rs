//! What the results mean, as a page with plots.
//!
//! | module | what |
//! |---|---|
//! | [`machine`] | where and when it was measured |
//! | [`analysis`] | medians of rounds, and of ratios within rounds |
//! | [`bars`] | what must be reached, and whether it is |
//! | [`page`] | the page, in Markdown |
//! | [`tables`] | its tables |
//! | [`plot`] | its plots |
//! | [`svg`] | the little of SVG that they need |
//!
//! *Invariant:* everything here is a function of the results; the same results give the same files.

pub mod analysis;
pub mod bars;
pub mod machine;
pub mod page;
pub mod plot;
pub mod svg;
pub mod tables;

#[cfg(test)]
pub(crate) mod sample;

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::suite::results::Results;

/// The file of the figures, in the folder of the report.
pub const RESULTS: &str = "results.json";
/// The page.
pub const PAGE: &str = "README.md";

/// Pages of other programs, in the folder of the report: file, title. Each is plain text, and stands
/// in the page as it is, if it is there.
pub const ATTACHMENTS: [(&str, &str); 2] = [
    ("taps.txt", "TCP and round trips between TAPs (`tap-rate`)"),
    ("footprint.txt", "What it costs to be there, and to change (`footprint`)"),
];

/// Writes figures, page and plots into a folder, which is made.
///
/// # Errors
/// When a file cannot be written.
pub fn write(results: &Results, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    write(RESULTS, &results.to_json()?)?;
    for plot in plot::all(results) {
        write(plot.file, &plot.text)?;
    }
    write(PAGE, &page::text(results, &attachments(folder)))
}

/// Title and text of each attachment that is there.
fn attachments(folder: &Path) -> Vec<(&'static str, String)> {
    let read = |(file, title)| Some((title, fs::read_to_string(folder.join(file)).ok()?));
    ATTACHMENTS.into_iter().filter_map(read).collect()
}

/// The bars, a line each.
#[must_use]
pub fn summary(results: &Results) -> String {
    let lines = bars::all(results).into_iter().map(|check| check.line());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_written_and_gives_its_results_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        let results = sample::results();
        write(&results, &folder).unwrap();
        assert_eq!(Results::read(&folder.join(RESULTS)).unwrap(), results);
        let page = fs::read_to_string(folder.join(PAGE)).unwrap();
        for plot in plot::all(&results) {
            assert!(page.contains(&format!("({})", plot.file)), "{}", plot.file);
            assert!(folder.join(plot.file).is_file());
        }
        assert!(!page.contains("tap-rate"));

        fs::write(folder.join("taps.txt"), "weft 10.1 Gbit/s\n").unwrap();
        write(&results, &folder).unwrap();
        let page = fs::read_to_string(folder.join(PAGE)).unwrap();
        assert!(page.contains("```text\nweft 10.1 Gbit/s\n```"), "{page}");
    }

    #[test]
    fn results_of_another_version_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "{}").unwrap();
        let error = Results::read(file.path()).unwrap_err().to_string();
        assert!(error.contains("version"), "{error}");
    }
}
