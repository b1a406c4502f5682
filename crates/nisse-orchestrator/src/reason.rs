//! Why things end or do not begin, as types that `status` turns into sentences.

use std::fmt;

use nisse_model::{Address, AmountPerHour, ByteSize, Cpu};
use serde::{Deserialize, Serialize};

use crate::stored::text;

/// Bytes of a stored reason. A guest's trap can be as long as it likes.
pub(crate) const REASON_BYTES_MAX: usize = 1_000;

/// A reason as it is kept: of one line's length in the journal, whatever is in it. Control characters, of which JSON makes
/// six bytes each, become blanks, but for ends of lines.
pub(crate) fn bounded(text: &str) -> String {
    let mut bytes = 0;
    let stored = |c: char| match c {
        '\n' | '"' | '\\' => 2,
        c => c.len_utf8(),
    };
    let visible = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    let mut kept: String = visible
        .take_while(|c| {
            bytes += stored(*c);
            bytes <= REASON_BYTES_MAX
        })
        .collect();
    if bytes > REASON_BYTES_MAX {
        kept.push('…');
    }
    kept
}

/// Why a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Its owner stopped it.
    Owner,
    /// Its deposit was used up.
    Expired,
    /// The order went back to the market.
    Reopened,
    /// Its owner destroyed it.
    Destroyed,
    /// It goes on as another deployment, on a newer version of the market.
    Superseded,
    /// This node showed no life in a heartbeat period, and the order went back to the market.
    Silent,
    /// The chain was reorganised, and this node's assignment is not on it any more.
    Undone,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Owner => "stopped by its owner",
            Self::Expired => "its deposit was used up",
            Self::Reopened => "its order went back to the market",
            Self::Destroyed => "destroyed by its owner",
            Self::Superseded => "goes on under a newer version of the market",
            Self::Silent => "taken from this node, which showed no life in a heartbeat period",
            Self::Undone => "its assignment was undone by a reorganisation of the chain",
        })
    }
}

/// Where on the way to a running agent something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureStage {
    /// The package could not be had.
    Fetch,
    /// Its bytes are not the ones promised.
    Verify,
    /// It does not compile within the limits.
    Compile,
    /// It imports what it was not granted, or something that nisse does not offer.
    Link,
    /// Its `started` handler failed or trapped.
    Start,
    /// The node could not keep its promise: its disk, for one.
    Node,
}

impl fmt::Display for FailureStage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fetch => "fetch",
            Self::Verify => "verify",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Start => "start",
            Self::Node => "node",
        })
    }
}

/// Why this node does not bid on an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// The owner is not on the accept list.
    Owner {
        /// Who asked.
        #[serde(with = "text")]
        owner: Address,
    },
    /// The order pays less than this node's price.
    Price {
        /// The most that the order pays.
        #[serde(with = "crate::stored::rate")]
        offered: AmountPerHour,
        /// What this node asks.
        #[serde(with = "crate::stored::rate")]
        asked: AmountPerHour,
    },
    /// Not enough processor left.
    Cpu {
        /// Asked for.
        #[serde(with = "text")]
        asked: Cpu,
        /// Free here.
        #[serde(with = "text")]
        free: Cpu,
    },
    /// Not enough memory left.
    Memory {
        /// Asked for.
        #[serde(with = "text")]
        asked: ByteSize,
        /// Free here.
        #[serde(with = "text")]
        free: ByteSize,
    },
    /// Its answers may burn more gas than this node pays for.
    GasBudget {
        /// Asked for, in each hour.
        asked: u64,
        /// Paid for here, in each hour.
        most: u64,
    },
    /// It asks for a GPU and there is none.
    Gpu,
    /// An agent of this owner and name already runs here.
    Taken,
    /// The node takes no new work.
    Draining,
    /// The market does not let this node bid now: its stake is not registered yet, paused, or too low.
    Stake {
        /// What the market said.
        reason: String,
    },
    /// The package could not be had or is not what it says.
    Package {
        /// Where it failed.
        stage: FailureStage,
        /// What happened.
        reason: String,
    },
}

impl Refusal {
    /// Nobody gave the package: somebody may later.
    pub fn is_unfetched(&self) -> bool {
        matches!(self, Self::Package { stage: FailureStage::Fetch, .. })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { owner } => write!(formatter, "this node does not accept agents of {owner}"),
            Self::Price { offered, asked } => {
                write!(formatter, "the order pays at most {offered} TALOS per hour and this node asks {asked}")
            }
            Self::Cpu { asked, free } => write!(formatter, "it asks for {asked} cpu and {free} is free"),
            Self::Memory { asked, free } => write!(formatter, "it asks for {asked} of memory and {free} is free"),
            Self::GasBudget { asked, most } => {
                write!(formatter, "it may burn {asked} gas per hour and this node pays for {most} at most")
            }
            Self::Gpu => write!(formatter, "it asks for a GPU and this node has none"),
            Self::Taken => write!(formatter, "an agent of this owner and name already runs here"),
            Self::Draining => write!(formatter, "this node is draining and takes no new work"),
            Self::Stake { reason } => write!(formatter, "the market takes no bid of this node now: {reason}"),
            Self::Package { stage, reason } => write!(formatter, "its package failed at {stage}: {reason}"),
        }
    }
}
