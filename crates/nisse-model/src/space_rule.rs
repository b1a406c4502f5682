//! Which spaces of its owner an agent reaches, and what it may do there: the arguments of the permission `space`.

use std::fmt;
use std::str::FromStr;

use crate::Role;

/// Bytes of the longest name of a space.
const NAME_LENGTH_MAX: usize = 64;
/// What stands for every space that the home holds.
const ALL: &str = "*";

/// One space by the name that its home gave it, or all of them to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceRule {
    /// `None`: every space.
    name: Option<String>,
    may_edit: bool,
}

/// Why a text is no such rule. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpaceRuleError {
    /// No role.
    #[error("read `{0}` as what is allowed in a space: expected `NAME:read` or `NAME:edit`")]
    Role(String),
    /// No name of a space.
    #[error("read `{0}` as the name of a space: expected lower-case letters, digits and hyphens, at most 64, or `*`")]
    Name(String),
    /// All spaces, to write in.
    #[error("allow an agent to write in every space: `*` is given with `read` alone")]
    EditAll,
}

impl SpaceRuleError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Role(_) | Self::Name(_) => "write `space:notes:read` or `space:notes:edit`, for one".to_owned(),
            Self::EditAll => "write one `space:NAME:edit` for each space that it writes in".to_owned(),
        }
    }
}

impl SpaceRule {
    /// The space's name; none where every space is meant.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The role that is given.
    pub fn role(&self) -> Role {
        if self.may_edit { Role::Edit } else { Role::Read }
    }

    /// Whether it gives this role in the space of this name.
    pub fn gives(&self, name: &str, role: Role) -> bool {
        role <= self.role() && self.name().is_none_or(|own| own == name)
    }
}

impl fmt::Display for SpaceRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name().unwrap_or(ALL), self.role().as_str())
    }
}

impl FromStr for SpaceRule {
    type Err = SpaceRuleError;

    fn from_str(text: &str) -> Result<Self, SpaceRuleError> {
        let shown = |text: &str| text.chars().take(80).collect::<String>();
        let (name, role) = text.rsplit_once(':').ok_or_else(|| SpaceRuleError::Role(shown(text)))?;
        let may_edit = match role {
            "read" => false,
            "edit" => true,
            _ => return Err(SpaceRuleError::Role(shown(text))),
        };
        if name == ALL {
            return if may_edit { Err(SpaceRuleError::EditAll) } else { Ok(Self { name: None, may_edit }) };
        }
        let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let sound = !name.is_empty() && name.len() <= NAME_LENGTH_MAX && name.bytes().all(known);
        if !sound || name.starts_with('-') {
            return Err(SpaceRuleError::Name(shown(name)));
        }
        Ok(Self { name: Some(name.to_owned()), may_edit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> SpaceRule {
        text.parse().expect("a rule")
    }

    #[test]
    fn a_rule_gives_its_space_and_its_role_and_no_more() {
        let notes = rule("notes:read");
        assert!(
            notes.gives("notes", Role::Read) && !notes.gives("notes", Role::Edit) && !notes.gives("note", Role::Read)
        );
        assert!(rule("notes:edit").gives("notes", Role::Read));
        assert!(!rule("notes:edit").gives("notes", Role::Admin));
        let all = rule("*:read");
        assert!(all.gives("notes", Role::Read) && all.gives("other", Role::Read) && !all.gives("notes", Role::Edit));
        for text in ["notes:read", "a-1:edit", "*:read"] {
            assert_eq!(rule(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_to_write() {
        for (text, said) in [
            ("notes", "failed to read `notes` as what is allowed in a space: expected `NAME:read` or `NAME:edit`"),
            ("notes:admin", "failed to read `notes:admin` as what is allowed"),
            (":read", "failed to read `` as the name of a space"),
            ("Notes:read", "failed to read `Notes` as the name of a space"),
            ("a:b:read", "failed to read `a:b` as the name of a space"),
            ("-a:read", "failed to read `-a` as the name of a space"),
            ("*:edit", "failed to allow an agent to write in every space: `*` is given with `read` alone"),
        ] {
            let error = text.parse::<SpaceRule>().expect_err(text);
            assert!(format!("failed to {error}").starts_with(said), "{error}");
            assert!(error.hint().starts_with("write "));
        }
        assert!(format!("{}:read", "a".repeat(65)).parse::<SpaceRule>().is_err());
    }
}
