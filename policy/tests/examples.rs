//! The examples of the repository are good configurations.

use std::path::Path;

use policy::Config;
use policy::lang::{parse, print, render};
use policy::validate::check;

#[test]
fn every_example_parses_validates_and_reads_back() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for file in std::fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "cfg") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = match check(&Config::default(), &text) {
            Ok(parsed) => parsed,
            Err(problems) => {
                panic!("{}", render(&path.display().to_string(), &text, &problems))
            }
        };
        assert_eq!(parse(&print(&parsed.config)), Ok(parsed.config));
        seen += 1;
    }
    assert!(seen > 0, "no example in {}", dir.display());
}
