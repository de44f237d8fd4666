//! Profiles as callgrind writes them with `--dump-instr=yes --compress-strings=no
//! --compress-pos=no` (Valgrind manual, "Callgrind Format Specification").

use std::collections::BTreeMap;

use thiserror::Error;

/// A profile that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// A line is not what the format says.
    #[error("line {line} of the profile is not understood: `{text}`")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// The end is missing.
    #[error("the profile ends without its total: callgrind was ended early")]
    Cut,
}

/// A function of a program or library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol {
    /// The file it was loaded from.
    pub object: String,
    /// Its name without hash and arguments of its types.
    pub function: String,
}

/// What a function cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Address and cost of its own instructions, of code that was inlined into it too.
    pub own: Vec<(u64, u64)>,
    /// What it called.
    pub calls: Vec<Call>,
}

impl Function {
    /// Instructions of the function and of all that it called.
    #[must_use]
    pub fn inclusive(&self) -> u64 {
        let own: u64 = self.own.iter().map(|(_, cost)| cost).sum();
        own + self.calls.iter().map(|call| call.inclusive).sum::<u64>()
    }
}

/// The calls of one function from one instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Address of the instruction.
    pub at: u64,
    /// What was called.
    pub callee: Symbol,
    /// How often.
    pub count: u64,
    /// Instructions of all these calls, with all that was called in turn.
    pub inclusive: u64,
}

/// The costs of one part of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Instructions in all.
    pub total: u64,
    /// Where they were spent.
    pub functions: BTreeMap<Symbol, Function>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`ProfileError`]: it is not one, or not whole.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(text.lines()) {
            let understood = reader.line(line);
            understood.ok_or_else(|| ProfileError::Line { line: number, text: line.to_owned() })?;
        }
        let total = reader.total.ok_or(ProfileError::Cut)?;
        Ok(Self { total, functions: reader.functions })
    }

    /// How often functions were called of which the name is among `names`.
    #[must_use]
    pub fn calls_of(&self, names: &[&str]) -> u64 {
        let calls = self.functions.values().flat_map(|function| &function.calls);
        let named = calls.filter(|call| names.contains(&call.callee.function.as_str()));
        named.map(|call| call.count).sum()
    }
}

/// What the lines so far have said.
#[derive(Default)]
struct Reader {
    object: String,
    function: String,
    /// Object and function of the next call.
    callee_object: Option<String>,
    callee: String,
    /// How often the call was made that the next line of costs is of.
    pending_calls: Option<u64>,
    functions: BTreeMap<Symbol, Function>,
    total: Option<u64>,
}

impl Reader {
    /// Takes a line in; `None` when it makes no sense.
    fn line(&mut self, line: &str) -> Option<()> {
        if line.starts_with("0x") {
            return self.costs(line);
        }
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "ob" => value.clone_into(&mut self.object),
                "fn" => value.clone_into(&mut self.function),
                "cob" => self.callee_object = Some(value.to_owned()),
                "cfn" => value.clone_into(&mut self.callee),
                "calls" => {
                    self.pending_calls = Some(value.split(' ').next()?.parse().ok()?);
                }
                // Files and lines are of no use: debug information says more.
                "fl" | "fi" | "fe" | "cfi" | "cfl" => {}
                _ if line.starts_with("desc:") || line.starts_with("cmd:") => {}
                _ => return None,
            }
            return Some(());
        }
        if let Some(total) = line.strip_prefix("totals:") {
            self.total = Some(total.trim().parse().ok()?);
        }
        Some(())
    }

    /// Address, line and cost: of instructions of the function, or of a call.
    fn costs(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let address = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        words.next()?;
        let cost = words.next().map_or(Some(0), |cost| cost.parse().ok())?;
        let (object, function) = (self.object.clone(), self.function.clone());
        let entry = self.functions.entry(Symbol { object, function }).or_default();
        match self.pending_calls.take() {
            None => entry.own.push((address, cost)),
            Some(count) => {
                let object = self.callee_object.take().unwrap_or_else(|| self.object.clone());
                let callee = Symbol { object, function: self.callee.clone() };
                entry.calls.push(Call { at: address, callee, count, inclusive: cost });
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
version: 1
creator: callgrind-3.19.0
cmd:  ./x --a=b
part: 2

desc: Trigger: --dump-after=*end_of_part*

positions: instr line
events: Ir
summary: 130


ob=/x
fl=/src/main.rs
fn=x::outer
0x10 5 20
fi=/src/other.rs
0x14 0 10
fe=/src/main.rs
cfi=/src/inner.rs
cfn=x::inner
calls=4 0x80 9 
0x18 6 80
cob=/lib/libc.so.6
cfi=???
cfn=malloc
calls=2 0x900 0 
0x1c 6 20

fl=/src/inner.rs
fn=x::inner
0x80 9 80

ob=/lib/libc.so.6
fl=???
fn=malloc
0x900 0 20

totals: 130
";

    fn symbol(object: &str, function: &str) -> Symbol {
        Symbol { object: object.to_owned(), function: function.to_owned() }
    }

    #[test]
    fn costs_and_calls_are_read() {
        let profile = Profile::parse(PROFILE).unwrap();
        assert_eq!(profile.total, 130);
        assert_eq!(profile.functions.len(), 3);
        let outer = &profile.functions[&symbol("/x", "x::outer")];
        assert_eq!(outer.own, [(0x10, 20), (0x14, 10)]);
        assert_eq!(outer.inclusive(), 130);
        let malloc = symbol("/lib/libc.so.6", "malloc");
        let calls = [
            Call { at: 0x18, callee: symbol("/x", "x::inner"), count: 4, inclusive: 80 },
            Call { at: 0x1c, callee: malloc.clone(), count: 2, inclusive: 20 },
        ];
        assert_eq!(outer.calls, calls);
        assert_eq!(profile.functions[&malloc].own, [(0x900, 20)]);
        assert_eq!(profile.calls_of(&["malloc", "calloc"]), 2);
        assert_eq!(profile.calls_of(&["calloc"]), 0);
    }

    #[test]
    fn what_is_no_profile_is_told() {
        assert_eq!(Profile::parse("ob=/x\n"), Err(ProfileError::Cut));
        let text = "0x10 five\n".to_owned();
        let error = Profile::parse(&format!("fn=a\n0x10 5 x\n{text}")).unwrap_err();
        assert_eq!(error, ProfileError::Line { line: 2, text: "0x10 5 x".to_owned() });
        assert!(Profile::parse("key=value\ntotals: 1\n").is_err());
    }
}
