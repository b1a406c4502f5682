//! `functions`: a list of mappings with `name`.

use super::super::Manifest;
use super::super::error::ManifestProblem;
use super::super::tree::{Entry, Node};
use super::{Reader, all, find};
use crate::{Function, FunctionName, Period, RetryPolicy};

const KEYS: [&str; 4] = ["name", "description", "timeout", "retry"];
const RETRY_KEYS: [&str; 3] = ["attempts", "first", "max"];
const NAME: &str = "a name of a-z, 0-9 and -";

impl Reader {
    pub(super) fn functions(&mut self, node: &Node) -> Option<Vec<Function>> {
        let expected = "a list of functions, each with `name`";
        let nodes = self.sequence("functions", node, expected, Manifest::FUNCTIONS_MAX)?;
        let functions = all(nodes.iter().map(|node| self.function(node)))?;
        for (place, function) in functions.iter().enumerate() {
            let text = function.name.as_str();
            if functions[..place].iter().any(|before| before.name == function.name) {
                self.refuse::<()>("functions.name", &nodes[place], text, "each name once".to_owned(), None);
            } else if function.name == FunctionName::main() {
                let expected = "another name: every agent has `main`".to_owned();
                self.refuse::<()>("functions.name", &nodes[place], text, expected, None);
            }
        }
        Some(functions)
    }

    fn function(&mut self, node: &Node) -> Option<Function> {
        let entries = self.mapping("functions", node, "a mapping with `name`")?;
        self.known_keys(entries, &KEYS, "name, description, timeout, retry");
        let name = self.required(entries, node.at, "functions.name", NAME);
        let name = name.and_then(|node| self.name("functions.name", node));
        let description = find(entries, "description").map_or(Some(String::new()), |node| {
            let text = self.text("functions.description", node, "a sentence for people as text")?;
            self.length("functions.description", text, Manifest::DESCRIPTION_LENGTH_MAX, node.at)?;
            Some(text.to_owned())
        });
        let within = (Function::TIMEOUT_MS_MIN, Function::TIMEOUT_MS_MAX);
        let timeout_ms = self.period(entries, "functions.timeout", within);
        let retry = find(entries, "retry").map_or(Some(RetryPolicy::default()), |node| self.retry(node));
        let timeout_ms = timeout_ms.map(|found| found.unwrap_or(Function::TIMEOUT_MS_DEFAULT));
        Some(Function { name: name?, description: description?, timeout_ms: timeout_ms?, retry: retry? })
    }

    fn retry(&mut self, node: &Node) -> Option<RetryPolicy> {
        let entries = self.mapping("functions.retry", node, "a mapping of attempts, first and max")?;
        self.known_keys(entries, &RETRY_KEYS, "attempts, first, max");
        let default = RetryPolicy::default();
        let attempts = find(entries, "attempts").map_or(Some(default.attempts), |node| {
            let expected = "a whole number of 1 to 100";
            let text = self.number_or_text("functions.retry.attempts", node, expected)?;
            let attempts = text.parse().ok().filter(|count| (1..=RetryPolicy::ATTEMPTS_MAX).contains(count));
            attempts.or_else(|| self.refuse("functions.retry.attempts", node, text, expected.to_owned(), None))
        });
        let within = (RetryPolicy::FIRST_MS_MIN, RetryPolicy::FIRST_MS_MAX);
        let first_ms = self.period(entries, "functions.retry.first", within)?.unwrap_or(default.first_ms);
        // Without one, a longer first pause is the longest.
        let max_ms = self.period(entries, "functions.retry.max", (first_ms, RetryPolicy::MAX_MS_MAX))?;
        Some(RetryPolicy { attempts: attempts?, first_ms, max_ms: max_ms.unwrap_or(default.max_ms.max(first_ms)) })
    }

    /// What stands under a key, within bounds in milliseconds; `Some(None)` without it.
    pub(super) fn period(
        &mut self,
        entries: &[Entry],
        key: &'static str,
        (min, max): (u64, u64),
    ) -> Option<Option<u64>> {
        let name = key.rsplit('.').next().unwrap_or(key);
        let Some(node) = find(entries, name) else { return Some(None) };
        let expected = "a time with its unit, such as 30s, 15m or 2h";
        let text = self.number_or_text(key, node, expected)?;
        let Ok(period) = text.parse::<Period>() else {
            return self.refuse(key, node, text, expected.to_owned(), None);
        };
        if (min..=max).contains(&period.ms()) {
            return Some(Some(period.ms()));
        }
        let expected = format!("{} to {}", Period::from_ms(min), Period::from_ms(max));
        self.refuse(key, node, text, expected, None)
    }

    pub(super) fn name<T: std::str::FromStr>(&mut self, key: &str, node: &Node) -> Option<T> {
        let text = self.text(key, node, NAME)?;
        let expected = "1 to 63 of a-z, 0-9 and -, with a letter first and no - at the end";
        text.parse().ok().or_else(|| self.refuse(key, node, text, expected.to_owned(), None))
    }

    /// Refuses functions that would run one another for ever.
    pub(super) fn no_circle(&mut self, node: &Node, triggers: &[crate::Trigger]) {
        let mut follows = Vec::new();
        for trigger in triggers {
            if let crate::TriggerSpec::Function { function, .. } = &trigger.spec {
                follows.push((function, &trigger.function));
            }
        }
        // Whatever nothing leads to any more is on no circle.
        loop {
            let before = follows.len();
            let targets: Vec<_> = follows.iter().map(|(_, to)| *to).collect();
            follows.retain(|(from, _)| targets.contains(from));
            if follows.len() == before {
                break;
            }
        }
        let Some((first, _)) = follows.first().copied() else { return };
        // Everything that is left is led to by something that is left: going backwards ends on a circle.
        let mut path = vec![first];
        let circle = loop {
            let here = path[path.len() - 1];
            let Some((from, _)) = follows.iter().find(|(_, to)| *to == here) else { return };
            if let Some(begin) = path.iter().position(|name| name == from) {
                let mut circle: Vec<&str> = path[begin..].iter().rev().map(|name| name.as_str()).collect();
                circle.push(circle[0]);
                break circle.join(" → ");
            }
            path.push(from);
        };
        self.report(node.at, ManifestProblem::Circle(circle), None);
    }
}
