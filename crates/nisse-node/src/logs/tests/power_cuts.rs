//! Power cuts while lines are written: some are lost, none is torn, changed or out of order.

use std::collections::BTreeSet;

use nisse_model::Timestamp;
use nisse_testkit::{Failure, PowerCuts, Random, SimDisk, Subject, check};

use super::{AGENT, SMALL, bytes, open_with, settle, try_filed};

/// Batches of one life, and lines of one batch.
const BATCHES_MAX: u64 = 12;
const LINES_MAX: u64 = 6;
/// Longest text: several lines fit into a file, and some go over the edge of a sector.
const TEXT_BYTES_MAX: u64 = 400;

/// An agent that writes a lot.
#[derive(Default)]
struct Writes {
    /// Number and text of every line that was ever written.
    written: BTreeSet<(u64, String)>,
    life: u64,
}

impl Subject for Writes {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        self.life += 1;
        let logs = open_with(disk, SMALL);
        if disk.is_off() {
            return Ok(());
        }
        let mut lines = try_filed(&logs, AGENT)?;
        check(lines.is_sorted_by(|one, next| one.0 < next.0), || format!("{lines:?} are out of order"))?;
        for line in &lines {
            check(self.written.contains(line), || format!("{line:?} was never written"))?;
        }
        for batch in 0..random.below(BATCHES_MAX) {
            for line in 0..random.below(LINES_MAX) {
                let text = format!("{}/{batch}/{line} ", self.life);
                let text = text + &"\"\u{fffd}x".repeat(random.index(TEXT_BYTES_MAX as usize / 5));
                let log = logs.of(AGENT);
                log.write(Timestamp(1_000), "info", &text);
                let number = log.last(1)[0].number;
                check(lines.last().is_none_or(|last| last.0 < number), || format!("{number} is given twice"))?;
                lines.push((number, text.clone()));
                self.written.insert((number, text));
            }
            settle(&logs);
        }
        let kept = try_filed(&logs, AGENT)?;
        if disk.is_off() {
            return Ok(());
        }
        check(bytes(disk) <= 2 * SMALL.file_bytes_max, || format!("{} bytes are kept", bytes(disk)))?;
        check(lines.ends_with(&kept) && kept.is_empty() == lines.is_empty(), || {
            format!("{lines:?} were written, and {kept:?} are there")
        })
    }
}

#[test]
fn a_power_cut_tears_no_line_and_brings_none_back() {
    let report = PowerCuts::share("agents' logs", 5).run(Writes::default).unwrap_or_else(|text| panic!("{text}"));
    assert!(report.interrupting * 4 > report.cuts && report.lossy > 0, "{report:?}");
}
