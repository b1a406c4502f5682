//! Who changed a document, when, and what.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use automerge::{ActorId, Automerge, ChangeHash, ChangeMetadata, Patch, PatchAction, Prop};
use nisse_model::Timestamp;

use super::id::ObjectId;

/// Most changes that one look at a history gives.
pub const HISTORY_CHANGES_MAX: usize = 1_000;
/// Most keys named for one change.
pub const HISTORY_TOUCHED_MAX: usize = 100;
/// Longest message given of one change, in characters.
const MESSAGE_LENGTH_MAX: usize = 200;

/// A document's changes, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The newest changes, at most as many as were asked for.
    pub changes: Vec<HistoryChange>,
    /// How many changes the document has in all.
    pub changes_total: usize,
}

/// One change of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryChange {
    /// Its hash.
    pub hash: ChangeHash,
    /// Who made it.
    pub actor: ActorId,
    /// When, as its maker claims: whole seconds, and never before 1970.
    pub time: Timestamp,
    /// What its maker says of it, at most 200 characters.
    pub message: Option<String>,
    /// How many operations it has.
    pub operations: u64,
    /// Which keys it touched, at most [`HISTORY_TOUCHED_MAX`]; empty unless they were asked for.
    pub touched: BTreeSet<Touched>,
}

/// What a change touched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    /// The object.
    pub object: ObjectId,
    /// The key of its JSON: one of its data, or `@type`, `@meta` and so on; None for the object as a whole.
    pub key: Option<String>,
}

impl History {
    /// The newest `limit` changes of a document, at most [`HISTORY_CHANGES_MAX`].
    ///
    /// A change stands above all that its maker had seen (but for changes without operations), in the same order on
    /// every device that has the same changes.
    pub fn read(document: &Automerge, limit: usize) -> Self {
        Self::read_with(document, limit, |_| BTreeSet::new())
    }

    /// The same with the keys that each change touched. Costs time in proportion to `limit` × the document's size.
    pub fn read_touched(document: &Automerge, limit: usize) -> Self {
        Self::read_with(document, limit, |change| {
            let patches = document.diff(&change.deps, &[change.hash]);
            patches.iter().filter_map(touched).take(HISTORY_TOUCHED_MAX).collect()
        })
    }

    fn read_with(
        document: &Automerge,
        limit: usize,
        touched: impl Fn(&ChangeMetadata<'_>) -> BTreeSet<Touched>,
    ) -> Self {
        let mut changes = document.get_changes_meta(&[]);
        let changes_total = changes.len();
        changes.sort_by(causal);
        let newest = changes.iter().rev().take(limit.min(HISTORY_CHANGES_MAX));
        let changes = newest
            .map(|change| HistoryChange {
                hash: change.hash,
                actor: change.actor.clone().into_owned(),
                time: Timestamp(u64::try_from(change.timestamp).unwrap_or(0).saturating_mul(1000)),
                message: change.message.as_ref().map(|text| text.chars().take(MESSAGE_LENGTH_MAX).collect()),
                operations: (change.max_op + 1).saturating_sub(change.start_op),
                touched: touched(change),
            })
            .collect();
        Self { changes, changes_total }
    }
}

/// An operation's number is larger than those of all that its maker had seen.
fn causal(one: &ChangeMetadata<'_>, other: &ChangeMetadata<'_>) -> Ordering {
    let key = |change: &ChangeMetadata<'_>| (change.start_op, change.max_op);
    key(one).cmp(&key(other)).then_with(|| (&one.actor, one.seq).cmp(&(&other.actor, other.seq)))
}

/// The object and key that a patch is about: `objects`, its id, the section, the key.
fn touched(patch: &Patch) -> Option<Touched> {
    let own = match &patch.action {
        PatchAction::PutMap { key, .. } | PatchAction::DeleteMap { key } => Some(key.as_str()),
        PatchAction::Increment { prop: Prop::Map(key), .. } | PatchAction::Conflict { prop: Prop::Map(key) } => {
            Some(key.as_str())
        }
        _ => None,
    };
    let places = patch.path.iter().map_while(|(_, place)| match place {
        Prop::Map(key) => Some(key.as_str()),
        Prop::Seq(_) => None,
    });
    let mut path = places.chain(own);
    path.next().filter(|first| *first == "objects")?;
    let object = path.next()?.parse().ok()?;
    let key = match (path.next(), path.next()) {
        (Some("data"), key) => key.map(str::to_owned),
        (Some("meta"), _) => Some("@meta".to_owned()),
        (Some("system"), Some("source")) => Some("@relationSource".to_owned()),
        (Some("system"), Some("target")) => Some("@relationTarget".to_owned()),
        (Some("system"), Some(key)) => Some(format!("@{key}")),
        _ => None,
    };
    Some(Touched { object, key })
}
