//! The one table: row, aim, ours, peer or limit, ratio, met or missed.

use std::time::Duration;

/// One aim and what was measured of it.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) aim: String,
    pub(crate) ours: String,
    /// The peer's figure, or the limit that the machine sets, in the same run.
    pub(crate) peer: String,
    pub(crate) ratio: String,
    pub(crate) met: bool,
}

impl Row {
    /// A figure that has to stay at or under its limit.
    pub(crate) fn at_most(what: &str, aim: &str, ours: String, value: f64, limit: f64) -> Self {
        Self {
            what: what.to_owned(),
            aim: aim.to_owned(),
            ours,
            peer: String::new(),
            ratio: format!("{:.2}", value / limit),
            met: value <= limit,
        }
    }

    /// A figure that has to reach its limit.
    pub(crate) fn at_least(what: &str, aim: &str, ours: String, value: f64, limit: f64) -> Self {
        Self { met: value >= limit, ..Self::at_most(what, aim, ours, value, limit) }
    }

    pub(crate) fn beside(self, peer: String) -> Self {
        Self { peer, ..self }
    }
}

pub(crate) fn print(rows: &[Row]) {
    let cells = |row: &Row| {
        let verdict = if row.met { "met" } else { "MISSED" };
        [&row.what, &row.aim, &row.ours, &row.peer, &row.ratio, verdict].map(str::to_owned)
    };
    let head = ["row", "aim", "ours", "peer or limit", "ratio", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for line in &lines {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    }
    let met = rows.iter().filter(|row| row.met).count();
    let missed = rows.len() - met;
    println!("{met} met, {missed} missed; fs = the same run's fdatasync p50; ratio = ours : peer, or ours : aim");
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A time as people read it.
pub(crate) fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.2} us"),
        ..1_000_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}
