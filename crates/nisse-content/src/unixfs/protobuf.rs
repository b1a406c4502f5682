//! The corner of protobuf that dag-pb and UnixFS use: numbers and length-delimited fields.

use std::ops::Range;

use crate::varint;

/// One field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Wire type 0.
    Number(u64),
    /// Wire type 2: where its bytes stand in the buffer.
    Bytes(Range<usize>),
}

/// What is wrong with a message as protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// A number or field runs past the end.
    #[error("read a field that ends after its message")]
    Truncated,
    /// A wire type that neither format uses.
    #[error("read wire type {0}: only 0 and 2 stand in dag-pb and UnixFS")]
    WireType(u8),
    /// A number past 64 bits.
    #[error(transparent)]
    Varint(#[from] varint::VarintError),
}

/// The fields of `buffer[range]` in their order. Stops after the first error.
pub(super) struct Fields<'a> {
    buffer: &'a [u8],
    rest: Range<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(buffer: &'a [u8], range: Range<usize>) -> Self {
        Self { buffer, rest: range }
    }

    fn number(&mut self) -> Result<u64, WireError> {
        let (value, length) = varint::read(&self.buffer[self.rest.clone()])?.ok_or(WireError::Truncated)?;
        self.rest.start += length;
        Ok(value)
    }

    fn field(&mut self) -> Result<(u64, Value), WireError> {
        let tag = self.number()?;
        let value = match (tag & 7) as u8 {
            0 => Value::Number(self.number()?),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| WireError::Truncated)?;
                if length > self.rest.len() {
                    return Err(WireError::Truncated);
                }
                let start = self.rest.start;
                self.rest.start += length;
                Value::Bytes(start..start + length)
            }
            other => return Err(WireError::WireType(other)),
        };
        Ok((tag >> 3, value))
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<(u64, Value), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = 0..0;
        }
        Some(field)
    }
}

/// Appends a number field.
pub(super) fn put_number(buffer: &mut Vec<u8>, field: u64, value: u64) {
    varint::write(buffer, field << 3);
    varint::write(buffer, value);
}

/// Appends the head of a length-delimited field; its bytes follow.
pub(super) fn put_head(buffer: &mut Vec<u8>, field: u64, length: usize) {
    varint::write(buffer, field << 3 | 2);
    varint::write(buffer, length as u64);
}
