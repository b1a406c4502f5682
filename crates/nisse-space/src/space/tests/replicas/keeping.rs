//! Replicas that keep a part of the space.

use serde_json::{Value, json};

use super::*;
use crate::StoreError;
use crate::objects::{ObjectId, Query};
use crate::root::root_document;
use crate::space::{SpaceObjectError, Write};

const ALL: &str = r#"{"type":"select","filter":{"type":"object","typename":null,"props":{}}}"#;

fn id(number: u8) -> ObjectId {
    ObjectId::new(1_700_000_000_000, [number; 10])
}

impl Net {
    fn put(&mut self, replica: usize, number: u8, title: &str) {
        let Value::Object(json) = json!({ "title": title }) else { panic!("a map") };
        let world = &mut self.replicas[replica];
        let written = world.space.write_object(id(number), Write::Put(&json), &world.keeper);
        let (_, effects) = written.expect("written");
        self.deliver(replica, effects);
        self.settle();
    }

    fn keep(&mut self, replica: usize, numbers: Option<&[u8]>) -> Result<(), SpaceObjectError> {
        let objects = numbers.map(|numbers| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>());
        self.replicas[replica].space.keep(objects.as_ref().map(|objects| (objects.as_slice(), &[][..])))
    }

    /// Links two, each with what is kept there.
    fn meet(&mut self, one: usize, other: usize) -> usize {
        let wanted = [one, other].map(|replica| self.replicas[replica].space.wanted());
        let link = self.link_with(one, other, wanted);
        self.settle();
        assert!(self.closed().is_empty(), "{:?}", self.closed());
        link
    }

    fn titles(&mut self, replica: usize) -> Vec<String> {
        let query = Query::from_json(ALL).expect("a query");
        let found = self.replicas[replica].space.query(&query).expect("found");
        found.iter().map(|object| object.data["title"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn documents(&self, replica: usize) -> usize {
        let mut count = 0;
        let read = self.replicas[replica].space.store().documents(|_, _| {
            count += 1;
            true
        });
        read.expect("read");
        count
    }
}

#[test]
fn a_part_is_kept_and_served_and_is_never_taken_for_the_whole() {
    let mut net = Net::new(3);
    for number in 1..=6 {
        net.put(0, number, &format!("object {number}"));
    }
    // The second knows the space by its root alone, and then keeps one object of it.
    net.keep(1, Some(&[])).expect("kept");
    let link = net.meet(0, 1);
    assert_eq!((net.documents(1), net.titles(1).len()), (1, 0));
    assert!(matches!(net.keep(1, Some(&[7])), Err(SpaceObjectError::Unknown(unknown)) if unknown == id(7)));
    assert!(net.replicas[1].space.is_rekept());
    net.keep(1, Some(&[2])).expect("kept");
    assert!(net.replicas[1].space.is_rekept() && !net.replicas[1].space.is_rekept(), "once");
    net.cut(link);
    let link = net.meet(1, 0);
    assert_eq!(net.titles(1), ["object 2"]);
    assert_eq!(net.replicas[1].space.elsewhere().expect("counted"), 5);
    net.put(0, 2, "object 2, changed");
    net.put(0, 3, "object 3, changed");
    assert_eq!((net.titles(1), net.documents(1)), (vec!["object 2, changed".to_owned()], 2));

    // A third that keeps all gets what there is of the part, and the rest of whoever has it.
    let partial = net.meet(2, 1);
    assert_eq!(net.titles(2), ["object 2, changed"]);
    assert_eq!(net.replicas[2].space.elsewhere().expect("counted"), 0, "it wants all, whatever came yet");
    let whole = net.meet(2, 0);
    assert_eq!((net.titles(2), net.documents(2)), (net.titles(0), 7));
    assert_eq!(net.documents(1), 2, "and the part stays one");
    for link in [partial, whole] {
        net.cut(link);
    }
    // Two that keep different parts have what both keep.
    net.keep(2, Some(&[2, 4])).expect("kept");
    net.put(1, 2, "by the second");
    net.meet(1, 2);
    assert_eq!(net.titles(2)[1], "by the second");
    assert_eq!(net.documents(1), 2);
    net.cut(link);

    // All of it again.
    net.keep(1, None).expect("kept");
    assert_eq!(net.replicas[1].space.wanted(), Wanted::All);
    net.meet(0, 1);
    assert_eq!((net.titles(1), net.documents(1)), (net.titles(0), 7));
}

#[test]
fn what_is_made_at_a_part_is_kept_there_after_a_restart_too() {
    let mut net = Net::new(2);
    net.put(0, 1, "one");
    net.put(0, 2, "two");
    net.keep(1, Some(&[])).expect("kept");
    let link = net.meet(0, 1);
    assert!(net.replicas[1].space.is_rekept());
    net.put(1, 9, "nine");
    assert!(net.replicas[1].space.is_rekept(), "others do not know that it is kept");
    assert_eq!(net.titles(0), ["one", "two", "nine"]);
    // What a client makes there, too; and what is only changed there is kept from then on.
    net.write(1, document(5), "line");
    assert!(net.replicas[1].space.is_rekept());
    net.cut(link);
    let store = net.replicas[1].space.store().clone();
    net.replicas[1].space = Space::open(store, "replica", SpaceLimits::default());
    let root = root_document(SPACE);
    let Wanted::Only(kept) = net.replicas[1].space.wanted() else { panic!("a part is kept") };
    assert!(kept.len() == 3 && kept.contains(&root) && kept.contains(&document(5)), "{kept:?}");
    net.meet(0, 1);
    net.put(0, 9, "nine, changed");
    assert_eq!((net.titles(1), net.documents(1)), (vec!["nine, changed".to_owned()], 3));
}

#[test]
fn what_was_written_before_a_part_was_kept_reaches_others() {
    for first in [0, 1] {
        let mut net = Net::new(2);
        net.put(0, 1, "one");
        net.put(0, 2, "two");
        let link = net.meet(0, 1);
        net.cut(link);
        net.put(1, 2, "two, by the second");
        net.keep(1, Some(&[1])).expect("kept");
        net.meet(first, 1 - first);
        assert_eq!(net.titles(0), ["one", "two, by the second"]);
        net.put(0, 2, "two, by the first");
        assert_eq!(net.titles(1), ["one", "two, by the second"], "it stays as it was");
        assert!(net.closed().is_empty(), "{:?}", net.closed());
    }
}

#[test]
fn a_list_of_another_version_keeps_the_space_from_taking_anything() {
    let mut net = Net::new(2);
    net.put(0, 1, "one");
    net.keep(1, Some(&[])).expect("kept");
    let store = net.replicas[1].space.store().clone();
    let table = nisse_store::Table::new("space.kept");
    store.database().write::<_, StoreError>(|rows| Ok(rows.put(table, &SPACE.0.0, &[2])?)).expect("written");
    assert!(store.kept().is_err());
    net.replicas[1].space = Space::open(store, "replica", SpaceLimits::default());
    assert!(net.replicas[1].space.fault().is_some_and(|fault| fault.contains("kept")));
    assert_eq!(net.replicas[1].space.wanted(), Wanted::Only(BTreeSet::new()));
    assert!(matches!(net.keep(1, None), Err(SpaceObjectError::Space(_))));
}
