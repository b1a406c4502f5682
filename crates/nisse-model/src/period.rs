//! A length of time, as people write it: `15m`.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time in whole milliseconds. Printed and read with its unit: `500ms`, `30s`, `15m`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u64);

/// Why a text is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {0:?} as a time: expected a whole number with its unit ms, s, m, h or d, such as 15m")]
pub struct ParsePeriodError(pub String);

impl Period {
    /// So many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// In milliseconds.
    pub const fn ms(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, ms): &&(&str, u64)| self.0 >= *ms && self.0.is_multiple_of(*ms);
        let (unit, ms) = UNITS.iter().find(whole).unwrap_or(&("ms", 1));
        write!(formatter, "{}{unit}", self.0 / ms)
    }
}

impl FromStr for Period {
    type Err = ParsePeriodError;

    fn from_str(text: &str) -> Result<Self, ParsePeriodError> {
        let refused = || ParsePeriodError(text.chars().take(40).collect());
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let (_, ms) = UNITS.iter().find(|(known, _)| *known == unit).ok_or_else(refused)?;
        // One spelling for each: no zeros in front.
        let is_plain = count == "0" || !count.starts_with('0');
        let count: u64 = count.parse().ok().filter(|_| is_plain).ok_or_else(refused)?;
        count.checked_mul(*ms).map(Self).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_period_is_printed_in_its_largest_whole_unit() {
        for (ms, text) in
            [(0, "0ms"), (999, "999ms"), (1_000, "1s"), (90_000, "90s"), (900_000, "15m"), (172_800_000, "2d")]
        {
            assert_eq!(Period::from_ms(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Period::from_ms(ms)));
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in ["", "15", "m", "1.5h", "-1s", "015m", "15 m", "15min", "99999999999999999999d", "1M"] {
            assert_eq!(text.parse::<Period>(), Err(ParsePeriodError(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn every_period_survives_its_text(ms: u64) {
            prop_assert_eq!(Period::from_ms(ms).to_string().parse(), Ok(Period::from_ms(ms)));
        }
    }
}
