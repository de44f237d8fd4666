//! What a test can check in the documents, this one checks: the files they name exist.

use std::path::{Path, PathBuf};

const ENDINGS: [&str; 8] = [".rs", ".c", ".md", ".cfg", ".yaml", ".sh", ".proto", ".toml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of files in a document: in code spans, and as targets of links.
fn files_named(text: &str) -> impl Iterator<Item = &str> {
    let spans = text.split('`').skip(1).step_by(2);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    spans.chain(links).filter(|name| {
        let is_path =
            name.contains('/') && !name.contains([' ', '<', '*']) && !name.starts_with('/');
        is_path && ENDINGS.iter().any(|ending| name.ends_with(ending)) && !name.contains("://")
    })
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut documents: Vec<PathBuf> = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for entry in std::fs::read_dir(root().join("docs")).expect("the docs folder") {
        documents.push(entry.expect("a folder entry").path());
    }
    let mut named = 0;
    for document in documents.iter().filter(|d| d.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(document).expect("a document");
        for name in files_named(&text) {
            named += 1;
            let beside = document.parent().expect("a folder").join(name);
            assert!(
                root().join(name).exists() || beside.exists(),
                "{}: {name} does not exist",
                document.display()
            );
        }
    }
    assert!(named > 20, "only {named} names found: the test looks at nothing");
}
