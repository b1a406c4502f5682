//! How often somebody may do something: so many times in a second, a minute or an hour.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::units::ParseUnitError;

/// A rate, `60/min`. All of it may come at once; then each of them has to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
}

impl Period {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }
}

impl Rate {
    /// The most of them in one period.
    pub const COUNT_MAX: u32 = 1_000_000;
    /// What is expected where one is read.
    pub const EXPECTED: &str = "1 to 1000000 per s, min or h, such as 60/min";

    /// How many of them; never 0.
    pub fn count(self) -> u32 {
        self.count
    }

    /// In how long.
    pub fn period(self) -> Duration {
        Duration::from_secs(self.per.seconds())
    }

    /// What somebody most likely meant: `60/minute`, `60 per min`, `60/m`.
    pub fn meant(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase().replace(" per ", "/");
        let (count, per) = text.split_once('/')?;
        let per = match per.trim() {
            "s" | "sec" | "second" => Period::Second,
            "m" | "min" | "minute" => Period::Minute,
            "h" | "hr" | "hour" => Period::Hour,
            _ => return None,
        };
        Self::new(count.trim(), per)
    }

    fn new(count: &str, per: Period) -> Option<Self> {
        let plain = !count.starts_with('0') && count.bytes().all(|byte| byte.is_ascii_digit());
        let count = plain.then(|| count.parse().ok()).flatten();
        count.filter(|count| (1..=Self::COUNT_MAX).contains(count)).map(|count| Self { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.count, self.per.as_str())
    }
}

impl FromStr for Rate {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let read = || {
            let (count, per) = text.split_once('/')?;
            Self::new(count, Period::ALL.into_iter().find(|known| known.as_str() == per)?)
        };
        read().ok_or_else(|| ParseUnitError::new(text, Self::EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written_and_no_other_text_is_one() {
        for (text, seconds) in [("1/s", 1), ("60/min", 60), ("1000000/h", 3_600)] {
            let rate: Rate = text.parse().expect("a rate");
            assert_eq!((rate.to_string().as_str(), rate.period().as_secs()), (text, seconds));
        }
        for wrong in ["", "60", "60/", "/min", "0/s", "01/s", "+1/s", "-1/s", "1.5/s", "1000001/h", "60/m", "60 /min"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_meant_is_told() {
        let meant = |text: &str| Rate::meant(text).map(|rate| rate.to_string());
        assert_eq!(meant("60/minute").as_deref(), Some("60/min"));
        assert_eq!(meant("5 per second").as_deref(), Some("5/s"));
        assert_eq!(meant("60"), None);
        assert_eq!(meant("0/min"), None);
    }
}
