//! What somebody is to be able to do, as a person says it: words such as `logs`, or commands such as `/audit/lines` or
//! `/secret/rotate?secret=x`.

use nisse_model::{Claim, Scope};

use crate::error::{ErrorKind, NodeError};

/// What a word alone stands below.
const AGENT: &str = "/agent";

/// The scopes that these words mean, in order, each once; with an agent, for that one alone.
pub(crate) fn scopes(agent: Option<&str>, can: &[String]) -> Result<Vec<Scope>, NodeError> {
    let refused = |text: String| {
        NodeError::new(ErrorKind::Usage, "scope_invalid", text)
            .with_hint("such as `logs,status`, or whole commands such as `/audit/lines`".to_owned())
    };
    let scope = |word: &String| {
        let word = word.trim();
        let text = if word.starts_with('/') { word.to_owned() } else { format!("{AGENT}/{word}") };
        let scope: Scope = text.parse().map_err(|error| refused(format!("failed to {error}")))?;
        let Some(agent) = agent else { return Ok(scope) };
        let command = scope.command();
        if command.as_str() != AGENT && !command.as_str().starts_with("/agent/") {
            return Err(refused(format!("failed to narrow {command} to one agent: it is about none")));
        }
        let mut conditions = scope.conditions().clone();
        if conditions.insert("agent".to_owned(), agent.to_owned()).is_some_and(|other| other != agent) {
            return Err(refused(format!("failed to narrow {scope} to {agent}: it is about another agent")));
        }
        Scope::new(command.clone(), conditions).map_err(|error| refused(format!("failed to {error}")))
    };
    let mut scopes = can.iter().map(scope).collect::<Result<Vec<_>, _>>()?;
    scopes.sort();
    scopes.dedup();
    match scopes.len() {
        0 => Err(refused("failed to see what may be done: nothing was said".to_owned())),
        count if count > Claim::SCOPES_MAX => {
            Err(refused(format!("failed to give {count} rights: {} are the most", Claim::SCOPES_MAX)))
        }
        _ => Ok(scopes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(agent: Option<&str>, can: &[&str]) -> Result<String, String> {
        let can: Vec<_> = can.iter().map(|text| (*text).to_owned()).collect();
        let scopes = scopes(agent, &can).map_err(|error| error.text)?;
        Ok(scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_word_is_about_agents_and_a_command_is_what_it_says() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(told(None, &["logs", "/audit/lines", "logs"]), ok("/agent/logs /audit/lines"));
        assert_eq!(told(Some("a.b"), &["logs", "/agent"]), ok("/agent?agent=a.b /agent/logs?agent=a.b"));
        assert_eq!(told(None, &["/secret/rotate?secret=x"]), ok("/secret/rotate?secret=x"));
        assert_eq!(told(Some("a.b"), &["/agent/logs?agent=a.b"]), ok("/agent/logs?agent=a.b"));
    }

    #[test]
    fn what_makes_no_scope_is_refused() {
        assert!(told(None, &[]).is_err_and(|told| told.ends_with("nothing was said")));
        let many: Vec<_> = (0..33).map(|number| format!("/agent/{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(told(None, &many).is_err_and(|told| told.ends_with("32 are the most")));
        for wrong in ["/Agent", "", "/agent?agent", "logs?agent=a&agent=b", "a b"] {
            assert!(told(None, &[wrong]).is_err(), "{wrong}");
        }
        assert!(told(Some("a b"), &["logs"]).is_err());
        for other in ["/audit/lines", "/", "/agents", "/agent/logs?agent=c.d"] {
            assert!(told(Some("a.b"), &[other]).is_err_and(|told| told.starts_with("failed to narrow")), "{other}");
        }
    }
}
