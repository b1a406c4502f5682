//! Invitations as they stand: which still let somebody in, and how one is taken back.

use std::sync::Arc;

use nisse_model::{Claim, OpenInvitation, Role};
use nisse_space::Registered;

use super::Node;
use crate::caller;
use crate::control::OpenSpaceInvitation;
use crate::error::{ErrorKind, NodeError};
use crate::identity::none;

/// Digits of an invitation's id that name it, where no other begins with them.
const DIGITS_MIN: usize = 8;

impl Node {
    /// The invitations to a space by which somebody new could join now, whoever of its admins made them.
    pub async fn space_invitations(&self, space: &str) -> Result<Vec<OpenSpaceInvitation>, NodeError> {
        let Registered { space, .. } = self.space_named(space)?;
        let known = self.core.identity.known();
        let shown = |open: OpenInvitation| OpenSpaceInvitation {
            id: open.invitation.to_string(),
            role: open.role.as_str().to_owned(),
            expires: open.expires.0,
            uses: open.uses,
            left: open.left,
            invitee: open.invitee.map(|invitee| invitee.to_string()),
            own: known.identity == Some(open.inviter),
            inviter: open.inviter.to_string(),
            device: open.issuer.to_string(),
            name: known.name(&open.issuer).map(str::to_owned),
        };
        Ok(self.core.identity.open_invitations(space).into_iter().map(shown).collect())
    }

    /// Takes an invitation of this home's identity back, named by its id or the first digits of that: it lets nobody in any
    /// more, here at once, elsewhere as soon as that is heard. Who came in by it stays.
    pub async fn space_uninvite(&self, space: &str, invitation: &str) -> Result<(), NodeError> {
        let registered = self.space_named(space)?;
        caller::refuse_bounded("failed to take it back: a token or an agent takes nothing back in this home's name")?;
        let identity = self.core.identity.known().identity.ok_or_else(none)?;
        let open = self.core.identity.open_invitations(registered.space);
        let named = invitation_named(&registered, &open, invitation)?;
        if named.inviter != identity {
            let text = format!("failed to take it back: {} made it, and alone takes it back", named.inviter);
            return Err(NodeError::new(ErrorKind::Refused, "invitation_of_others", text).with_hint(
                "what somebody invites to ends with their role: `nisse space role` and `nisse space revoke` change it"
                    .to_owned(),
            ));
        }
        self.may(&registered, Role::Admin)?;
        let (core, credential) = (Arc::clone(&self.core), named.invitation);
        let about = format!("{} {credential}", registered.name);
        self.audited("space.uninvite", &about, async move {
            core.identity.say(Claim::Withdraw { credential }).await.map(drop)
        })
        .await?;
        tracing::info!(target: "nisse::event::space", step = "uninvited", space = %registered.space);
        Ok(())
    }
}

fn invitation_named<'o>(
    Registered { name: space, .. }: &Registered,
    open: &'o [OpenInvitation],
    named: &str,
) -> Result<&'o OpenInvitation, NodeError> {
    let begins = |open: &&OpenInvitation| open.invitation.to_string().starts_with(named);
    let mut found = open.iter().filter(|_| named.len() >= DIGITS_MIN).filter(begins);
    let shown: String = named.chars().take(80).collect();
    match (found.next(), found.next()) {
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => {
            let text = format!("failed to find the invitation {shown}: more than one begins so");
            Err(NodeError::new(ErrorKind::Usage, "invitation_ambiguous", text))
        }
        (None, _) => {
            let text = format!("failed to find the invitation {shown}: none of that id lets anybody into {space}");
            Err(NodeError::new(ErrorKind::NotFound, "invitation_unknown", text)
                .with_hint(format!("`nisse space invitations {space}` lists them; {DIGITS_MIN} digits are enough")))
        }
    }
}
