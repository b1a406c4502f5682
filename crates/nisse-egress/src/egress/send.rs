//! From a finished request to a response's head: over a connection that waits, or over a new one.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use super::Inner;
use super::connect::{self, Destination};
use crate::audit::AuditDraft;
use crate::body::SentBody;
use crate::error::EgressError;
use crate::limits::Timeouts;
use crate::policy::Route;
use crate::pool::Lease;

impl Inner {
    /// Sends over an open connection of the same kind, or over a new one.
    pub(super) async fn send(
        &self,
        mut outgoing: Request<SentBody>,
        destination: &Destination,
        route: &Route,
        agent: &Arc<str>,
        timeouts: &Timeouts,
        draft: &mut AuditDraft,
    ) -> Result<(Response<Incoming>, Lease), EgressError> {
        let late = |phase, after| EgressError::Timeout { host: destination.host.to_string(), phase, after };
        if let Some((mut lease, address)) = self.idle_connection(destination, route, agent) {
            draft.line.chosen = Some(address.ip());
            self.limiter.admit_destination(address.ip(), self.deps.time.elapsed())?;
            let sending = lease.sender.try_send_request(outgoing);
            match tokio::time::timeout(timeouts.first_byte, sending).await {
                Err(_) => return Err(late("first byte", timeouts.first_byte)),
                Ok(Ok(response)) => {
                    draft.line.reused = true;
                    return Ok((response, lease));
                }
                // The server closed it meanwhile and nothing was sent: the request goes over a new connection.
                Ok(Err(mut error)) => match error.take_message() {
                    Some(request) => outgoing = request,
                    None => return Err(connect::protocol(destination, &lease, error.into_error())),
                },
            }
        }
        let opening = self.open(destination, route, agent, timeouts, draft);
        let mut lease = opening.await?;
        let sending = lease.sender.send_request(outgoing);
        match tokio::time::timeout(timeouts.first_byte, sending).await {
            Err(_) => Err(late("first byte", timeouts.first_byte)),
            Ok(Err(error)) => Err(connect::protocol(destination, &lease, error)),
            Ok(Ok(response)) => Ok((response, lease)),
        }
    }
}
