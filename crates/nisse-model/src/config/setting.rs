//! `--set key=value`: one value that the deployer puts over the package's configuration.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::{Config, ConfigError};

/// A dotted key and the value that it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigSetting {
    path: Vec<String>,
    value: Value,
}

impl ConfigSetting {
    /// Longest setting, in bytes.
    pub const LENGTH_MAX: usize = Config::LENGTH_MAX;

    /// Puts the value in its place, making the mappings that lead to it.
    pub(super) fn apply(&self, object: &mut Map<String, Value>) -> Result<(), ConfigError> {
        let (last, parents) = self.path.split_last().expect("a setting has a key");
        let mut place = object;
        for (depth, key) in parents.iter().enumerate() {
            let child = place.entry(key.as_str()).or_insert_with(|| Value::Object(Map::new()));
            let parent = || self.path[..=depth].join(".");
            place = child
                .as_object_mut()
                .ok_or_else(|| ConfigError::NotAMapping { key: self.path.join("."), parent: parent() })?;
        }
        place.insert(last.clone(), self.value.clone());
        Ok(())
    }
}

impl fmt::Display for ConfigSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.path.join("."), self.value)
    }
}

/// Why a text is not a setting. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseConfigSettingError {
    /// No `=` in it.
    #[error("find `=` in `{0}`: expected KEY=VALUE, such as interval_s=60 or assets.eth=true")]
    NoValue(String),
    /// An empty key or an empty part between dots.
    #[error("use the key `{0}`: it has an empty part")]
    EmptyKey(String),
    /// More parts than a configuration may be deep.
    #[error("use the key `{0}`: at most {max} parts are allowed", max = Config::DEPTH_MAX)]
    TooDeep(String),
    /// Longer than [`ConfigSetting::LENGTH_MAX`].
    #[error("use a setting of {length} bytes: at most {max} are allowed", max = ConfigSetting::LENGTH_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
}

impl FromStr for ConfigSetting {
    type Err = ParseConfigSettingError;

    /// The value is JSON where it reads as JSON, else it is the text itself: `60`, `true`, `["a"]`, `hello`.
    fn from_str(text: &str) -> Result<Self, ParseConfigSettingError> {
        if text.len() > Self::LENGTH_MAX {
            return Err(ParseConfigSettingError::TooLong { length: text.len() });
        }
        let shortened = |text: &str| text.chars().take(60).collect::<String>();
        let (key, value) = text.split_once('=').ok_or_else(|| ParseConfigSettingError::NoValue(shortened(text)))?;
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(ParseConfigSettingError::EmptyKey(shortened(key)));
        }
        if path.len() > Config::DEPTH_MAX {
            return Err(ParseConfigSettingError::TooDeep(shortened(key)));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok(Self { path, value })
    }
}
