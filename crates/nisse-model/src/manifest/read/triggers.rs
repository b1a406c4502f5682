//! `triggers`: a list of mappings with `name`, `function` and `spec`.

use super::super::Manifest;
use super::super::error::ManifestProblem;
use super::super::read_config;
use super::super::scalar::Meaning;
use super::super::tree::{Entry, Node, Value};
use super::{Reader, all, find};
use crate::{
    Function, FunctionName, Missed, OnEnd, Period, Permission, Role, Schedule, ScheduleError, SpaceEvent, SpaceRule,
    Template, Trigger, TriggerSpec, nearest,
};

const KEYS: [&str; 5] = ["name", "function", "spec", "input", "enabled"];
const TIMER_KEYS: [&str; 6] = ["kind", "cron", "zone", "every", "at", "missed"];
const FUNCTION_KEYS: [&str; 3] = ["kind", "function", "on_end"];
const SPACE_KEYS: [&str; 6] = ["kind", "space", "query", "events", "debounce", "existing"];
const KIND: &str = "timer, function, space or manual";
const EVENTS: &str = "a list of created, updated and deleted";
const WHEN: &str = "one of cron, every and at";

impl Reader {
    /// Triggers of the functions that were read; nothing is said of names where these are unknown.
    pub(super) fn triggers(&mut self, node: &Node, functions: Option<&[Function]>) -> Option<Vec<Trigger>> {
        let expected = "a list of triggers, each with `name`, `function` and `spec`";
        let nodes = self.sequence("triggers", node, expected, Manifest::TRIGGERS_MAX)?;
        let triggers = all(nodes.iter().map(|node| self.trigger(node, functions)))?;
        for (place, trigger) in triggers.iter().enumerate() {
            if triggers[..place].iter().any(|before| before.name == trigger.name) {
                let text = trigger.name.as_str();
                self.refuse::<()>("triggers.name", &nodes[place], text, "each name once".to_owned(), None);
            }
        }
        self.no_circle(node, &triggers);
        Some(triggers)
    }

    fn trigger(&mut self, node: &Node, functions: Option<&[Function]>) -> Option<Trigger> {
        let entries = self.mapping("triggers", node, "a mapping with `name`, `function` and `spec`")?;
        self.known_keys(entries, &KEYS, "name, function, spec, input, enabled");
        let name = self.required(entries, node.at, "triggers.name", "a name of a-z, 0-9 and -");
        let name = name.and_then(|node| self.name("triggers.name", node));
        let function = self.required(entries, node.at, "triggers.function", "the function to run");
        let function = function.and_then(|node| self.known_function("triggers.function", node, functions));
        let spec = self.required(entries, node.at, "triggers.spec", "a mapping with `kind`");
        let spec = spec.and_then(|node| self.spec(node, functions));
        let input = find(entries, "input").map_or(Some(None), |node| self.input(node).map(Some));
        let enabled = find(entries, "enabled").map_or(Some(true), |node| self.bool("triggers.enabled", node));
        Some(Trigger { name: name?, function: function?, spec: spec?, input: input?, enabled: enabled? })
    }

    fn known_function(&mut self, key: &str, node: &Node, functions: Option<&[Function]>) -> Option<FunctionName> {
        let name: FunctionName = self.name(key, node)?;
        let Some(functions) = functions else { return Some(name) };
        let main = FunctionName::main();
        let known: Vec<&str> = functions.iter().map(|function| function.name.as_str()).chain([main.as_str()]).collect();
        if known.contains(&name.as_str()) {
            return Some(name);
        }
        let hint = nearest(name.as_str(), &known).map(|near| format!("did you mean `{near}`?"));
        self.refuse(key, node, name.as_str(), "a function of `functions`, or main".to_owned(), hint)
    }

    fn spec(&mut self, node: &Node, functions: Option<&[Function]>) -> Option<TriggerSpec> {
        let entries = self.mapping("triggers.spec", node, "a mapping with `kind`")?;
        let kind = self.required(entries, node.at, "triggers.spec.kind", KIND)?;
        let text = self.text("triggers.spec.kind", kind, KIND)?;
        match text {
            "timer" => self.timer(node, entries),
            "function" => {
                self.known_keys(entries, &FUNCTION_KEYS, "kind, function, on_end");
                let of = self.required(entries, node.at, "triggers.spec.function", "the function that ends");
                let of = of.and_then(|node| self.known_function("triggers.spec.function", node, functions));
                let words = OnEnd::ALL.map(|on_end| (on_end.as_str(), on_end));
                let on_end = self.word(entries, "triggers.spec.on_end", &words, "completed or failed");
                Some(TriggerSpec::Function { function: of?, on_end: on_end?.unwrap_or(OnEnd::Completed) })
            }
            "space" => self.space_trigger(node, entries),
            "manual" => {
                self.known_keys(entries, &["kind"], "kind");
                Some(TriggerSpec::Manual)
            }
            text if TriggerSpec::KINDS_TO_COME.contains(&text) => {
                let problem = ManifestProblem::TriggerKind(text.to_owned());
                self.report(kind.at, problem, Some(format!("this one has {KIND}")));
                None
            }
            text => {
                let hint = nearest(text, &TriggerSpec::KINDS).map(|near| format!("did you mean `{near}`?"));
                self.refuse("triggers.spec.kind", kind, text, KIND.to_owned(), hint)
            }
        }
    }

    fn space_trigger(&mut self, node: &Node, entries: &[Entry]) -> Option<TriggerSpec> {
        self.known_keys(entries, &SPACE_KEYS, "kind, space, query, events, debounce, existing");
        let space = self.required(entries, node.at, "triggers.spec.space", "the name of a space");
        let space = space.and_then(|node| {
            let text = self.text("triggers.spec.space", node, "the name of a space as text")?;
            match format!("{text}:read").parse::<SpaceRule>() {
                Ok(rule) if rule.name().is_some() => Some(text.to_owned()),
                _ => {
                    let expected = "the name of one space: lower-case letters, digits and hyphens".to_owned();
                    self.refuse("triggers.spec.space", node, text, expected, None)
                }
            }
        });
        let query = find(entries, "query").map_or(Some(None), |node| {
            self.mapping("triggers.spec.query", node, "a query as a mapping")?;
            let json = read_config::json("query", node).map_err(|error| self.errors.push(error)).ok()?;
            Some(Some(json.to_string()))
        });
        let events = find(entries, "events").map_or(Some(SpaceEvent::ALL.to_vec()), |node| self.space_events(node));
        let debounce_ms = self.period(entries, "triggers.spec.debounce", (0, TriggerSpec::DEBOUNCE_MS_MAX));
        let existing = find(entries, "existing").map_or(Some(false), |node| self.bool("triggers.spec.existing", node));
        let debounce_ms = debounce_ms?.unwrap_or(0);
        Some(TriggerSpec::Space { space: space?, query: query?, events: events?, debounce_ms, existing: existing? })
    }

    fn space_events(&mut self, node: &Node) -> Option<Vec<SpaceEvent>> {
        let nodes = self.sequence("triggers.spec.events", node, EVENTS, SpaceEvent::ALL.len())?;
        let mut events = all(nodes.iter().map(|node| {
            let text = self.text("triggers.spec.events", node, EVENTS)?;
            let found = SpaceEvent::ALL.into_iter().find(|event| event.as_str() == text);
            found.or_else(|| {
                let hint = nearest(text, &SpaceEvent::ALL.map(SpaceEvent::as_str));
                let hint = hint.map(|near| format!("did you mean `{near}`?"));
                self.refuse("triggers.spec.events", node, text, "created, updated or deleted".to_owned(), hint)
            })
        }))?;
        let count = events.len();
        events.sort_unstable();
        events.dedup();
        if count == 0 || events.len() < count {
            let expected = "at least one, and each once".to_owned();
            return self.refuse("triggers.spec.events", node, "a list", expected, None);
        }
        Some(events)
    }

    /// Refuses triggers of spaces that the agent may not read.
    pub(super) fn spaces_are_permitted(&mut self, node: &Node, triggers: &[Trigger], permissions: &[Permission]) {
        for trigger in triggers {
            let TriggerSpec::Space { space, .. } = &trigger.spec else { continue };
            let reads = |permission: &Permission| match permission {
                Permission::Space(rule) => rule.gives(space, Role::Read),
                _ => false,
            };
            if !permissions.iter().any(reads) {
                let hint = Some(format!("add \"space:{space}:read\" to `permissions`"));
                self.report(node.at, ManifestProblem::SpaceNotPermitted(space.clone()), hint);
            }
        }
    }

    fn timer(&mut self, node: &Node, entries: &[Entry]) -> Option<TriggerSpec> {
        self.known_keys(entries, &TIMER_KEYS, "kind, cron, zone, every, at, missed");
        let words = Missed::ALL.map(|missed| (missed.as_str(), missed));
        let missed = self.word(entries, "triggers.spec.missed", &words, "skip, once or all");
        let given = ["cron", "every", "at"].map(|key| find(entries, key));
        let zone = find(entries, "zone");
        let schedule = match given {
            [Some(cron), None, None] => self.cron(cron, zone),
            [None, Some(every), None] => {
                let within = (Schedule::EVERY_MIN.ms(), Schedule::EVERY_MAX.ms());
                let ms = self.period(entries, "triggers.spec.every", within)??;
                self.schedule("triggers.spec.every", every, Schedule::every(Period::from_ms(ms)))
            }
            [None, None, Some(at)] => {
                let text = self.number_or_text("triggers.spec.at", at, "a moment such as 2026-12-24T18:00:00Z")?;
                self.schedule("triggers.spec.at", at, Schedule::at_text(text))
            }
            [None, None, None] => {
                self.report(node.at, ManifestProblem::MissingKey { key: "triggers.spec.cron", expected: WHEN }, None);
                None
            }
            _ => self.refuse("triggers.spec", node, "more than one of them", WHEN.to_owned(), None),
        };
        if let (Some(zone), None) = (zone, given[0]) {
            self.refuse::<()>("triggers.spec.zone", zone, "a zone", "one beside `cron` only".to_owned(), None);
        }
        Some(TriggerSpec::Timer { schedule: schedule?, missed: missed?.unwrap_or(Missed::Once) })
    }

    fn cron(&mut self, node: &Node, zone: Option<&Node>) -> Option<Schedule> {
        let text = self.text("triggers.spec.cron", node, "a cron expression as text, such as \"0 3 * * *\"");
        let zone_text =
            zone.map_or(Some("UTC"), |zone| self.text("triggers.spec.zone", zone, "a name such as Europe/Berlin"));
        let read = Schedule::cron(text?, zone_text?);
        match (&read, zone) {
            (Err(ScheduleError::Zone(_)), Some(zone)) => self.schedule("triggers.spec.zone", zone, read),
            _ => self.schedule("triggers.spec.cron", node, read),
        }
    }

    fn schedule(&mut self, key: &'static str, node: &Node, read: Result<Schedule, ScheduleError>) -> Option<Schedule> {
        let refuse = |error: ScheduleError| self.report(node.at, ManifestProblem::Schedule { key, error }, None);
        read.map_err(refuse).ok()
    }

    fn input(&mut self, node: &Node) -> Option<Template> {
        let value = read_config::json("input", node).map_err(|error| self.errors.push(error)).ok()?;
        Template::new(value).map_err(|error| self.report(node.at, ManifestProblem::Input(error), None)).ok()
    }

    fn bool(&mut self, key: &str, node: &Node) -> Option<bool> {
        if let Value::Scalar(scalar) = &node.value
            && let Meaning::Bool(value) = scalar.meaning()
        {
            return Some(value);
        }
        self.wrong_type(key, node, "true or false", None);
        None
    }

    /// One of a few words under a key; `Some(None)` without it.
    fn word<T: Copy>(
        &mut self,
        entries: &[Entry],
        key: &'static str,
        words: &[(&'static str, T)],
        expected: &'static str,
    ) -> Option<Option<T>> {
        let name = key.rsplit('.').next().unwrap_or(key);
        let Some(node) = find(entries, name) else { return Some(None) };
        let text = self.text(key, node, expected)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(Some(*value));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text, &known).map(|near| format!("did you mean `{near}`?"));
        self.refuse(key, node, text, expected.to_owned(), hint)
    }
}
