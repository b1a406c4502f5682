//! The integration tests of nisse-model: one binary, one module per subject.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod config;
mod credentials;
mod fuzz_corpus;
mod grants;
mod invocation;
mod lease_terms;
mod manifest;
mod manifest_access;
mod manifest_config_errors;
mod manifest_functions;
mod manifest_permission_errors;
mod manifest_value_errors;
mod manifest_yaml_errors;
mod package;
mod permission;
mod record;
mod record_chain;
mod seal;
mod words;
