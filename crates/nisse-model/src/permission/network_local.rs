//! `network_local:HOST:PORT`: one service on the owner's own network, given only to agents of the node's owner.

use super::{ParsePermissionError, PermissionKind, required};
use crate::LocalService;

pub(super) const KIND: PermissionKind = PermissionKind {
    name: "network_local",
    form: "network_local:HOST:PORT",
    meaning: "may reach this service on your own network, behind your firewall",
};

pub(super) fn parse(arguments: Option<&str>) -> Result<LocalService, ParsePermissionError> {
    Ok(required(arguments, KIND)?.parse()?)
}
