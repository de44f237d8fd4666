//! What is remembered of a revision: when it was made, by what kind of change, and the comment.

/// What kind of change made a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionKind {
    /// An operator applied configuration.
    Config,
    /// A vNIC was plugged in, or moved to another host.
    Attach,
    /// A vNIC was plugged out.
    Detach,
    /// A host came for the first time, or with other NICs.
    Module,
}

impl RevisionKind {
    const ALL: [Self; 4] = [Self::Config, Self::Attach, Self::Detach, Self::Module];

    /// The word in the store and in `show revisions`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Attach => "attach",
            Self::Detach => "detach",
            Self::Module => "module",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is said of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRecord {
    /// Wall-clock time of the commit.
    pub unix_time_ns: u64,
    /// What made it.
    pub kind: RevisionKind,
    /// The operator's comment, or what happened: `vm1 eth0 is Vethernet1 on module 3`.
    pub comment: String,
}
