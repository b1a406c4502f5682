//! Whether automerge itself can live with changes that it has taken: it accepts some after which a document can not be
//! loaded or changed any more, by anybody. They are refused, so that nobody can spoil a document for the others.

use std::collections::HashMap;

use automerge::{Automerge, Change, ChangeHash};

/// The last moment, in seconds since 1970, that a change may claim. automerge keeps differences of them in 64 bits with a
/// sign, and fails where one does not fit.
const TIME_MAX: i64 = 1 << 53;

/// Says what is wrong with the changes since `before`, of which `news` is what will be loaded.
pub(super) fn check(document: &Automerge, before: &[ChangeHash], news: &[u8]) -> Result<(), &'static str> {
    let changes = document.get_changes(before);
    if changes.iter().any(|change| !(0..=TIME_MAX).contains(&change.timestamp())) {
        return Err("a change claims a time before 1970, or too late for any clock");
    }
    // automerge makes a change anew from its operations whenever it is asked for one.
    let last: HashMap<ChangeHash, u64> = changes.iter().map(|change| (change.hash(), change.max_op())).collect();
    let last_of = |dep: &ChangeHash| {
        last.get(dep).copied().or_else(|| document.get_change_meta_by_hash(dep).map(|dep| dep.max_op))
    };
    for change in &changes {
        let early = |dep: &ChangeHash| last_of(dep).is_none_or(|last| last >= change.start_op().get());
        if change.deps().iter().any(early) {
            return Err("a change numbers its operations below those that it stands on");
        }
    }
    if before.is_empty() {
        let again = Automerge::load(news).map_err(|_| "what automerge saves of the document does not load again")?;
        return if again.get_heads() == document.get_heads() {
            Ok(())
        } else {
            Err("the document does not load as it is")
        };
    }
    for change in &changes {
        let again = Change::from_bytes(change.raw_bytes().to_vec());
        if again.map(|again| again.hash()).ok() != Some(change.hash()) {
            return Err("a change is not in automerge's one form");
        }
    }
    Ok(())
}
