//! Unsigned LEB128 numbers, as protobuf and CAR files carry them.

/// Bytes that a 64-bit number takes at most.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

/// More than ten bytes, or more than 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a number of more than 64 bits")]
pub struct VarintError;

/// Appends `value`.
pub(crate) fn write(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push((value as u8) | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

/// Reads the number at the start of `bytes` and how many bytes it took; `None` when it goes on past their end.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(u64, usize)>, VarintError> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if index == VARINT_BYTES_MAX - 1 && bits > 1 {
            return Err(VarintError);
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= VARINT_BYTES_MAX { Err(VarintError) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut buffer = Vec::new();
            write(&mut buffer, value);
            assert_eq!(read(&buffer), Ok(Some((value, buffer.len()))));
            assert_eq!(read(&buffer[..buffer.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn a_number_past_64_bits_is_refused() {
        assert_eq!(read(&[0xff; 10]), Err(VarintError));
        assert_eq!(read(&[0x80; 64]), Err(VarintError));
    }
}
