//! Makes the test vectors: `vectors write DIR`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command tells what it did")]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", directory] => match writ_testing::vectors::write(Path::new(directory)) {
            Ok(count) => {
                println!("{count} vectors written below {directory}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("vectors: {directory}: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: vectors write DIR");
            ExitCode::from(2)
        }
    }
}
