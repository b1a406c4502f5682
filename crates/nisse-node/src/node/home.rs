//! The home space as its owner meets it: the profile that stands there, and what is refused of it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use nisse_model::Role;
use nisse_space::objects::Object;
use nisse_space::{Registered, Write};
use serde_json::{Map, Value, json};

use super::Node;
use super::objects::refused;
use crate::control::{Profile, ProfileAvatar, ProfileRequest};
use crate::error::{ErrorKind, NodeError};
use crate::identity::none;
use crate::spaces::{AVATAR_BYTES_MAX, NAME_MAX, PROFILE, fields, image, profile_id};

impl Node {
    /// Who the owner of this home says that they are.
    pub async fn profile(&self) -> Result<Profile, NodeError> {
        let home = self.home_space()?;
        self.may(&home, Role::Read)?;
        let read = self.core.spaces.ask(&self.core, &home, |space, _| (space.object(profile_id()), Vec::new()));
        let object = read.await?.map_err(|error| refused(&error))?;
        Ok(shown(&home, object.as_ref()))
    }

    /// Says so.
    pub async fn profile_set(&self, request: &ProfileRequest) -> Result<Profile, NodeError> {
        let home = self.home_space()?;
        self.may(&home, Role::Edit)?;
        let said = said(request)?;
        let done = self.core.spaces.ask(&self.core, &home, move |space, author| {
            let written = match space.object(profile_id()) {
                Ok(Some(_)) => space.write_object(profile_id(), Write::Patch(&said), author),
                Ok(None) => space.write_object(profile_id(), Write::Put(&said), author),
                Err(error) => Err(error),
            };
            match written {
                Ok((object, effects)) => (Ok(object), effects),
                Err(error) => (Err(error), Vec::new()),
            }
        });
        let object = done.await?.map_err(|error| refused(&error))?;
        Ok(shown(&home, Some(&object)))
    }

    /// The home space, once it is held.
    fn home_space(&self) -> Result<Registered, NodeError> {
        let known = self.core.identity.known();
        known.identity.ok_or_else(none)?;
        let held = self.core.spaces.all(&self.core)?;
        held.into_iter().find(|one| known.homes.first() == Some(&one.space)).ok_or_else(|| {
            let text = "failed to find the home space: this home holds none yet";
            NodeError::new(ErrorKind::NotFound, "home_missing", text)
                .with_hint("a device makes it as soon as its vault is open: `nisse unlock`".to_owned())
        })
    }

    /// Refuses what would let somebody else into a home space, be it one that another one stands for by now.
    pub(super) fn refuse_home(&self, registered: &Registered, what: &str) -> Result<(), NodeError> {
        if !self.core.identity.known().homes.contains(&registered.space) {
            return Ok(());
        }
        Err(home_refused(&format!("{what}: {} is a home space, of this identity's devices alone", registered.name)))
    }
}

/// What is done with shared spaces alone.
pub(super) fn home_refused(text: &str) -> NodeError {
    NodeError::new(ErrorKind::Refused, "home_space", text)
        .with_hint("`nisse space create NAME` makes a space to share".to_owned())
}

/// What is written: what is not said stays as it is.
fn said(request: &ProfileRequest) -> Result<Map<String, Value>, NodeError> {
    let invalid = |text: String| NodeError::new(ErrorKind::Usage, "profile_invalid", text);
    let mut said = fields(json!({ "@type": format!("dxn:type:{PROFILE}") }));
    if let Some(name) = &request.name {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.contains(char::is_control) {
            return Err(invalid(format!("failed to set the name: it has from 1 to {NAME_MAX} characters on one line")));
        }
        said.insert("name".to_owned(), name.into());
    }
    if let Some(avatar) = &request.avatar {
        let bytes =
            STANDARD.decode(avatar).map_err(|_| invalid("failed to set the avatar: it is no base64".to_owned()))?;
        if bytes.len() > AVATAR_BYTES_MAX {
            let text = format!("failed to set the avatar: it has more than {} KiB", AVATAR_BYTES_MAX >> 10);
            return Err(invalid(text).with_hint("save it smaller: 256 by 256 pixels are plenty".to_owned()));
        }
        let kind = image(&bytes)
            .ok_or_else(|| invalid("failed to set the avatar: it is no PNG, JPEG, GIF or WebP image".to_owned()))?;
        // As bytes, which are one value: a text would be one for each character.
        let bytes = json!({ "/": { "bytes": STANDARD_NO_PAD.encode(bytes) } });
        said.insert("avatar".to_owned(), json!({ "mediaType": kind, "bytes": bytes }));
    }
    Ok(said)
}

fn shown(home: &Registered, object: Option<&Object>) -> Profile {
    let data = object.filter(|object| !object.deleted).map(|object| &object.data);
    let name = data.and_then(|data| data.get("name")).and_then(Value::as_str).map(str::to_owned);
    let avatar = data.and_then(|data| data.get("avatar")).and_then(|avatar| {
        let bytes = avatar.pointer("/bytes/~1/bytes").and_then(Value::as_str)?;
        let bytes = STANDARD_NO_PAD.decode(bytes).ok()?;
        // What others wrote there is shown as what it is, and not as what they say.
        let media_type = image(&bytes)?.to_owned();
        Some(ProfileAvatar { media_type, bytes: STANDARD.encode(bytes) })
    });
    Profile { space: home.space.to_string(), called: home.name.clone(), name, avatar }
}
