//! The words of nisse: identifiers, amounts, the manifest, permissions and records.
//!
//! This crate is pure: no file system, no network, no clock, no randomness, no async runtime. Everything that reaches
//! a disk or a wire is defined beside the type it stores and carries a version.
#![forbid(unsafe_code)]

mod address;
mod agent_id;
mod content_id;
mod deployment;
mod hash;
mod host_name;
mod network_rule;
mod units;

pub use address::{Address, ParseAddressError};
pub use agent_id::{AgentId, AgentName, ParseAgentIdError};
pub use content_id::{CidCodec, ContentId, ParseContentIdError};
pub use deployment::{DeploymentId, ParseDeploymentIdError};
pub use hash::{Hash256, ParseHashError};
pub use host_name::{HostName, HostNameError, HostPattern, LocalHost, LocalName};
pub use network_rule::{LocalService, NetworkRule, NetworkRuleError, NetworkScheme, parse_port};
pub use units::{Amount, AmountPerHour, ByteSize, Cpu, Fuel, ParseUnitError, Timestamp};
