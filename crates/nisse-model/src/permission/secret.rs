//! `secret:NAME@HOST`: a secret of the owner goes along with the agent's requests to one host, and the agent never sees
//! it. Given only to agents of the node's owner.

use super::{ParsePermissionError, PermissionKind, required};
use crate::SecretRule;

pub(super) const KIND: PermissionKind = PermissionKind {
    name: "secret",
    form: "secret:NAME@HOST",
    meaning: "may use this secret of yours in its requests to this one host, without seeing it",
};

pub(super) fn parse(arguments: Option<&str>) -> Result<Box<SecretRule>, ParsePermissionError> {
    Ok(required(arguments, KIND)?.parse().map(Box::new).map_err(Box::new)?)
}
