//! An agent's configuration: the `config:` block of agent.yaml with what the deployer set over it.
//!
//! It is kept as canonical JSON bytes (keys sorted by their bytes, no spaces), because these bytes are a raw block
//! whose hash stands in the deployment and in each record (DESIGN §5.8).

mod canonical;
mod setting;

use serde_json::{Map, Value};

pub use setting::{ConfigSetting, ParseConfigSettingError};

use crate::{ContentId, Hash256};

/// A JSON object in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Config {
    json: String,
}

impl Config {
    /// Longest canonical form, in bytes.
    pub const LENGTH_MAX: usize = 32 << 10;
    /// Deepest nesting of objects and lists.
    pub const DEPTH_MAX: usize = 16;

    /// Takes an object within the limits.
    pub fn new(object: &Map<String, Value>) -> Result<Self, ConfigError> {
        let mut json = String::new();
        canonical::write_object(object, &mut json, 1)?;
        if json.len() > Self::LENGTH_MAX {
            return Err(ConfigError::TooLong { length: json.len() });
        }
        Ok(Self { json })
    }

    /// Reads a raw block, and only one that [`Config::as_bytes`] would give.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > Self::LENGTH_MAX {
            return Err(ConfigError::TooLong { length: bytes.len() });
        }
        let object: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| ConfigError::NotAnObject(error.to_string()))?;
        let config = Self::new(&object)?;
        if config.as_bytes() != bytes { Err(ConfigError::NotCanonical) } else { Ok(config) }
    }

    /// This configuration with `settings` over it, in their order.
    pub fn with_settings(&self, settings: &[ConfigSetting]) -> Result<Self, ConfigError> {
        let mut object = self.to_object();
        for setting in settings {
            setting.apply(&mut object)?;
        }
        Self::new(&object)
    }

    /// The canonical JSON text: what a guest is given.
    pub fn as_str(&self) -> &str {
        &self.json
    }

    /// The raw block.
    pub fn as_bytes(&self) -> &[u8] {
        self.json.as_bytes()
    }

    /// The object itself.
    pub fn to_object(&self) -> Map<String, Value> {
        serde_json::from_str(&self.json).expect("a configuration holds what it has written")
    }

    /// SHA-256 of the raw block.
    pub fn hash(&self) -> Hash256 {
        Hash256::of(self.as_bytes())
    }

    /// CID of the raw block.
    pub fn content_id(&self) -> ContentId {
        ContentId::raw(self.hash())
    }
}

impl Default for Config {
    /// `{}`: no configuration.
    fn default() -> Self {
        Self { json: "{}".to_owned() }
    }
}

/// Why something is not a configuration. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Longer than [`Config::LENGTH_MAX`].
    #[error("use a configuration of {length} bytes as JSON: at most {max} are allowed", max = Config::LENGTH_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// Deeper than [`Config::DEPTH_MAX`].
    #[error("use a configuration nested deeper than {max} levels", max = Config::DEPTH_MAX)]
    TooDeep,
    /// Not JSON, or not an object.
    #[error("read a configuration as a JSON object: {0}")]
    NotAnObject(String),
    /// The same object spelled otherwise.
    #[error("read a configuration: it is not canonical JSON (sorted keys, no spaces)")]
    NotCanonical,
    /// A setting goes through something that is no object.
    #[error("set `{key}`: `{parent}` is not a mapping")]
    NotAMapping {
        /// The whole dotted key.
        key: String,
        /// The part that holds another kind of value.
        parent: String,
    },
}
