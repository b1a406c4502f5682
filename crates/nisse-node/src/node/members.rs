//! Who is in a space: invited, let in, gone.

use std::sync::Arc;

use nisse_link::pairing::Code;
use nisse_model::{Claim, Did, Role, SigningKey};
use nisse_space::Registered;
use zeroize::Zeroizing;

use super::home::home_refused;
use super::{Node, space_name};
use crate::caller;
use crate::control::{InvitationRequest, JoinRequest, MemberRequest, SpaceInvitation, SpaceMember, SpaceStatus};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::identity::join::Ticket;
use crate::identity::none;
use crate::link::{Accepted, accept, fetch};
use crate::spaces::Invitation;

/// For how long an invitation can be good.
const EXPIRES_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// For how long one is that a code stands for: as the code, and a little for whoever types it last.
const CODE_LASTS_MS: u64 = 11 * 60_000;
/// How many one invitation lets in at most.
const USES_MAX: u32 = 1_000;

impl Node {
    /// Makes an invitation. This home lets in whoever takes it, whether its owner is there or not.
    pub async fn space_invite(&self, space: &str, request: &InvitationRequest) -> Result<SpaceInvitation, NodeError> {
        caller::refuse_bounded("failed to invite: a token or an agent invites nobody in this home's name")?;
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Admin)?;
        self.refuse_home(&registered, "failed to invite")?;
        let role = role_named(&request.role)?;
        if !(1..=EXPIRES_MS_MAX).contains(&request.expires_ms) {
            let text = "failed to invite: it would be good for no time at all, or for more than 30 days";
            return Err(NodeError::new(ErrorKind::Usage, "expires_invalid", text));
        }
        if !(1..=USES_MAX).contains(&request.uses) {
            let text = format!("failed to invite: from 1 to {USES_MAX} can take one invitation");
            return Err(NodeError::new(ErrorKind::Usage, "uses_invalid", text));
        }
        if request.code && request.uses != 1 {
            let text = "failed to invite: a code is for one, and is used up by them";
            return Err(NodeError::new(ErrorKind::Usage, "uses_invalid", text)
                .with_hint("without a code, an invitation is a text that as many can take".to_owned()));
        }
        let invitee = request.invitee.as_deref().map(identity_named).transpose()?;
        let link = self.core.peers.link().ok_or_else(|| {
            let why = self.core.peers.trouble().unwrap_or_else(|| "it begins to listen in a moment".to_owned());
            let text = format!("failed to invite: nobody could reach this node: {why}");
            NodeError::new(ErrorKind::Unreachable, "link_failed", text)
        })?;
        let lasts_ms = if request.code { CODE_LASTS_MS } else { request.expires_ms };
        let mut seed = Zeroizing::new([0; 32]);
        self.core.entropy.fill(&mut *seed);
        let key = SigningKey::from_seed(&seed).did();
        let (expires, uses) = (self.core.clock.now().plus_ms(lasts_ms), request.uses);
        let claim = Claim::Invitation { space: registered.space, key, role, expires, uses, invitee };
        let about = format!("{} {} for {uses} until {}", registered.name, role.as_str(), expires.seconds());
        let core = Arc::clone(&self.core);
        let id = self.audited("space.invite", &about, async move { core.identity.say(claim).await }).await?;
        let Registered { space, name, .. } = registered;
        let invitation = Invitation { space, name, host: link.did(), at: link.addresses(), seed };
        let ticket = Ticket { did: invitation.host, at: invitation.at.clone() }.to_string();
        let (text, code) = match request.code {
            true => (None, Some(self.core.offer(invitation))),
            false => (Some(invitation.to_string()), None),
        };
        Ok(SpaceInvitation {
            invitation: text,
            ticket: code.is_some().then_some(ticket),
            code,
            id: id.to_string(),
            role: role.as_str().to_owned(),
            expires: expires.0,
            uses,
        })
    }

    /// Takes an invitation that another home made, and holds the space from then on.
    pub async fn space_join(&self, request: &JoinRequest) -> Result<SpaceStatus, NodeError> {
        caller::refuse_bounded("failed to join: a token or an agent joins nothing in this home's name")?;
        let known = self.core.identity.known();
        known.identity.ok_or_else(none)?;
        let invitation = match &request.code {
            Some(code) => self.invitation_by_code(&request.invitation, code).await?,
            None => request.invitation.parse().map_err(|error| {
                NodeError::caused(ErrorKind::Usage, "invitation_invalid", &error)
                    .with_hint("copy all of it, from nsi1_ to its end".to_owned())
            })?,
        };
        let spaces = self.core.spaces.all(&self.core)?;
        let held = spaces.iter().find(|held| held.space == invitation.space);
        let is_in = known.own_spaces().contains(&invitation.space);
        if let Some(held) = held.filter(|_| is_in) {
            let text = format!("failed to join: this home holds that space already, as {}", held.name);
            return Err(NodeError::new(ErrorKind::Conflict, "space_exists", text));
        }
        let name = match held {
            Some(held) => held.name.clone(),
            None => {
                let name = space_name(request.name.as_deref().unwrap_or(&invitation.name))?;
                if spaces.iter().any(|space| space.name == name) {
                    let text = format!("failed to join: there is a space of the name {name} here");
                    return Err(NodeError::new(ErrorKind::Conflict, "space_exists", text)
                        .with_hint("say with --as what this home calls it".to_owned()));
                }
                name
            }
        };
        let (core, is_held, space) = (Arc::clone(&self.core), held.is_some(), invitation.space);
        let about = format!("{name} {}", invitation.space);
        self.audited("space.join", &about, async move {
            let Accepted { role } = accept(&core, &invitation).await?;
            core.spaces.keep_way(&core, invitation.host, &invitation.at)?;
            if !is_held {
                core.spaces.hold(&core, space, name)?;
            }
            tracing::info!(target: "nisse::event::space", step = "joined", %space, role = role.as_str());
            Ok(())
        })
        .await?;
        self.space_show(&space.to_string()).await
    }

    async fn invitation_by_code(&self, ticket: &str, code: &str) -> Result<Invitation, NodeError> {
        let ticket: Ticket =
            ticket.parse().map_err(|error| NodeError::caused(ErrorKind::Usage, "ticket_invalid", &error))?;
        let code: Code = code.parse().map_err(|error| NodeError::caused(ErrorKind::Usage, "code_invalid", &error))?;
        fetch(&self.core, &ticket, &code).await
    }

    /// Leaves a space: this home's identity is no member any more. What it wrote stays there, and what is held stays here.
    pub async fn space_leave(&self, space: &str) -> Result<SpaceStatus, NodeError> {
        let registered = self.space_named(space)?;
        caller::refuse_bounded("failed to leave: a token or an agent leaves nothing in this home's name")?;
        let known = self.core.identity.known();
        let member = known.identity.ok_or_else(none)?;
        if known.homes.first() == Some(&registered.space) {
            return Err(home_refused("failed to leave the home space: the devices of this identity share it"));
        }
        let members = known.members(&registered.space);
        let Some(role) = members.get(&member).copied() else {
            let text = format!("failed to leave {}: this home's identity is no member of it", registered.name);
            return Err(NodeError::new(ErrorKind::Conflict, "not_a_member", text));
        };
        let others = members.iter().filter(|(one, _)| **one != member);
        if role == Role::Admin && others.clone().count() > 0 && others.clone().all(|(_, role)| *role < Role::Admin) {
            let text = format!("failed to leave {}: nobody would be left who decides who is a member", registered.name);
            return Err(NodeError::new(ErrorKind::Conflict, "last_admin", text)
                .with_hint("`nisse space role` makes somebody else admin first".to_owned()));
        }
        let claim = Claim::MemberRevoke { space: registered.space, member };
        self.say_audited("space.leave", &registered.name.clone(), claim).await?;
        self.space_show(&registered.space.to_string()).await
    }

    /// Gives a member another role, or none. What it wrote until now stays; its connections end or change at once.
    pub async fn space_member(&self, space: &str, request: &MemberRequest) -> Result<Vec<SpaceMember>, NodeError> {
        caller::refuse_bounded("failed to change a member: a token or an agent decides nothing in this home's name")?;
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Admin)?;
        self.refuse_home(&registered, "failed to change a member")?;
        let member = identity_named(&request.identity)?;
        let role = request.role.as_deref().map(role_named).transpose()?;
        let known = self.core.identity.known();
        let has = known.members(&registered.space).get(&member).copied();
        let space = registered.space;
        let claim = match role {
            Some(role) => Claim::Member { space, member, role },
            // Who left may be shut out all the same: what they write without having seen that they left would count.
            None if !self.core.identity.knows_in(space, &member) => {
                let text = format!("failed to revoke {member}: it is no member of {}", registered.name);
                return Err(NodeError::new(ErrorKind::NotFound, "member_unknown", text)
                    .with_hint(format!("`nisse space members {}` lists them", registered.name)));
            }
            None => Claim::MemberRevoke { space, member },
        };
        if known.identity == Some(member) && role < Some(Role::Admin) {
            let text = "failed to change a member: this home's own identity leaves with `nisse space leave`";
            return Err(NodeError::new(ErrorKind::Refused, "own_identity", text));
        }
        if role.is_none_or(|role| role < Role::Edit) && has.is_some_and(|has| has >= Role::Edit) {
            vouch_for(&self.core, &registered, member).await;
        }
        let now = role.map_or("none", Role::as_str);
        self.say_audited("space.role", &format!("{} {member} {now}", registered.name), claim).await?;
        self.space_members(&space.to_string()).await
    }

    async fn say_audited(&self, act: &'static str, about: &str, claim: Claim) -> Result<(), NodeError> {
        let core = Arc::clone(&self.core);
        self.audited(act, about, async move { core.identity.say(claim).await.map(drop) }).await
    }
}

/// Vouches in a space for what somebody wrote who is about to be cut off. They are, whether that succeeds or not.
pub(super) async fn vouch_for(core: &Arc<Core>, registered: &Registered, who: Did) {
    let vouched = core.spaces.ask(core, registered, move |space, author| match space.vouch_for(who, author) {
        Ok(effects) => (Ok(()), effects),
        Err(error) => (Err(error), Vec::new()),
    });
    let text = match vouched.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.text,
    };
    tracing::warn!(space = %registered.space, %who, error = text, "what they wrote last may be set aside elsewhere");
}

fn identity_named(text: &str) -> Result<Did, NodeError> {
    text.parse().map_err(|error| NodeError::caused(ErrorKind::Usage, "identity_invalid", &error))
}

fn role_named(text: &str) -> Result<Role, NodeError> {
    Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        let text = format!("failed to read `{shown}` as a role: it is `relay`, `read`, `edit` or `admin`");
        NodeError::new(ErrorKind::Usage, "role_invalid", text)
    })
}
