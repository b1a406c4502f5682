//! `wasmtime serve`, as its authors wrote it: their command line, their defaults, this process.

use clap::Parser as _;
use wasmtime_cli::commands::ServeCommand;

fn main() -> anyhow::Result<()> {
    ServeCommand::parse().execute().map_err(|error| anyhow::anyhow!("{error:#}"))
}
