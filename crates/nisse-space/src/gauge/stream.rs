//! Bytes read from front to back, inflated on the way where they must be.

use std::io::Read as _;

use flate2::bufread::DeflateDecoder;

use super::GaugeError;

/// How much is inflated at once.
const WINDOW_BYTES: usize = 16 << 10;

enum Source<'b> {
    Plain(&'b [u8]),
    Inflating { decoder: Box<DeflateDecoder<&'b [u8]>>, window: Box<[u8; WINDOW_BYTES]>, start: usize, end: usize },
}

/// A reader that knows how much it took, and takes no more than it may.
pub(super) struct Stream<'b> {
    source: Source<'b>,
    taken: u64,
    /// How many bytes may be inflated.
    allowed: u64,
    /// Where what is read now ends, by [`Stream::taken`].
    fence: u64,
}

impl<'b> Stream<'b> {
    pub(super) fn plain(bytes: &'b [u8]) -> Self {
        Self { source: Source::Plain(bytes), taken: 0, allowed: u64::MAX, fence: u64::MAX }
    }

    /// A stream of what `bytes` inflate to, which may be `allowed` bytes long.
    pub(super) fn inflating(bytes: &'b [u8], allowed: u64) -> Self {
        // The same decoder as automerge's, so that both end at the same byte.
        let decoder = Box::new(DeflateDecoder::new(bytes));
        let source = Source::Inflating { decoder, window: Box::new([0; WINDOW_BYTES]), start: 0, end: 0 };
        Self { source, taken: 0, allowed, fence: u64::MAX }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Lets nothing be read past so many bytes from here, until [`Stream::unfence`].
    pub(super) fn fence(&mut self, bytes: u64) {
        self.fence = self.taken.saturating_add(bytes);
    }

    pub(super) fn unfence(&mut self) {
        self.fence = u64::MAX;
    }

    /// What is there of the bytes to come, at least one unless they end.
    fn window(&mut self) -> Result<&[u8], GaugeError> {
        let left = usize::try_from(self.fence - self.taken).unwrap_or(usize::MAX);
        let window = match &mut self.source {
            Source::Plain(bytes) => bytes,
            Source::Inflating { decoder, window, start, end } => {
                if start == end && left > 0 {
                    *end = decoder.read(&mut window[..]).map_err(GaugeError::Inflate)?;
                    *start = 0;
                    if self.taken + *end as u64 > self.allowed {
                        let (found, allowed) = (self.taken + *end as u64, self.allowed);
                        return Err(GaugeError::TooMuch { what: "inflated bytes", found, allowed });
                    }
                }
                &window[*start..*end]
            }
        };
        Ok(&window[..window.len().min(left)])
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        match &mut self.source {
            Source::Plain(rest) => *rest = &rest[bytes..],
            Source::Inflating { start, .. } => *start += bytes,
        }
    }

    /// Whether all is read, up to the fence if there is one.
    pub(super) fn ended(&mut self) -> Result<bool, GaugeError> {
        Ok(self.window()?.is_empty())
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, GaugeError> {
        let byte = *self.window()?.first().ok_or(GaugeError::Truncated { what })?;
        self.take(1);
        Ok(byte)
    }

    /// Passes over so many bytes.
    pub(super) fn skip(&mut self, what: &'static str, bytes: u64) -> Result<(), GaugeError> {
        let mut left = bytes;
        while left > 0 {
            let here = self.window()?.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if here == 0 {
                return Err(GaugeError::Truncated { what });
            }
            self.take(here);
            left -= here as u64;
        }
        Ok(())
    }

    /// Passes over all that is left.
    pub(super) fn skip_rest(&mut self) -> Result<(), GaugeError> {
        loop {
            let here = self.window()?.len();
            if here == 0 {
                return Ok(());
            }
            self.take(here);
        }
    }

    /// Fills `bytes`.
    pub(super) fn fill(&mut self, what: &'static str, bytes: &mut [u8]) -> Result<(), GaugeError> {
        for byte in bytes {
            *byte = self.byte(what)?;
        }
        Ok(())
    }

    /// An unsigned number, seven bits in each byte (LEB128).
    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, GaugeError> {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte(what)?;
            // The tenth byte holds the 64th bit and no more.
            if shift == 63 && byte > 1 {
                return Err(GaugeError::Number { what });
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }

    /// A signed number, seven bits in each byte (LEB128).
    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, GaugeError> {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte(what)?;
            // The tenth byte holds the sign and no more.
            if shift == 63 && byte != 0 && byte != 0x7f {
                return Err(GaugeError::Number { what });
            }
            number |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if shift < 57 && byte & 0x40 != 0 {
                    number |= -1 << (shift + 7);
                }
                break;
            }
        }
        Ok(number)
    }

    /// What is left of plain bytes.
    pub(super) fn rest(&self) -> &'b [u8] {
        match self.source {
            Source::Plain(bytes) => bytes,
            Source::Inflating { .. } => &[],
        }
    }
}

/// The bytes of an unsigned number.
pub(super) fn number_bytes(number: u64) -> u64 {
    u64::from((64 - (number | 1).leading_zeros()).div_ceil(7))
}
