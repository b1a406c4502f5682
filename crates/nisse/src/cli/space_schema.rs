//! What objects of a type have to be.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum SchemaCommand {
    /// Declare what objects of a type have to be, by a JSON Schema of draft 2020-12 or 07; what was declared of it before goes
    Put {
        /// The space: its name, or its id, or the first digits of that
        space: String,
        /// The file, or - for stdin
        file: PathBuf,
        /// The type, NAME:VERSION; without it the schema says so, by `typename` and `version` or by its `$id`
        #[arg(long = "type", value_name = "TYPE")]
        of: Option<String>,
    },
    /// List the types of which one is declared
    Ls {
        /// The space: its name, or its id, or the first digits of that
        space: String,
    },
    /// Print the one that counts for a type
    Get {
        /// The space: its name, or its id, or the first digits of that
        space: String,
        /// The type: NAME:VERSION, or NAME for its highest version
        #[arg(value_name = "TYPE")]
        of: String,
    },
    /// Take back what is declared of a type; objects stay as they are
    Rm {
        /// The space: its name, or its id, or the first digits of that
        space: String,
        /// The type: NAME:VERSION, or NAME for all of its versions
        #[arg(value_name = "TYPE")]
        of: String,
    },
    /// List the objects that do not fit: what other homes and clients write is taken whatever a schema says
    Check {
        /// The space: its name, or its id, or the first digits of that
        space: String,
    },
}
