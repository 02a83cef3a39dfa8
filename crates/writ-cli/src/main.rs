//! The `writ` binary: a thin face over the crates below it. It reads arguments, prints, and maps outcomes to exit codes; it decides nothing.

mod args;
mod audit;
mod authorize;
mod demo;
mod domain;
mod error;
mod init;
mod keys;
mod log;
mod orders;
mod render;
mod run;
mod starter;
mod status;
mod time;
mod up;
mod verify;
mod who;

use args::{Args, Command, LogCommand};
use clap::{CommandFactory, Parser};
use error::CliError;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers; everything else is a usage error.
            let code = if error.use_stderr() { 2 } else { 0 };
            if error.print().is_err() {
                return ExitCode::from(3);
            }
            return ExitCode::from(code);
        }
    };
    let json = args.json;
    match run(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print(json);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(args: Args) -> Result<u8, CliError> {
    let json = args.json;
    let done = match args.command {
        Command::Run(command) => return run::run(&command, json),
        Command::Up(up) => up::run(&up, json),
        Command::Authorize(authorize) => authorize::run(&authorize, json),
        Command::Revoke(revoke) => orders::revoke(&revoke, json),
        Command::Halt(halt) => orders::halt(&halt, json),
        Command::Status(status) => status::run(&status, json),
        Command::Demo(demo) => demo::run(&demo, json),
        Command::Doctor(doctor) => status::doctor(&doctor, json),
        Command::Init(init) => init::run(&init, json),
        Command::Log(log) => match log.command {
            LogCommand::Show(show) => log::show(&log.place, &show, json),
            LogCommand::Tail(tail) => log::tail(&log.place, &tail, json),
            LogCommand::Bundle(bundle) => log::bundle(&log.place, &bundle, json),
            LogCommand::Serve(serve) => log::serve(&log.place, &serve, json),
            LogCommand::AcceptMark(accept) => log::accept_mark(&log.place, &accept, json),
        },
        Command::Verify(verify) => verify::run(&verify, json),
        Command::Audit(audit) => audit::run(&audit, json),
        Command::Completions(completions) => {
            clap_complete::generate(completions.shell, &mut Args::command(), "writ", &mut std::io::stdout());
            Ok(())
        }
    };
    done.map(|()| 0)
}
