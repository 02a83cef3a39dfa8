//! The `writ` binary: a thin face over the crates below it. It reads arguments, prints, and maps outcomes to exit codes; it decides nothing.

mod args;
mod audit;
mod authorize;
mod backtest;
mod beside;
mod certificate;
mod demo;
mod doctor;
mod domain;
mod entity;
mod erase;
mod error;
mod explained;
mod gateway;
mod holds;
mod init;
mod key;
mod keys;
mod known;
mod learn;
mod lineage;
mod log;
mod mandates;
mod orders;
mod paint;
mod policy;
mod ps;
mod reach;
mod refused;
mod render;
mod replay;
mod root;
mod run;
mod shadow;
mod starter;
mod status;
mod time;
mod up;
mod verify;
mod who;

use args::{Args, Command, KeyCommand, LogCommand, PolicyCommand, RootCommand};
use clap::CommandFactory;
use error::CliError;
use mimalloc::MiMalloc;
use std::process::ExitCode;
use writ_gateway_process::Memory;
use writ_protocol::entry::Verdict;

/// What one thread of a node allocates another frees, thousands of times a second, which the system's allocator is slow at. What only starts
/// something has no use for that.
#[global_allocator]
static MEMORY: Memory<MiMalloc> = Memory::new(MiMalloc);

fn main() -> ExitCode {
    // Before the arguments are parsed, since the parser of so many commands takes more than belongs to a start.
    let decided = if Args::may_be_run() { MEMORY.stay_small() } else { MEMORY.grow_large() };
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => return misused(&error),
    };
    debug_assert!(decided || !matches!(args.command, Command::Up(_)), "the start takes more than early memory has");
    let json = args.json;
    let runs = matches!(args.command, Command::Run(_));
    match run(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let exit = match error.exit_code() {
                // A status of 3 may be the command's own; 125 is what `env` and `timeout` end with when they fail themselves.
                3 if runs => run::FAILED,
                exit => exit,
            };
            error.print(json, exit);
            ExitCode::from(exit)
        }
    }
}

/// Help and version are answers; everything else is a usage error, as JSON if that was asked for.
fn misused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && json_was_asked() {
        let told = error.to_string();
        CliError::Usage(told.trim().trim_start_matches("error: ").to_owned()).print(true, 2);
        return ExitCode::from(2);
    }
    match error.print() {
        Ok(()) if error.use_stderr() => ExitCode::from(2),
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(3),
    }
}

/// What cannot be parsed may still say `--json`, before the words that belong to a command.
fn json_was_asked() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

fn run(args: Args) -> Result<u8, CliError> {
    let json = args.json;
    let done = match args.command {
        Command::Run(command) => return run::run(&command, json),
        Command::Up(up) => up::run(&up, json),
        Command::Authorize(authorize) => authorize::run(&authorize, json),
        Command::Holds(shown) => holds::run(&shown, json),
        Command::Approve(answer) => holds::answer(&answer, Verdict::Approve, json),
        Command::Reject(answer) => holds::answer(&answer, Verdict::Reject, json),
        Command::Withdraw(withdrawn) => holds::withdraw(&withdrawn, json),
        Command::Mandate(command) => mandates::run(&command, json),
        Command::Revoke(revoke) => orders::revoke(&revoke, json),
        Command::Halt(halt) => orders::halt(&halt, json),
        Command::Entity(entity) => entity::run(&entity, json),
        Command::Erase(erased) => erase::run(&erased, json),
        Command::Gateway(args) => gateway::run(&args, json),
        Command::Ps(args) => ps::run(&args, json),
        Command::Status(status) => status::run(&status, json),
        Command::Demo(demo) => demo::run(&demo, json),
        Command::Doctor(doctor) => doctor::run(&doctor, json),
        Command::Init(init) => init::run(&init, json),
        Command::Key(key) => match key.command {
            KeyCommand::New(new) => key::new(&new, json),
            KeyCommand::Certificate(args) => certificate::run(&args, json),
        },
        Command::Policy(policy) => match policy.command {
            PolicyCommand::New(new) => policy::new(&new, json),
            PolicyCommand::Check(check) => policy::check(&check, json),
            PolicyCommand::Schema(schema) => policy::schema(&schema, json),
            PolicyCommand::Test(test) => policy::test(&test, json),
            PolicyCommand::Diff(diff) => policy::diff(&diff, json),
            PolicyCommand::Author(author) => policy::author(&author, json),
            PolicyCommand::Sign(sign) => policy::sign(&sign, json),
            PolicyCommand::Publish(publish) => policy::publish(&publish, json),
            PolicyCommand::History(history) => policy::history(&history, json),
            PolicyCommand::Learn(learnt) => learn::run(&learnt, json),
            PolicyCommand::Backtest(tried) => backtest::run(&tried, json),
        },
        Command::Root(root) => match root.command {
            RootCommand::Resume(resume) => root::resume(&resume, json),
            RootCommand::PolicyAuthors(authors) => root::policy_authors(&authors, json),
        },
        Command::Log(log) => match log.command {
            LogCommand::Show(show) => log::show(&log.place, &show, json),
            LogCommand::Tail(tail) => log::tail::run(&log.place, &tail, json),
            LogCommand::Revocations => log::revocations(&log.place, json),
            LogCommand::Bundle(bundle) => log::bundle(&log.place, &bundle, json),
            LogCommand::Serve(serve) => log::serve(&log.place, &serve, json),
            LogCommand::AcceptMark(accept) => log::accept_mark(&log.place, &accept, json),
        },
        Command::Verify(verify) => verify::run(&verify, json),
        Command::Audit(audit) => audit::run(&audit, json),
        Command::Lineage(lineage) => lineage::run(&lineage, json),
        Command::Replay(replay) => replay::run(&replay, json),
        Command::Completions(completions) => {
            let mut script = Vec::new();
            clap_complete::generate(completions.shell, &mut Args::command(), "writ", &mut script);
            error::write(&script)
        }
    };
    done.map(|()| 0)
}
