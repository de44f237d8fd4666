//! What the daemon was started with: the command line, over an optional TOML file, over defaults.

use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Deserialize;

use crate::listen::{Listen, ListenError};

/// Where the store is, unless said otherwise.
const DATA_DIR: &str = "/var/lib/weft/supervisor";
/// Where operators connect, unless said otherwise.
const LISTEN_ADMIN: &str = "unix:/run/weft/supervisor.sock";
/// Where dataplanes connect, unless said otherwise.
const LISTEN_DATAPLANE: &str = "tcp:127.0.0.1:7430";

/// The supervisor of a Weft switch: keeps its configuration and pushes it to the dataplanes.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "weft-supervisor", version)]
pub struct Arguments {
    /// TOML file with the same settings, in snake_case
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the store [default: /var/lib/weft/supervisor]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where operators connect [default: unix:/run/weft/supervisor.sock]
    #[arg(long, value_name = "unix:PATH|tcp:IP:PORT")]
    pub listen_admin: Option<String>,
    /// Where dataplanes connect [default: tcp:127.0.0.1:7430]
    #[arg(long, value_name = "unix:PATH|tcp:IP:PORT")]
    pub listen_dataplane: Option<String>,
    /// Allow addresses that other machines can reach, without transport security
    #[arg(long)]
    pub insecure_listen: bool,
}

/// The file of `--config`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen_admin: Option<String>,
    listen_dataplane: Option<String>,
    #[serde(default)]
    insecure_listen: bool,
}

/// What the daemon runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Directory of the store.
    pub data_dir: PathBuf,
    /// Where operators connect.
    pub listen_admin: Listen,
    /// Where dataplanes connect.
    pub listen_dataplane: Listen,
}

/// Why the daemon cannot run with what it was started with.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or says something unknown.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// An address is wrong, or others can reach it.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl Options {
    /// Merges the command line, the file and the defaults, and checks them.
    ///
    /// # Errors
    /// The file cannot be read, or an address is not one or may not be listened on.
    pub fn resolve(arguments: Arguments) -> Result<Self, OptionsError> {
        let file = arguments.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let is_insecure = arguments.insecure_listen || file.insecure_listen;
        let listen = |argument: Option<String>, file: Option<String>, default: &str| {
            let text = argument.or(file).unwrap_or_else(|| default.to_owned());
            let listen: Listen = text.parse()?;
            listen.check_exposure(is_insecure)?;
            Ok::<_, ListenError>(listen)
        };
        Ok(Self {
            data_dir: arguments.data_dir.or(file.data_dir).unwrap_or_else(|| DATA_DIR.into()),
            listen_admin: listen(arguments.listen_admin, file.listen_admin, LISTEN_ADMIN)?,
            listen_dataplane: listen(
                arguments.listen_dataplane,
                file.listen_dataplane,
                LISTEN_DATAPLANE,
            )?,
        })
    }
}

fn read(path: &Path) -> Result<File, OptionsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| OptionsError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|source| OptionsError::Parse { path: path.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_nothing_listens_beyond_this_machine() {
        let options = Options::resolve(Arguments::default()).unwrap();
        assert_eq!(options.data_dir, Path::new(DATA_DIR));
        assert_eq!(options.listen_admin.to_string(), LISTEN_ADMIN);
        assert_eq!(options.listen_dataplane.to_string(), LISTEN_DATAPLANE);
    }

    #[test]
    fn the_command_line_goes_over_the_file_over_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.toml");
        std::fs::write(&path, "data_dir = \"/a\"\nlisten_dataplane = \"tcp:127.0.0.1:1\"\n")
            .unwrap();
        let arguments = Arguments {
            config: Some(path.clone()),
            data_dir: Some("/b".into()),
            ..Arguments::default()
        };
        let options = Options::resolve(arguments.clone()).unwrap();
        assert_eq!(options.data_dir, Path::new("/b"));
        assert_eq!(options.listen_dataplane.to_string(), "tcp:127.0.0.1:1");
        std::fs::write(&path, "data-dir = \"/a\"\n").unwrap();
        let error = Options::resolve(arguments).unwrap_err().to_string();
        assert!(error.contains("unknown field `data-dir`"), "{error}");
    }

    #[test]
    fn an_exposed_address_needs_the_flag() {
        let arguments = |insecure_listen| Arguments {
            listen_dataplane: Some("0.0.0.0:7430".to_owned()),
            insecure_listen,
            ..Arguments::default()
        };
        assert!(matches!(
            Options::resolve(arguments(false)),
            Err(OptionsError::Listen(ListenError::Exposed(_)))
        ));
        assert!(Options::resolve(arguments(true)).is_ok());
    }
}
