//! Triggers and invocations of agents.

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum TriggerCommand {
    /// List an agent's triggers
    Ls { agent: String },
    /// Show one trigger: what raises it, how it stands, what it raised last
    Show { agent: String, trigger: String },
    /// Print when a timer fires next
    Next { agent: String, trigger: String },
    /// Raise an event of a trigger by hand
    Fire {
        agent: String,
        trigger: String,
        /// The event's data: JSON, `@FILE`, or `-` for stdin [default: null]
        #[arg(long, value_name = "DATA", allow_hyphen_values = true)]
        event: Option<String>,
        /// Name the event: fired again under the same name, it is handled no second time
        #[arg(long, value_name = "NAME")]
        key: Option<String>,
    },
    /// Pause a trigger: what happens meanwhile is passed over
    Pause { agent: String, trigger: String },
    /// Let a trigger go on
    Resume { agent: String, trigger: String },
}

#[derive(Subcommand)]
pub(crate) enum InvocationCommand {
    /// List an agent's invocations by events, the newest first
    Ls {
        agent: String,
        /// Only those in this state: waiting, running, completed, failed or cancelled
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Only those of this trigger
        #[arg(long, value_name = "TRIGGER")]
        trigger: Option<String>,
        /// How many
        #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 20)]
        count: usize,
    },
    /// List those that failed for ever
    Dead {
        agent: String,
        /// How many
        #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 20)]
        count: usize,
    },
    /// Show one invocation, with its event
    Show { agent: String, invocation: String },
    /// Handle an event again whose invocation failed or was cancelled
    Retry { agent: String, invocation: String },
    /// Call an invocation off that has not begun
    Cancel { agent: String, invocation: String },
}
