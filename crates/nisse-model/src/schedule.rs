//! When a timer fires.

use std::fmt;
use std::str::FromStr as _;
use std::sync::LazyLock;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp as Instant, Zoned};

use crate::{Period, Timestamp};

/// The zones that come with the program: what a name means does not depend on the machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The moments at which a timer fires.
///
/// A cron expression is read by its zone's clock. Where that goes back, a time of day comes twice: what names it fires the
/// first time only, what runs through all hours fires in both. Where the clock goes forward over a time of day, what names
/// it fires right behind the gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Cron { expression: String, zone: String },
    Every(Period),
    At(Timestamp),
}

/// Why a text is no schedule. Each text completes "cannot …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not a cron expression.
    #[error("read {text:?} as a cron expression: {why}")]
    Cron {
        /// As written, shortened.
        text: String,
        /// Why not.
        why: String,
    },
    /// A cron expression of a time that never comes.
    #[error("use the cron expression {0:?}: its time never comes")]
    Never(String),
    /// No zone of this name.
    #[error("find the time zone {0:?}: expected a name of the IANA database, such as Europe/Berlin")]
    Zone(String),
    /// Too often or too seldom.
    #[error("fire every {0}: expected {min} to {max}", min = Schedule::EVERY_MIN, max = Schedule::EVERY_MAX)]
    Every(Period),
    /// Not a moment.
    #[error("read {0:?} as a moment: expected one as in RFC 3339, such as 2026-12-24T18:00:00Z")]
    Moment(String),
}

impl Schedule {
    /// Longest cron expression, in bytes.
    pub const CRON_LENGTH_MAX: usize = 128;
    /// Shortest time between two moments of `every`.
    pub const EVERY_MIN: Period = Period::from_ms(1_000);
    /// Longest such time.
    pub const EVERY_MAX: Period = Period::from_ms(366 * 86_400_000);

    /// Five fields (minute, hour, day of month, month, day of week), or six with seconds first, by the clock of a zone.
    pub fn cron(text: &str, zone: &str) -> Result<Self, ScheduleError> {
        let shown = || text.chars().take(60).collect::<String>();
        let refused = |why: String| ScheduleError::Cron { text: shown(), why };
        if text.len() > Self::CRON_LENGTH_MAX {
            return Err(refused(format!("it has {} bytes, at most {} are allowed", text.len(), Self::CRON_LENGTH_MAX)));
        }
        let fields = text.split_ascii_whitespace().count();
        if !(5..=6).contains(&fields) {
            return Err(refused(format!("it has {fields} fields, expected five, or six with seconds first")));
        }
        let cron = parser().parse(text).map_err(|error| refused(error.to_string()))?;
        let found = zone_of(zone).ok_or_else(|| ScheduleError::Zone(zone.chars().take(60).collect()))?;
        // A leap day comes every eight years at the least often.
        let begin = Zoned::new(Instant::UNIX_EPOCH, found);
        cron.find_next_occurrence(&begin, false).map_err(|_| ScheduleError::Never(shown()))?;
        Ok(Self(Kind::Cron { expression: text.to_owned(), zone: zone.to_owned() }))
    }

    /// At each multiple of this time since 1970.
    pub fn every(period: Period) -> Result<Self, ScheduleError> {
        match (Self::EVERY_MIN..=Self::EVERY_MAX).contains(&period) {
            true => Ok(Self(Kind::Every(period))),
            false => Err(ScheduleError::Every(period)),
        }
    }

    /// Once.
    pub fn at(moment: Timestamp) -> Self {
        Self(Kind::At(moment))
    }

    /// Once, at a moment as RFC 3339 writes it.
    pub fn at_text(text: &str) -> Result<Self, ScheduleError> {
        let refused = || ScheduleError::Moment(text.chars().take(60).collect());
        let moment = Instant::from_str(text).map_err(|_| refused())?;
        u64::try_from(moment.as_millisecond()).map(|ms| Self::at(Timestamp(ms))).map_err(|_| refused())
    }

    /// The first moment after this one. `None`: there is none.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::At(moment) => (*moment > after).then_some(*moment),
            Kind::Every(period) => {
                let ms = period.ms();
                (after.0 / ms).checked_add(1)?.checked_mul(ms).map(Timestamp)
            }
            Kind::Cron { expression, zone } => {
                let begin = Instant::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
                // Kept as text: read, it takes ten thousand bytes.
                let cron = parser().parse(expression).ok()?;
                let next = next_of(&cron, &Zoned::new(begin, zone_of(zone)?))?;
                u64::try_from(next.timestamp().as_millisecond()).ok().map(Timestamp)
            }
        }
    }
}

fn next_of(cron: &Cron, after: &Zoned) -> Option<Zoned> {
    cron.find_next_occurrence(after, false).ok().filter(|next| next > after)
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

fn zone_of(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Cron { expression, zone } => write!(formatter, "cron {expression} {zone}"),
            Kind::Every(period) => write!(formatter, "every {period}"),
            Kind::At(moment) => match i64::try_from(moment.0).ok().and_then(|ms| Instant::from_millisecond(ms).ok()) {
                Some(moment) => write!(formatter, "at {moment}"),
                None => write!(formatter, "at {} ms", moment.0),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moments(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let after = Instant::from_str(after).expect("a moment").as_millisecond();
        let first = schedule.next_after(Timestamp(u64::try_from(after).expect("after 1970")));
        let all = std::iter::successors(first, |at| schedule.next_after(*at));
        all.take(count).map(|at| Schedule::at(at).to_string().replace("at ", "")).collect()
    }

    fn berlin(expression: &str) -> Schedule {
        Schedule::cron(expression, "Europe/Berlin").expect("a schedule")
    }

    #[test]
    fn a_cron_expression_is_read_by_its_zone_with_or_without_seconds() {
        let nightly = Schedule::cron("0 3 * * *", "UTC").expect("a schedule");
        assert_eq!(moments(&nightly, "2026-01-01T03:00:00Z", 2), ["2026-01-02T03:00:00Z", "2026-01-03T03:00:00Z"]);
        assert_eq!(moments(&berlin("0 3 * * *"), "2026-07-01T00:00:00Z", 1), ["2026-07-01T01:00:00Z"]);
        let often = Schedule::cron("*/20 * * * * *", "UTC").expect("a schedule");
        let expected = ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z", "2026-01-01T00:01:00Z"];
        assert_eq!(moments(&often, "2026-01-01T00:00:00Z", 3), expected);
    }

    #[test]
    fn a_time_of_day_that_is_missing_or_comes_twice_fires_once() {
        let daily = berlin("30 2 * * *");
        let spring = moments(&daily, "2026-03-28T12:00:00Z", 2);
        assert_eq!(spring, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        let autumn = moments(&daily, "2026-10-24T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn what_runs_through_all_hours_goes_on_where_the_clock_changes() {
        let hourly = moments(&berlin("0 * * * *"), "2026-10-24T23:00:00Z", 4);
        assert_eq!(
            hourly,
            ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"]
        );
        let spring = moments(&berlin("0 * * * *"), "2026-03-28T23:30:00Z", 3);
        assert_eq!(spring, ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]);
    }

    #[test]
    fn every_counts_from_1970_and_at_comes_once() {
        let every = Schedule::every(Period::from_ms(15 * 60_000)).expect("a schedule");
        assert_eq!(moments(&every, "2026-01-01T00:07:00Z", 2), ["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]);
        let at = Schedule::at_text("2026-12-24T19:00:00+01:00").expect("a schedule");
        assert_eq!(moments(&at, "2026-01-01T00:00:00Z", 2), ["2026-12-24T18:00:00Z"]);
        assert!(moments(&at, "2026-12-24T18:00:00Z", 1).is_empty());
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_its_reason() {
        let refused = |error: Result<Schedule, ScheduleError>| error.expect_err("it is refused").to_string();
        let why = refused(Schedule::cron("0 3 * *", "UTC"));
        assert_eq!(
            why,
            "read \"0 3 * *\" as a cron expression: it has 4 fields, expected five, or six with seconds first"
        );
        assert!(refused(Schedule::cron("61 3 * * *", "UTC")).starts_with("read \"61 3 * * *\" as a cron expression: "));
        assert_eq!(
            refused(Schedule::cron("0 0 31 2 *", "UTC")),
            "use the cron expression \"0 0 31 2 *\": its time never comes"
        );
        assert!(refused(Schedule::cron("0 3 * * *", "Berlin")).contains("such as Europe/Berlin"));
        assert_eq!(refused(Schedule::every(Period::from_ms(999))), "fire every 999ms: expected 1s to 366d");
        assert!(refused(Schedule::at_text("tomorrow")).contains("RFC 3339"));
        assert!(refused(Schedule::at_text("1969-12-24T18:00:00Z")).contains("RFC 3339"));
        assert!(refused(Schedule::cron(&"*".repeat(200), "UTC")).contains("at most 128"));
    }

    proptest! {
        #[test]
        fn whatever_the_moment_the_next_one_is_later(ms: u64, near in 0u64..4_000_000_000_000) {
            let all = [
                berlin("30 2 * * *"),
                berlin("*/7 * * * * *"),
                Schedule::cron("0 0 29 2 *", "UTC").expect("a schedule"),
                Schedule::every(Period::from_ms(1_000)).expect("a schedule"),
                Schedule::at(Timestamp(near)),
            ];
            for schedule in all {
                for after in [Timestamp(ms), Timestamp(near)] {
                    prop_assert!(schedule.next_after(after).is_none_or(|next| next > after));
                }
            }
        }

        #[test]
        fn whatever_text_stands_there_nothing_breaks(text in "[0-9*/,#LW a-z?-]{0,40}") {
            let _ = Schedule::cron(&text, "Europe/Berlin");
            let _ = Schedule::at_text(&text);
        }
    }
}
