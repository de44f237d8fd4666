//! The words of `weft`, for clap.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Where the supervisor's admin socket is, unless said otherwise.
pub const SERVER: &str = "unix:/run/weft/supervisor.sock";

/// Configures and shows a Weft switch.
///
/// Words may be shortened as long as they are unambiguous: `weft show int br`.
/// Exit codes: 0 done, 1 refused, 2 wrong usage or no connection.
#[derive(Clone, Debug, Parser)]
#[command(name = "weft", version, infer_subcommands = true)]
pub struct Weft {
    /// The supervisor: unix:PATH or http://HOST:PORT
    #[arg(long, env = "WEFT_SERVER", default_value = SERVER, global = true)]
    pub server: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Apply configuration: shows what changes, commits it and waits for the hosts
    Apply(Apply),
    /// Show what `apply` would change
    Diff(Diff),
    /// Show the state of the switch
    Show(ShowArguments),
    /// Print completions for a shell
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// `weft apply`.
#[derive(Args, Clone, Debug)]
pub struct Apply {
    /// File with configuration commands; `-`: standard input
    pub file: String,
    /// Check everything and commit nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The file is the whole configuration: what it leaves out goes away
    #[arg(long)]
    pub replace: bool,
    /// A comment, kept with the revision
    #[arg(long, default_value = "")]
    pub comment: String,
    /// Do not ask, even on a terminal
    #[arg(long, short)]
    pub yes: bool,
    /// Print the supervisor's reply as JSON; never asks
    #[arg(long)]
    pub json: bool,
}

/// `weft diff`.
#[derive(Args, Clone, Debug)]
pub struct Diff {
    /// File with configuration commands; `-`: standard input
    pub file: String,
    /// The file is the whole configuration: what it leaves out goes away
    #[arg(long)]
    pub replace: bool,
    /// Print the supervisor's reply as JSON
    #[arg(long)]
    pub json: bool,
}

/// `weft show`.
#[derive(Args, Clone, Debug)]
#[command(infer_subcommands = true)]
pub struct ShowArguments {
    /// Print the supervisor's reply as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to show.
    #[command(subcommand)]
    pub what: Show,
}

/// What can be shown.
#[derive(Clone, Debug, Subcommand)]
pub enum Show {
    /// The configuration as commands
    RunningConfig {
        /// As of this revision
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        revision: u64,
    },
    /// Supervisor and hosts, and the revision each one forwards by
    Module,
    /// Ports: `interface`, `interface NAME`, `interface [NAME] brief`, `interface [NAME] counters`
    Interface {
        /// A name (`Vethernet1`, `vethernet 1`), `brief`, `counters`
        #[arg(value_name = "NAME|brief|counters")]
        words: Vec<String>,
    },
    /// Port-profiles, or one of them in full
    PortProfile {
        /// Its name
        name: Option<String>,
    },
    /// VLANs and the ports that carry them
    Vlan,
    /// MAC addresses
    #[command(infer_subcommands = true)]
    Mac {
        /// Which of them.
        #[command(subcommand)]
        what: ShowMac,
    },
    /// Access lists with their matches
    AccessLists {
        /// Only this one
        name: Option<String>,
    },
    /// Dropped frames by reason
    Drops {
        /// Only those of one port
        #[arg(long, value_name = "NAME")]
        interface: Option<String>,
        /// A line for each port
        #[arg(long)]
        by_interface: bool,
    },
    /// What concerns uplinks.
    #[command(flatten)]
    Uplinks(ShowUplinks),
    /// What happened
    #[command(visible_alias = "events")]
    Logging {
        /// Only the newest; with --follow: these first
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        last: u32,
        /// Go on with what happens, until interrupted; in JSON a line for each event
        #[arg(long, short)]
        follow: bool,
    },
    /// The history of commits
    Revisions {
        /// Only the newest
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        last: u32,
    },
}

/// `weft show mac`.
#[derive(Clone, Debug, Subcommand)]
pub enum ShowMac {
    /// The local tables of all hosts
    AddressTable {
        /// Only the table of one host
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        module: u32,
    },
}

/// What can be shown of the uplinks of all hosts and what is behind them.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ShowUplinks {
    /// Port-channels of all hosts
    #[command(infer_subcommands = true)]
    PortChannel {
        /// What of them.
        #[command(subcommand)]
        what: ShowPortChannel,
    },
    /// LACP of the uplinks of all hosts
    #[command(infer_subcommands = true)]
    Lacp {
        /// What of it.
        #[command(subcommand)]
        what: ShowLacp,
    },
    /// Which uplink each vEthernet sends by
    Pinning,
    /// What uplinks hear by LLDP
    #[command(infer_subcommands = true)]
    Lldp {
        /// What of it.
        #[command(subcommand)]
        what: ShowNeighbors,
    },
    /// What uplinks hear by CDP
    #[command(infer_subcommands = true)]
    Cdp {
        /// What of it.
        #[command(subcommand)]
        what: ShowNeighbors,
    },
    /// The way from each VM to a physical switch port
    Topology,
}

/// `weft show port-channel`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ShowPortChannel {
    /// Each with its members and their flags
    Summary,
    /// What makes a flow, which stays on one member
    LoadBalance,
}

/// `weft show lacp`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ShowLacp {
    /// The partners
    Neighbor,
    /// Frames sent and received
    Counters,
    /// Our side of each link, and how its machines stand
    Internal,
}

/// `weft show lldp`, `weft show cdp`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ShowNeighbors {
    /// The switches at the other ends of the cables
    #[command(infer_subcommands = true)]
    Neighbors {
        /// How much of each.
        #[command(subcommand)]
        view: Option<NeighborsView>,
    },
}

/// `weft show lldp neighbors`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum NeighborsView {
    /// Everything that they say
    Detail,
}

/// How `show interface` shows ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceView {
    /// Everything of each.
    Full,
    /// A line for each.
    Brief,
    /// The counters of each.
    Counters,
}

/// The name and the view that the words behind `show interface` mean.
#[must_use]
pub fn interface_words(words: &[String]) -> (String, InterfaceView) {
    let short = |word: &str, whole: &str| word.len() >= 2 && whole.starts_with(word);
    let (view, name) = match words.split_last() {
        Some((last, name)) if short(last, "brief") => (InterfaceView::Brief, name),
        Some((last, name)) if short(last, "counters") => (InterfaceView::Counters, name),
        _ => (InterfaceView::Full, words),
    };
    (name.join(" "), view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        Weft::command().debug_assert();
    }

    #[test]
    fn what_operators_type_is_understood() {
        for line in [
            "weft apply site.cfg",
            "weft apply - --dry-run --replace --comment x --yes",
            "weft diff site.cfg --json",
            "weft show running-config --revision 3",
            "weft show module --json",
            "weft --server unix:/x show interface brief --json",
            "weft show interface vethernet 1 counters",
            "weft show mac address-table",
            "weft show drops --interface Vethernet1",
            "weft show drops --by-interface --json",
            "weft show --json vlan",
            "weft completions bash",
            "weft sh int br",
            "weft show run",
            "weft show mac add",
            "weft show acc WEB",
            "weft show port-channel summary",
            "weft show port-ch load --json",
            "weft show lacp neighbor",
            "weft show la count",
            "weft show lacp int --json",
            "weft show pin",
            "weft show lldp neighbors",
            "weft show lldp nei det --json",
            "weft show cdp neighbors detail",
            "weft show topology",
            "weft show log --last 3 --follow",
            "weft show events --last 3",
            "weft show ev -f --json",
        ] {
            assert!(Weft::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        assert!(Weft::try_parse_from(["weft", "show", "modules"]).is_err());
        assert!(Weft::try_parse_from(["weft", "show", "m"]).is_err(), "module or mac");
        assert!(Weft::try_parse_from(["weft", "show", "port"]).is_err(), "channel or profile");
    }

    #[test]
    fn words_behind_interface() {
        let words = |text: &str| {
            interface_words(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(words(""), (String::new(), InterfaceView::Full));
        assert_eq!(words("brief"), (String::new(), InterfaceView::Brief));
        assert_eq!(words("br"), (String::new(), InterfaceView::Brief));
        assert_eq!(words("eth3/1 count"), ("eth3/1".to_owned(), InterfaceView::Counters));
        assert_eq!(words("vethernet 1"), ("vethernet 1".to_owned(), InterfaceView::Full));
        assert_eq!(words("veth1 counters"), ("veth1".to_owned(), InterfaceView::Counters));
    }
}
