//! Spaces: documents that many write.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::SchemaCommand;

#[derive(Subcommand)]
pub(crate) enum SpaceCommand {
    /// Begin one, with this home's identity as its first member
    Create {
        /// What this home calls it: lower-case letters, digits and hyphens
        name: String,
    },
    /// List those that this home holds
    Ls,
    /// Show one: its first document, what it holds, who is connected
    Show {
        /// Its name, or its id, or the first digits of that
        space: String,
    },
    /// List who has which role in one
    Members {
        /// Its name, or its id, or the first digits of that
        space: String,
    },
    /// Make an invitation and print it, this once: the text, or with --code six digits, by which another home joins
    Invite {
        /// Its name, or its id, or the first digits of that
        space: String,
        /// The role of whoever takes it
        #[arg(long, value_name = "ROLE", default_value = "edit")]
        role: MemberRole,
        /// For how long: 10m, 1h, 30d at most
        #[arg(long = "for", value_name = "TIME", default_value = "1d")]
        lasting: String,
        /// How many may take it
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        uses: u32,
        /// Who alone may: an identity, did:key:…
        #[arg(long, value_name = "IDENTITY")]
        only: Option<String>,
        /// Show a code to read out instead: for one, within ten minutes
        #[arg(long, conflicts_with_all = ["lasting", "uses"])]
        code: bool,
    },
    /// List the invitations to one that still let somebody in
    Invitations {
        /// Its name, or its id, or the first digits of that
        space: String,
    },
    /// Take an invitation back: it lets nobody in any more; who came in by it stays
    Uninvite {
        /// Its name, or its id, or the first digits of that
        space: String,
        /// The invitation's id, or eight or more of its first digits
        invitation: String,
    },
    /// Take an invitation that another home made, and hold its space from then on
    Join {
        /// What `nisse space invite` printed there: an invitation, or a ticket, whose code is asked for then; `-` or nothing: what stdin says
        invitation: Option<String>,
        /// What this home calls the space
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// Leave one: this home's identity is no member any more
    Leave {
        /// Its name, or its id, or the first digits of that
        space: String,
    },
    /// Give a member another role
    Role {
        /// Its name, or its id, or the first digits of that
        space: String,
        /// The member: an identity, did:key:…
        identity: String,
        /// What it may do from now on
        role: MemberRole,
    },
    /// Take a member's role away: what it wrote stays, what it writes from now on is taken by nobody
    Revoke {
        /// Its name, or its id, or the first digits of that
        space: String,
        /// The member: an identity, did:key:…
        identity: String,
    },
    /// Keep a part of a space here, or all of it again; what is here stays
    Keep {
        /// Its name, or its id, or the first digits of that
        space: String,
        /// An object or a document, automerge:…, besides those that are made here; more than one may be named
        #[arg(long, value_name = "OBJECT", num_args = 1.., required_unless_present = "all", conflicts_with = "all")]
        only: Vec<String>,
        /// All of it
        #[arg(long)]
        all: bool,
    },
    /// Make a ticket and print it, this once: the URL by which a client of automerge-repo comes in
    Ticket {
        /// Its name, or its id, or the first digits of that
        space: String,
        /// What whoever has it may do
        #[arg(long, value_name = "ROLE", default_value = "edit")]
        role: TicketRole,
        /// For how long: 90s, 10m, 1h, 30d at most
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        lasting: String,
        /// Print a link to this page in its place, which logs in by it: the ticket stands behind the `#`
        #[arg(long, value_name = "URL")]
        app: Option<String>,
    },
    /// Write one to a file, by which this home or another member's holds it again; it is not encrypted
    Export {
        /// Its name, or its id, or the first digits of that
        space: String,
        /// The file, which is not there yet
        file: PathBuf,
    },
    /// Take one back that was exported: what is new in the file is merged with what is here
    Import {
        /// The file
        file: PathBuf,
        /// What this home calls the space, if it does not hold it yet
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// Write an object and print it: a new one, or the one whose `id` the JSON names
    Put {
        /// The space
        space: String,
        /// What it is from now on, in JSON; without it, what stdin says
        #[arg(value_name = "JSON")]
        value: Option<String>,
    },
    /// Change a part of an object and print it
    Patch {
        /// The space
        space: String,
        /// The object's id
        object: String,
        /// A merge patch in JSON: null removes a key; without it, what stdin says
        #[arg(value_name = "JSON")]
        value: Option<String>,
    },
    /// Print an object
    Get {
        /// The space
        space: String,
        /// The object's id
        object: String,
    },
    /// Mark an object as deleted; its history stays
    Rm {
        /// The space
        space: String,
        /// The object's id
        object: String,
    },
    /// Print the objects that a query finds, one a line
    Query {
        /// The space
        space: String,
        /// A query as ECHO writes it; without it, all objects
        query: Option<String>,
    },
    /// Print what a query finds, and go on with whatever changes in that, one JSON document a line
    Watch {
        /// The space
        space: String,
        /// A query as ECHO writes it; without it, all objects
        query: Option<String>,
    },
    /// Show the newest changes of an object, and whose they are
    History {
        /// The space
        space: String,
        /// The object's id
        object: String,
    },
    /// Say what objects of a type have to be
    #[command(subcommand)]
    Schema(SchemaCommand),
}

#[derive(ValueEnum, Clone, Copy)]
pub(crate) enum TicketRole {
    /// See all documents
    Read,
    /// Change them too
    Edit,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MemberRole {
    /// Stores and passes on
    Relay,
    /// Reads
    Read,
    /// Reads and writes
    Edit,
    /// Decides who is a member, besides
    Admin,
}
