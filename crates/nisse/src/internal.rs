//! What nisse runs in child processes of its own.

mod feed;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use nisse_vault::{VaultChildError, VaultPaths, vault_child_main, vault_reader_main};

use crate::cli::Internal;
use crate::failure::{Exit, Failure};

pub(crate) fn run(command: Internal) -> Result<(), Failure> {
    match command {
        Internal::Compile => {
            let compiled = nisse_sandbox::compile_child_main(&mut std::io::stdin(), &mut std::io::stdout());
            compiled.map_err(|error| Failure::new(Exit::Failed, format!("failed to {error}")))
        }
        Internal::Vault { dir, credential, sealed, read_only } => {
            let paths = VaultPaths { folder: dir.join("vault"), key_file: dir.join("keys/vault"), credential };
            let socket = std::io::stdin().as_fd().try_clone_to_owned();
            let kept =
                socket.map_err(VaultChildError::from).map(UnixStream::from).and_then(|mut socket| match read_only {
                    true => vault_reader_main(&paths, sealed, &mut socket),
                    false => vault_child_main(&paths, sealed, &mut socket),
                });
            kept.map_err(|error| Failure::new(Exit::Failed, format!("failed to {error}")))
        }
        Internal::Feed { dir, listen } => feed::run(&dir, listen),
    }
}
