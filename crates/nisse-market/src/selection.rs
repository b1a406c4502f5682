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
    /// The lowest price, of bids that nobody sees before all are made.
    SealedPrice,
    /// Price and reputation together, of such bids.
    SealedScore,
}

/// Not one of the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}`: lowest-price, highest-reputation, score, sealed-price or sealed-score is expected")]
pub struct ParseSelectionError(String);

impl Selection {
    const ALL: [Self; 5] =
        [Self::LowestPrice, Self::HighestReputation, Self::Score, Self::SealedPrice, Self::SealedScore];

    /// `None` for a rule that this program does not know.
    pub(crate) fn read(found: &contracts::Selection) -> Option<Self> {
        match found {
            contracts::Selection::LowestPrice => Some(Self::LowestPrice),
            contracts::Selection::HighestReputation => Some(Self::HighestReputation),
            contracts::Selection::Score => Some(Self::Score),
            contracts::Selection::SealedPrice => Some(Self::SealedPrice),
            contracts::Selection::SealedScore => Some(Self::SealedScore),
            contracts::Selection::__Invalid => None,
        }
    }

    pub(crate) fn to_contract(self) -> contracts::Selection {
        match self {
            Self::LowestPrice => contracts::Selection::LowestPrice,
            Self::HighestReputation => contracts::Selection::HighestReputation,
            Self::Score => contracts::Selection::Score,
            Self::SealedPrice => contracts::Selection::SealedPrice,
            Self::SealedScore => contracts::Selection::SealedScore,
        }
    }

    /// Whether bids are made unseen first, and revealed then.
    pub fn is_sealed(self) -> bool {
        matches!(self, Self::SealedPrice | Self::SealedScore)
    }

    /// Whether it asks what nodes are known for.
    pub fn needs_reputation(self) -> bool {
        matches!(self, Self::HighestReputation | Self::Score | Self::SealedScore)
    }

    /// What decides, in words: "chosen by …".
    pub fn criterion(self) -> &'static str {
        match self {
            Self::LowestPrice => "the lowest price",
            Self::HighestReputation => "reputation",
            Self::Score => "price and reputation",
            Self::SealedPrice => "the lowest price of sealed bids",
            Self::SealedScore => "price and reputation of sealed bids",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::LowestPrice => "lowest-price",
            Self::HighestReputation => "highest-reputation",
            Self::Score => "score",
            Self::SealedPrice => "sealed-price",
            Self::SealedScore => "sealed-score",
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
        let meant = Self::ALL.into_iter().find(|selection| selection.name() == text);
        meant.ok_or_else(|| ParseSelectionError(text.chars().take(40).collect()))
    }
}
