//! Where the log of a market begins: at the block that made its address book.

use alloy::eips::BlockId;
use alloy::providers::Provider as _;
use alloy::rpc::types::Filter;
use alloy::transports::RpcError;

use super::{Market, MarketError};
use crate::cursor::REORG_DEPTH_MAX;
use crate::tx::{QueueError, to_alloy};

/// Codes of a node that answers to fewer calls than it is asked: it says nothing of what it knows.
const BUSY: [i64; 2] = [-32005, 429];

/// The first block that a market's events may stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstBlock {
    /// Nothing of the market stands before it, whatever a reorganisation moves.
    Found(u64),
    /// The endpoint does not say how things stood at old blocks: why not.
    Untold(String),
}

/// What an endpoint says of the book at one block.
enum Book {
    There,
    Absent,
    Untold(String),
}

impl Market {
    /// Finds the first block by halving, with some thirty questions.
    pub async fn first_block(&self) -> Result<FirstBlock, MarketError> {
        if self.inner.client.is_embedded() {
            return Ok(FirstBlock::Found(0));
        }
        let (mut low, mut high) = (0, self.head().await?);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.book_at(middle).await? {
                Book::There => high = middle,
                Book::Absent => low = middle + 1,
                Book::Untold(reason) => return Ok(FirstBlock::Untold(reason)),
            }
        }
        // An endpoint that has forgotten old blocks may call the book absent there: its making has left a log.
        let made = Filter::new().address(to_alloy(self.inner.addresses.book)).from_block(low).to_block(low);
        let logs = match self.inner.client.provider().get_logs(&made).await {
            Ok(logs) => logs,
            Err(RpcError::ErrorResp(payload)) => return Ok(FirstBlock::Untold(payload.message.into_owned())),
            Err(error) => return Err(QueueError::from_question(error).into()),
        };
        if logs.is_empty() {
            return Ok(FirstBlock::Untold(format!("the address book was not made in block {low}")));
        }
        Ok(FirstBlock::Found(low.saturating_sub(REORG_DEPTH_MAX as u64)))
    }

    async fn book_at(&self, number: u64) -> Result<Book, MarketError> {
        let book = to_alloy(self.inner.addresses.book);
        match self.inner.client.provider().get_code_at(book).block_id(BlockId::number(number)).await {
            Ok(code) if code.is_empty() => Ok(Book::Absent),
            Ok(_) => Ok(Book::There),
            Err(RpcError::ErrorResp(payload)) if !BUSY.contains(&payload.code) => {
                Ok(Book::Untold(payload.message.into_owned()))
            }
            Err(error) => Err(QueueError::from_question(error).into()),
        }
    }
}
