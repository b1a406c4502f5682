//! Where in the journal the records of each deployment stand: one mark for a stretch of them, in memory.

use std::collections::{HashMap, VecDeque};

use nisse_model::{DeploymentId, Hash256};
use nisse_store::Position;

/// Records from one mark to the next.
pub(super) const STRETCH: u64 = 64;

/// The marks of all deployments.
#[derive(Default)]
pub(crate) struct Places(HashMap<DeploymentId, Place>);

#[derive(Default)]
struct Place {
    /// Record numbers and where they stand, in order.
    marks: VecDeque<(u64, Position)>,
    /// The newest record that the journal held at start.
    last: Option<Last>,
    /// Records whose answers are being streamed, or have come to an end that is not durable yet.
    open: Vec<u64>,
}

enum Last {
    /// While the journal is read.
    Seen(u64, Vec<u8>),
    /// Its hash, which only the newest one's is needed of.
    Known(u64, Hash256),
}

/// Whether this record is one that gets a mark.
pub(crate) fn is_marked(seq: u64) -> bool {
    seq % STRETCH == 1
}

impl Places {
    /// Notes a record that stands in the journal at `position`.
    pub(super) fn mark(&mut self, deployment: DeploymentId, seq: u64, position: Position) {
        let marks = &mut self.0.entry(deployment).or_default().marks;
        let mut begin = position;
        // A number that comes again follows records that a crash took with it, or closes what was opened before: that
        // stands until the closing is durable.
        while let Some((last, known)) = marks.pop_back_if(|(last, _)| *last >= seq) {
            if last == seq {
                begin = begin.min(known);
            }
        }
        marks.push_back((seq, begin));
    }

    /// Notes a record that the journal held at start.
    pub(crate) fn restore(&mut self, deployment: DeploymentId, seq: u64, position: Position, record: Vec<u8>) {
        let place = self.0.entry(deployment).or_default();
        // The closing of a streamed answer stands where its record is looked for.
        let again = place.last.as_ref().is_some_and(|last| matches!(last, Last::Seen(known, _) if *known == seq));
        if place.marks.is_empty() || is_marked(seq) || again {
            self.mark(deployment, seq, position);
        }
        let place = self.0.entry(deployment).or_default();
        place.last = Some(Last::Seen(seq, record));
    }

    /// The journal was read to its end.
    pub(super) fn restored(&mut self) {
        for place in self.0.values_mut() {
            if let Some(Last::Seen(seq, record)) = &place.last {
                place.last = Some(Last::Known(*seq, Hash256::of(record)));
            }
        }
    }

    /// The answer of a record begins to leave.
    pub(super) fn open(&mut self, deployment: DeploymentId, seq: u64) {
        self.0.entry(deployment).or_default().open.push(seq);
    }

    /// The record is what it will always be.
    pub(super) fn close(&mut self, deployment: &DeploymentId, seq: u64) {
        if let Some(place) = self.0.get_mut(deployment) {
            place.open.retain(|open| *open != seq);
        }
    }

    pub(super) fn is_open(&self, deployment: &DeploymentId, seq: u64) -> bool {
        self.0.get(deployment).is_some_and(|place| place.open.contains(&seq))
    }

    /// The newest record that the journal held at start.
    pub(super) fn last(&self, deployment: &DeploymentId) -> Option<(u64, Hash256)> {
        match self.0.get(deployment)?.last.as_ref()? {
            Last::Seen(seq, record) => Some((*seq, Hash256::of(record))),
            Last::Known(seq, hash) => Some((*seq, *hash)),
        }
    }

    /// Where to begin to look for a record.
    pub(super) fn begin(&self, deployment: &DeploymentId, seq: u64) -> Option<Position> {
        let marks = &self.0.get(deployment)?.marks;
        let behind = marks.partition_point(|(first, _)| *first <= seq);
        Some(marks[behind.checked_sub(1)?].1)
    }

    /// Where the records begin that are still to be kept when the journal is cut before `end`.
    pub(super) fn keep_from(&self, kept_max: u64, end: Position) -> Option<Position> {
        let begin = |place: &Place| {
            let newest = place.marks.back()?.0;
            let oldest_kept = newest.saturating_sub(kept_max);
            let behind = place.marks.partition_point(|(first, _)| *first <= oldest_kept);
            place.marks.get(behind.saturating_sub(1)).map(|(_, position)| *position).filter(|at| *at < end)
        };
        self.0.values().filter_map(begin).min()
    }

    /// Forgets what the journal has let go. The last mark stays: what follows it has none of its own for a while.
    pub(super) fn forget_before(&mut self, first: Position) {
        for place in self.0.values_mut() {
            while place.marks.get(1).is_some_and(|(_, next)| *next <= first) {
                place.marks.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    const BUSY: DeploymentId = DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 };

    fn places(marks: &[(u64, u64)]) -> Places {
        let mut places = Places::default();
        marks.iter().for_each(|(seq, position)| places.mark(BUSY, *seq, Position(*position)));
        places
    }

    #[test]
    fn a_record_is_looked_for_from_the_mark_at_or_before_it() {
        let places = places(&[(1, 10), (65, 90), (129, 200)]);
        assert_eq!(places.begin(&BUSY, 1), Some(Position(10)));
        assert_eq!(places.begin(&BUSY, 64), Some(Position(10)));
        assert_eq!(places.begin(&BUSY, 65), Some(Position(90)));
        assert_eq!(places.begin(&BUSY, 5_000), Some(Position(200)));
        assert_eq!(places.begin(&BUSY, 0), None);
        assert_eq!(places.begin(&DeploymentId { number: 4, ..BUSY }, 1), None);
    }

    #[test]
    fn a_number_that_comes_again_after_a_crash_stands_where_it_came_last() {
        let mut places = places(&[(1, 10), (65, 90)]);
        places.mark(BUSY, 60, Position(95));
        assert_eq!(places.begin(&BUSY, 65), Some(Position(95)));
        assert_eq!(places.begin(&BUSY, 59), Some(Position(10)));
    }

    #[test]
    fn what_the_journal_let_go_is_forgotten_but_for_the_stretch_that_it_cuts() {
        let mut places = places(&[(1, 10), (65, 90), (129, 200)]);
        places.forget_before(Position(100));
        assert_eq!(places.begin(&BUSY, 64), None);
        assert_eq!(places.begin(&BUSY, 65), Some(Position(90)), "a part of this stretch is still there");
        places.forget_before(Position(300));
        assert_eq!(places.begin(&BUSY, 500), Some(Position(200)), "what follows has no mark yet");
    }

    #[test]
    fn the_closing_of_a_streamed_answer_is_found_before_its_opening() {
        let mut places = Places::default();
        let record = |output| vec![output];
        for (seq, position) in [(5, 10), (6, 11), (6, 14)] {
            places.restore(BUSY, seq, Position(position), record(position as u8));
        }
        places.restored();
        assert_eq!(places.begin(&BUSY, 6), Some(Position(14)));
        assert_eq!(places.begin(&BUSY, 5), Some(Position(10)));
        assert_eq!(places.last(&BUSY), Some((6, Hash256::of(&record(14)))), "the chain goes on behind the closing");
        places.open(BUSY, 7);
        places.open(BUSY, 8);
        assert!(places.is_open(&BUSY, 7) && !places.is_open(&BUSY, 6));
        places.close(&BUSY, 7);
        assert!(!places.is_open(&BUSY, 7) && places.is_open(&BUSY, 8));
    }

    #[test]
    fn only_the_newest_records_are_kept_when_the_journal_is_cut() {
        let places = places(&[(1, 10), (65, 90), (129, 200)]);
        assert_eq!(places.keep_from(1_000, Position(300)), Some(Position(10)));
        assert_eq!(places.keep_from(10, Position(300)), Some(Position(90)), "the stretch that holds 119");
        assert_eq!(places.keep_from(10, Position(90)), None, "nothing before the cut");
    }
}
