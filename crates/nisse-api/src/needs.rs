//! The right that a route asks for, and which rights there are.

use http::StatusCode;
use nisse_node::{Command, Right};

use crate::problem::Problem;
use crate::routes::{ROUTES, Route, Scope};

/// How many commands a refusal names.
const NAMED_MAX: usize = 6;

/// The command that a route's operation makes, of what stands in its path.
#[derive(Debug, Clone)]
pub(crate) struct Needs {
    command: Command,
    path: &'static str,
}

impl Needs {
    /// `agent_logs_follow` is `/agent/logs/follow`, which `/agent/logs` covers.
    pub(crate) fn of(route: &Route) -> Self {
        let command = format!("/{}", route.operation.replace('_', "/"));
        Self { command: command.parse().expect("an operation's name is a command"), path: route.path }
    }

    /// What `to: capability` of an agent's `access` asks of whoever calls it at its public endpoint.
    fn call() -> Self {
        Self { command: "/agent/call".parse().expect("a command"), path: "{agent}" }
    }

    /// What an agent's home needs to be in a space itself, as a member's agent: no route asks for it.
    fn in_spaces() -> [Self; 4] {
        ["/space/relay", "/space/read", "/space/edit", "/space/admin"]
            .map(|command| Self { command: command.parse().expect("a command"), path: "{space}" })
    }

    /// With a condition for each parameter of the path, as it was sent.
    pub(crate) fn right(&self, path: &str) -> Option<Right> {
        let parts = self.path.split('/').zip(path.split('/'));
        let named = parts.filter_map(|(part, value)| Some((parameter(part)?, value)));
        let conditions = named.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Right::new(self.command.clone(), conditions).ok()
    }

    /// Whether a right can ever be enough here.
    fn is_met_by(&self, right: &Right) -> bool {
        let has = |key: &String| self.path.split('/').any(|part| parameter(part) == Some(key));
        right.command().covers(&self.command) && right.conditions().keys().all(has)
    }
}

/// The name of a path's part that is a parameter.
fn parameter(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// Refuses a right that nobody ever needs who is an agent.
pub(crate) fn check_known_of_agents(right: &Right) -> Result<(), Problem> {
    match Needs::in_spaces().iter().any(|needs| needs.is_met_by(right)) {
        true => Ok(()),
        false => check_known(right),
    }
}

/// Refuses a right that no route asks for.
pub(crate) fn check_known(right: &Right) -> Result<(), Problem> {
    let all: Vec<_> = ROUTES.iter().filter(|route| route.scope == Scope::Owner).map(Needs::of).collect();
    if all.iter().chain([&Needs::call()]).any(|needs| needs.is_met_by(right)) {
        return Ok(());
    }
    // The nearest first: what begins like it and takes the same conditions.
    let shared = |needs: &&Needs| {
        let (one, other) = (needs.command.as_str(), right.command().as_str());
        one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other).count()
    };
    let takes = |needs: &&Needs| right.conditions().keys().all(|key| needs.path.contains(&format!("{{{key}}}")));
    let mut near: Vec<_> = all.iter().filter(takes).collect();
    near.sort_by_key(|needs| std::cmp::Reverse(shared(needs)));
    let named: Vec<_> = near.iter().take(NAMED_MAX).map(|needs| needs.command.to_string()).collect();
    let text = format!("failed to give a right: nothing here asks for {right}");
    let problem = Problem::new(StatusCode::BAD_REQUEST, "scope_unknown", text);
    Err(match named.as_slice() {
        [] => problem.with_hint("see `operationId` in docs/openapi.json: `agent_logs` is /agent/logs"),
        named => problem.with_hint(format!("there are {}, and more in docs/openapi.json", named.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Result<(), Problem> {
        check_known(&text.parse().expect("a right"))
    }

    #[test]
    fn what_some_route_asks_for_is_known_and_nothing_else() {
        for text in [
            "/",
            "/agent",
            "/agent/logs",
            "/agent/logs/follow",
            "/audit/lines",
            "/agent/logs?agent=a.b",
            "/agent/call?agent=a.b",
        ] {
            assert_eq!(known(text), Ok(()), "{text}");
        }
        assert_eq!(known("/secret/rotate?secret=x"), Ok(()));
        for text in ["/agents", "/agent/log", "/agent/logs/follow/on", "/health", "/agent/list?agent=a.b", "/agent?x=y"]
        {
            assert_eq!(known(text).map_err(|problem| problem.code), Err("scope_unknown".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_refusal_names_what_there_is() {
        let hint = |text| known(text).expect_err("it is unknown").hint.unwrap_or_default();
        assert!(hint("/agent/log").starts_with("there are /agent/"), "{}", hint("/agent/log"));
        assert!(hint("/agent/list?agent=a.b").contains("/agent/status"), "{}", hint("/agent/list?agent=a.b"));
        assert!(hint("/agent?x=y").contains("operationId"), "{}", hint("/agent?x=y"));
    }

    #[test]
    fn a_right_names_what_stands_in_the_path() {
        let route = ROUTES.iter().find(|route| route.operation == "agent_logs").expect("it is there");
        let right = |path: &str| Needs::of(route).right(path).map(|right| right.to_string());
        assert_eq!(right("/api/v1/agents/a.b/logs"), Some("/agent/logs?agent=a.b".to_owned()));
        // What is spelled otherwise is something else: nothing is read into a name.
        assert_eq!(right("/api/v1/agents/a%2Eb/logs"), Some("/agent/logs?agent=a%2Eb".to_owned()));
        assert_eq!(right("/api/v1/agents/a&b/logs"), None);
    }

    #[test]
    fn what_a_space_gives_its_members_is_of_one_agent_or_the_list_and_each_is_a_route() {
        let mut gives: Vec<_> = nisse_node::commands_of_members().collect();
        for route in ROUTES.iter().filter(|route| route.scope == Scope::Owner) {
            let needs = Needs::of(route);
            if let Some(place) = gives.iter().position(|command| *command == needs.command.as_str()) {
                gives.swap_remove(place);
                let of_one = route.path.starts_with("/api/v1/agents/{agent}");
                assert!(of_one || (route.path, route.method) == ("/api/v1/agents", "GET"), "{}", route.path);
            }
        }
        assert_eq!(gives, Vec::<&str>::new(), "these are no routes");
    }
}
