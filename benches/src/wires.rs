//! The two cables between the tester and the switch that is measured.
//!
//! ```text
//!   tester namespace      switch namespace
//!   tester-a ------------ switch-a
//!   tester-b ------------ switch-b
//! ```
//! Frames go in at one tester end and come out at the other. Offloads are off, so that every frame
//! is whole; generic receive offload is on at the tester's ends where a switch sends by XDP.

use tests::error::Result;
use tests::link;
use tests::netns::Namespace;

/// One of the two wires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// The first.
    A,
    /// The second.
    B,
}

impl Wire {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// 0 or 1.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The interface of the tester.
    #[must_use]
    pub const fn tester(self) -> &'static str {
        match self {
            Self::A => "tester-a",
            Self::B => "tester-b",
        }
    }

    /// The interface of the switch.
    #[must_use]
    pub const fn switch(self) -> &'static str {
        match self {
            Self::A => "switch-a",
            Self::B => "switch-b",
        }
    }
}

/// Both cables and the namespaces at their ends.
#[derive(Debug)]
pub struct Wires {
    tester: Namespace,
    switch: Namespace,
}

impl Wires {
    /// Makes the namespaces, and cables of an MTU of 1500 between them.
    ///
    /// # Errors
    /// When a namespace or a cable cannot be made.
    pub fn new() -> Result<Self> {
        let wires = Self { tester: Namespace::create("tester")?, switch: Namespace::create("sw")? };
        for wire in Wire::BOTH {
            let (tester, switch) =
                ((wires.tester(), wire.tester()), (wires.switch(), wire.switch()));
            link::cable(tester, switch, 1500)?;
        }
        Ok(wires)
    }

    /// Where generator and sink are.
    #[must_use]
    pub const fn tester(&self) -> &Namespace {
        &self.tester
    }

    /// Where the switch is.
    #[must_use]
    pub const fn switch(&self) -> &Namespace {
        &self.switch
    }
}
