//! `access`: a list of rules, each a mapping with `to`.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::super::error::ManifestProblem;
use super::super::tree::{Entry, Node, Value, shortened};
use super::resources::memory_hint;
use super::{Reader, all, find};
use crate::credential::{CredentialId, Did, Role};
use crate::secret_rule::SecretRuleError;
use crate::{Access, AccessRule, AccessTo, ByteSize, HttpMethod, PathPrefix, Rate, nearest};

const KEYS: [&str; 5] = ["to", "paths", "methods", "rate", "body"];
const KEYS_TEXT: &str = "to, paths, methods, rate, body";
const RULE: &str = "a rule such as `to: public`";
const TO: &str = "public, owner, capability, a key did:key:z6Mk…, a list of keys, or {space: ID, role: read}";
const KEY: &str = "a key did:key:z6Mk…";
const SPACE_KEYS: [&str; 2] = ["space", "role"];
const SPACE: &str = "a space's name of 64 hex digits";
const ROLE: &str = "read, edit or admin";
const PATH: &str = "a path as text, such as \"/hook\"";
const METHOD: &str = "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS";
const BODY: &str = "a size with its unit, such as 64KiB";

impl Reader {
    pub(super) fn access(&mut self, node: &Node) -> Option<Access> {
        let nodes = self.sequence("access", node, "a list of rules, each with `to`", Access::RULES_MAX)?;
        all(nodes.iter().map(|node| self.access_rule(node))).map(Access::Rules)
    }

    fn access_rule(&mut self, node: &Node) -> Option<AccessRule> {
        let Value::Mapping(entries) = &node.value else {
            let hint = match &node.value {
                Value::Scalar(scalar) if !scalar.text.is_empty() => {
                    Some(format!("write `to: {}`", shortened(&scalar.text)))
                }
                _ => None,
            };
            self.wrong_type("access", node, RULE, hint);
            return None;
        };
        self.known_keys(entries, &KEYS, KEYS_TEXT);
        let to = self.required(entries, node.at, "access.to", TO).and_then(|node| self.access_to(node));
        let paths = self.access_set(entries, "paths", AccessRule::PATHS_MAX, Self::access_path);
        let methods = self.access_set(entries, "methods", HttpMethod::ALL.len(), Self::access_method);
        let rate = find(entries, "rate").map_or(Some(None), |node| self.access_rate(node).map(Some));
        let body = find(entries, "body").map_or(Some(None), |node| self.access_body(node).map(Some));
        Some(AccessRule { to: to?, paths: paths?, methods: methods?, rate: rate?, body: body? })
    }

    fn access_to(&mut self, node: &Node) -> Option<AccessTo> {
        match &node.value {
            Value::Sequence(nodes) => {
                self.distinct("access.to", node, nodes, AccessRule::KEYS_MAX, Self::access_key).map(AccessTo::Keys)
            }
            Value::Mapping(entries) => self.access_space(node, entries),
            Value::Scalar(_) => match self.text("access.to", node, TO)? {
                "public" => Some(AccessTo::Public),
                "owner" => Some(AccessTo::Owner),
                "capability" => Some(AccessTo::Capability),
                text if text.starts_with("did:") => {
                    self.access_key(node).map(|key| AccessTo::Keys(BTreeSet::from([key])))
                }
                text => {
                    let hint = nearest(text, &AccessTo::WORDS).map(|word| format!("did you mean `{word}`?"));
                    self.refuse("access.to", node, text, TO.to_owned(), hint)
                }
            },
        }
    }

    fn access_space(&mut self, node: &Node, entries: &[Entry]) -> Option<AccessTo> {
        self.known_keys(entries, &SPACE_KEYS, "space, role");
        let space = self.required(entries, node.at, "access.to.space", SPACE);
        let role = self.required(entries, node.at, "access.to.role", ROLE);
        let space = space.and_then(|node| {
            let text = self.number_or_text("access.to.space", node, SPACE)?;
            self.parsed::<CredentialId>("access.to.space", node, text, SPACE)
        });
        let role = role.and_then(|node| {
            let text = self.text("access.to.role", node, ROLE)?;
            // Who stores what it cannot read has nothing to ask.
            let known = Role::ALL.into_iter().filter(|role| *role != Role::Relay);
            match known.clone().find(|role| role.as_str() == text) {
                Some(role) => Some(role),
                None => {
                    let words: Vec<_> = known.map(Role::as_str).collect();
                    let hint = nearest(text, &words).map(|word| format!("did you mean `{word}`?"));
                    self.refuse("access.to.role", node, text, ROLE.to_owned(), hint)
                }
            }
        });
        Some(AccessTo::Space { space: space?, role: role? })
    }

    fn access_key(&mut self, node: &Node) -> Option<Did> {
        let text = self.text("access.to", node, KEY)?;
        self.parsed("access.to", node, text, KEY)
    }

    fn access_path(&mut self, node: &Node) -> Option<PathPrefix> {
        let text = self.text("access.paths", node, PATH)?;
        match text.parse::<PathPrefix>() {
            Ok(path) => Some(path),
            Err(error) => {
                let why = match error {
                    SecretRuleError::Path { why, .. } => why,
                    _ => "it is none",
                };
                let slashed = format!("/{text}");
                let hint = slashed.parse::<PathPrefix>().is_ok() && !text.starts_with('/');
                let hint = hint.then(|| format!("write \"{}\"", shortened(&slashed)));
                self.refuse("access.paths", node, text, format!("a path such as \"/hook\": {why}"), hint)
            }
        }
    }

    fn access_method(&mut self, node: &Node) -> Option<HttpMethod> {
        let text = self.text("access.methods", node, METHOD)?;
        let known = |word: &str| HttpMethod::ALL.into_iter().find(|method| method.as_str() == word);
        let hint = known(&text.to_ascii_uppercase()).map(|method| format!("write {}", method.as_str()));
        known(text).or_else(|| self.refuse("access.methods", node, text, METHOD.to_owned(), hint))
    }

    fn access_rate(&mut self, node: &Node) -> Option<Rate> {
        let text = self.number_or_text("access.rate", node, Rate::EXPECTED)?;
        let hint = Rate::meant(text).map(|rate| format!("did you mean \"{rate}\"?"));
        text.parse().ok().or_else(|| self.refuse("access.rate", node, text, Rate::EXPECTED.to_owned(), hint))
    }

    fn access_body(&mut self, node: &Node) -> Option<ByteSize> {
        let text = self.number_or_text("access.body", node, BODY)?;
        let Ok(size) = text.parse::<ByteSize>() else {
            return self.refuse("access.body", node, text, BODY.to_owned(), memory_hint(text));
        };
        if size > AccessRule::BODY_MAX {
            return self.refuse("access.body", node, text, format!("at most {}", AccessRule::BODY_MAX), None);
        }
        Some(size)
    }

    /// What a rule has under a key, or nothing without it.
    fn access_set<T: Ord>(
        &mut self,
        entries: &[Entry],
        key: &'static str,
        max: usize,
        read: fn(&mut Self, &Node) -> Option<T>,
    ) -> Option<BTreeSet<T>> {
        let Some(node) = find(entries, key) else { return Some(BTreeSet::new()) };
        let key = if key == "paths" { "access.paths" } else { "access.methods" };
        let nodes = self.sequence(key, node, "a list", max)?;
        self.distinct(key, node, nodes, max, read)
    }

    /// At least one, and none of them twice.
    fn distinct<T: Ord>(
        &mut self,
        key: &'static str,
        list: &Node,
        nodes: &[Node],
        max: usize,
        read: fn(&mut Self, &Node) -> Option<T>,
    ) -> Option<BTreeSet<T>> {
        match nodes.len() {
            0 => return self.refuse(key, list, "[]", "at least one".to_owned(), None),
            count if count > max => {
                self.report(list.at, ManifestProblem::TooMany { key, count, max }, None);
                return None;
            }
            _ => {}
        }
        let mut found = BTreeSet::new();
        let mut sound = true;
        for node in nodes {
            let is_new = match read(self, node) {
                Some(value) => found.insert(value),
                None => {
                    sound = false;
                    continue;
                }
            };
            if !is_new {
                let Value::Scalar(scalar) = &node.value else { continue };
                self.refuse::<()>(key, node, &scalar.text, "each of them once".to_owned(), None);
                sound = false;
            }
        }
        sound.then_some(found)
    }

    fn parsed<T: FromStr>(&mut self, key: &str, node: &Node, text: &str, expected: &str) -> Option<T> {
        text.parse().ok().or_else(|| self.refuse(key, node, text, expected.to_owned(), None))
    }
}
