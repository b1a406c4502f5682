//! The two kinds of automerge scalars that JSON lacks, as text: bytes in base64, times as RFC 3339.

use serde_json::{Map, Value, json};

/// The standard alphabet of RFC 4648 §4; DAG-JSON leaves the padding out.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DAY_MS: i64 = 86_400_000;
/// 0000-01-01 and 9999-12-31: RFC 3339 has years of four digits.
const RFC3339_DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;

/// Bytes as DAG-JSON writes them: `{"/": {"bytes": "<base64 without padding>"}}`.
pub(super) fn bytes_to_json(bytes: &[u8]) -> Value {
    json!({ "/": { "bytes": base64(bytes) } })
}

/// The bytes that a JSON map stands for, if it has exactly the form of [`bytes_to_json`].
pub(super) fn bytes_from_json(map: &Map<String, Value>) -> Option<Vec<u8>> {
    let inner = map.get("/").filter(|_| map.len() == 1)?.as_object().filter(|inner| inner.len() == 1)?;
    let text = inner.get("bytes")?.as_str()?;
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.bytes() {
        let digit = BASE64.iter().position(|digit| *digit == byte)?;
        bits = bits << 6 | digit as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            // The eight bits above those that are still held.
            bytes.push((bits >> held) as u8);
        }
    }
    // One text for one value: bits left over are zero and no whole digit.
    (base64(&bytes) == text).then_some(bytes)
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits =
            three.iter().enumerate().fold(0u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        for place in 0..=three.len() {
            text.push(char::from(BASE64[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// A time in milliseconds since 1970 as `2026-11-20T08:00:00.000Z`; outside the years 0 to 9999 as the bare number.
pub(super) fn time_to_json(ms: i64) -> Value {
    let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    if !RFC3339_DAYS.contains(&days) {
        return ms.into();
    }
    let (year, month, day) = civil(days);
    let (hour, minute, second, part) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{part:03}Z").into()
}

/// The milliseconds that exactly this text stands for, if [`time_to_json`] would write it so.
pub(super) fn time_from_json(text: &str) -> Option<i64> {
    let field = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
    let (hour, minute, second, part) = (field(11..13)?, field(14..16)?, field(17..19)?, field(20..23)?);
    let ms = days(year, month, day) * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1000 + part;
    (time_to_json(ms) == text).then_some(ms)
}

/// The date of a day since 1970. Counted in eras of 400 years of 146,097 days whose years begin in March, so that a
/// leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970 of a date; any numbers give some day, and [`time_from_json`] checks that it is this date's.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
