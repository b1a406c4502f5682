//! The integration tests of nisse-model: one binary, one module per subject.

mod manifest;
