use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Execution control: nothing runs without a writ, and everything that happened can be verified by anyone.
#[derive(Parser)]
#[command(name = "writ", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Print JSON instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or something found, 2 wrong usage, 3 could not be done";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a new domain: keys, ledger, trust root
    Init(Init),
    /// Read a ledger
    Log(Log),
    /// Verify an evidence bundle or a writ, offline
    Verify(Verify),
    /// Audit a whole ledger: hashes, signatures, order, projections, vault, mark
    Audit(Audit),
    /// Print shell completions
    Completions(Completions),
}

#[derive(ClapArgs)]
pub(crate) struct Init {
    /// Folder of the new domain; must not exist yet
    pub(crate) dir: PathBuf,
    /// Name of the ledger, like a URL without a scheme: example.com/ledger
    #[arg(long)]
    pub(crate) origin: String,
    /// How many root members there are
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) root_members: usize,
    /// How many of them must sign
    #[arg(long, default_value_t = 2, value_name = "K")]
    pub(crate) root_threshold: u64,
    /// Where the root members' keys are written, one file each; move them offline [default: DIR/root-keys]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) root_keys: Option<PathBuf>,
    /// Where the high-water mark is kept, best on another disk [default: below the state folder of the user]
    #[arg(long, env = "WRIT_MARK", value_name = "FILE")]
    pub(crate) mark: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(crate) struct Place {
    /// Folder of the domain
    #[arg(long, global = true, env = "WRIT_DOMAIN", default_value = ".", value_name = "DIR")]
    pub(crate) domain: PathBuf,
    /// The high-water mark, if it is not where `writ init` puts it
    #[arg(long, global = true, env = "WRIT_MARK", value_name = "FILE")]
    pub(crate) mark: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(crate) struct Log {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

#[derive(Subcommand)]
pub(crate) enum LogCommand {
    /// Show one entry with everything in it
    Show(Show),
    /// Show the newest entries, a line each
    Tail(Tail),
    /// Write the evidence bundle of an entry
    Bundle(Bundle),
    /// Serve checkpoint and tiles over HTTP (C2SP tlog-tiles), read only
    Serve(Serve),
    /// Declare that the store is the newest although its mark is lost
    AcceptMark(AcceptMark),
}

#[derive(ClapArgs)]
pub(crate) struct Show {
    /// Index of the entry
    pub(crate) index: u64,
}

#[derive(ClapArgs)]
pub(crate) struct Tail {
    /// How many entries
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    pub(crate) entries: u64,
    /// Go on and show entries as they come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show seals too
    #[arg(long)]
    pub(crate) seals: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Bundle {
    /// Index of the entry the bundle is about
    pub(crate) index: u64,
    /// File to write [default: INDEX.writ-bundle]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Put the values behind the commitments in, so that the reader sees what was asked
    #[arg(long)]
    pub(crate) disclose: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Serve {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8733", value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
}

#[derive(ClapArgs)]
pub(crate) struct AcceptMark {
    /// Yes, I know that this store is the newest one
    #[arg(long, required = true)]
    pub(crate) yes: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Verify {
    /// The bundle or the writ
    pub(crate) file: PathBuf,
    /// The trust root that pins the domain
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
}

#[derive(ClapArgs)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The trust root to hold the ledger against, best from a safe place [default: DIR/trust-root]
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Audit without the mark: an older copy of the store is then not noticed
    #[arg(long, conflicts_with = "mark")]
    pub(crate) no_mark: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}
