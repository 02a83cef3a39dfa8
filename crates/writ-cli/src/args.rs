use crate::certificate::KeyCertificate;
use crate::holds::{Answer, Holds, Waiting, Withdraw};
use crate::mandates::MandateCommand;
use crate::orders::RevokeTarget;
use crate::policy::args as policy;
pub(crate) use crate::reach::{As, Reach};
pub(crate) use crate::up::args::Up;
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

/// `writ run` and nothing else. To describe every command takes longer than to start a program.
#[derive(Parser)]
#[command(name = "writ")]
struct OnlyRun {
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: RunCommand,
}

#[derive(Subcommand)]
enum RunCommand {
    Run(Run),
}

impl Args {
    /// Whether this process may be there to run a command. It is not, whatever a folder is called, where none of its words says so.
    pub(crate) fn may_be_run() -> bool {
        std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "run")
    }

    /// Reads the arguments of this process. What is no complete `writ run` is read with all commands in view, which say what is wrong.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        match Self::may_be_run().then(OnlyRun::try_parse) {
            Some(Ok(OnlyRun { json, command: RunCommand::Run(run) })) => Ok(Self { json, command: Command::Run(run) }),
            Some(Err(_)) | None => Self::try_parse(),
        }
    }
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or something found, 2 wrong usage, 3 could not be done. \
`writ run` ends as its command does; it has codes of its own, see `writ run --help`";

const RUN_CODES: &str =
    "Exit codes: those of the command; 126 refused, 127 no such program, 125 `writ run` itself failed, 2 wrong usage";

const REVOKE_HELP: &str = "A revocation is for good and takes effect at once: nothing that rests on its target starts any more. \
Executions already running go on until they end; how many rest on its target is printed, and `writ ps` lists them. What was revoked gets a new key, \
principal or writ. `writ log revocations` lists what is revoked.";

const HALT_HELP: &str = "No execution starts any more, from the moment the halt is recorded. Executions already running go on until they end; \
how many is printed, and `writ ps` lists them. A halt ends by an order of the root members alone: stop the node, \
`writ root resume` with enough of their key files, start the node again.";

const BACKTEST_HELP: &str = "Reads the store alone, beside a running node or without one. Ends with 0 if every decision could be decided again and nobody \
would be answered otherwise, with 1 if somebody would, or if a decision rests on erased values: what cannot be decided again proves nothing. Other \
reasons or terms for the same answer are listed and change nothing of that.";

const REPLAY_HELP: &str = "Reads the store alone, beside a node or without one, and ends with 1 if the decision does not come out the same or rests on erased \
values. Each clause is told with its truth and with what it read; `(not asked)` is a clause that could change nothing any more. A change that \
is told has been decided: the request so changed would be permitted by that policy set.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a new domain: keys, ledger, trust root
    Init(Init),
    /// Start the node of a domain: it decides, records, and serves what it recorded
    Up(Up),
    /// Run a command as a governed execution: measured, authorized, recorded, ended with its whole tree
    Run(Run),
    /// Ask for a writ that is handed over and presented later with `writ run --writ`
    Authorize(Authorize),
    /// Show what waits for approval
    Holds(Holds),
    /// Approve what waits, by a person's key
    Approve(Answer),
    /// Refuse what waits, by a person's key
    Reject(Answer),
    /// Take back what you have asked and what waits for approval, by your key
    Withdraw(Withdraw),
    /// Say who is for what: what runs under a mandate stays within it
    #[command(subcommand)]
    Mandate(MandateCommand),
    /// Withdraw trust from a writ, key, principal, policy set, lineage, gateway or mandate
    Revoke(Revoke),
    /// Start nothing more in the domain; what runs already goes on until it ends
    Halt(Halt),
    /// Erase values from the vault, for good
    Erase(crate::erase::Args),
    /// Who may execute: gateways beside those of the node's own machine
    Gateway(crate::gateway::Args),
    /// Orders of the root members, who alone end a halt
    Root(Root),
    /// Keys of principals
    Key(KeyArgs),
    /// Policies: writing, testing and publishing them
    Policy(PolicyArgs),
    /// Entities beside those of the policy set: who is in which group
    Entity(crate::entity::Args),
    /// Show what has begun and not ended
    Ps(crate::ps::Args),
    /// Show how a domain stands
    Status(Status),
    /// Look for what would keep this machine from governing executions
    Doctor(Doctor),
    /// Read a ledger
    Log(Log),
    /// Verify an evidence bundle or a writ, offline
    Verify(Verify),
    /// Audit a whole ledger: hashes, signatures, order, projections, vault, mark
    Audit(Audit),
    /// Derive one decision again, byte for byte, and explain it clause by clause
    Replay(Replay),
    /// Show it live in a folder of its own: what is permitted runs, some forty attacks are refused, the evidence verifies
    Demo(Demo),
    /// Show where an execution comes from, what it has caused, and what it carries
    Lineage(crate::lineage::Args),
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
    /// Name of the first person, who may run and stop things [default: your login, from USER or LOGNAME, else uid-NUMBER]
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Begin with a policy that permits no execution, to be learnt from what runs: `writ run --shadow`, `writ policy learn --shadow`
    #[arg(long)]
    pub(crate) empty: bool,
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
    Tail(Box<crate::log::tail::Tail>),
    /// Show what is revoked, a line each
    Revocations,
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
    /// Address to listen on; whoever reaches it can read every entry
    #[arg(long, default_value = "127.0.0.1:8733", value_name = "ADDRESS:PORT", value_parser = crate::up::args::address)]
    pub(crate) listen: std::net::SocketAddr,
}

#[derive(ClapArgs)]
pub(crate) struct AcceptMark {
    /// Yes, I know that this store is the newest one
    #[arg(long)]
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
    /// Derive every grant, denial, hold and shadow again, from the policy, the action and the facts it was recorded to stand on; one that
    /// does not come out the same is a finding, one that rests on erased values is named
    #[arg(long)]
    pub(crate) replay: bool,
    /// Audit without the mark: an older copy of the store is then not noticed
    #[arg(long, conflicts_with = "mark")]
    pub(crate) no_mark: bool,
}

#[derive(ClapArgs)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The index of its entry, or the id of the writ, denial, request or execution
    #[arg(value_name = "INDEX|ID")]
    pub(crate) decision: String,
}

#[derive(ClapArgs)]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}

#[derive(ClapArgs)]
#[command(after_help = RUN_CODES)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) who: As,
    /// Present this writ instead of asking for one
    #[arg(long, value_name = "FILE", conflicts_with = "as")]
    pub(crate) writ: Option<PathBuf>,
    /// The key of the writ's holder [default: the writ's file with .key]
    #[arg(long, value_name = "FILE", requires = "writ")]
    pub(crate) holder: Option<PathBuf>,
    /// Stay within this mandate, and whatever it causes with it: the index of its entry, as `writ mandate list` shows it
    #[arg(long, value_name = "INDEX", conflicts_with = "writ")]
    pub(crate) mandate: Option<u64>,
    /// What it carries from its beginning, and whatever it causes with it, beside what policy says; once for each
    #[arg(long, value_name = "LABEL", value_parser = crate::lineage::label, conflicts_with = "shadow")]
    pub(crate) label: Vec<writ_protocol::Label>,
    /// Enforce nothing: record what policy would answer, say it if that is a refusal, and become the command, unconfined, whatever came of
    /// it; also if the node cannot be reached, for which it waits five seconds at most
    #[arg(long, conflicts_with_all = ["writ", "holder"])]
    pub(crate) shadow: bool,
    #[command(flatten)]
    pub(crate) patience: Waiting,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) argv: Vec<std::ffi::OsString>,
}

#[derive(ClapArgs)]
pub(crate) struct Authorize {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) who: As,
    /// Stay within this mandate, and whatever it causes with it: the index of its entry, as `writ mandate list` shows it
    #[arg(long, value_name = "INDEX")]
    pub(crate) mandate: Option<u64>,
    /// File to write the writ to; its holder's key is written beside it, with .key
    #[arg(short, long, value_name = "FILE", required_unless_present = "shadow")]
    pub(crate) output: Option<PathBuf>,
    /// Ask for no writ, only for what policy would answer; that is recorded. Ends with 1 if it would be refused
    #[arg(long, conflicts_with = "output")]
    pub(crate) shadow: bool,
    /// Say of a refusal everything that policy says of the request, and of a writ which policies permit it
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) patience: Waiting,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) argv: Vec<std::ffi::OsString>,
}

#[derive(ClapArgs)]
#[command(after_help = REVOKE_HELP)]
pub(crate) struct Revoke {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) who: As,
    #[command(flatten)]
    pub(crate) target: RevokeTarget,
    /// Revoke in advance: the principal or gateway need not exist yet
    #[arg(long)]
    pub(crate) unknown_ok: bool,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    pub(crate) reason: String,
}

#[derive(ClapArgs)]
#[command(after_help = HALT_HELP)]
pub(crate) struct Halt {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) who: As,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    pub(crate) reason: String,
}

#[derive(ClapArgs)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(ClapArgs)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(ClapArgs)]
pub(crate) struct Demo {
    /// Folder to play in; must not exist yet [default: a new one in the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Keep the folder: domain, ledger, bundles
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Root {
    #[command(subcommand)]
    pub(crate) command: RootCommand,
}

#[derive(Subcommand)]
pub(crate) enum RootCommand {
    /// End a halt: the order is signed by root members and recorded while no node runs
    Resume(Resume),
    /// Pin who signs policy sets: from then on no folder is followed, and every set is published as a signed bundle
    PolicyAuthors(PolicyAuthors),
}

#[derive(ClapArgs)]
pub(crate) struct PolicyAuthors {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The key file of a root member, once for each who signs [default: all of DIR/root-keys]
    #[arg(long = "member", value_name = "FILE")]
    pub(crate) members: Vec<PathBuf>,
    /// The public key of an author, in hexadecimal, or the file with its seed; once for each
    #[arg(long = "author", value_name = "KEY|FILE", required = true)]
    pub(crate) authors: Vec<String>,
    /// How many of them must sign
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=16))]
    pub(crate) threshold: u64,
    #[command(flatten)]
    pub(crate) solver: Solver,
}

#[derive(ClapArgs)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The key file of a root member, once for each who signs [default: all of DIR/root-keys]
    #[arg(long = "member", value_name = "FILE")]
    pub(crate) members: Vec<PathBuf>,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    pub(crate) reason: String,
}

#[derive(ClapArgs)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make the key of a new person, agent or workload, and say what belongs into the policy folder
    New(NewKey),
    /// Write the key of a principal as a certificate, which shows it to an https node for a whole connection
    Certificate(KeyCertificate),
}

#[derive(ClapArgs)]
pub(crate) struct NewKey {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Whose, like Agent::scout; the seed is written to DIR/keys/principals/TYPE/ID.seed
    #[arg(long, value_name = "TYPE::ID")]
    pub(crate) principal: String,
    /// A group of the new principal that is in entities.json; once for each
    #[arg(long = "group", value_name = "NAME")]
    pub(crate) groups: Vec<String>,
    /// Add the principal to principals.json and entities.json of the policy folder
    #[arg(long)]
    pub(crate) add: bool,
}

#[derive(ClapArgs)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Start a working folder: starter policies for the first day, fixtures, a README
    New(policy::New),
    /// Put a policy folder through the gates as the node would, and print every finding with its place
    Check(Check),
    /// Print the whole schema of a policy folder, for an editor that checks while you type
    Schema(policy::Schema),
    /// Decide every fixture of a policy folder, and say what is not as it should be
    Test(policy::Test),
    /// Show what changed between two sets, policy by policy
    Diff(policy::Diff),
    /// Make the key of an author of policies
    Author(policy::Author),
    /// Make a bundle of a policy folder, or add signatures to one
    Sign(policy::Sign),
    /// Put the set of a signed bundle in force
    Publish(policy::Publish),
    /// Show which sets were in force, who signed them, and what they passed
    History(policy::History),
    /// Decide every recorded decision again under another policy folder, and say whom it would newly permit, deny or hold
    Backtest(Backtest),
    /// Propose the policies that permit what was done and as little else as can be said, with the evidence for each line
    Learn(policy::Learn),
}

#[derive(ClapArgs)]
#[command(after_help = BACKTEST_HELP)]
pub(crate) struct Backtest {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The candidate folder
    pub(crate) folder: PathBuf,
}

#[derive(ClapArgs)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The folder, or a bundle [default: DIR/policy of the domain]
    pub(crate) folder: Option<PathBuf>,
    /// Check again whenever something in the folder changes, until Ctrl-C
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Have a solver prove that no policy can fail and that the set keeps to its guardrails
    #[arg(long)]
    pub(crate) prove: bool,
    /// With --prove: show what is permitted that this set, a folder or a bundle, does not permit
    #[arg(long, value_name = "SET", requires = "prove")]
    pub(crate) against: Option<PathBuf>,
    /// Ask the ledger's newest decisions too: who would be answered otherwise than under the set in force
    #[arg(long)]
    pub(crate) history: bool,
    #[command(flatten)]
    pub(crate) solver: Solver,
}

/// Who proves what a policy set can never do.
#[derive(ClapArgs)]
pub(crate) struct Solver {
    /// The solver, cvc5 1.3.1 or later: a file, or a name on the path of programs
    #[arg(long, env = "WRIT_SOLVER", default_value = "cvc5", value_name = "PROGRAM")]
    pub(crate) solver: PathBuf,
}

impl Solver {
    pub(crate) fn command(&self) -> writ_server::SolverCommand {
        writ_server::SolverCommand::new(&self.solver)
    }
}
