//! `publish_to_chain`: answers to the deployment's own OracleFeeds, within its gas budget.

use super::{ParsePermissionError, PermissionKind, none};

pub(super) const KIND: PermissionKind = PermissionKind {
    name: "publish_to_chain",
    form: "publish_to_chain",
    meaning: "may publish answers to its own price feeds, paid from the deployment's gas budget",
};

pub(super) fn parse(arguments: Option<&str>) -> Result<(), ParsePermissionError> {
    none(arguments, KIND)
}
