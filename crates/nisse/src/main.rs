//! The binary: reads flags, runs one command, turns its end into words and an exit code.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod config;
mod demo;
mod duration;
mod events;
mod failure;
mod internal;
mod kit;
mod output;
mod progress;
mod rehearsal;
mod remote;
mod secret_input;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.shared.json;
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
