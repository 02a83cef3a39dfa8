//! The arguments of `writ policy`, but for those of `check` and `backtest`.

use crate::args::{As, Place, Reach};
use clap::Args as ClapArgs;
use std::path::PathBuf;

#[derive(ClapArgs)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The folder, or a bundle [default: DIR/policy of the domain]
    pub(crate) folder: Option<PathBuf>,
    /// Show only what fails
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(ClapArgs)]
pub(crate) struct New {
    /// The folder; must not exist yet
    pub(crate) dir: PathBuf,
    /// Name of the first person [default: your login, from USER or LOGNAME, else uid-NUMBER]
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
}

#[derive(ClapArgs)]
pub(crate) struct Schema {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The folder [default: DIR/policy of the domain]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(crate) struct Diff {
    /// The set as it was: a folder or a bundle
    pub(crate) before: PathBuf,
    /// The set as it shall be: a folder or a bundle
    pub(crate) after: PathBuf,
}

#[derive(ClapArgs)]
pub(crate) struct Author {
    /// File for the seed of the new key; its owner keeps it
    #[arg(value_name = "FILE")]
    pub(crate) seed: PathBuf,
}

/// How long a signed set may be put in force, and by whom it is signed.
#[derive(ClapArgs)]
pub(crate) struct Signing {
    /// The key of an author who signs, once for each
    #[arg(long = "author", value_name = "FILE")]
    pub(crate) authors: Vec<PathBuf>,
    /// Days within which the set may be put in force; what is in force stays so
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=366))]
    pub(crate) days: u64,
    /// What you know to be wider than before, and accept: policy:ID, guardrail:ID, entities, schema, semantics, or wider for whatever it is; and who would be answered otherwise: history:newly_permitted, history:newly_denied, history:newly_held, history:undecided
    #[arg(long = "accept", value_name = "WHAT")]
    pub(crate) accepts: Vec<String>,
    /// The epoch it is for [default: the one after that in force, as the node says]
    #[arg(long, value_name = "N", requires = "replaces", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) epoch: Option<u64>,
    /// Digest of the set that it replaces [default: the one in force, as the node says]
    #[arg(long, value_name = "HASH", requires = "epoch")]
    pub(crate) replaces: Option<String>,
}

#[derive(ClapArgs)]
pub(crate) struct Sign {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) signing: Signing,
    /// A folder to make a bundle of, or a bundle that gets more signatures
    pub(crate) source: PathBuf,
    /// File to write the bundle to
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(ClapArgs)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) who: As,
    #[command(flatten)]
    pub(crate) signing: Signing,
    /// A bundle, or with --author a folder that is signed and published at once
    pub(crate) source: PathBuf,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    pub(crate) reason: String,
}

#[derive(ClapArgs)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Show too which bundles were refused, and why; reads the whole ledger
    #[arg(long)]
    pub(crate) refused: bool,
    /// Show the whole report of the gates with each set
    #[arg(long)]
    pub(crate) report: bool,
}

const LEARN_HELP: &str = "Prints the difference from the folder, as `patch -p1` takes it; everything but its permits of executions stays. Each principal gets each \
program it has run, with exactly the commands and folders seen; where those are more than can be written out, it says what is left open. The \
proposal compiles, or there is none, and is tried against history at once. It is put in force by nobody but you.";

#[derive(ClapArgs)]
#[command(after_help = LEARN_HELP)]
pub(crate) struct Learn {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The folder to begin with [default: DIR/policy of the domain]
    pub(crate) folder: Option<PathBuf>,
    /// Learn from what no policy permitted too; never from what a policy forbade
    #[arg(long)]
    pub(crate) refused: bool,
    /// Learn from what was asked in shadow too: what would have been permitted, and what no policy would have
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Write the whole proposed folder here; must not exist yet
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
}
