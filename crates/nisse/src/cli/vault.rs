//! What keeps, uses and watches secrets.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum VaultCommand {
    /// Show whether it is sealed, and what unlocks it
    Status,
    /// Replace what unlocks it; each of these does so by itself, and nothing else does from then on
    #[command(group = clap::ArgGroup::new("way").required(true).multiple(true))]
    Protect {
        /// A new passphrase, asked for or read from stdin: the node starts sealed
        #[arg(long, group = "way")]
        passphrase: bool,
        /// The systemd credential `nisse-vault` of this unit: the node starts unlocked on this machine
        #[arg(long, group = "way")]
        credential: bool,
        /// A key file in the home: the node starts unlocked, and whoever reads the disk reads the secrets
        #[arg(long, group = "way")]
        key_file: bool,
    },
    /// Write all secrets and keys to stdout, encrypted to recipients of age
    Export {
        /// Who can read it, `age1…`, besides `vault.recovery` of the configuration; may be given several times
        #[arg(long, value_name = "RECIPIENT")]
        to: Vec<String>,
    },
    /// Draw a key for exports: its secret part, for paper or another machine, to stdout; who it is for, to stderr
    Keygen,
    /// Put what `vault export` wrote into the vault of this home, while no node runs on it
    Restore {
        /// What was exported
        file: PathBuf,
        /// The identity of age that it was encrypted to, as `age-keygen` writes it
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    /// Keep a secret of a new name; its value is asked for, or read from stdin
    Set { name: String },
    /// List them, without their values
    Ls,
    /// Put a new value in the place of the old one
    Rotate { name: String },
    /// Forget one
    Rm { name: String },
}

#[derive(Subcommand)]
pub(crate) enum WalletCommand {
    /// Show this home's keys and what they have
    Show,
    /// Write a wallet's secret key to stdout, for another program that signs with it
    Export {
        /// Which one
        #[arg(default_value = "operator", value_parser = ["operator", "deployer"])]
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the last lines
    Ls {
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
    },
    /// Check that each line follows from the one before
    Verify {
        /// A file that `audit export` wrote [default: the log of the running node]
        file: Option<PathBuf>,
        /// What an earlier `verify` printed as its head: the log has to contain it
        #[arg(long, value_name = "LINES:HASH")]
        since: Option<String>,
    },
    /// Write all lines to a new file, one JSON document each
    Export { file: PathBuf },
}
