//! `nisse:agent/spaces`: objects of the owner's spaces, read as this invocation has changed them, and changed with it.
//!
//! A change is tried on the node first, which says how the object will be: what cannot be done is refused here and never
//! at the commit.

use std::sync::atomic::Ordering;

use nisse_model::{Hash256, SPACE_WRITES_BYTES_MAX, SPACE_WRITES_MAX, SpaceWrite};
use wasmtime::component::HasSelf;

use super::{Capability, Need};
use crate::bindings::imports::nisse::agent::spaces::{self, Host, Space, SpaceError};
use crate::guest_state::GuestState;
use crate::host::{HostCall, HostFailureKind, HostReply, ObjectChange};

/// Bytes of the longest name of a space or an object that is looked at.
const NAME_LENGTH_MAX: usize = 64;
/// Bytes of the longest query.
const QUERY_LENGTH_MAX: usize = 64 << 10;
/// Bytes of the longest object or patch.
const OBJECT_LENGTH_MAX: usize = 1 << 20;

pub(super) const SPACES: Capability = Capability {
    interfaces: &["nisse:agent/spaces"],
    need: Need::Space,
    link: |linker| spaces::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state),
};

/// What a call answers, inside of a trap.
type Answer<T> = wasmtime::Result<Result<T, SpaceError>>;

impl Host for GuestState {
    async fn list(&mut self) -> Answer<Vec<Space>> {
        match self.dispatcher().call(HostCall::SpaceList).await? {
            HostReply::Spaces { spaces } => {
                self.buffer(spaces.iter().map(|space| space.name.len() as u64 + 64).sum())?;
                let space = |space: crate::host::SpaceGiven| Space {
                    name: space.name,
                    id: Hash256(space.id).to_string(),
                    may_edit: space.may_edit,
                };
                Ok(Ok(spaces.into_iter().map(space).collect()))
            }
            reply => Ok(Err(refused(reply)?)),
        }
    }

    async fn get(&mut self, space: String, id: String) -> Answer<Option<String>> {
        if let Err(refused) = check_names(&space, &id) {
            return Ok(Err(refused));
        }
        let pending = self.pending(&space, Some(&id));
        match self.dispatcher().call(HostCall::SpaceGet { space, id, pending }).await? {
            HostReply::Object { object } => {
                self.got(object.as_ref().map_or(0, String::len))?;
                Ok(Ok(object))
            }
            reply => Ok(Err(refused(reply)?)),
        }
    }

    async fn query(&mut self, space: String, query: String) -> Answer<Vec<String>> {
        if let Err(refused) = check_names(&space, "").and_then(|()| check_length(&query, QUERY_LENGTH_MAX, "a query")) {
            return Ok(Err(refused));
        }
        let pending = self.pending(&space, None);
        match self.dispatcher().call(HostCall::SpaceQuery { space, query, pending }).await? {
            HostReply::Objects { objects } => {
                self.got(objects.iter().map(String::len).sum())?;
                Ok(Ok(objects))
            }
            reply => Ok(Err(refused(reply)?)),
        }
    }

    async fn put(&mut self, space: String, object: String) -> Answer<String> {
        self.change(space, None, SpaceWrite::Put(object)).await
    }

    async fn patch(&mut self, space: String, id: String, patch: String) -> Answer<String> {
        self.change(space, Some(id), SpaceWrite::Patch(patch)).await
    }

    async fn delete(&mut self, space: String, id: String) -> Answer<()> {
        Ok(self.change(space, Some(id), SpaceWrite::Delete).await?.map(drop))
    }
}

impl GuestState {
    /// Tries a change, and notes it where it can be made.
    async fn change(&mut self, space: String, id: Option<String>, write: SpaceWrite) -> Answer<String> {
        if let Err(refused) = self.check_change(&space, id.as_deref().unwrap_or_default(), &write) {
            return Ok(Err(refused));
        }
        let pending = self.pending(&space, id.as_deref());
        self.dispatcher().worked(write.bytes());
        let call = HostCall::SpaceTry { space: space.clone(), id, write: write.clone().into(), pending };
        let (place, id, object) = match self.dispatcher().call(call).await? {
            HostReply::Tried { space, id, object } => (space, id, object),
            reply => return Ok(Err(refused(reply)?)),
        };
        self.got(object.len())?;
        // A new object is written under the id that the node gave it.
        self.buffer((write.bytes() + id.len()) as u64)?;
        self.call.overlay.change_object(space, place, id, write)?;
        Ok(Ok(object))
    }

    fn check_change(&self, space: &str, id: &str, write: &SpaceWrite) -> Result<(), SpaceError> {
        check_names(space, id)?;
        if self.call.closed.load(Ordering::Relaxed) {
            return Err(SpaceError::Closed);
        }
        if let SpaceWrite::Put(json) | SpaceWrite::Patch(json) = write {
            check_length(json, OBJECT_LENGTH_MAX, "an object")?;
        }
        let (count, bytes) = self.call.overlay.object_changes();
        if count >= SPACE_WRITES_MAX {
            return Err(SpaceError::TooLarge(format!("{SPACE_WRITES_MAX} changes are allowed in one invocation")));
        }
        if bytes + write.bytes() > SPACE_WRITES_BYTES_MAX {
            let text = format!("{SPACE_WRITES_BYTES_MAX} bytes of changes are allowed in one invocation");
            return Err(SpaceError::TooLarge(text));
        }
        Ok(())
    }

    /// What this invocation has changed in a space, or of one object of it, and nobody else sees.
    fn pending(&mut self, space: &str, id: Option<&str>) -> Vec<ObjectChange> {
        let pending = self.call.overlay.objects_of(space, id);
        let bytes = pending.iter().map(|change| change.write.bytes()).sum();
        self.dispatcher().worked(bytes);
        pending
    }

    fn got(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.dispatcher().worked(bytes);
        self.buffer(bytes as u64)
    }
}

fn check_names(space: &str, id: &str) -> Result<(), SpaceError> {
    check_length(space, NAME_LENGTH_MAX, "the name of a space")?;
    check_length(id, NAME_LENGTH_MAX, "the id of an object")
}

fn check_length(text: &str, most: usize, what: &str) -> Result<(), SpaceError> {
    if text.len() <= most {
        return Ok(());
    }
    Err(SpaceError::Malformed(format!("{what} has at most {most} bytes")))
}

/// The guest's error for a reply that carries nothing of what was asked for.
fn refused(reply: HostReply) -> wasmtime::Result<SpaceError> {
    let HostReply::Failed { failure } = reply else {
        return Err(wasmtime::format_err!("the host answered a call about spaces with {reply:?}"));
    };
    Ok(match failure.kind {
        HostFailureKind::Malformed => SpaceError::Malformed(failure.text),
        HostFailureKind::Denied => SpaceError::Denied(failure.text),
        HostFailureKind::NotFound => SpaceError::NotFound(failure.text),
        HostFailureKind::TooLarge => SpaceError::TooLarge(failure.text),
        _ => SpaceError::Unavailable(failure.text),
    })
}
