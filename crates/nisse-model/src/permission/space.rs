//! `space:NAME:read` or `space:NAME:edit`: objects of a space of the owner. Given only to agents of the node's owner.

use super::{ParsePermissionError, PermissionKind, required};
use crate::SpaceRule;

pub(super) const KIND: PermissionKind = PermissionKind {
    name: "space",
    form: "space:NAME:read",
    meaning: "may read this space of yours, and with `edit` write in it",
};

pub(super) fn parse(arguments: Option<&str>) -> Result<SpaceRule, ParsePermissionError> {
    Ok(required(arguments, KIND)?.parse()?)
}
