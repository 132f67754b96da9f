//! Development tasks, run as `cargo xtask TASK`.
//!
//! Each task is a file. Tasks call programs; they hold no logic of the engine.

mod bench;
mod check;
mod fuzz;
mod options;
mod packages;
mod release;
mod run;
mod test;
mod tidy;
mod tree;
mod vm;

use std::process::ExitCode;

use run::{Failure, say};

const USAGE: &str = "\
usage: cargo xtask TASK

  test [--no-install]   install what the tests need from Debian packages, then run all tests
  e2e [--against docker [--record]] [FILTER...]
                        only the end-to-end tests; --against docker runs the same scripts
                        against the real Docker of ../shared/peers, --record writes its
                        answers into tests/e2e/transcripts
  check                 rustfmt, clippy, tidy
  tidy                  the layering and the rules of the house
  vm-test [FILTER...]   end-to-end tests in a virtual machine with cgroup v2 alone and
                        Debian's kernel (by default those of resources)
  fuzz [--seconds N] [TARGET...]
                        feeds every parser of foreign bytes (fuzz/) for N seconds each (60)
  release               build the release binary; refuse one that is too large or not static
  bench [FILTER...] [--rounds N] [--against NAME] [--json FILE] [--load FILE] [--list]
                        this engine, the real Docker and Podman in turns: medians and ratios
                        of wall and processor time, and memory, with the targets of the rows
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => packages::install().and_then(|()| test::all()),
        ["test", "--no-install"] => test::all(),
        ["e2e", "--against", "docker", "--record", filter @ ..] => {
            test::end_to_end_against_docker(filter, true)
        }
        ["e2e", "--against", "docker", filter @ ..] => {
            test::end_to_end_against_docker(filter, false)
        }
        ["e2e", filter @ ..] => test::end_to_end(filter),
        ["check"] => check::run(),
        ["tidy"] => tidy::run(),
        ["vm-test", filter @ ..] => vm::test(filter),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["release"] => release::build(),
        ["bench", rest @ ..] => bench::run(rest),
        _ => Err(Failure::new(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}
