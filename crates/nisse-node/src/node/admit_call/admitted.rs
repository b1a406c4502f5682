//! A call that its agent takes: within which limits, in whose name, and until when.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use nisse_model::{Chains, Did};
use tokio::sync::watch;

use super::admits;
use crate::access::{FlawKind, Guard, Stands};
use crate::error::NodeError;
use crate::identity::Known;
use crate::node::Node;
use crate::node::admit_token::{LOOK_AGAIN, credentials, one};
use crate::remote::SignedBody;
use crate::token::PROOF;

/// Tells an agent who asks. Whatever a stranger sends under this name is taken out.
const CALLER: HeaderName = HeaderName::from_static("nisse-caller");

/// A request that its agent takes. Its body has not been read.
pub struct AdmittedCall {
    /// Nothing, for an agent without rules.
    pub(super) by: Option<By>,
}

pub(super) struct By {
    pub(super) guard: Arc<Guard>,
    /// The rule that admits it.
    pub(super) rule: usize,
    /// Whoever proved who they are.
    pub(super) caller: Option<Caller>,
    /// What was asked, for the owner.
    pub(super) what: String,
}

#[derive(Clone)]
pub(super) struct Caller {
    pub(super) key: Did,
    pub(super) body: SignedBody,
    /// What it hangs on besides the key.
    pub(super) stands: Stands,
    pub(super) chains: Option<Chains>,
    /// From before it was judged.
    pub(super) changes: watch::Receiver<Arc<Known>>,
}

impl AdmittedCall {
    /// The largest body that the rule takes, in bytes; nothing where any does that an agent may be sent.
    pub fn body_bytes_max(&self) -> Option<u64> {
        let By { guard, rule, .. } = self.by.as_ref()?;
        guard.rule(*rule).body.map(|size| size.0)
    }

    /// Whether this body is the one that was signed, if one was.
    pub fn check_body(&self, bytes: &[u8]) -> Result<(), NodeError> {
        match self.by.as_ref().and_then(|by| by.caller.as_ref()) {
            Some(caller) => caller.body.check(bytes),
            None => Ok(()),
        }
    }

    /// Says who asks in the head that the agent gets, and nothing that is for this node alone.
    pub fn write_head(&self, headers: &mut HeaderMap) {
        headers.remove(CALLER);
        let Some(caller) = self.by.as_ref().and_then(|by| by.caller.as_ref()) else { return };
        headers.remove(PROOF);
        if one(headers, &AUTHORIZATION).and_then(credentials).is_some() {
            headers.remove(AUTHORIZATION);
        }
        let value = HeaderValue::try_from(caller.key.to_string()).expect("a key's name is made of letters");
        headers.insert(CALLER, value);
    }
}

impl Node {
    /// Tells the owner of a body that is larger than the rule lets it be.
    pub fn call_too_large(&self, call: &AdmittedCall) {
        if let Some(By { guard, rule, what, .. }) = &call.by {
            let most = guard.rule(*rule).body.map(|most| most.to_string()).unwrap_or_default();
            let flaws = vec![(*rule, FlawKind::Body.with(most))];
            guard.tell(self.core.clock.now(), self.core.clock.elapsed(), what, flaws);
        }
    }

    /// Whether whoever asks is admitted still: a body may take its time.
    pub fn still_admits(&self, call: &AdmittedCall) -> bool {
        let Some(By { guard, rule, caller: Some(caller), .. }) = &call.by else { return true };
        let (to, known) = (&guard.rule(*rule).to, self.core.identity.known());
        caller.stands == Stands::Named
            || admits(&self.core, guard, to, caller.key, || caller.chains.clone(), &known).is_ok()
    }

    /// Returns once whoever asks is not admitted any more: cut off, or past the time of what they showed. Nothing, where
    /// only an update of the agent ends it.
    pub fn call_ended(&self, call: &AdmittedCall) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        let By { guard, rule, caller, .. } = call.by.as_ref()?;
        let caller = caller.as_ref().filter(|caller| caller.stands != Stands::Named)?;
        let (core, guard, rule, mut caller) = (Arc::clone(&self.core), Arc::clone(guard), *rule, caller.clone());
        Some(async move {
            loop {
                let now = core.clock.now();
                let ends = caller.chains.iter().flat_map(Chains::given).map(|(.., expires)| expires);
                let left = ends.filter(|ends| now < *ends).min().map(|ends| Duration::from_millis(ends.since_ms(now)));
                let left = left.unwrap_or(LOOK_AGAIN).clamp(Duration::from_millis(1), LOOK_AGAIN);
                let is_open = tokio::select! {
                    changed = caller.changes.changed() => changed.is_ok(),
                    () = tokio::time::sleep(left) => true,
                };
                let known = core.identity.known();
                let to = &guard.rule(rule).to;
                if !is_open || admits(&core, &guard, to, caller.key, || caller.chains.clone(), &known).is_err() {
                    return;
                }
            }
        })
    }
}
