//! The words of nisse: identifiers, amounts, the manifest, permissions and records.
//!
//! This crate is pure: no file system, no network, no clock, no randomness, no async runtime. Everything that reaches
//! a disk or a wire is defined beside the type it stores and carries a version.
#![forbid(unsafe_code)]

mod access;
mod address;
mod agent_id;
mod audit;
mod config;
mod content_id;
mod credential;
mod deployment;
mod effect;
mod entry_point;
mod function;
mod grants;
mod hash;
mod host_name;
mod invocation;
mod invocation_id;
mod lease_terms;
mod manifest;
mod network_rule;
mod package;
mod peer_id;
mod period;
mod permission;
mod record;
mod resources;
mod schedule;
mod secret_name;
mod secret_rule;
mod space_rule;
mod suggestion;
mod template;
mod trigger;
mod units;

pub use access::{Access, AccessRule, AccessTo, Rate};
pub use address::{Address, ParseAddressError};
pub use agent_id::{AgentId, AgentName, ParseAgentIdError};
pub use audit::{AuditChainError, AuditHead, AuditLine, DecodeAuditError};
pub use config::{Config, ConfigError, ConfigSetting, ParseConfigSettingError};
pub use content_id::{CidCodec, ContentId, ParseContentIdError};
pub use credential::{
    Chains, ChainsError, Claim, Command, Credential, CredentialError, CredentialId, Device, Did, InsertError, Inserted,
    Label, Log, OpenInvitation, ParseDidError, ParseLabelError, ParseScopeError, Role, Scope, Settled, SigningKey,
    Standing, State, Statement, TokenError, Word, wallet_digest,
};
pub use deployment::{DeploymentId, ParseDeploymentIdError};
pub use effect::{
    AssetName, EFFECTS_MAX, Effect, ParseAssetNameError, SPACE_WRITES_BYTES_MAX, SPACE_WRITES_MAX,
    STATE_KEY_LENGTH_MAX, STATE_VALUE_LENGTH_MAX, SpaceWrite,
};
pub use entry_point::{EntryPoint, ParseEntryPointError};
pub use function::{Function, FunctionName, ParseFunctionNameError, RetryPolicy, TriggerName};
pub use grants::{GrantError, Grants, Policy, hint_to_add};
pub use hash::{Hash256, ParseHashError};
pub use host_name::{HostName, HostNameError, HostPattern, LocalHost, LocalName};
pub use invocation::{
    EVENT_DATA_LENGTH_MAX, EVENT_TEXT_LENGTH_MAX, Event, EventError, FAILURE_TEXT_LENGTH_MAX, Failure, FailureKind,
    Invocation, Outcome,
};
pub use invocation_id::{InvocationId, ParseInvocationIdError};
pub use lease_terms::{LeaseTerms, due};
pub use manifest::{ArtifactHash, Manifest, ManifestError, ManifestErrors, ManifestProblem, Warning, check};
pub use network_rule::{LocalService, NetworkRule, NetworkRuleError, NetworkScheme, parse_port};
pub use package::{Package, PackageError, PackageRef};
pub use peer_id::PeerId;
pub use period::{ParsePeriodError, Period};
pub use permission::{ParsePermissionError, Permission, PermissionKind};
pub use record::{
    ChainError, CutKind, DecodeRecordError, HostCallRecord, HostCallResult, InstanceId, InvocationRecord,
    MessageHasher, RecordChain, RecordOutcome, TrapKind,
};
pub use resources::Resources;
pub use schedule::{Schedule, ScheduleError};
pub use secret_name::{ParseSecretNameError, SecretName};
pub use secret_rule::{HttpMethod, PathPrefix, SecretForm, SecretHeader, SecretRule, SecretRuleError};
pub use space_rule::{SpaceRule, SpaceRuleError};
pub use suggestion::nearest;
pub use template::{Template, TemplateError};
pub use trigger::{Missed, OnEnd, SpaceEvent, Trigger, TriggerSpec};
pub use units::{Amount, AmountPerHour, ByteSize, Cpu, Fuel, ParseUnitError, Timestamp};
