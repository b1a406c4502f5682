//! Which secrets a request carries, and how they get into it: after every other check, just before it is sent.
//!
//! A guest names a secret with the header value `nisse-secret:NAME`, or names none and gets the one that its permissions
//! are for. What a guest wrote into such a header never leaves.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use nisse_model::{NetworkScheme, SecretForm, SecretRule};
use zeroize::Zeroizing;

use crate::error::EgressError;
use crate::redact::{self, Echoes, Redactor};
use crate::secrets::Secrets;
use crate::target::EgressTarget;

/// What a guest writes before a secret's name.
const PLACEHOLDER: &[u8] = b"nisse-secret:";
/// Bytes of the longest value that a header carries: common servers take no longer one.
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// Headers by which some servers let a request stand for another method.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];
/// Headers by which some servers let a request stand for another path.
const PATH_OVERRIDES: [&str; 4] = ["x-forwarded-uri", "x-original-uri", "x-original-url", "x-rewrite-url"];

/// The secrets of one request, each for a header of its own.
pub(crate) struct Injection<'a> {
    rules: Vec<&'a SecretRule>,
}

impl<'a> Injection<'a> {
    /// Finds the rules for a request whose headers have been read. A secret that is asked for and not granted for this
    /// very request refuses it.
    pub(crate) fn of(
        agent: &str,
        target: &EgressTarget,
        method: &Method,
        guest: &[(String, Vec<u8>)],
        secrets: &'a [SecretRule],
    ) -> Result<Self, EgressError> {
        let matching = || secrets.iter().filter(|rule| matches(rule, target, method, guest));
        let mut rules: Vec<&SecretRule> = Vec::new();
        for rule in matching() {
            match rules.iter_mut().find(|chosen| chosen.header == rule.header) {
                Some(chosen) if rule.specificity() > chosen.specificity() => *chosen = rule,
                Some(_) => {}
                None => rules.push(rule),
            }
        }
        let mut asked: Vec<&SecretRule> = Vec::new();
        for (header, value) in guest {
            let Some(name) = value.trim_ascii().strip_prefix(PLACEHOLDER) else { continue };
            let is_meant = |rule: &&SecretRule| {
                rule.header.as_str().eq_ignore_ascii_case(header) && rule.name.as_str().as_bytes() == name
            };
            let found = matching().filter(is_meant).max_by_key(|rule| rule.specificity());
            // Two secrets in one header are as good as none.
            let other = |rule: &SecretRule| asked.iter().any(|one| one.header == rule.header && one.name != rule.name);
            let Some(rule) = found.filter(|rule| !other(rule)) else {
                return Err(not_granted(agent, target, header, name, secrets));
            };
            asked.push(rule);
            rules.retain(|chosen| chosen.header != rule.header);
            rules.push(rule);
        }
        Ok(Self { rules })
    }

    /// What the guest wrote into the headers goes out, the secrets go in. Gives what covers their echoes; `None` for a
    /// request without secrets.
    pub(crate) async fn put_into(
        &self,
        agent: &str,
        secrets: &dyn Secrets,
        headers: &mut HeaderMap,
    ) -> Result<Option<Redactor>, EgressError> {
        if self.rules.is_empty() {
            return Ok(None);
        }
        let mut echoes = Echoes::default();
        for rule in &self.rules {
            let unfit =
                |why| EgressError::SecretUnfit { name: rule.name.clone(), header: rule.header.to_string(), why };
            let name = HeaderName::from_bytes(rule.header.as_str().as_bytes()).map_err(|_| unfit("no such header"))?;
            let revealed = secrets.reveal(agent, rule).await;
            let value = revealed.map_err(|source| EgressError::Secret { name: rule.name.clone(), source })?;
            let sent = sent_value(rule.form, value.expose()).map_err(unfit)?;
            echoes.add(value.expose());
            if rule.form == SecretForm::Basic {
                echoes.add(&redact::basic(value.expose()));
                let colon = value.expose().iter().position(|byte| *byte == b':').unwrap_or(0);
                echoes.add(&value.expose()[colon + 1..]);
            }
            let mut sent = HeaderValue::from_bytes(&sent).map_err(|_| unfit("it holds a control character"))?;
            sent.set_sensitive(true);
            // In place of all values that the guest gave.
            headers.insert(name, sent);
        }
        // An echo must be seen: not packed, and not cut into ranges.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(header::RANGE);
        headers.remove(header::IF_RANGE);
        // Nor in letters of two bytes.
        headers.remove(header::ACCEPT_CHARSET);
        let too_many = || EgressError::TooLarge { limit: "secret_bytes_max", max: VALUE_BYTES_MAX as u64 };
        echoes.redactor().ok_or_else(too_many).map(Some)
    }

    /// What they are called.
    pub(crate) fn names(&self) -> impl Iterator<Item = nisse_model::SecretName> {
        self.rules.iter().map(|rule| rule.name.clone())
    }
}

/// Whether the rule is for this request, whatever the guest's headers may tell its server.
fn matches(rule: &SecretRule, target: &EgressTarget, method: &Method, guest: &[(String, Vec<u8>)]) -> bool {
    // Some servers take `_` for `-`.
    let is = |name: &str, one: &str| name.replace('_', "-").eq_ignore_ascii_case(one);
    let has = |names: &[&str]| guest.iter().any(|(name, _)| names.iter().any(|one| is(name, one)));
    let overridden = !rule.methods.is_empty() && has(&METHOD_OVERRIDES) || rule.path.is_some() && has(&PATH_OVERRIDES);
    let Some(host) = target.host_name() else { return false };
    target.scheme() == NetworkScheme::Https
        && !overridden
        && rule.matches(&host, target.port(), method.as_str(), target.path_and_query().path())
}

/// The header's value. An error never shows anything of the secret.
fn sent_value(form: SecretForm, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let with = |scheme: &[u8], rest: &[u8]| {
        let mut sent = Zeroizing::new(Vec::with_capacity(scheme.len() + rest.len()));
        sent.extend_from_slice(scheme);
        sent.extend_from_slice(rest);
        sent
    };
    if value.len() > VALUE_BYTES_MAX {
        return Err("it is longer than 8192 bytes");
    }
    if value.trim_ascii().len() != value.len() {
        return Err("it begins or ends with a space or a line's end");
    }
    match form {
        SecretForm::Basic if !value.contains(&b':') => Err("`as=basic` needs it to be `user:password`"),
        SecretForm::Basic => Ok(with(b"Basic ", &redact::basic(value))),
        SecretForm::Bearer => Ok(with(b"Bearer ", value)),
        SecretForm::Plain => Ok(with(b"", value)),
    }
}

fn not_granted(agent: &str, target: &EgressTarget, header: &str, name: &[u8], secrets: &[SecretRule]) -> EgressError {
    let text: String = String::from_utf8_lossy(name).chars().take(80).collect();
    let is_near = |rule: &&SecretRule| {
        let place = target.host_name().as_ref() == Some(&rule.host) && target.port() == rule.port;
        place && rule.name.as_str() == text && rule.header.as_str().eq_ignore_ascii_case(header)
    };
    EgressError::SecretNotGranted {
        agent: agent.to_owned(),
        name: text.clone(),
        header: header.chars().take(80).map(|c| c.to_ascii_lowercase()).collect(),
        target: Box::new(target.clone()),
        near: secrets.iter().find(is_near).map(|rule| Box::new(rule.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeSecrets;

    #[tokio::test]
    async fn headers_that_are_printed_show_no_secret() {
        let vault = FakeSecrets::default();
        vault.set("talos.probe", "api", "correct horse battery");
        let rule: SecretRule = "api@api.example.com".parse().expect("a rule");
        let mut headers = HeaderMap::new();
        let injection = Injection { rules: vec![&rule] };
        let redactor = injection.put_into("talos.probe", &vault, &mut headers).await.expect("granted");
        assert!(redactor.is_some());
        assert_eq!(headers[header::AUTHORIZATION], "Bearer correct horse battery");
        assert!(!format!("{headers:?}").contains("horse"), "{headers:?}");
    }
}
