//! The bytes of a decision: one version byte and JSON behind it, so that a journal can be read by eye.

use crate::decision::Decision;

/// Version of the stored form.
const VERSION: u8 = 1;

/// Why stored bytes are not a decision.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Nothing there.
    #[error("read a decision from no bytes")]
    Empty,
    /// Written by a later nisse.
    #[error("read a decision of version {0}: this nisse knows version {VERSION}")]
    Version(u8),
    /// Not a decision.
    #[error("read a decision")]
    Malformed(#[source] serde_json::Error),
}

/// The bytes that the journal keeps.
pub fn encode(decision: &Decision) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, decision).expect("a decision has only text keys and writing to memory succeeds");
    bytes
}

/// The decision behind the journal's bytes.
pub fn decode(bytes: &[u8]) -> Result<Decision, DecodeError> {
    match bytes.split_first() {
        None => Err(DecodeError::Empty),
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(DecodeError::Malformed),
        Some((&version, _)) => Err(DecodeError::Version(version)),
    }
}

/// Types whose text form is their stored form.
pub(crate) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Time as milliseconds.
pub(crate) mod millis {
    use nisse_model::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(deserializer).map(Timestamp)
    }
}

/// A time that may be absent.
pub(crate) mod millis_option {
    use nisse_model::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|at| at.0).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Timestamp))
    }
}

/// Money as a decimal text of smallest units: JSON numbers lose digits.
pub(crate) mod amount {
    use nisse_model::Amount;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(value: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&value.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        String::deserialize(deserializer)?.parse().map(Amount).map_err(de::Error::custom)
    }
}

/// A rate, as [`amount`].
pub(crate) mod rate {
    use nisse_model::{Amount, AmountPerHour};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &AmountPerHour, serializer: S) -> Result<S::Ok, S::Error> {
        super::amount::serialize(&Amount(value.0), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AmountPerHour, D::Error> {
        super::amount::deserialize(deserializer).map(|amount| AmountPerHour(amount.0))
    }
}

/// Resources as an object of texts.
pub(crate) mod resources {
    use nisse_model::Resources;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stored {
        #[serde(with = "super::text")]
        cpu: nisse_model::Cpu,
        #[serde(with = "super::text")]
        memory: nisse_model::ByteSize,
        gpu: bool,
    }

    pub(crate) fn serialize<S: Serializer>(value: &Resources, serializer: S) -> Result<S::Ok, S::Error> {
        Stored { cpu: value.cpu, memory: value.memory, gpu: value.gpu }.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
        Stored::deserialize(deserializer).map(|stored| Resources {
            cpu: stored.cpu,
            memory: stored.memory,
            gpu: stored.gpu,
        })
    }
}

/// A package's name as an object of texts.
pub(crate) mod package {
    use nisse_model::PackageRef;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Stored {
        #[serde(with = "super::text")]
        agent_id: nisse_model::AgentId,
        #[serde(with = "super::text")]
        manifest_cid: nisse_model::ContentId,
        #[serde(with = "super::text")]
        artifact_cid: nisse_model::ContentId,
        #[serde(with = "super::text")]
        artifact_hash: nisse_model::Hash256,
        #[serde(with = "super::text")]
        config_hash: nisse_model::Hash256,
    }

    impl From<&PackageRef> for Stored {
        fn from(package: &PackageRef) -> Self {
            Self {
                agent_id: package.agent_id.clone(),
                manifest_cid: package.manifest_cid,
                artifact_cid: package.artifact_cid,
                artifact_hash: package.artifact_hash,
                config_hash: package.config_hash,
            }
        }
    }

    impl From<Stored> for PackageRef {
        fn from(stored: Stored) -> Self {
            Self {
                agent_id: stored.agent_id,
                manifest_cid: stored.manifest_cid,
                artifact_cid: stored.artifact_cid,
                artifact_hash: stored.artifact_hash,
                config_hash: stored.config_hash,
            }
        }
    }

    pub(crate) fn serialize<S: Serializer>(value: &PackageRef, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::from(value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PackageRef, D::Error> {
        Stored::deserialize(deserializer).map(PackageRef::from)
    }
}

/// A package's name that may be absent.
pub(crate) mod package_option {
    use nisse_model::PackageRef;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::package::Stored;

    pub(crate) fn serialize<S: Serializer>(value: &Option<PackageRef>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Stored::from).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PackageRef>, D::Error> {
        Ok(Option::<Stored>::deserialize(deserializer)?.map(PackageRef::from))
    }
}
