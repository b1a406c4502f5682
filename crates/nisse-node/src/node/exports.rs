//! A space as one file: written for whoever may hold it, and taken back.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use nisse_model::{Credential, CredentialId, Log, Role};
use nisse_space::{Export, ExportError, ExportHeader, ExportPart, ExportReader, Registered, Store};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Node, space_name};
use crate::caller;
use crate::control::SpaceImported;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::identity::none;
use crate::spaces::{Import, Imported, failed, unreadable};

/// An export as it is written, portion by portion. One that is dropped before its end is no whole one, and says so.
pub struct SpaceExport {
    core: Arc<Core>,
    space: CredentialId,
    export: Option<Export>,
    /// What is given next, before chunks are read.
    next: Option<Vec<u8>>,
    /// The credentials that it has.
    credentials: BTreeSet<CredentialId>,
    _place: OwnedSemaphorePermit,
}

impl SpaceExport {
    /// The next bytes; none: that was all.
    pub async fn next(&mut self) -> Option<Result<Bytes, NodeError>> {
        if let Some(bytes) = self.next.take() {
            return Some(Ok(bytes.into()));
        }
        let mut export = self.export.take()?;
        let read = self.core.supervisor.blocking("space export", move || {
            let portion = export.chunks();
            (export, portion)
        });
        let (mut export, portion) = match read.await {
            Ok(read) => read,
            Err(error) => return Some(Err(NodeError::caused(ErrorKind::Failed, "cut_off", &error))),
        };
        match portion {
            Ok(Some(bytes)) => {
                self.export = Some(export);
                Some(Ok(bytes.into()))
            }
            // What became known meanwhile is perhaps of those who made the last chunks.
            Ok(None) => {
                let mut late = self.core.identity.about(self.space);
                late.retain(|credential| !self.credentials.contains(&credential.id()));
                let mut bytes = export.credentials(&late);
                bytes.extend(export.end());
                Some(Ok(bytes.into()))
            }
            Err(error) => {
                tracing::error!(space = %self.space, %error, "an export broke off");
                Some(Err(failed(&error)))
            }
        }
    }
}

/// An export that is read.
struct Source {
    bytes: mpsc::Receiver<Bytes>,
    reader: ExportReader,
    /// What was read and is looked at again.
    part: Option<ExportPart>,
    /// Bytes of credentials that may come.
    room: usize,
}

impl Source {
    fn new(bytes: mpsc::Receiver<Bytes>) -> Self {
        Self { bytes, reader: ExportReader::default(), part: None, room: Log::SHARE_BYTES_MAX }
    }

    async fn part(&mut self) -> Result<ExportPart, NodeError> {
        if let Some(part) = self.part.take() {
            return Ok(part);
        }
        loop {
            if let Some(part) = self.reader.part().map_err(|error| unreadable(&error))? {
                return Ok(part);
            }
            match self.bytes.recv().await {
                Some(bytes) => self.reader.push(&bytes),
                None => {
                    self.reader.finish().map_err(|error| unreadable(&error))?;
                    return Ok(ExportPart::End);
                }
            }
        }
    }

    /// Nothing stands behind its end.
    async fn end(&mut self) -> Result<(), NodeError> {
        while let Some(bytes) = self.bytes.recv().await {
            self.reader.push(&bytes);
            self.reader.part().map_err(|error| unreadable(&error))?;
        }
        self.reader.finish().map_err(|error| unreadable(&error))
    }

    /// Credentials, up to the next part that is none.
    async fn credentials(&mut self) -> Result<Vec<Credential>, NodeError> {
        let mut credentials = Vec::new();
        loop {
            let part = self.part().await?;
            let ExportPart::Credential(stored) = part else {
                self.part = Some(part);
                return Ok(credentials);
            };
            self.room = self.room.checked_sub(stored.len()).ok_or_else(|| {
                let text = format!("failed to import: more than {} bytes of credentials", Log::SHARE_BYTES_MAX);
                NodeError::new(ErrorKind::Refused, "import_refused", text)
            })?;
            let credential = Credential::decode(&stored);
            credentials
                .push(credential.map_err(|error| NodeError::caused(ErrorKind::Refused, "import_refused", &error))?);
        }
    }
}

impl Node {
    /// Writes a space, as it is held here, for whoever takes it back.
    pub async fn space_export(&self, space: &str) -> Result<SpaceExport, NodeError> {
        let registered = self.space_named(space)?;
        let place = self.core.spaces.exporting.take()?;
        let Registered { space, name, .. } = registered;
        // Nobody has any of it before its line stands there.
        self.audited("space.export", &format!("{name} {space}"), async { Ok(()) }).await?;
        let store = Store::new(self.core.spaces.database(&self.core)?, space);
        let header = ExportHeader { space, name, begun: self.core.clock.now() };
        let (mut export, mut bytes) = Export::begin(store, &header);
        let credentials = self.core.identity.about(space);
        bytes.extend(export.credentials(&credentials));
        let credentials = credentials.iter().map(Credential::id).collect();
        let (core, export, next) = (Arc::clone(&self.core), Some(export), Some(bytes));
        Ok(SpaceExport { core, space, export, next, credentials, _place: place })
    }

    /// Takes an export back, as if a peer brought it, and holds its space from then on: what is new in it is merged with what
    /// is here. `name`: what this home calls the space. A home whose identity may not read it takes nothing of it.
    pub async fn space_import(
        &self,
        name: Option<&str>,
        bytes: mpsc::Receiver<Bytes>,
    ) -> Result<SpaceImported, NodeError> {
        self.core.identity.known().identity.ok_or_else(none)?;
        let place = self.core.spaces.importing.take()?;
        let mut source = Source::new(bytes);
        let header = match source.part().await {
            Ok(ExportPart::Header(header)) => header,
            // The first part of an export is its header.
            Ok(_) => return Err(unreadable(&ExportError::Foreign)),
            Err(error) => return Err(NodeError { hint: None, ..error }),
        };
        caller::refuse_bounded("failed to import: a token or an agent holds nothing in this home's name")?;
        let (held, name) = self.name_for(&header, name)?;
        let core = Arc::clone(&self.core);
        let about = format!("{name} {}", header.space);
        let importing = async move {
            let _place = place;
            import(&core, header.space, (held, name), source).await
        };
        let (registered, credentials, chunks) = self.audited("space.import", &about, importing).await?;
        tracing::info!(target: "nisse::event::space", step = "imported", space = %registered.space, new = chunks.new);
        let Imported { new, held, aside, left } = chunks;
        Ok(SpaceImported {
            space: self.space_show(&registered.space.to_string()).await?,
            credentials,
            new,
            held,
            aside,
            left,
        })
    }

    /// The space as it is held, if it is; and what it is called here.
    fn name_for(&self, header: &ExportHeader, name: Option<&str>) -> Result<(Option<Registered>, String), NodeError> {
        let conflict = |text: String| NodeError::new(ErrorKind::Conflict, "space_exists", text);
        let spaces = self.core.spaces.all(&self.core)?;
        if let Some(held) = spaces.iter().find(|held| held.space == header.space) {
            if name.is_some_and(|name| name != held.name) {
                return Err(conflict(format!(
                    "failed to import: this home holds that space already, as {}",
                    held.name
                ))
                .with_hint("leave out --as: the space keeps its name".to_owned()));
            }
            return Ok((Some(held.clone()), held.name.clone()));
        }
        let name = space_name(name.unwrap_or(&header.name))?;
        match spaces.iter().any(|space| space.name == name) {
            true => Err(conflict(format!("failed to import: there is another space of the name {name} here"))
                .with_hint("say with --as what this home calls it".to_owned())),
            false => Ok((None, name)),
        }
    }
}

async fn import(
    core: &Arc<Core>,
    space: CredentialId,
    (held, name): (Option<Registered>, String),
    mut source: Source,
) -> Result<(Registered, u64, Imported), NodeError> {
    let credentials = source.credentials().await?;
    let stranger = || {
        let text = "failed to import: nothing here or in the file says that this home may read the space";
        NodeError::new(ErrorKind::Refused, "not_a_member", text)
            .with_hint("a member of it makes an invitation: `nisse space invite`".to_owned())
    };
    let now = core.clock.now();
    if !core.identity.would_read(space, &credentials) {
        return Err(stranger());
    }
    let known = core.take_credentials_about(space, credentials).await? as u64;
    let own = core.identity.known().own.ok_or_else(stranger)?;
    let access = core.identity.known().access(&space, &own, now);
    access.filter(|access| access.role >= Role::Read).ok_or_else(stranger)?;
    let registered = match held {
        Some(held) => held,
        None => core.spaces.hold(core, space, name)?,
    };
    let mut import = Import::begin(core, &registered, own).await?;
    let mut late = 0;
    loop {
        match source.part().await? {
            ExportPart::Chunk(stored) => import.chunk(stored).await?,
            part @ ExportPart::Credential(_) => {
                source.part = Some(part);
                let credentials = source.credentials().await?;
                late += core.take_credentials_about(space, credentials).await? as u64;
            }
            ExportPart::Header(_) | ExportPart::End => break,
        }
    }
    source.end().await?;
    let chunks = import.end(late > 0).await?;
    Ok((registered, known + late, chunks))
}
