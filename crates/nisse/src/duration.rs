//! Times as they are typed: `90s`, `15m`, `12h`, `30d`.

use crate::failure::Failure;

/// A number and its unit in milliseconds.
pub(crate) fn milliseconds(text: &str) -> Result<u64, Failure> {
    let refused = || {
        Failure::usage(format!(
            "failed to read `{text}` as a time: expected a number from 1 with s, m, h or d behind it"
        ))
        .hint("such as 15m, 12h or 30d")
    };
    let place = text.len().checked_sub(1).filter(|place| text.is_char_boundary(*place)).ok_or_else(refused)?;
    let (number, unit) = text.split_at(place);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 24 * 3_600,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    number.checked_mul(seconds * 1_000).filter(|time| *time > 0).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let read = |text| milliseconds(text).ok();
        let right = [("90s", 90_000), ("15m", 900_000), ("12h", 43_200_000), ("30d", 2_592_000_000)];
        for (text, time) in right {
            assert_eq!(read(text), Some(time), "{text}");
        }
        for wrong in ["", "d", "0s", "-1h", "1.5h", "1", "1w", "1 h", "99999999999999999d", "1é"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
