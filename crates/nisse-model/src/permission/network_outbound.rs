//! `network_outbound:HOST[:PORT]`: requests to a public host, https unless `http://` is written out.

use super::{ParsePermissionError, PermissionKind, required};
use crate::NetworkRule;

pub(super) const KIND: PermissionKind = PermissionKind {
    name: "network_outbound",
    form: "network_outbound:HOST[:PORT]",
    meaning: "may send requests to this host on the public internet",
};

pub(super) fn parse(arguments: Option<&str>) -> Result<NetworkRule, ParsePermissionError> {
    Ok(required(arguments, KIND)?.parse()?)
}
