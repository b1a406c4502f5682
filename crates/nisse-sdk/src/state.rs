//! The agent's own ordered map, which outlives instances, restarts and moves.
//!
//! Writes are kept when the invocation succeeds and dropped when it fails. An HTTP invocation writes before it answers.
use crate::Failure;
use crate::bindings::nisse::agent::state as host;
use std::fmt;

/// The most keys that [`keys`] asks for at once.
const KEYS_PAGE_MAX: u32 = 1_000;

/// Why a call was refused; nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// Keys are 1 to 512 bytes.
    KeyLength {
        /// The length given, in bytes.
        bytes: u32,
    },
    /// Values are at most 1 MiB.
    ValueLength {
        /// The length given, in bytes.
        bytes: u64,
    },
    /// The agent's state would grow past its quota.
    Quota {
        /// The quota in bytes.
        bytes: u64,
    },
    /// The response head has left.
    Closed,
    /// The node could not read its disk.
    Unavailable(String),
    /// What is stored under this key is not of the type asked for.
    Type {
        /// The key.
        key: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyLength { bytes } => write!(f, "use the state: a key of {bytes} bytes, where 1 to 512 are allowed"),
            Self::ValueLength { bytes } => write!(f, "use the state: a value of {bytes} bytes is too long"),
            Self::Quota { bytes } => write!(f, "use the state: the quota of {bytes} bytes is spent"),
            Self::Closed => f.write_str("use the state: the answer has left"),
            Self::Unavailable(why) => write!(f, "use the state: {why}"),
            Self::Type { key } => write!(f, "use the state: `{key}` holds something else"),
        }
    }
}

impl std::error::Error for StateError {}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Unavailable(_) => Failure::retryable(error.to_string()),
            _ => Failure::permanent(error.to_string()),
        }
    }
}

impl From<host::StateError> for StateError {
    fn from(error: host::StateError) -> Self {
        match error {
            host::StateError::KeyLength(bytes) => Self::KeyLength { bytes },
            host::StateError::ValueLength(bytes) => Self::ValueLength { bytes },
            host::StateError::Quota(bytes) => Self::Quota { bytes },
            host::StateError::Closed => Self::Closed,
            host::StateError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// A type that the state can hold.
pub trait Stored: Sized {
    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// From its bytes; `None` when they are not of this type.
    fn from_bytes(bytes: Vec<u8>) -> Option<Self>;
}

impl Stored for Vec<u8> {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone()
    }
    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        Some(bytes)
    }
}

impl Stored for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }
    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        String::from_utf8(bytes).ok()
    }
}

macro_rules! stored_numbers {
    ($($number:ty),*) => {$(
        /// Eight bytes, big-endian.
        impl Stored for $number {
            fn to_bytes(&self) -> Vec<u8> {
                self.to_be_bytes().to_vec()
            }
            fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
                Some(Self::from_be_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

stored_numbers!(u64, i64, f64);

/// A value kept as JSON.
#[cfg(feature = "json")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Stored for Json<T> {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("a value that is kept has string keys, so that it is JSON")
    }
    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        serde_json::from_slice(&bytes).ok().map(Self)
    }
}

/// What is kept under `key`.
pub fn get<T: Stored>(key: &str) -> Result<Option<T>, StateError> {
    match host::get(key)? {
        None => Ok(None),
        Some(bytes) => T::from_bytes(bytes).map(Some).ok_or_else(|| StateError::Type { key: key.into() }),
    }
}

/// Keeps `value` under `key`.
pub fn put<T: Stored>(key: &str, value: &T) -> Result<(), StateError> {
    Ok(host::put(key, &value.to_bytes())?)
}

/// Forgets `key`; it need not be there.
pub fn delete(key: &str) -> Result<(), StateError> {
    Ok(host::delete(key)?)
}

/// A page of the keys with `prefix`, in byte order, that come after `after`.
pub fn keys(prefix: &str, after: Option<&str>) -> Result<Vec<String>, StateError> {
    Ok(host::keys(prefix, after, KEYS_PAGE_MAX)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_value_comes_back_as_itself_and_never_as_another_type() {
        assert_eq!(u64::from_bytes(7u64.to_bytes()), Some(7));
        assert_eq!(i64::from_bytes((-7i64).to_bytes()), Some(-7));
        assert_eq!(f64::from_bytes(2.5f64.to_bytes()), Some(2.5));
        assert_eq!(String::from_bytes("ø".to_owned().to_bytes()), Some("ø".to_owned()));
        assert_eq!(u64::from_bytes(b"seven".to_vec()), None);
        assert_eq!(String::from_bytes(vec![0xff]), None);
    }

    #[test]
    fn a_lost_disk_is_worth_another_try_and_a_spent_quota_is_not() {
        let lost = Failure::from(StateError::Unavailable("input/output error".into()));
        assert_eq!(lost.kind, crate::FailureKind::Retryable);
        let spent = Failure::from(StateError::Quota { bytes: 1_048_576 });
        assert_eq!(spent.kind, crate::FailureKind::Permanent);
        assert_eq!(spent.text, "use the state: the quota of 1048576 bytes is spent");
    }
}
