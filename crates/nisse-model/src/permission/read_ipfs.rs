//! `read_ipfs`: whole files by CID, every block checked.

use super::{ParsePermissionError, PermissionKind, none};

pub(super) const KIND: PermissionKind =
    PermissionKind { name: "read_ipfs", form: "read_ipfs", meaning: "may read public content by its CID" };

pub(super) fn parse(arguments: Option<&str>) -> Result<(), ParsePermissionError> {
    none(arguments, KIND)
}
