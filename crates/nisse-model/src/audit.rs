//! The audit log: who did what to the rights and secrets of a home, each line bound to the one before it.
//!
//! Whoever changes, removes or inserts a line changes every hash behind it. What this cannot show is a log that was made
//! anew from some line on, or cut at its end: that takes somebody who kept a later [`AuditHead`].

use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;

use crate::{Hash256, Timestamp};

/// The first item of a stored line.
const VERSION: u64 = 1;
/// Items of a stored line.
const ITEMS: u64 = 8;
/// Keeps a line's hash apart from every other hash.
const CONTEXT: &[u8] = b"nisse audit v1";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Its place: the first line of a home is 0.
    pub number: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Who did it: `owner`, `agent NAME`, `node`.
    pub by: String,
    /// What: `secret.set`, `vault.unlock`, `agent.start` and so on.
    pub act: String,
    /// What it was done to: a secret's name, an agent's.
    pub about: String,
    /// `asked`, `done`, `refused` and so on, with its reason or what is worth knowing.
    pub outcome: String,
    /// The hash of the line before; zero for the first.
    pub previous: Hash256,
}

/// How far a log had come: its number of lines, and the last one's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Lines so far.
    pub lines: u64,
    /// The last line's hash; zero before the first.
    pub hash: Hash256,
}

/// Why bytes are no line. The text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeAuditError {
    /// A form of another version.
    #[error("read an audit line of version {0}: this nisse knows version 1")]
    Version(u64),
    /// Not what a line is made of, or not in its one form.
    #[error("read an audit line: {0}")]
    Malformed(String),
}

impl From<CborError> for DecodeAuditError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Why a line does not follow. The text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditChainError {
    /// Lines are missing, or stand twice.
    #[error("follow the audit log: line {expected} is expected, and line {found} is there")]
    Number {
        /// The next number.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// A line was changed, this one or the one before.
    #[error("follow the audit log: line {0} does not follow from the one before it")]
    Previous(u64),
}

impl AuditLine {
    /// Bytes of each of its texts.
    pub const TEXT_LENGTH_MAX: usize = 4_096;

    /// Its stored form: deterministic CBOR, one array.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes);
        let Self { number, at, by, act, about, outcome, previous } = self;
        encoder
            .array(ITEMS)
            .and_then(|encoder| encoder.u64(VERSION)?.u64(*number)?.u64(at.0)?.str(by)?.str(act)?.str(about))
            .and_then(|encoder| encoder.str(outcome)?.bytes(&previous.0))
            .expect("writing to memory does not fail");
        bytes
    }

    /// Reads a stored line; it has exactly one form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeAuditError> {
        let mut decoder = Decoder::new(bytes);
        let items = decoder.array()?;
        match decoder.u64()? {
            VERSION => {}
            other => return Err(DecodeAuditError::Version(other)),
        }
        if items != Some(ITEMS) {
            return Err(DecodeAuditError::Malformed("it has another number of items".to_owned()));
        }
        let (number, at) = (decoder.u64()?, Timestamp(decoder.u64()?));
        let mut text = || Ok::<_, CborError>(decoder.str()?.to_owned());
        let (by, act, about, outcome) = (text()?, text()?, text()?, text()?);
        let previous = decoder.bytes()?.try_into().map(Hash256);
        let previous = previous.map_err(|_| DecodeAuditError::Malformed("its hash has another length".to_owned()))?;
        let line = Self { number, at, by, act, about, outcome, previous };
        if line.encode() != bytes {
            return Err(DecodeAuditError::Malformed("it is not in its one form".to_owned()));
        }
        Ok(line)
    }

    /// What the next line names as the one before it.
    pub fn hash(&self) -> Hash256 {
        Hash256::of_parts(&[CONTEXT, &self.encode()])
    }
}

impl AuditHead {
    /// Before the first line.
    pub const START: Self = Self { lines: 0, hash: Hash256::ZERO };

    /// Where a log stands that is held from this line on: what was before it is not known.
    pub fn before(line: &AuditLine) -> Self {
        Self { lines: line.number, hash: line.previous }
    }

    /// Takes the next line, if it follows.
    pub fn follow(&mut self, line: &AuditLine) -> Result<(), AuditChainError> {
        if line.number != self.lines {
            return Err(AuditChainError::Number { expected: self.lines, found: line.number });
        }
        if line.previous != self.hash {
            return Err(AuditChainError::Previous(line.number));
        }
        *self = Self { lines: self.lines + 1, hash: line.hash() };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(count: u64) -> Vec<AuditLine> {
        let mut head = AuditHead::START;
        let line = |number| {
            let texts = ["owner", "secret.set", "weather", "done"].map(str::to_owned);
            let [by, act, about, outcome] = texts;
            let line = AuditLine { number, at: Timestamp(number * 7), by, act, about, outcome, previous: head.hash };
            head.follow(&line).expect("it follows");
            line
        };
        (0..count).map(line).collect()
    }

    fn followed(lines: &[AuditLine]) -> Result<AuditHead, AuditChainError> {
        let mut head = AuditHead::START;
        lines.iter().try_for_each(|line| head.follow(line)).map(|()| head)
    }

    #[test]
    fn a_line_has_one_form() {
        for line in log(3) {
            let bytes = line.encode();
            assert_eq!(AuditLine::decode(&bytes).expect("a line"), line);
            for end in 0..bytes.len() {
                assert!(AuditLine::decode(&bytes[..end]).is_err());
            }
            assert!(AuditLine::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
            let mut newer = bytes.clone();
            newer[1] = 2;
            assert_eq!(AuditLine::decode(&newer), Err(DecodeAuditError::Version(2)));
        }
    }

    #[test]
    fn whatever_is_done_to_a_line_is_noticed() {
        let lines = log(6);
        let head = followed(&lines).expect("a log");
        assert_eq!(head.lines, 6);
        for at in 0..lines.len() {
            let change = |change: fn(&mut AuditLine)| {
                let mut changed = lines.clone();
                change(&mut changed[at]);
                followed(&changed) != Ok(head)
            };
            assert!(change(|line| line.at.0 += 1) && change(|line| line.number += 1));
            assert!(change(|line| line.by.push('x')) && change(|line| line.act.push('x')));
            assert!(change(|line| line.about.push('x')) && change(|line| line.outcome.push('x')));
            assert!(change(|line| line.previous.0[31] ^= 1));
            let mut without = lines.clone();
            without.remove(at);
            assert!(followed(&without) != Ok(head));
            let mut twice = lines.clone();
            twice.insert(at, lines[at].clone());
            assert!(followed(&twice).is_err());
            let mut swapped = lines.clone();
            swapped.swap(at, (at + 1) % lines.len());
            assert!(followed(&swapped).is_err());
        }
    }

    #[test]
    fn a_log_whose_oldest_lines_went_is_followed_from_there() {
        let lines = log(6);
        let mut head = AuditHead::before(&lines[2]);
        lines[2..].iter().for_each(|line| head.follow(line).expect("it follows"));
        assert_eq!(Ok(head), followed(&lines));
    }
}
