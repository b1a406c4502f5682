//! What nisse runs in child processes of its own.

mod feed;

use crate::cli::Internal;
use crate::failure::{Exit, Failure};

pub(crate) fn run(command: Internal) -> Result<(), Failure> {
    match command {
        Internal::Compile => {
            let compiled = nisse_sandbox::compile_child_main(&mut std::io::stdin(), &mut std::io::stdout());
            compiled.map_err(|error| Failure::new(Exit::Failed, format!("failed to {error}")))
        }
        Internal::Feed { dir, listen } => feed::run(&dir, listen),
    }
}
