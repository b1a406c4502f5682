//! Quantities that are never bare integers: money, time, memory, processor share, fuel.

use std::fmt;
use std::str::FromStr;

/// Fuel that one processor of share 1.0 burns per wall second, the same on every machine (DESIGN §5.14).
const FUEL_PER_CPU_SECOND: u64 = 1_000_000_000;

/// Money in the token's smallest unit (10⁻¹⁸ TALOS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u128);

/// A price: [`Amount`] per hour of running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AmountPerHour(pub u128);

impl Amount {
    /// One whole TALOS in smallest units.
    pub const TALOS: Self = Self(1_000_000_000_000_000_000);

    /// The sum, or `None` past the largest amount.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Amount {
    /// Whole TALOS with as many decimals as needed: `1000`, `49.5`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / Self::TALOS.0, self.0 % Self::TALOS.0);
        if part == 0 {
            return write!(formatter, "{whole}");
        }
        let decimals = format!("{part:018}");
        write!(formatter, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Amount {
    type Err = ParseUnitError;

    /// Reads TALOS with up to 18 decimals: `1000`, `0.25`.
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let refused = || ParseUnitError::new(text, "an amount of TALOS such as 1000 or 0.25");
        decimal(text, 18).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for AmountPerHour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Amount(self.0), formatter)
    }
}

impl FromStr for AmountPerHour {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        text.parse::<Amount>().map(|amount| Self(amount.0))
    }
}

/// A point in time: milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds since 1970, as chains count.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment and `milliseconds` more; stays at the end of time instead of wrapping.
    pub fn plus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this moment; zero when `earlier` is later.
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A number of bytes. Printed and read with binary units: `256MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

const BYTE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) =
            BYTE_UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size)).unwrap_or(&("B", 1));
        write!(formatter, "{}{unit}", self.0 / size)
    }
}

impl FromStr for ByteSize {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let refused = || ParseUnitError::new(text, "a size with its unit, such as 256MiB, 64KiB or 1GiB");
        let (unit, size) = BYTE_UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(refused)?;
        let digits = &text[..text.len() - unit.len()];
        let count = whole(digits).and_then(|count| u64::try_from(count).ok());
        count.and_then(|count| count.checked_mul(*size)).map(Self).ok_or_else(refused)
    }
}

/// A share of a processor in thousandths: `0.25` is 250.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cpu {
    /// Thousandths of one processor.
    pub millis: u32,
}

impl Cpu {
    /// Fuel earned per wall second at this share.
    pub fn fuel_per_second(self) -> Fuel {
        Fuel(u64::from(self.millis) * (FUEL_PER_CPU_SECOND / 1000))
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.millis / 1000, self.millis % 1000);
        if part == 0 {
            return write!(formatter, "{whole}");
        }
        write!(formatter, "{whole}.{}", format!("{part:03}").trim_end_matches('0'))
    }
}

impl FromStr for Cpu {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let refused = || ParseUnitError::new(text, "a share of a processor with up to three decimals, such as 0.25");
        let millis = decimal(text, 3).and_then(|millis| u32::try_from(millis).ok()).ok_or_else(refused)?;
        Ok(Self { millis })
    }
}

/// WebAssembly fuel: roughly one unit per instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fuel(pub u64);

impl fmt::Display for Fuel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{found}`: expected {expected}")]
pub struct ParseUnitError {
    /// The text, shortened.
    pub found: String,
    /// What would have been right.
    pub expected: &'static str,
}

impl ParseUnitError {
    pub(crate) fn new(found: &str, expected: &'static str) -> Self {
        Self { found: found.chars().take(60).collect(), expected }
    }
}

/// Digits only, without sign or spaces.
fn whole(digits: &str) -> Option<u128> {
    if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// `12.5` with `places` decimals at most, as 12.5 × 10^places.
fn decimal(text: &str, places: u32) -> Option<u128> {
    let (whole_digits, part) = text.split_once('.').unwrap_or((text, ""));
    if text.ends_with('.') || part.len() > places as usize {
        return None;
    }
    let unit = 10u128.checked_pow(places)?;
    let fraction =
        if part.is_empty() { 0 } else { whole(part)?.checked_mul(10u128.checked_pow(places - part.len() as u32)?)? };
    whole(whole_digits)?.checked_mul(unit)?.checked_add(fraction)
}
