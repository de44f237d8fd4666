//! The configuration language: a text is read or has problems that can be shown, and what is read
//! is printed and read back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::lang::Expected;
use policy::{Config, lang, validate};

fuzz_target!(|text: &str| {
    match lang::parse(text) {
        Ok(config) => {
            let printed = lang::print(&config);
            assert_eq!(lang::parse(&printed).as_ref(), Ok(&config), "{printed}");
            assert_eq!(lang::apply(&config, &printed).as_ref(), Ok(&config), "twice: {printed}");
            let commands = policy::diff::diff(&Config::default(), &config).as_commands();
            assert_eq!(lang::parse(&commands).as_ref(), Ok(&config), "{commands}");
            for problem in validate::validate(&config) {
                assert!(!problem.message.is_empty());
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(!lang::render("fuzz", text, &problems).is_empty());
        }
    }
    // What completion asks for a line that ends here.
    for expected in lang::expected_next(&Config::default(), text) {
        let (Expected::Keyword(word) | Expected::Value(word)) = expected;
        assert!(!word.is_empty());
    }
});
