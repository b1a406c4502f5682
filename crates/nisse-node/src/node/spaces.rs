//! Spaces as their owner meets them: made, shown, and a ticket given.

use std::sync::Arc;

use nisse_model::{Claim, Did, Label, Role};
use nisse_space::{Admission, Registered, Store, root_document};

use super::Node;
use crate::caller;
use crate::control::{SpaceEntry, SpaceKey, SpaceMember, SpaceRequest, SpaceStatus, SpaceTicket, SpaceTicketRequest};
use crate::error::{ErrorKind, NodeError};
use crate::identity::none;
use crate::spaces::{SPACE_PATH, failed, rights};

/// For how long a ticket can be good.
const EXPIRES_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Digits of a space's id that name it, where no other begins with them.
const DIGITS_MIN: usize = 8;

impl Node {
    /// Begins a space; this home's identity is its first admin.
    pub async fn space_create(&self, request: &SpaceRequest) -> Result<SpaceStatus, NodeError> {
        let name = space_name(&request.name)?;
        self.core.identity.known().identity.ok_or_else(none)?;
        let spaces = self.core.spaces.all(&self.core)?;
        if spaces.iter().any(|space| space.name == name) {
            let text = format!("failed to make the space {name}: there is one of that name here");
            return Err(NodeError::new(ErrorKind::Conflict, "space_exists", text)
                .with_hint(format!("`nisse space show {name}` shows it")));
        }
        let core = Arc::clone(&self.core);
        let about = name.clone();
        let making = async move {
            core.spaces.database(&core)?;
            let space = core.identity.say(Claim::SpaceGenesis).await?;
            core.spaces.hold(&core, space, name)
        };
        let registered = self.audited("space.create", &about, making).await?;
        tracing::info!(target: "nisse::event::space", step = "made", space = %registered.space);
        self.status_of(&registered)
    }

    /// The spaces that this home holds: its home space first, then by name.
    pub async fn space_list(&self) -> Result<Vec<SpaceEntry>, NodeError> {
        let spaces = self.core.spaces.all(&self.core)?;
        let entries = spaces.iter().map(|registered| self.entry_of(registered));
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by(|one, other| (!one.home, &one.name).cmp(&(!other.home, &other.name)));
        Ok(entries)
    }

    /// One of them, by its name or its id, or the first digits of that.
    pub async fn space_show(&self, space: &str) -> Result<SpaceStatus, NodeError> {
        self.status_of(&self.space_named(space)?)
    }

    /// Who is a member of it.
    pub async fn space_members(&self, space: &str) -> Result<Vec<SpaceMember>, NodeError> {
        let space = self.space_named(space)?.space;
        let known = self.core.identity.known();
        let key = |(key, role): (Did, Role)| SpaceKey {
            key: key.to_string(),
            role: role.as_str().to_owned(),
            name: known.name(&key).map(str::to_owned),
            connected: self.core.peers.is_together(&key),
        };
        let member = |(identity, role): (Did, Role)| SpaceMember {
            identity: identity.to_string(),
            role: role.as_str().to_owned(),
            own: known.identity == Some(identity),
            keys: known.keys_of(&space, &identity).map(key).collect(),
        };
        Ok(known.members(&space).into_iter().map(member).collect())
    }

    /// A ticket of this device, by which a client of automerge-repo comes in.
    pub async fn space_ticket(&self, space: &str, request: &SpaceTicketRequest) -> Result<SpaceTicket, NodeError> {
        caller::refuse_bounded("failed to make a ticket: it would outlast what a token or an agent has")?;
        let registered = self.space_named(space)?;
        let role = ticket_role(&request.role)?;
        if !(1..=EXPIRES_MS_MAX).contains(&request.expires_ms) {
            let text = "failed to make a ticket: it would be good for no time at all, or for more than 30 days";
            return Err(NodeError::new(ErrorKind::Usage, "expires_invalid", text)
                .with_hint("name a time such as 1h; make another ticket when it is over".to_owned()));
        }
        let known = self.core.identity.known();
        let subject = known.identity.ok_or_else(none)?;
        let device = self.core.identity.device()?;
        let mut nonce = [0; 12];
        self.core.entropy.fill(&mut nonce);
        let (issuer, expires) = (device.key.did(), self.core.clock.now().plus_ms(request.expires_ms));
        let admission = Admission { space: registered.space, subject, issuer, role, expires, nonce };
        self.may(&registered, role)?;
        if rights(&known, &admission, self.core.clock.now()).is_none() {
            let text = "failed to make a ticket: this device may not act for the identity";
            return Err(NodeError::new(ErrorKind::Refused, "device_revoked", text)
                .with_hint("`nisse device ls` on another device shows which may".to_owned()));
        }
        // Nobody has it before its line stands there, which says nothing by which somebody would be let in.
        let about = format!("{} {} until {}", registered.name, role.as_str(), expires.seconds());
        self.audited("space.ticket", &about, async { Ok(()) }).await?;
        let signature = device.key.sign(Admission::CONTEXT, &admission.signed_bytes());
        let ticket = admission.with_signature(signature);
        let ticket = ticket.map_err(|error| NodeError::caused(ErrorKind::Failed, "ticket_failed", &error))?;
        let base = self.public_url().to_string().replacen("http", "ws", 1);
        let url = format!("{}{SPACE_PATH}{}?ticket={ticket}", base.trim_end_matches('/'), registered.space);
        Ok(SpaceTicket { url, role: role.as_str().to_owned(), expires: expires.0 })
    }

    /// Refuses what this home has no role for any more.
    pub(super) fn may(&self, registered: &Registered, role: Role) -> Result<(), NodeError> {
        let known = self.core.identity.known();
        let has = known.identity.and_then(|identity| known.role(&registered.space, &identity, self.core.clock.now()));
        if has.is_some_and(|has| has >= role) {
            return Ok(());
        }
        let text =
            format!("failed to use the space {}: this home has not the role {} there", registered.name, role.as_str());
        Err(NodeError::new(ErrorKind::Refused, "role_missing", text)
            .with_hint(format!("`nisse space members {}` shows who has which", registered.name)))
    }

    pub(super) fn space_named(&self, named: &str) -> Result<Registered, NodeError> {
        let spaces = self.core.spaces.all(&self.core)?;
        if let Some(space) = spaces.iter().find(|space| space.name == named) {
            return Ok(space.clone());
        }
        let digits = named.len() >= DIGITS_MIN;
        let mut begin = spaces.iter().filter(|space| digits && space.space.to_string().starts_with(named));
        match (begin.next(), begin.next()) {
            (Some(space), None) => Ok(space.clone()),
            (Some(_), Some(_)) => {
                let text = format!("failed to find the space {named}: more than one begins so");
                Err(NodeError::new(ErrorKind::Usage, "space_ambiguous", text)
                    .with_hint("`nisse space ls` lists them".to_owned()))
            }
            (None, _) => {
                let shown: String = named.chars().take(80).collect();
                let text = format!("failed to find the space {shown}: this home holds none of that name");
                Err(NodeError::new(ErrorKind::NotFound, "space_unknown", text).with_hint(
                    "`nisse space ls` lists those that it holds; `nisse space create NAME` makes one".to_owned(),
                ))
            }
        }
    }

    fn entry_of(&self, registered: &Registered) -> Result<SpaceEntry, NodeError> {
        let store = Store::new(self.core.spaces.database(&self.core)?, registered.space);
        let (mut documents, mut bytes) = (0, 0);
        let counted = store.documents(|_, summary| {
            documents += 1;
            bytes += summary.bytes;
            true
        });
        counted.map_err(|error| failed(&error))?;
        let known = self.core.identity.known();
        let role = known.identity.and_then(|identity| known.role(&registered.space, &identity, self.core.clock.now()));
        Ok(SpaceEntry {
            space: registered.space.to_string(),
            name: registered.name.clone(),
            role: role.map(|role| role.as_str().to_owned()),
            home: known.homes.first() == Some(&registered.space),
            documents,
            bytes,
        })
    }

    pub(super) fn status_of(&self, registered: &Registered) -> Result<SpaceStatus, NodeError> {
        let standing = self.core.spaces.standing(registered.space);
        Ok(SpaceStatus {
            entry: self.entry_of(registered)?,
            root: format!("automerge:{}", root_document(registered.space)),
            connected: standing.connected,
            trouble: standing.trouble,
            kept: self.kept_of(registered)?,
        })
    }
}

pub(crate) fn space_name(text: &str) -> Result<String, NodeError> {
    let sound = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let name: Option<Label> = text.parse().ok();
    match name {
        Some(_) if text.len() <= Registered::NAME_MAX && text.bytes().all(sound) && !text.starts_with('-') => {
            Ok(text.to_owned())
        }
        _ => {
            let shown: String = text.chars().take(80).collect();
            let text = format!("failed to name a space `{shown}`: lower-case letters, digits and hyphens, at most 64");
            Err(NodeError::new(ErrorKind::Usage, "space_name_invalid", text)
                .with_hint("`nisse space create notes`, for one".to_owned()))
        }
    }
}

fn ticket_role(text: &str) -> Result<Role, NodeError> {
    match text {
        "read" => Ok(Role::Read),
        "edit" => Ok(Role::Edit),
        _ => {
            let shown: String = text.chars().take(80).collect();
            let text = format!("failed to make a ticket for the role `{shown}`: it is `read` or `edit`");
            Err(NodeError::new(ErrorKind::Usage, "role_invalid", text))
        }
    }
}
