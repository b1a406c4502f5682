//! How the winner of an order is chosen among its bids.

use std::fmt;
use std::str::FromStr;

use crate::contracts;

/// The rule by which a bid wins; the contract's own, which `docs/bidding.md` tells in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Selection {
    /// The lowest price.
    #[default]
    LowestPrice,
    /// What is known of the nodes first, then the price.
    HighestReputation,
    /// Price and reputation together.
    Score,
}

/// Not one of the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}`: lowest-price, highest-reputation or score is expected")]
pub struct ParseSelectionError(String);

impl Selection {
    /// `None` for a rule that this program does not know.
    pub(crate) fn read(found: &contracts::Selection) -> Option<Self> {
        match found {
            contracts::Selection::LowestPrice => Some(Self::LowestPrice),
            contracts::Selection::HighestReputation => Some(Self::HighestReputation),
            contracts::Selection::Score => Some(Self::Score),
            contracts::Selection::__Invalid => None,
        }
    }

    pub(crate) fn to_contract(self) -> contracts::Selection {
        match self {
            Self::LowestPrice => contracts::Selection::LowestPrice,
            Self::HighestReputation => contracts::Selection::HighestReputation,
            Self::Score => contracts::Selection::Score,
        }
    }

    /// What decides, in words: "chosen by …".
    pub fn criterion(self) -> &'static str {
        match self {
            Self::LowestPrice => "the lowest price",
            Self::HighestReputation => "reputation",
            Self::Score => "price and reputation",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::LowestPrice => "lowest-price",
            Self::HighestReputation => "highest-reputation",
            Self::Score => "score",
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Selection {
    type Err = ParseSelectionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::LowestPrice, Self::HighestReputation, Self::Score];
        let meant = all.into_iter().find(|selection| selection.name() == text);
        meant.ok_or_else(|| ParseSelectionError(text.chars().take(40).collect()))
    }
}
