//! Which source an instruction comes from, inlined code included: binutils' `addr2line`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::measure::{CountError, file_error};

/// A function in a source file, as debug information has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its last name, without path and type arguments.
    pub function: String,
    /// The file, as it was given to the compiler.
    pub file: String,
}

/// For each address the functions that it stands in: the innermost that was inlined first, the one
/// that exists as code last.
pub type Chains = BTreeMap<u64, Vec<Place>>;

/// Looks addresses of a program up. `directory` is for a file of its own.
///
/// # Errors
/// [`CountError::File`]: there is no `addr2line`, or it cannot read the program.
pub fn chains(
    program: &Path,
    addresses: &BTreeSet<u64>,
    directory: &Path,
) -> Result<Chains, CountError> {
    let list = directory.join("addresses");
    let lines: String = addresses.iter().map(|address| format!("{address:#x}\n")).collect();
    fs::write(&list, lines).map_err(|source| file_error(&list, source))?;
    let stdin = File::open(&list).map_err(|source| file_error(&list, source))?;
    let tool = Path::new("addr2line");
    let output = Command::new(tool)
        .args(["--inlines", "--functions", "--demangle", "--addresses", "--exe"])
        .arg(program)
        .stdin(stdin)
        .output()
        .map_err(|source| file_error(tool, source))?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads what `addr2line` says: an address, and then a function and a place in turn.
fn parse(text: &str) -> Chains {
    let mut chains = Chains::new();
    let (mut address, mut function) = (0, None);
    for line in text.lines() {
        if let Some(digits) = line.strip_prefix("0x") {
            (address, function) = (u64::from_str_radix(digits, 16).unwrap_or_default(), None);
            chains.entry(address).or_default();
        } else if let Some(function) = function.take() {
            let file = line.rsplit_once(':').map_or(line, |(file, _)| file).to_owned();
            chains.entry(address).or_default().push(Place { function, file });
        } else {
            function = Some(last_name(line));
        }
    }
    chains
}

/// `transmit` of `dataplane::worker::egress::transmit`, `run` of `run<NoTrace>`, `rx` of
/// `<MemoryPort as Port>::rx`.
fn last_name(function: &str) -> String {
    let mut depth = 0u32;
    let mut name = String::new();
    for letter in function.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => name.clear(),
            _ if depth == 0 => name.push(letter),
            _ => {}
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_paths_and_types() {
        for (function, name) in [
            ("dataplane::worker::egress::transmit", "transmit"),
            ("run<dataplane::core::trace::NoTrace>", "run"),
            ("<pmd::memory_port::MemoryPort as pmd::port::Port>::rx", "rx"),
            ("dataplane::core::Copies<T>::add_all", "add_all"),
            ("??", "??"),
        ] {
            assert_eq!(last_name(function), name);
        }
    }

    #[test]
    fn chains_have_the_innermost_place_first() {
        let text = "\
0x0000000000000010
get<u8>
/rust/core/slice.rs:12
x::run
/src/x.rs:3 (discriminator 2)
0x0000000000000020
??
??:0
";
        let chains = parse(text);
        let place = |function: &str, file: &str| Place {
            function: function.to_owned(),
            file: file.to_owned(),
        };
        assert_eq!(chains[&0x10], [place("get", "/rust/core/slice.rs"), place("run", "/src/x.rs")]);
        assert_eq!(chains[&0x20], [place("??", "??")]);
    }

    #[test]
    fn every_address_is_answered() {
        let program = std::env::current_exe().unwrap();
        let directory = tempfile::tempdir().unwrap();
        // In the header of the file stands no code.
        let chains = chains(&program, &BTreeSet::from([1]), directory.path()).unwrap();
        assert_eq!(chains.keys().copied().collect::<Vec<_>>(), [1]);
    }
}
