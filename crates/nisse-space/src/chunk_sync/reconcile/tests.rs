//! Two peers, every message over the wire's form, and what each of them learns.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use nisse_model::Hash256;
use proptest::prelude::*;

use super::*;
use crate::chunk_sync::codec::Frame;

/// Messages of any conversation here, the long ones too.
const MESSAGES_MAX: usize = 100;

struct Memory {
    items: BTreeSet<Item>,
    /// Items handed out.
    read: Cell<usize>,
}

impl Memory {
    fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self { items: items.into_iter().collect(), read: Cell::new(0) }
    }
}

impl Items for Memory {
    type Error = Infallible;

    fn scan(&self, from: &Item, upto: &Bound, each: &mut dyn FnMut(Item)) -> Result<(), Infallible> {
        for item in self.items.range(from..).take_while(|item| upto.is_behind(item)) {
            self.read.set(self.read.get() + 1);
            each(*item);
        }
        Ok(())
    }
}

/// A chunk of one of a hundred documents, some of which have most of them.
fn item(number: u64) -> Item {
    let Hash256(document) = Hash256::of(&number.trailing_zeros().min(4).to_be_bytes());
    let Hash256(other) = Hash256::of(&(number % 95).to_be_bytes());
    let document = if number.is_multiple_of(2) { document } else { other };
    let chunk = ChunkId(Hash256::of(&number.to_be_bytes()));
    Item { document: DocumentId(document[..16].try_into().expect("half of it")), chunk }
}

fn items(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<Item> {
    numbers.into_iter().map(item).collect()
}

#[derive(Debug, Default)]
struct Conversation {
    messages: usize,
    bytes: usize,
    /// How often each item was learned to differ: what the first has alone, and what the second has.
    first_alone: BTreeMap<Item, usize>,
    second_alone: BTreeMap<Item, usize>,
}

/// Lets two peers talk to the end, which an empty message is; what they learn is transferred if `transfers`.
fn converse(first: &mut Memory, second: &mut Memory, transfers: bool) -> Conversation {
    let mut talk = Conversation::default();
    let mut ranges = begin(first).expect("it is in memory");
    loop {
        let bytes = Frame::Reconcile { ranges: ranges.clone() }.encode();
        assert_eq!(Frame::decode(&bytes), Ok(Frame::Reconcile { ranges: ranges.clone() }));
        talk.messages += 1;
        talk.bytes += bytes.len();
        if ranges.is_empty() {
            return talk;
        }
        assert!(talk.messages < MESSAGES_MAX, "it comes to an end: {ranges:?}");
        let second_answers = talk.messages % 2 == 1;
        let (us, they) = if second_answers { (&mut *second, &mut *first) } else { (&mut *first, &mut *second) };
        us.read.set(0);
        let answer = answer(us, &ranges).expect("it is a message");
        assert!(us.read.get() <= us.items.len(), "one scan at most");
        assert!(answer.lacking.len() <= ITEMS_MAX && answer.surplus.len() <= ITEMS_MAX);
        assert!(answer.lacking.is_sorted_by(|one, next| one < next));
        assert!(answer.surplus.is_sorted_by(|one, next| one < next));
        let (ours, theirs) = (&mut talk.second_alone, &mut talk.first_alone);
        let (ours, theirs) = if second_answers { (ours, theirs) } else { (theirs, ours) };
        answer.surplus.iter().for_each(|item| *ours.entry(*item).or_default() += 1);
        answer.lacking.iter().for_each(|item| *theirs.entry(*item).or_default() += 1);
        if transfers {
            us.items.extend(answer.lacking);
            they.items.extend(answer.surplus);
        }
        ranges = answer.ranges;
    }
}

/// Both learn what differs, and nothing else; how often, if `once`, too.
fn check(first: &BTreeSet<Item>, second: &BTreeSet<Item>, once: bool) -> Conversation {
    let (mut one, mut other) = (Memory::new(first.clone()), Memory::new(second.clone()));
    let talk = converse(&mut one, &mut other, false);
    assert!(talk.first_alone.keys().eq(first.difference(second)), "what the first has alone");
    assert!(talk.second_alone.keys().eq(second.difference(first)), "what the second has alone");
    assert!(!once || talk.first_alone.values().chain(talk.second_alone.values()).all(|times| *times == 1));
    converse(&mut one, &mut other, true);
    assert!(one.items == other.items && one.items == first | second, "what is transferred ends the difference");
    talk
}

#[test]
fn equal_sets_need_two_messages() {
    for count in [0, 1, 32, 33, 5_000] {
        let set = items(0..count);
        let talk = check(&set, &set, true);
        assert!(talk.messages <= 2 && talk.bytes <= 40, "{talk:?}");
    }
}

#[test]
fn a_few_differences_among_many_cost_little() {
    let all = items(0..100_000);
    let lacking = |left_out: [u64; 3]| &all - &items(left_out);
    for (first, second) in [
        (lacking([5, 50_000, 99_999]), lacking([77, 7_777, 77_777])),
        (lacking([1, 2, 3]), all.clone()),
        (all.clone(), lacking([1, 2, 3])),
    ] {
        let talk = check(&first, &second, true);
        assert!(talk.messages <= 6 && talk.bytes <= 20_000, "{} messages of {} bytes", talk.messages, talk.bytes);
    }
}

#[test]
fn an_empty_peer_learns_all_and_an_end_is_reached() {
    for count in [1, 33, 16_384, 16_385, 40_000] {
        let (all, none) = (items(0..count), BTreeSet::new());
        let rounds = count as usize / ITEMS_MAX;
        for talk in [check(&none, &all, true), check(&all, &none, true)] {
            assert!(talk.messages <= 3 + 2 * rounds, "{count} items: {} messages", talk.messages);
        }
    }
}

#[test]
fn sets_that_share_nothing_are_told_apart_within_the_limits() {
    let talk = check(&items(0..60_000), &items(60_000..120_000), false);
    assert!(talk.messages <= 30, "{} messages", talk.messages);
    // One set is small.
    let talk = check(&items(0..60_000), &items(60_000..60_050), false);
    assert!(talk.messages <= 14, "{} messages", talk.messages);
}

#[test]
fn a_difference_between_neighbours_is_found() {
    let document = DocumentId([0xff; 16]);
    let item = |number: u64| {
        let mut chunk = [0xff; 32];
        chunk[24..].copy_from_slice(&number.to_be_bytes());
        Item { document, chunk: ChunkId(Hash256(chunk)) }
    };
    let all: BTreeSet<Item> = (0..2_000).map(item).chain([Item::FIRST, item(u64::MAX)]).collect();
    for left_out in [Item::FIRST, item(0), item(255), item(256), item(1_999), item(u64::MAX)] {
        check(&all, &(&all - &BTreeSet::from([left_out])), true);
    }
}

/// Every message that a peer may be sent is answered within the limits.
fn answer_hostile(ranges: Vec<Range>) -> Answer {
    let ours = Memory::new(items(0..60_000));
    let answer = answer(&ours, &ranges).expect("it is a message");
    assert!(ours.read.get() <= 60_000);
    assert_eq!(super::check(&answer.ranges), Ok(()));
    assert!(answer.lacking.len() <= ITEMS_MAX && answer.surplus.len() <= ITEMS_MAX);
    answer
}

fn bound(prefix: u16) -> Bound {
    let mut bytes = [0; Item::LENGTH];
    bytes[..2].copy_from_slice(&prefix.to_be_bytes());
    Bound::Before(Item::from_bytes(bytes))
}

#[test]
fn a_message_as_long_as_can_be_is_answered_within_the_limits() {
    let ranges = |part: &dyn Fn(u16) -> Part| -> Vec<Range> {
        let range = |place| Range {
            upto: if place == 2_047 { Bound::End } else { bound((place + 1) * 32) },
            part: part(place),
        };
        (0..2_048).map(range).collect()
    };
    let wrong = Part::Fingerprint([0; 16]);
    let answered = answer_hostile(ranges(&|_| wrong.clone()));
    assert!(answered.ranges.len() > 100 && matches!(answered.ranges.last(), Some(Range { upto: Bound::End, .. })));
    let answered = answer_hostile(ranges(&|place| if place % 2 == 0 { wrong.clone() } else { Part::Skip }));
    assert!(matches!(answered.ranges.last(), Some(Range { part: Part::Fingerprint(_), .. })));
    // They claim to have nothing: what they lack is named up to the limit, and a later message goes on.
    let answered = answer_hostile(ranges(&|_| Part::Items(Vec::new())));
    assert_eq!((answered.surplus.len(), answered.lacking.len()), (ITEMS_MAX, 0));
    assert!(matches!(answered.ranges.last(), Some(Range { upto: Bound::End, part: Part::Fingerprint(_) })));
    assert_eq!(answer_hostile(ranges(&|_| Part::Skip)), Answer::default());
    assert_eq!(answer_hostile(Vec::new()), Answer::default());
}

#[test]
fn what_is_no_message_is_refused() {
    let refused = |ranges: &[Range]| match answer(&Memory::new(items(0..10)), ranges) {
        Err(ReconcileError::Ranges(error)) => error,
        other => panic!("{other:?}"),
    };
    let range = |upto, part| Range { upto, part };
    let skip = |upto| range(upto, Part::Skip);
    let (at, listed) = (|prefix| range(bound(prefix), Part::Skip), |items| Part::Items(items));
    let place = |prefix| match bound(prefix) {
        Bound::Before(item) => item,
        Bound::End => panic!("it is a place"),
    };
    for ranges in [
        vec![at(2), at(1)],
        vec![at(1), at(1)],
        vec![at(0)],
        vec![skip(Bound::End), skip(Bound::End)],
        vec![skip(Bound::End), at(1)],
    ] {
        assert_eq!(refused(&ranges), RangesError::Bounds, "{ranges:?}");
    }
    for unordered in [vec![place(2), place(1)], vec![place(1), place(1)]] {
        assert_eq!(refused(&[range(Bound::End, listed(unordered))]), RangesError::Order);
    }
    for outside in [vec![place(4), place(5)], vec![place(5), place(9)], vec![place(9)], vec![place(4)]] {
        assert_eq!(refused(&[at(5), range(bound(9), listed(outside))]), RangesError::Outside);
    }
    let many: Vec<Range> = (1..2_050).map(at).collect();
    assert_eq!(refused(&many), RangesError::TooMany(2_049));
    let many: Vec<Item> = (0..=16_384).map(place).collect();
    assert_eq!(refused(&[range(Bound::End, listed(many.clone()))]), RangesError::TooManyItems(16_385));
    let (half, rest) = many.split_at(9_000);
    let halves = [range(bound(9_000), listed(half.to_vec())), range(Bound::End, listed(rest.to_vec()))];
    assert_eq!(refused(&halves), RangesError::TooManyItems(16_385));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_learn_exactly_what_differs(
        shared in 0_u64..5_000,
        alone in (prop_oneof![0_u64..40, 0_u64..2_500], prop_oneof![0_u64..40, 0_u64..2_500]),
        start in any::<u32>(),
    ) {
        let from = u64::from(start);
        let shared = items(from..from + shared);
        let first = &shared | &items(from + 10_000..from + 10_000 + alone.0);
        let second = &shared | &items(from + 20_000..from + 20_000 + alone.1);
        let talk = check(&first, &second, true);
        prop_assert!(talk.messages <= 7, "{} messages", talk.messages);
    }
}
