//! Spaces, and who is let into them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `nisse space create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceRequest {
    /// What this home calls it: lower-case letters, digits and hyphens.
    pub name: String,
}

/// A space that this home holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceEntry {
    /// The space: the name of the credential that began it.
    pub space: String,
    /// What this home calls it.
    pub name: String,
    /// The role of this home's identity: `relay`, `read`, `edit` or `admin`; none: it has none any more.
    pub role: Option<String>,
    /// Whether it is the home space of this home's identity.
    #[serde(default)]
    pub home: bool,
    /// Documents that are held.
    pub documents: u64,
    /// Bytes of their changes.
    pub bytes: u64,
}

/// `nisse space show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceStatus {
    /// The space.
    #[serde(flatten)]
    pub entry: SpaceEntry,
    /// The document that everybody in the space finds first: `automerge:…`.
    pub root: String,
    /// How many are connected now.
    pub connected: u64,
    /// Why nothing more is taken, if that is so.
    pub trouble: Option<String>,
    /// How many of its documents are kept here, where that is not all; the root is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
}

/// A member of a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceMember {
    /// The identity, `did:key:…`.
    pub identity: String,
    /// Its role.
    pub role: String,
    /// Whether it is this home's own.
    pub own: bool,
    /// Its devices and agents.
    pub keys: Vec<SpaceKey>,
}

/// A device or an agent of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceKey {
    /// Its key, `did:key:…`.
    pub key: String,
    /// What it may do: an agent has what its delegation says.
    pub role: String,
    /// What it is called, if it is one of this home's identity.
    pub name: Option<String>,
    /// Whether it is connected with this home for its spaces now.
    pub connected: bool,
}

/// `nisse space invite`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationRequest {
    /// The role of whoever takes it: `relay`, `read`, `edit` or `admin`.
    pub role: String,
    /// For how long: milliseconds, at most 30 days.
    pub expires_ms: u64,
    /// How many may take it: 1 to 1000.
    pub uses: u32,
    /// Who alone may: an identity, `did:key:…`.
    pub invitee: Option<String>,
    /// It is given to whoever types a code at another home: one, within ten minutes, whatever `expires_ms` says.
    #[serde(default)]
    pub code: bool,
}

/// An invitation: whoever has the text, or types the code, is let in, so they are secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceInvitation {
    /// What the other home is given: `nsi1_…`. Not where there is a code.
    pub invitation: Option<String>,
    /// Six digits to type there, as `483-920`.
    pub code: Option<String>,
    /// With the code: where this home is, `did:key:…@ADDR:PORT`. It is no secret.
    pub ticket: Option<String>,
    /// What names it where it is taken back.
    pub id: String,
    /// The role.
    pub role: String,
    /// When it is good for nothing: Unix milliseconds.
    pub expires: u64,
    /// How many may take it.
    pub uses: u32,
}

/// An invitation that still lets somebody in, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenSpaceInvitation {
    /// What names it.
    pub id: String,
    /// The role of whoever takes it.
    pub role: String,
    /// When it is good for nothing: Unix milliseconds.
    pub expires: u64,
    /// How many may take it.
    pub uses: u32,
    /// How many of them did not yet.
    pub left: u32,
    /// Who alone may take it: an identity, `did:key:…`.
    pub invitee: Option<String>,
    /// Whether this home's identity made it: that alone takes it back.
    pub own: bool,
    /// The identity that made it, `did:key:…`.
    pub inviter: String,
    /// Its device that did, `did:key:…`.
    pub device: String,
    /// What that is called, if it is one of this home's identity.
    pub name: Option<String>,
}

/// `nisse space join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// What `nisse space invite` printed elsewhere: an invitation, or with `code` a ticket.
    pub invitation: String,
    /// The code that stands beside the ticket there.
    #[serde(default)]
    pub code: Option<String>,
    /// What this home calls the space; without it, what the other home does.
    pub name: Option<String>,
}

/// `nisse space role` and `nisse space revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRequest {
    /// The identity, `did:key:…`.
    pub identity: String,
    /// Its role from now on; without one, it is no member any more.
    pub role: Option<String>,
}

/// `nisse space keep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceKeepRequest {
    /// The objects that are kept here, by their ids, and documents, `automerge:…`; without it, all.
    pub only: Option<Vec<String>>,
}

/// `nisse space ticket`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceTicketRequest {
    /// What whoever has the ticket may do: `read` or `edit`.
    pub role: String,
    /// For how long: milliseconds, at most 30 days.
    pub expires_ms: u64,
}

/// A ticket: whoever has it is let in, so it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceTicket {
    /// What a client of automerge-repo is given: `ws://…`.
    pub url: String,
    /// The role.
    pub role: String,
    /// When it is good for nothing: Unix milliseconds.
    pub expires: u64,
}

/// What a page is told that logged in with a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceSession {
    /// The space.
    pub space: String,
    /// The document that everybody in the space finds first: `automerge:…`.
    pub root: String,
    /// What the client may do at the moment: `read` or `edit`.
    pub role: String,
    /// When that ends: Unix milliseconds.
    pub expires: u64,
    /// How long that is from now on, in milliseconds.
    pub lasts_ms: u64,
}

/// `nisse space import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceImported {
    /// The space as it is held now.
    #[serde(flatten)]
    pub space: SpaceStatus,
    /// Credentials that were new here.
    pub credentials: u64,
    /// Chunks that are in their documents, and were not here.
    pub new: u64,
    /// Chunks that were here already.
    pub held: u64,
    /// Chunks that are set aside, and were not here.
    pub aside: u64,
    /// Chunks that were not taken: what they stand on is not here, or no more can be set aside.
    pub left: u64,
}

/// `nisse space watch`: what a query finds, and whatever changes in that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceChange {
    /// `object`: it is found, and is like this; `gone`: it is found no more; `ready`: all that was found at first was told.
    pub change: String,
    /// The object's id.
    pub id: Option<String>,
    /// The object, where it is found.
    pub object: Option<serde_json::Value>,
}

/// `nisse space history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectHistory {
    /// The newest changes of the object's document, newest first.
    pub changes: Vec<ObjectChange>,
    /// How many there are in all.
    pub total: u64,
}

/// One change of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectChange {
    /// Its hash.
    pub change: String,
    /// When, by the clock of whoever made it: Unix milliseconds.
    pub time: u64,
    /// The device that vouches for it, `did:key:…`.
    pub device: Option<String>,
    /// What that device is called here.
    pub name: Option<String>,
    /// The identity whose change it is.
    pub identity: Option<String>,
    /// What it touched.
    pub touched: Vec<ObjectTouched>,
}

/// What a change touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectTouched {
    /// The object.
    pub object: String,
    /// The key of it; none: the object as a whole.
    pub key: Option<String>,
}
