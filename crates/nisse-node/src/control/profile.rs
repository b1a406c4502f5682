//! Who the owner of a home says that they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `nisse identity profile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// The home space, in which it stands.
    pub space: String,
    /// What this home calls that.
    pub called: String,
    /// The name, if one was said.
    pub name: Option<String>,
    /// The picture, if there is one.
    pub avatar: Option<ProfileAvatar>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileAvatar {
    /// `image/png`, `image/jpeg`, `image/gif` or `image/webp`: what its bytes are.
    pub media_type: String,
    /// Its bytes, in base64.
    pub bytes: String,
}

/// What is to be said. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    /// The name, 128 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A picture in base64: PNG, JPEG, GIF or WebP, 256 KiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
}
