//! Configuration of a running switch from the shell: what `weft` prints, what it changes on the
//! hosts, and what it leaves alone. The real programs on real interfaces; needs root.

#[path = "e2e_config/live.rs"]
mod live;
#[path = "e2e_config/shell.rs"]
mod shell;
#[path = "e2e_config/show.rs"]
mod show;

use std::fs;
use std::process::Output;

use tests::site::Site;

/// Runs `weft WORDS FILE` on a file with this text; gives its exit code, stdout and stderr.
fn weft_file(site: &Site, words: &[&str], text: &str) -> (Option<i32>, String, String) {
    let file = site.lab().dir().join("site.cfg");
    fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    ended(&site.try_weft(&[words, &[&file]].concat()).expect("weft runs"))
}

/// Exit code, stdout and stderr.
fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn running_config(site: &Site) -> String {
    site.weft(&["show", "running-config"]).expect("show running-config")
}
