//! What stands in the home space: who its owner is, what its devices are called, and settings of their programs.
//!
//! Each is an object of a type that is declared there. The profile's id and a device's are the same wherever they are made, so
//! that two devices write one object. A device writes its own alone: of texts that two write at once, both would stay.

use std::sync::Arc;

use nisse_model::{Did, Hash256};
use nisse_space::objects::{DeclaredType, ObjectId};
use nisse_space::{Author, Effect, Registered, Space, SpaceObjectError, Write};
use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::error::NodeError;
use crate::node::object_refused;

/// Who the owner is: `name`, and `avatar` with `mediaType` and `bytes`.
pub(crate) const PROFILE: &str = "nisse/type/Profile:0.1.0";
/// A device or an agent: `key` and `name`.
pub(crate) const DEVICE: &str = "nisse/type/Device:0.1.0";
/// A setting of a program: `key` and `value`.
pub(crate) const SETTING: &str = "nisse/type/Setting:0.1.0";
/// Characters of the profile's name.
pub(crate) const NAME_MAX: usize = 128;
/// Bytes of an avatar.
pub(crate) const AVATAR_BYTES_MAX: usize = 256 << 10;
/// What an avatar can be: what an image of it begins with, and where.
const IMAGES: [(&str, usize, &[u8]); 4] = [
    ("image/png", 0, b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/gif", 0, b"GIF8"),
    ("image/webp", 8, b"WEBP"),
];

/// The one object of the profile.
pub(crate) fn profile_id() -> ObjectId {
    named(&[b"profile"])
}

/// The object of a device.
fn device_id(device: &Did) -> ObjectId {
    named(&[b"device", &device.0])
}

/// The object of a type's schema, as this nisse declares it.
fn schema_id(of: &str) -> ObjectId {
    named(&[b"schema", of.as_bytes()])
}

/// An id that is the same wherever it is made.
fn named(parts: &[&[u8]]) -> ObjectId {
    let Hash256(digest) = Hash256::of_parts(&[&[b"nisse home object v1".as_slice()], parts].concat());
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    ObjectId::new(0, random)
}

/// What kind of image bytes are, if they are one that is taken.
pub(crate) fn image(bytes: &[u8]) -> Option<&'static str> {
    let begins = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    IMAGES.iter().find(|(_, at, magic)| begins(*at, magic)).map(|(kind, ..)| *kind)
}

/// The types and their schemas.
fn types() -> [(&'static str, Value); 3] {
    let image = json!({
        "type": "object", "required": ["mediaType", "bytes"],
        "properties": { "mediaType": { "type": "string", "maxLength": 64 }, "bytes": { "type": "object" } },
    });
    let text = |length: usize| json!({ "type": "string", "minLength": 1, "maxLength": length });
    [
        (PROFILE, json!({ "type": "object", "properties": { "name": text(NAME_MAX), "avatar": image } })),
        (
            DEVICE,
            json!({ "type": "object", "required": ["key", "name"], "properties": { "key": text(128), "name": text(128) } }),
        ),
        (SETTING, json!({ "type": "object", "required": ["key", "value"], "properties": { "key": text(256) } })),
    ]
}

/// Says there what this device is called, and which types there are.
pub(super) async fn settle(core: &Arc<Core>, registered: &Registered) -> Result<(), NodeError> {
    let (known, now) = (core.identity.known(), core.clock.now());
    let Some(own) = known.own.filter(|own| {
        let access = known.access(&registered.space, own, now);
        access.is_some_and(|access| access.role >= nisse_model::Role::Edit)
    }) else {
        return Ok(());
    };
    let Some(name) = known.name(&own).map(str::to_owned) else { return Ok(()) };
    if core.identity.device().is_err() {
        return Ok(());
    }
    let wanted = (own.to_string(), name);
    {
        let mut told = super::lock(&core.spaces.told_home);
        if told.as_ref() == Some(&(registered.space, wanted.1.clone())) {
            return Ok(());
        }
        *told = None;
    }
    let (key, name) = wanted.clone();
    let telling =
        core.spaces.ask(core, registered, move |space, author| match tell(space, (own, &key, &name), author) {
            Ok(effects) => (Ok(()), effects),
            Err(error) => (Err(error), Vec::new()),
        });
    telling.await?.map_err(|error| object_refused(&error))?;
    *super::lock(&core.spaces.told_home) = Some((registered.space, wanted.1));
    Ok(())
}

fn tell(
    space: &mut Space,
    (own, key, name): (Did, &str, &str),
    author: &dyn Author,
) -> Result<Vec<Effect>, SpaceObjectError> {
    let mut effects = Vec::new();
    for (of, schema) in types() {
        let declared = DeclaredType::parse(of)?;
        // What somebody else declared of it stays.
        if matches!(space.schema(of), Err(SpaceObjectError::Undeclared(_))) {
            effects.extend(space.declare_schema(schema_id(of), (&declared, &schema), author)?.1);
        }
    }
    let id = device_id(&own);
    let said = space.object(id)?;
    let is_said = said.as_ref().is_some_and(|object| {
        !object.deleted && object.data.get("key") == Some(&key.into()) && object.data.get("name") == Some(&name.into())
    });
    if !is_said {
        let device = fields(json!({ "@type": format!("dxn:type:{DEVICE}"), "key": key, "name": name }));
        effects.extend(space.write_object(id, Write::Put(&device), author)?.1);
    }
    Ok(effects)
}

pub(crate) fn fields(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_what_it_begins_with() {
        assert_eq!(image(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(image(b"RIFF....WEBPVP8 "), Some("image/webp"));
        assert_eq!(image(b"<svg xmlns='http://www.w3.org/2000/svg'>"), None);
        assert_eq!(image(b""), None);
    }

    #[test]
    fn each_type_has_a_sound_schema_and_each_object_an_id_of_its_own() {
        for (of, schema) in types() {
            assert_eq!(DeclaredType::parse(of).expect("a type").to_string(), of);
            nisse_space::objects::Schema::read(&schema).expect("a schema");
        }
        let ids =
            [profile_id(), device_id(&Did([1; 32])), device_id(&Did([2; 32])), schema_id(PROFILE), schema_id(DEVICE)];
        let apart: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(apart.len(), ids.len());
        assert_eq!(profile_id(), profile_id());
    }
}
