//! Clients of spaces: who is let in by a ticket, and which pages may keep one as a cookie.

use nisse_content::GatewayUrl;
use nisse_model::{NetworkScheme, Role};
use nisse_space::{Admission, Registered, Ticket, root_document};

use super::Node;
use crate::control::SpaceSession;
use crate::error::{ErrorKind, NodeError};
use crate::spaces::{SpaceConnection, rights};

impl Node {
    /// Lets a client in that has a ticket; it is told nothing of why it is not.
    pub async fn space_open(&self, space: &str, ticket: &str) -> Result<SpaceConnection, NodeError> {
        let (registered, admission, _) = self.admitted(space, ticket)?;
        self.core.spaces.connect(&self.core, &registered, admission).await
    }

    /// What a ticket lets a client do at the moment; likewise.
    pub fn space_session(&self, space: &str, ticket: &str) -> Result<SpaceSession, NodeError> {
        let (registered, admission, role) = self.admitted(space, ticket)?;
        Ok(SpaceSession {
            space: registered.space.to_string(),
            root: format!("automerge:{}", root_document(registered.space)),
            role: role.as_str().to_owned(),
            expires: admission.expires.0,
            lasts_ms: admission.expires.since_ms(self.core.clock.now()),
        })
    }

    /// Whether pages of this origin may log in to spaces: the public listener's own, and those that the operator listed.
    pub fn takes_pages_of(&self, origin: &str) -> bool {
        // As browsers write an origin (RFC 6454, section 6.2), and in no other form.
        let same = |url: &GatewayUrl| url.to_string() == origin;
        same(&self.public_url()) || self.core.options.origins.iter().any(same)
    }

    /// Whether others reach the public listener by TLS.
    pub fn is_behind_tls(&self) -> bool {
        self.public_url().scheme() == NetworkScheme::Https
    }

    fn admitted(&self, space: &str, ticket: &str) -> Result<(Registered, Admission, Role), NodeError> {
        let refused = || {
            let text = "failed to let you in: this ticket lets nobody in here";
            NodeError::new(ErrorKind::Refused, "ticket_refused", text)
                .with_hint("`nisse space ticket` makes another".to_owned())
        };
        let ticket: Ticket = ticket.parse().map_err(|_| refused())?;
        let admission = ticket.admission();
        if space.parse() != Ok(admission.space) {
            return Err(refused());
        }
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        let role = rights(&known, admission, now).ok_or_else(refused)?.role;
        let spaces = self.core.spaces.all(&self.core)?;
        let registered = spaces.into_iter().find(|held| held.space == admission.space).ok_or_else(refused)?;
        Ok((registered, admission.clone(), role))
    }
}
