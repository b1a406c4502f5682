//! Whose home it is, and who else may act for its owner.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum IdentityCommand {
    /// Begin an identity with this home as its first device, and show its recovery kit once
    New {
        /// What this device is called [default: the machine's name]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show whose home it is, and where it listens for other devices
    Show,
    /// Show who its owner says that they are, or say so: it stands in the home space, for all devices of the identity
    Profile {
        /// The owner's name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// A picture: PNG, JPEG, GIF or WebP, 256 KiB at most
        #[arg(long, value_name = "FILE")]
        avatar: Option<PathBuf>,
    },
    /// Make this home a device of an identity by the words of its recovery kit, while no node runs on it
    Recover {
        /// A device that still runs, as `identity show` prints it there: both hear of each other
        #[arg(long, value_name = "TICKET")]
        from: Option<String>,
        /// What this device is called [default: the machine's name]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum KitCommand {
    /// See whether the 24 words are those of this home's identity
    Check,
}

#[derive(Subcommand)]
pub(crate) enum DeviceCommand {
    /// Show a code for another machine; or, with its ticket, become a device of its identity
    Pair {
        /// What the other machine shows; no node runs on this home then
        ticket: Option<String>,
        /// What this device is called there [default: the machine's name]
        #[arg(long, value_name = "NAME", requires = "ticket")]
        name: Option<String>,
        /// What `--remote` calls the other machine [default: its own name]
        #[arg(long = "as", value_name = "NAME", requires = "ticket")]
        as_name: Option<String>,
        /// Admit an agent that may do this, such as `logs,status` or `/audit/lines` [default: a device, which may do all]
        #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "ticket")]
        can: Vec<String>,
        /// All of that with one agent alone
        #[arg(long, value_name = "NAME", requires = "can")]
        agent: Option<String>,
        /// For how long, such as `12h` or `30d` [default: 30d]
        #[arg(long, value_name = "TIME", requires = "can")]
        expires: Option<String>,
    },
    /// List them
    Ls,
    /// Keep where another device of this identity is now, by the ticket that `identity show` prints there
    Meet {
        ticket: String,
        /// What `--remote` calls it [default: the name that it had]
        #[arg(long = "as", value_name = "NAME")]
        as_name: Option<String>,
    },
    /// Cut one off: its connections end at once, and nothing that it says counts any more
    Revoke {
        /// Its name or its key
        device: String,
    },
    /// Call one something else
    Rename {
        /// Its name or its key
        device: String,
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make one and print it, this once
    Create {
        /// About this agent alone
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// What it can: words such as logs, for what is done with agents, or commands such as /audit/lines
        #[arg(long, value_name = "WHAT", value_delimiter = ',', required = true)]
        can: Vec<String>,
        /// For how long: 90s, 10m, 1h, 30d at most
        #[arg(long, value_name = "TIME", default_value = "1h")]
        expires: String,
        /// Whose key uses it; without it the token has a key of its own
        #[arg(long = "for", value_name = "DID")]
        audience: Option<String>,
    },
    /// Print what one is for and until when, and nothing of its key
    Show { file: PathBuf },
    /// Take one back: it gives nothing any more, and what goes on by it ends
    Revoke {
        /// The file, or an id of it
        #[arg(value_name = "FILE|ID")]
        named: String,
    },
}
