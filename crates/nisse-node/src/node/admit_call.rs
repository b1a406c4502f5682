//! Who may call an agent at its public endpoint: whom one of its rules admits, by a proof that whoever asks signed for this
//! request alone. Nothing of a body is read before.

mod admitted;

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use nisse_model::{AccessTo, Chains, Did, Timestamp};

pub use self::admitted::AdmittedCall;
use self::admitted::{By, Caller};
use super::Node;
use super::admit::not_taken;
use super::admit_token::{CHAINS_TEXT_MAX, credentials, not_given, one};
use crate::access::{Asker, Flaw, FlawKind, Guard, Stands};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::identity::Known;
use crate::identity::tokens::first_holder;
use crate::public::PublicAgent;
use crate::remote::SignedBody;
use crate::token::{Audience, PROOF, Proof, SignedRequest};

/// Bytes of a path that the owner is told.
const PATH_TOLD_MAX: usize = 80;

/// Why a request does not reach its agent, in words for strangers: nothing of the rules is in them.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallRefused {
    /// It says nothing of who asks.
    #[error("failed to take the request: it does not prove who asks")]
    Unproven,
    /// What it says of that does not count.
    #[error("{}", .0.text)]
    Proof(Box<NodeError>),
    /// It is known who asks.
    #[error("failed to take the request: whoever asks is not admitted to it")]
    NotAdmitted,
    /// They asked too often.
    #[error("failed to take the request: too many came before it")]
    TooMany {
        /// Seconds to wait.
        retry_after: u64,
    },
}

/// A request whose signature is its key's own.
struct Proven<'r> {
    proof: Proof,
    body: SignedBody,
    /// Capabilities, as they stand in `authorization`.
    shown: Option<&'r str>,
}

/// How a rule admits somebody.
struct Admits {
    stands: Stands,
    chains: Option<Chains>,
    /// Whose nonces and rate these are: whoever a token was handed on to shares them.
    counted: Did,
}

/// What a request asks for, and what is wrong with each rule that was looked at.
struct Asked<'r> {
    method: &'r str,
    path: &'r str,
    flaws: Vec<(usize, Flaw)>,
}

impl Node {
    /// Finds out from a request's head whether its agent takes it. `from` is the address by which strangers are counted, if
    /// they are. A request that proves who asks counts from here on: the same one is refused after it.
    pub fn admit_call<B>(
        &self,
        agent: &PublicAgent,
        from: Option<IpAddr>,
        request: &Request<B>,
    ) -> Result<AdmittedCall, CallRefused> {
        match &agent.guard {
            None => Ok(AdmittedCall { by: None }),
            Some(guard) => self.judge_call(guard, from, request).map(|by| AdmittedCall { by: Some(by) }),
        }
    }

    fn judge_call<B>(&self, guard: &Arc<Guard>, from: Option<IpAddr>, request: &Request<B>) -> Result<By, CallRefused> {
        let now = self.core.clock.now();
        let mut asked = Asked { method: request.method().as_str(), path: request.uri().path(), flaws: Vec::new() };
        let changes = self.core.identity.changes();
        let known = Arc::clone(&changes.borrow());
        let who = match self.proven(request, now) {
            Ok(Some(proven)) => match first_that_admits(&self.core, guard, &proven, &known, &mut asked) {
                Some((rule, Admits { stands, chains, counted })) => {
                    let Proven { proof: Proof { key, nonce, expires, .. }, body, .. } = proven;
                    // Nobody fills this memory whom no rule admits, and whoever repeats what was asked takes nothing of the
                    // rate of who asked it.
                    match guard.nonces.take(counted, nonce, expires, now.seconds()) {
                        Ok(()) => {
                            let caller = Caller { key, body, stands, chains, changes };
                            return self.counted(guard, rule, Some(caller), Asker::Key(counted), asked);
                        }
                        Err(why) => {
                            let error = not_taken(why);
                            asked.flaws.push((rule, FlawKind::Proof.with(error.text.clone())));
                            Err(error)
                        }
                    }
                }
                None => Ok(Some(proven.proof.key)),
            },
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        for (number, _, is_about) in guard.about(asked.method, asked.path, false) {
            match is_about {
                Ok(()) => return self.counted(guard, number, None, from.map_or(Asker::Here, Asker::Address), asked),
                Err(flaw) => asked.flaws.push((number, flaw)),
            }
        }
        Err(self.refused(guard, who, asked))
    }

    /// Whoever signed this request, if somebody says to have done so.
    fn proven<'r, B>(&self, request: &'r Request<B>, now: Timestamp) -> Result<Option<Proven<'r>>, NodeError> {
        let headers = request.headers();
        if !headers.contains_key(PROOF) {
            return Ok(None);
        }
        let proof: Proof = one(headers, &PROOF)
            .ok_or_else(|| unproven("it has more than one `nisse-proof`".to_owned()))?
            .parse()
            .map_err(|error| unproven(format!("failed to read `nisse-proof`: {error}")))?;
        let body = SignedBody::of(headers)?;
        self.check_time(proof.expires, now.seconds())?;
        let host = one(headers, &HOST).unwrap_or_default().to_ascii_lowercase();
        let path = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let to = Audience::Host(&host);
        let signed = SignedRequest { method: request.method().as_str(), path, to, body: body.0 };
        if !signed.is_proven(&proof) {
            let text = format!("the signature is not one of {} over it", proof.key);
            let hint = "a signature is of exactly this host, method, path, body, nonce and time".to_owned();
            return Err(NodeError { code: "signature_other", ..unproven(text) }.with_hint(hint));
        }
        Ok(Some(Proven { proof, body, shown: one(headers, &AUTHORIZATION).and_then(credentials) }))
    }

    /// Counts a request that a rule admits.
    fn counted(
        &self,
        guard: &Arc<Guard>,
        rule: usize,
        caller: Option<Caller>,
        asker: Asker,
        asked: Asked<'_>,
    ) -> Result<By, CallRefused> {
        let elapsed = self.core.clock.elapsed();
        let what = told(asked.method, asked.path, caller.as_ref().map(|caller| caller.key));
        match guard.count(rule, asker, elapsed) {
            Ok(()) => Ok(By { guard: Arc::clone(guard), rule, caller, what }),
            Err(retry_after) => {
                let rate = guard.rule(rule).rate.map(|rate| rate.to_string()).unwrap_or_default();
                let flaws = vec![(rule, FlawKind::Rate.with(rate))];
                guard.tell(self.core.clock.now(), elapsed, &what, flaws);
                Err(CallRefused::TooMany { retry_after })
            }
        }
    }

    /// No rule admits it.
    fn refused(&self, guard: &Guard, who: Result<Option<Did>, NodeError>, mut asked: Asked<'_>) -> CallRefused {
        let key = who.as_ref().ok().copied().flatten();
        // Whom nobody knows no rule was asked about.
        for (number, _, is_about) in guard.about(asked.method, asked.path, true).filter(|_| key.is_none()) {
            if asked.flaws.iter().all(|(other, _)| *other != number) {
                let flaw = is_about.err().unwrap_or_else(|| match &who {
                    Err(error) => FlawKind::Proof.with(error.text.clone()),
                    Ok(_) => FlawKind::NoProof.into(),
                });
                asked.flaws.push((number, flaw));
            }
        }
        asked.flaws.sort_by_key(|(number, _)| *number);
        let what = told(asked.method, asked.path, key);
        guard.tell(self.core.clock.now(), self.core.clock.elapsed(), &what, asked.flaws);
        match who {
            Ok(None) => CallRefused::Unproven,
            Ok(Some(_)) => CallRefused::NotAdmitted,
            Err(error) => CallRefused::Proof(Box::new(error)),
        }
    }
}

/// The first rule that admits whoever proved who they are.
fn first_that_admits(
    core: &Core,
    guard: &Guard,
    proven: &Proven<'_>,
    known: &Known,
    asked: &mut Asked<'_>,
) -> Option<(usize, Admits)> {
    for (number, rule, is_about) in guard.about(asked.method, asked.path, true) {
        let shown = || proven.shown.and_then(read_chains);
        match is_about.and_then(|()| admits(core, guard, &rule.to, proven.proof.key, shown, known)) {
            Ok(admits) => return Some((number, admits)),
            Err(flaw) => asked.flaws.push((number, flaw)),
        }
    }
    None
}

/// Whether a rule is for this key now, with the capabilities that were shown.
fn admits(
    core: &Core,
    guard: &Guard,
    to: &AccessTo,
    key: Did,
    shown: impl FnOnce() -> Option<Chains>,
    known: &Known,
) -> Result<Admits, Flaw> {
    let now = core.clock.now();
    let stands = guard.admits(to, &key, known, now)?;
    if stands != Stands::WithCapability {
        return Ok(Admits { stands, chains: None, counted: key });
    }
    let chains = shown().ok_or(FlawKind::Capability)?;
    match core.identity.chain_for(&chains, key, guard.right(), now) {
        Ok(chain) => Ok(Admits { stands, counted: first_holder(&chain).unwrap_or(key), chains: Some(chains) }),
        Err(why) => Err(FlawKind::Capability.with(not_given(&why))),
    }
}

fn read_chains(shown: &str) -> Option<Chains> {
    let bytes = URL_SAFE_NO_PAD.decode(Some(shown).filter(|shown| shown.len() <= CHAINS_TEXT_MAX)?).ok()?;
    Chains::decode(&bytes).ok()
}

/// What was asked, for the owner. A query may hold what is nobody else's to read.
fn told(method: &str, path: &str, key: Option<Did>) -> String {
    // As text that shows what it is: a path's bytes may be any.
    let safe = |byte: u8| byte.is_ascii_graphic();
    let path: String = path
        .bytes()
        .map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let shown = &path[..path.floor_char_boundary(PATH_TOLD_MAX)];
    let more = if shown.len() < path.len() { "…" } else { "" };
    let by = key.map(|key| format!(" by {key}")).unwrap_or_default();
    format!("{method} {shown}{more}{by}")
}

fn unproven(text: String) -> NodeError {
    NodeError::new(ErrorKind::Unsigned, "signature_needed", format!("failed to see whose request this is: {text}"))
}
