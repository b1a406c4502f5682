//! Which documents of a space this home keeps.

use nisse_model::Role;
use nisse_space::chunk_sync::Wanted;
use nisse_space::objects::ObjectId;
use nisse_space::{DocumentId, Registered, Store};

use super::Node;
use super::objects::refused;
use crate::control::{SpaceKeepRequest, SpaceStatus};
use crate::error::{ErrorKind, NodeError};
use crate::spaces::failed;

impl Node {
    /// Keeps a part of a space from now on, or all of it. What is here stays; what is wanted besides comes from other homes.
    pub async fn space_keep(&self, space: &str, request: &SpaceKeepRequest) -> Result<SpaceStatus, NodeError> {
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Read)?;
        self.refuse_home(&registered, "failed to keep a part")?;
        let only = request.only.as_deref().map(named).transpose()?;
        let about = match &only {
            Some((objects, documents)) => format!("{} {} of it", registered.name, objects.len() + documents.len()),
            None => format!("{} all", registered.name),
        };
        let (core, of) = (std::sync::Arc::clone(&self.core), registered.clone());
        let keeping = async move {
            let keep = core.spaces.ask(&core, &of, move |space, _| {
                let only = only.as_ref().map(|(objects, documents)| (objects.as_slice(), documents.as_slice()));
                (space.keep(only), Vec::new())
            });
            keep.await?.map_err(|error| refused(&error))
        };
        self.audited("space.keep", &about, keeping).await?;
        self.status_of(&registered)
    }

    /// How many documents are kept, where that is not all.
    pub(super) fn kept_of(&self, registered: &Registered) -> Result<Option<u64>, NodeError> {
        let store = Store::new(self.core.spaces.database(&self.core)?, registered.space);
        let kept = store.kept().map_err(|error| failed(&error))?;
        Ok(kept.map(|kept| kept.len() as u64))
    }
}

/// Objects by their ids, and documents as automerge-repo names them.
fn named(only: &[String]) -> Result<(Vec<ObjectId>, Vec<DocumentId>), NodeError> {
    if only.len() >= Wanted::DOCUMENTS_MAX {
        let text = format!("failed to keep a part: it has {} documents at most", Wanted::DOCUMENTS_MAX);
        return Err(NodeError::new(ErrorKind::Usage, "keep_invalid", text)
            .with_hint("keep all of it: `nisse space keep SPACE --all`".to_owned()));
    }
    let (mut objects, mut documents) = (Vec::new(), Vec::new());
    for name in only {
        match (name.parse::<ObjectId>(), name.strip_prefix("automerge:").unwrap_or(name).parse::<DocumentId>()) {
            (Ok(object), _) => objects.push(object),
            (_, Ok(document)) => documents.push(document),
            _ => {
                let shown: String = name.chars().take(80).collect();
                let text =
                    format!("failed to keep `{shown}`: the id of an object is expected, or a document, automerge:…");
                return Err(NodeError::new(ErrorKind::Usage, "keep_invalid", text)
                    .with_hint("`nisse space query SPACE` lists the objects with their ids".to_owned()));
            }
        }
    }
    Ok((objects, documents))
}
