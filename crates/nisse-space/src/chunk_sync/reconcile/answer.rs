//! What a message is answered.
//!
//! Each range of it is read once. Where the answer would become too long, the rest of the message is answered by one
//! fingerprint, so that a later round goes on there. The first range that differs is always divided, listed or settled,
//! and what is before it is settled: so that honest peers come to an end, however short their messages are.

use super::division::Division;
use super::tally::Tally;
use super::{Bound, ITEMS_MAX, Item, Items, PARTS, Part, RANGES_MAX, Range, ReconcileError, check};

/// What a message is answered, and what was learned from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What to say back. Nothing: all that differs has been learned by one of the two.
    pub ranges: Vec<Range>,
    /// What they have and we have not, in order, each once: at most [`ITEMS_MAX`]. What is not transferred meanwhile may
    /// come again in a later answer.
    pub lacking: Vec<Item>,
    /// What we have and they have not, likewise.
    pub surplus: Vec<Item>,
}

/// Answers a message. The set is read at most once.
pub fn answer<I: Items + ?Sized>(items: &I, theirs: &[Range]) -> Result<Answer, ReconcileError<I::Error>> {
    check(theirs)?;
    let end = theirs.last().map_or(Bound::End, |range| range.upto);
    let mut reply = Reply { answer: Answer::default(), covered: Bound::Before(Item::FIRST), listed: 0 };
    let mut from = Item::FIRST;
    for Range { upto, part } in theirs {
        let outcome = match part {
            Part::Skip => Ok(Outcome::Goes),
            _ if reply.room() < 2 * SINGLE => Ok(Outcome::Full(Tally::default(), Bound::Before(from))),
            Part::Fingerprint(fingerprint) => reply.compare(items, from, *upto, fingerprint),
            Part::Items(list) => reply.settle(items, from, *upto, list),
        };
        if let Outcome::Full(tally, read) = outcome.map_err(ReconcileError::Items)? {
            reply.remainder(items, from, tally, read, end).map_err(ReconcileError::Items)?;
            break;
        }
        let Bound::Before(next) = *upto else { break };
        from = next;
    }
    Ok(reply.answer)
}

/// Ranges that one takes, with the skipped one before it.
const SINGLE: usize = 2;

/// An answer in the making.
struct Reply {
    answer: Answer,
    /// Where its ranges end so far.
    covered: Bound,
    /// Items in its lists.
    listed: usize,
}

/// Whether the answer has room.
enum Outcome {
    Goes,
    /// It has none for this range, whose items are tallied up to a place.
    Full(Tally, Bound),
}

impl Reply {
    /// Ranges that can still be said.
    fn room(&self) -> usize {
        RANGES_MAX - self.answer.ranges.len()
    }

    fn say(&mut self, from: Item, range: Range) {
        let from = Bound::Before(from);
        if self.covered < from {
            self.answer.ranges.push(Range { upto: from, part: Part::Skip });
        }
        self.covered = range.upto;
        self.answer.ranges.push(range);
    }

    /// Answers a fingerprint.
    fn compare<I: Items + ?Sized>(
        &mut self,
        items: &I,
        from: Item,
        upto: Bound,
        theirs: &[u8; 16],
    ) -> Result<Outcome, I::Error> {
        let mut ours = Division::new();
        items.scan(&from, &upto, &mut |item| ours.add(&item))?;
        let tally = ours.tally();
        if tally.fingerprint() == *theirs {
            return Ok(Outcome::Goes);
        }
        match ours.few() {
            Some(few) if self.listed + few.len() <= ITEMS_MAX => {
                self.listed += few.len();
                self.say(from, Range { upto, part: Part::Items(few.to_vec()) });
            }
            // Listed another time: they will find it to differ again.
            Some(_) => self.say(from, Range { upto, part: Part::Fingerprint(tally.fingerprint()) }),
            None if self.room() < SINGLE + PARTS + SINGLE => return Ok(Outcome::Full(tally, upto)),
            None => ours.parts(upto).for_each(|range| self.say(from, range)),
        }
        Ok(Outcome::Goes)
    }

    /// Answers a list: by nothing, unless there is more that they lack than an answer may name.
    fn settle<I: Items + ?Sized>(
        &mut self,
        items: &I,
        from: Item,
        upto: Bound,
        theirs: &[Item],
    ) -> Result<Outcome, I::Error> {
        let Answer { lacking, surplus, .. } = &mut self.answer;
        let mut theirs = theirs.iter().copied().peekable();
        let mut rest: Option<(Item, Tally)> = None;
        items.scan(&from, &upto, &mut |item| {
            if rest.is_none() {
                while let Some(their) = theirs.next_if(|their| *their < item) {
                    lacking.push(their);
                }
                if theirs.next_if_eq(&item).is_some() {
                    return;
                }
                if surplus.len() < ITEMS_MAX {
                    surplus.push(item);
                    return;
                }
            }
            rest.get_or_insert((item, Tally::default())).1.add(&item);
        })?;
        match rest {
            None => lacking.extend(theirs),
            Some((item, tally)) => {
                self.say(item, Range { upto, part: Part::Fingerprint(tally.fingerprint()) });
            }
        }
        Ok(Outcome::Goes)
    }

    /// Answers all from a place to the message's end by one fingerprint. Its first items are tallied already.
    fn remainder<I: Items + ?Sized>(
        &mut self,
        items: &I,
        from: Item,
        mut tally: Tally,
        read: Bound,
        end: Bound,
    ) -> Result<(), I::Error> {
        if let Bound::Before(read) = read
            && end.is_behind(&read)
        {
            items.scan(&read, &end, &mut |item| tally.add(&item))?;
        }
        self.say(from, Range { upto: end, part: Part::Fingerprint(tally.fingerprint()) });
        Ok(())
    }
}
