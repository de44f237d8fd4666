//! The reader: lines of a text, one after the other, applied to a configuration.
//!
//! Where it sits: [`super::read`] makes one, feeds it every line and takes the outcome. It knows
//! which block is open and what opens or ends one; what a line says is read by the files beside.
//!
//! Invariants: a line with a problem changes nothing. A block whose heading has a problem is still
//! read to its end, so that its own problems are reported too, but changes nothing.

use std::collections::BTreeMap;

use proto::{InterfaceName, VlanId};

use super::block;
use super::cursor::{Cursor, Expected, Matched, match_keyword, problem_at};
use super::lex::{Line, count};
use super::nearest::nearest;
use super::setting::{self, Sense};
use super::{LINE_LEN_MAX, PROBLEMS_MAX, WORK_MAX, teaming};
use crate::acl::{AclKind, Sequence};
use crate::config::{Config, Name};
use crate::place::{Place, Spans};
use crate::problem::Problem;

/// The block that the lines are in; one without a name or without members takes lines and changes
/// nothing.
#[derive(Clone, Debug)]
pub(super) enum Block {
    Top,
    Vlans(Vec<VlanId>),
    Acl(AclKind, Option<Name>),
    Profile(Option<Name>),
    Interfaces(Vec<InterfaceName>),
}

/// The kinds of objects of which a heading had a problem: others that refer to one of them may be
/// right.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Broken {
    pub(crate) vlans: bool,
    pub(crate) acls: bool,
    pub(crate) profiles: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) config: Config,
    pub(super) spans: Spans,
    pub(super) problems: Vec<Problem>,
    pub(super) broken: Broken,
    pub(super) block: Block,
    /// The entries that this text has given each list, with their lines.
    pub(super) entered: BTreeMap<Name, BTreeMap<Sequence, u32>>,
    /// How many objects the lines have touched.
    work: usize,
}

/// The first words of the commands outside of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopHead {
    Hostname,
    Lacp,
    PortChannel,
    Vlan,
    AccessList(AclKind),
    Profile,
    Interface,
    Resequence,
    Default,
    No,
    Leave,
}

pub(super) const TOP_HEADS: [(&str, TopHead); 14] = [
    ("hostname", TopHead::Hostname),
    ("lacp", TopHead::Lacp),
    ("port-channel", TopHead::PortChannel),
    ("vlan", TopHead::Vlan),
    ("mac", TopHead::AccessList(AclKind::Mac)),
    ("ip", TopHead::AccessList(AclKind::Ipv4)),
    ("ipv6", TopHead::AccessList(AclKind::Ipv6)),
    ("port-profile", TopHead::Profile),
    ("interface", TopHead::Interface),
    ("resequence", TopHead::Resequence),
    ("default", TopHead::Default),
    ("no", TopHead::No),
    ("exit", TopHead::Leave),
    ("end", TopHead::Leave),
];

/// What can stand behind `default` outside of blocks.
const DEFAULTS: [(&str, TopHead); 3] = [
    ("interface", TopHead::Interface),
    ("lacp", TopHead::Lacp),
    ("port-channel", TopHead::PortChannel),
];

/// The first words of the commands in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockHead {
    Setting(setting::Head),
    Name,
    Entry,
    Statistics,
    No,
    Default,
    Leave,
}

impl Block {
    /// The first words of the commands in this block.
    pub(super) fn heads(&self) -> Vec<(&'static str, BlockHead)> {
        let settings = |extra: &[(&'static str, setting::Head)]| {
            let all = setting::HEADS.iter().chain(extra);
            all.map(|(word, head)| (*word, BlockHead::Setting(*head))).collect::<Vec<_>>()
        };
        let (mut heads, has_default) = match self {
            Self::Top => return Vec::new(),
            Self::Vlans(_) => (vec![("name", BlockHead::Name)], false),
            Self::Acl(..) => {
                let entries = [("permit", BlockHead::Entry), ("deny", BlockHead::Entry)];
                let mut heads = entries.to_vec();
                heads.push(("remark", BlockHead::Entry));
                heads.push(("statistics", BlockHead::Statistics));
                (heads, false)
            }
            Self::Profile(_) => (settings(&setting::PROFILE_HEADS), true),
            Self::Interfaces(_) => (settings(&[]), true),
        };
        heads.push(("no", BlockHead::No));
        if has_default {
            heads.push(("default", BlockHead::Default));
        }
        heads.extend([("exit", BlockHead::Leave), ("end", BlockHead::Leave)]);
        heads
    }

    /// The block as a user names it.
    fn path(&self) -> String {
        match self {
            Self::Top => String::new(),
            Self::Vlans(vlans) => match vlans.as_slice() {
                [] => String::new(),
                [vlan] => Place::Vlan(*vlan).to_string(),
                [first, ..] => format!("vlan {first},..."),
            },
            Self::Acl(kind, name) => match name {
                Some(name) => Place::Acl(*kind, name.clone()).to_string(),
                None => String::new(),
            },
            Self::Profile(name) => match name {
                Some(name) => Place::Profile(name.clone()).to_string(),
                None => String::new(),
            },
            Self::Interfaces(names) => match names.as_slice() {
                [] => String::new(),
                [name] => name.to_string(),
                [first, ..] => format!("{first},..."),
            },
        }
    }
}

impl Reader {
    pub(super) fn new(base: &Config) -> Self {
        Self {
            config: base.clone(),
            spans: Spans::default(),
            problems: Vec::new(),
            broken: Broken::default(),
            block: Block::Top,
            entered: BTreeMap::new(),
            work: 0,
        }
    }

    /// Reads one line; false: there are so many problems that reading on is of no use.
    pub(super) fn line(&mut self, line: &Line<'_>) -> bool {
        let targets = match &self.block {
            Block::Vlans(vlans) => vlans.len(),
            Block::Interfaces(names) => names.len(),
            _ => 1,
        };
        self.touch(targets);
        let outcome = match Self::unreadable(line) {
            Some(problem) => Err(problem),
            None if line.words.is_empty() => Ok(()),
            None => self.command(&mut Cursor::new(line)),
        };
        if let Err(mut problem) = outcome {
            if problem.path.is_empty() {
                problem.path = self.block.path();
            }
            self.problems.push(problem);
        }
        let (what, hint) = match (self.problems.len() >= PROBLEMS_MAX, self.work > WORK_MAX) {
            (false, false) => return true,
            (true, _) => ("too many problems", ""),
            (false, true) => ("too much work", "apply the text in parts"),
        };
        self.problems.push(Problem {
            span: None,
            path: String::new(),
            message: format!("{what}, nothing behind line {} was read", line.number),
            hint: hint.to_owned(),
        });
        false
    }

    /// Counts objects that a line touches.
    pub(super) fn touch(&mut self, objects: usize) {
        self.work = self.work.saturating_add(objects);
    }

    fn unreadable(line: &Line<'_>) -> Option<Problem> {
        if let Some((c, span)) = line.control_character() {
            let message = format!("the control character U+{:04X} cannot stand here", u32::from(c));
            return Some(problem_at(span, message, "delete it"));
        }
        let last = line.words.last()?;
        let length = last.column.saturating_add(count(last.text));
        let too_long = usize::try_from(length).map_or(true, |length| length > LINE_LEN_MAX);
        too_long.then(|| {
            let message = format!("the line has more than {LINE_LEN_MAX} characters");
            problem_at(line.span(&line.words[0]), message, "split it")
        })
    }

    fn command(&mut self, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
        if matches!(self.block, Block::Top) {
            return self.top(cursor);
        }
        let heads = self.block.heads();
        if leaves_block(cursor, &heads) {
            self.block = Block::Top;
            return self.top(cursor);
        }
        match &self.block {
            Block::Acl(kind, name) => {
                let (kind, name) = (*kind, name.clone());
                self.acl_line(cursor, kind, name, &heads)
            }
            _ => match self.choose_head(cursor, &heads)? {
                BlockHead::Leave => {
                    cursor.finish()?;
                    self.block = Block::Top;
                    Ok(())
                }
                BlockHead::Name => self.vlan_name(cursor, Sense::Set),
                BlockHead::Setting(head) => self.setting(cursor, Sense::Set, head),
                BlockHead::No => self.negated(cursor, Sense::No, &heads),
                BlockHead::Default => self.negated(cursor, Sense::Default, &heads),
                BlockHead::Entry | BlockHead::Statistics => Err(cursor.unexpected()),
            },
        }
    }

    fn negated(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        sense: Sense,
        heads: &[(&'static str, BlockHead)],
    ) -> Result<(), Problem> {
        match cursor.choose(&without_senses(heads))? {
            BlockHead::Name => self.vlan_name(cursor, sense),
            BlockHead::Setting(head) => self.setting(cursor, sense, head),
            _ => Err(cursor.unexpected()),
        }
    }

    /// The first word of a line in a block. One that is none of them, but looks like the slip of
    /// a command outside of blocks, opens the block that was meant, so that the lines behind it
    /// are not taken for lines of this one.
    pub(super) fn choose_head(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        heads: &[(&'static str, BlockHead)],
    ) -> Result<BlockHead, Problem> {
        if let Some(head) = cursor.option(heads)? {
            return Ok(head);
        }
        let mut problem = cursor.unexpected();
        let Some(word) = cursor.peek() else { return Err(problem) };
        let inside = heads.iter().map(|(word, _)| *word);
        let outside = TOP_HEADS.iter().map(|(word, _)| *word);
        if let Some(near) = nearest(word.text, inside.chain(outside)) {
            problem.hint = format!("did you mean `{near}`?");
            if heads.iter().all(|(word, _)| *word != near) {
                problem.path = self.block.path();
                self.guess_block(near);
            }
        }
        Err(problem)
    }

    /// Opens the block of a heading that could not be read.
    pub(super) fn guess_block(&mut self, word: &str) {
        let head = TOP_HEADS.iter().find(|(known, _)| *known == word).map(|(_, head)| *head);
        let block = match head {
            Some(TopHead::Vlan) => Block::Vlans(Vec::new()),
            Some(TopHead::AccessList(kind)) => Block::Acl(kind, None),
            Some(TopHead::Profile) => Block::Profile(None),
            Some(TopHead::Interface) => Block::Interfaces(Vec::new()),
            _ => return,
        };
        self.open_broken(block);
    }

    /// Opens a block that changes nothing, until its heading is read well.
    pub(super) fn open_broken(&mut self, block: Block) {
        match block {
            Block::Vlans(_) => self.broken.vlans = true,
            Block::Acl(..) => self.broken.acls = true,
            Block::Profile(_) => self.broken.profiles = true,
            Block::Top | Block::Interfaces(_) => {}
        }
        self.block = block;
    }

    fn top(&mut self, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
        let Some(head) = cursor.option(&TOP_HEADS)? else {
            let problem = self.unknown_command(cursor);
            if let Some(word) = cursor.peek()
                && let Some(near) = nearest(word.text, TOP_HEADS.iter().map(|(word, _)| *word))
            {
                self.guess_block(near);
            }
            return Err(problem);
        };
        match head {
            TopHead::No => match cursor.choose(&top_objects())? {
                TopHead::Hostname => block::no_hostname(self, cursor),
                TopHead::Lacp => teaming::system_priority(self, cursor, Sense::No),
                TopHead::PortChannel => teaming::load_balance(self, cursor, Sense::No),
                TopHead::Vlan => block::no_vlan(self, cursor),
                TopHead::AccessList(kind) => self.no_access_list(cursor, kind),
                TopHead::Profile => block::no_profile(self, cursor),
                _ => block::no_interface(self, cursor),
            },
            TopHead::Default => match cursor.choose(&DEFAULTS)? {
                TopHead::Lacp => teaming::system_priority(self, cursor, Sense::Default),
                TopHead::PortChannel => teaming::load_balance(self, cursor, Sense::Default),
                _ => block::default_interface(self, cursor),
            },
            TopHead::Hostname => block::hostname(self, cursor),
            TopHead::Lacp => teaming::system_priority(self, cursor, Sense::Set),
            TopHead::PortChannel => teaming::load_balance(self, cursor, Sense::Set),
            TopHead::Vlan => block::vlan(self, cursor),
            TopHead::AccessList(kind) => self.access_list(cursor, kind),
            TopHead::Profile => block::profile(self, cursor),
            TopHead::Interface => block::interface(self, cursor),
            TopHead::Resequence => self.resequence(cursor),
            TopHead::Leave => cursor.finish(),
        }
    }

    /// A first word that is no command. One that belongs into a block says so.
    fn unknown_command(&self, cursor: &Cursor<'_, '_>) -> Problem {
        let mut problem = cursor.unexpected();
        let blocks = [
            (Block::Profile(None), "it belongs under `port-profile` or `interface`"),
            (Block::Acl(AclKind::Ipv4, None), "it belongs under an access list"),
            (Block::Vlans(Vec::new()), "it belongs under `vlan`"),
        ];
        let Some(word) = cursor.peek() else { return problem };
        for (block, hint) in blocks {
            let heads = block.heads();
            if heads.iter().any(|(known, _)| known.eq_ignore_ascii_case(word.text)) {
                problem.hint = hint.to_owned();
            }
        }
        problem
    }

    /// What could stand at the end of `line` in the block that is open.
    pub(super) fn expected_at_end(&mut self, line: &Line<'_>) -> Vec<Expected> {
        let mut cursor = Cursor::new(line);
        let outcome = if line.words.is_empty() {
            for (word, _) in self.block.heads() {
                cursor.expect(word);
            }
            for (word, _) in TOP_HEADS {
                cursor.expect(word);
            }
            Ok(())
        } else {
            self.command(&mut cursor)
        };
        match (outcome, cursor.peek()) {
            (_, None) => cursor.expected().to_vec(),
            (_, Some(_)) => Vec::new(),
        }
    }
}

/// The objects that `no` can remove.
fn top_objects() -> Vec<(&'static str, TopHead)> {
    let is_object = |head: &TopHead| {
        !matches!(head, TopHead::Resequence | TopHead::Default | TopHead::No | TopHead::Leave)
    };
    TOP_HEADS.iter().filter(|(_, head)| is_object(head)).copied().collect()
}

/// The words that can stand behind `no` and `default`.
pub(super) fn without_senses(
    heads: &[(&'static str, BlockHead)],
) -> Vec<(&'static str, BlockHead)> {
    let plain =
        |head: &BlockHead| !matches!(head, BlockHead::No | BlockHead::Default | BlockHead::Leave);
    heads.iter().filter(|(_, head)| plain(head)).copied().collect()
}

/// Whether a line in a block is a command outside of blocks, which ends the block: its words mean
/// nothing here, but something there.
fn leaves_block(cursor: &Cursor<'_, '_>, heads: &[(&'static str, BlockHead)]) -> bool {
    let words = &cursor.line().words;
    let Some(first) = words.first() else { return false };
    let (heads, at) = match match_keyword(first.text, heads) {
        Matched::One(BlockHead::No | BlockHead::Default) => (without_senses(heads), 1),
        _ => (heads.to_vec(), 0),
    };
    let Some(word) = words.get(at) else { return false };
    match match_keyword(word.text, &heads) {
        Matched::One(BlockHead::Setting(setting::Head::Acl(_))) => {
            words.get(at + 1).is_some_and(|next| {
                let begins = |known: &str| known.starts_with(&next.text.to_ascii_lowercase());
                begins("access-list") && !begins("access-group")
            })
        }
        Matched::One(BlockHead::Setting(setting::Head::Lacp)) => {
            words.get(at + 1).is_some_and(|next| teaming::is_global_lacp(next.text))
        }
        Matched::One(_) | Matched::Several(_) => false,
        Matched::None => !matches!(match_keyword(word.text, &TOP_HEADS), Matched::None),
    }
}
