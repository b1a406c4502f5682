//! `functions:` and `triggers:` as agent.yaml has them, and the refusals of what is none.

use insta::assert_snapshot;
use nisse_model::{Function, Manifest, Missed, OnEnd, RetryPolicy, SpaceEvent, TriggerSpec, check};

use crate::manifest::{changed, refused};

const FUNCTIONS: &str = "functions:\n  - name: report\n  - name: mail\n";

fn wrong(text: &str) -> String {
    refused("permissions:", &format!("nisse: 1\n{text}\npermissions:"))
}

/// The refusal of triggers behind two functions, which take up three lines.
fn wrong_trigger(spec: &str) -> String {
    wrong(&format!("{FUNCTIONS}triggers:\n  - name: nightly\n    function: report\n    spec: {spec}"))
}

fn read(text: &str) -> Manifest {
    let text = changed("permissions:", &format!("nisse: 1\n{text}\npermissions:"));
    Manifest::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_function_is_read_with_all_that_can_be_said_of_it() {
    let manifest = read(
        "functions:\n  - name: report\n    description: Writes it\n    timeout: 2m\n    retry: {attempts: 3, first: 500ms, max: 1h}\n  - name: mail",
    );
    let [report, mail] = &manifest.functions[..] else { panic!("two functions") };
    let retry = RetryPolicy { attempts: 3, first_ms: 500, max_ms: 3_600_000 };
    assert_eq!((report.name.as_str(), report.timeout_ms, report.retry), ("report", 120_000, retry));
    assert_eq!(report.description, "Writes it");
    assert_eq!((mail.timeout_ms, mail.retry), (Function::TIMEOUT_MS_DEFAULT, RetryPolicy::default()));
    let told: Vec<_> = check(&manifest).iter().map(ToString::to_string).collect();
    assert!(told.contains(&"no trigger runs the function `mail`".to_owned()), "{told:?}");
}

#[test]
fn a_trigger_is_read_with_all_that_can_be_said_of_it() {
    let manifest = read(&format!(
        "{FUNCTIONS}triggers:
  - name: nightly
    function: report
    spec: {{kind: timer, cron: \"0 3 * * *\", zone: Europe/Berlin, missed: all}}
    input: {{day: \"{{{{event.tick}}}}\", plain: 1}}
  - name: often
    function: main
    spec: {{kind: timer, every: 15m}}
    enabled: false
  - name: once
    function: main
    spec: {{kind: timer, at: \"2026-12-24T18:00:00+01:00\", missed: skip}}
  - name: sent
    function: mail
    spec: {{kind: function, function: report, on_end: failed}}"
    ));
    let shown: Vec<_> = manifest.triggers.iter().map(|trigger| trigger.spec.to_string()).collect();
    assert_eq!(
        shown,
        [
            "timer cron 0 3 * * * Europe/Berlin",
            "timer every 15m",
            "timer at 2026-12-24T17:00:00Z",
            "function report failed"
        ]
    );
    let [nightly, often, once, sent] = &manifest.triggers[..] else { panic!("four triggers") };
    assert!(matches!(nightly.spec, TriggerSpec::Timer { missed: Missed::All, .. }));
    assert!(matches!(often.spec, TriggerSpec::Timer { missed: Missed::Once, .. }));
    assert!(matches!(once.spec, TriggerSpec::Timer { missed: Missed::Skip, .. }));
    assert!(matches!(sent.spec, TriggerSpec::Function { on_end: OnEnd::Failed, .. }));
    assert!(nightly.input.is_some() && nightly.enabled && often.input.is_none() && !often.enabled);
}

#[test]
fn a_trigger_of_a_space_is_read_where_the_agent_may_read_that() {
    let spec =
        "{kind: space, space: notes, query: {type: select}, events: [deleted, created], debounce: 2s, existing: true}";
    let triggers = format!(
        "nisse: 1\ntriggers: [{{name: a, function: main, spec: {spec}}}, {{name: b, function: main, spec: {{kind: manual}}}}]\n"
    );
    let text = changed("permissions:", &format!("{triggers}permissions:\n  - \"space:notes:read\""));
    let manifest = Manifest::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let expected = TriggerSpec::Space {
        space: "notes".to_owned(),
        query: Some("{\"type\":\"select\"}".to_owned()),
        events: vec![SpaceEvent::Created, SpaceEvent::Deleted],
        debounce_ms: 2_000,
        existing: true,
    };
    assert_eq!(manifest.triggers[0].spec, expected);
    assert_eq!(manifest.triggers[0].spec.to_string(), "space notes created, deleted");
    assert_eq!(manifest.triggers[1].spec, TriggerSpec::Manual);
    let every = Manifest::parse(&text.replace("space:notes:read", "space:*:read"));
    assert!(every.is_ok(), "{every:?}");
}

#[test]
fn functions_and_triggers_need_the_version() {
    assert_snapshot!(refused("permissions:", "functions: []\ntriggers: []\npermissions:"));
}

#[test]
fn what_is_no_function_is_refused() {
    let cases = [
        "functions: report",
        "functions: [report]",
        "functions: [{}]",
        "functions: [{name: Report}]",
        "functions: [{name: main}]",
        "functions: [{name: a}, {name: a}]",
        "functions: [{name: a, timout: 1s}]",
        "functions: [{name: a, timeout: 1}]",
        "functions: [{name: a, timeout: 16m}]",
        "functions: [{name: a, retry: {attempts: 0}}]",
        "functions: [{name: a, retry: {attempts: 101}}]",
        "functions: [{name: a, retry: {first: 10s, max: 5s}}]",
        "functions: [{name: a, retry: 3}]",
    ];
    let told: Vec<String> = cases.iter().map(|case| format!("{case}\n  {}", wrong(case))).collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_no_trigger_is_refused() {
    let cases = [
        "{}",
        "{kind: tmer}",
        "{kind: webhook}",
        "{kind: timer}",
        "{kind: timer, cron: \"0 3 * * *\", every: 1h}",
        "{kind: timer, cron: \"0 3 * *\"}",
        "{kind: timer, cron: \"0 0 31 2 *\"}",
        "{kind: timer, cron: \"0 3 * * *\", zone: Berlin}",
        "{kind: timer, every: 1h, zone: UTC}",
        "{kind: timer, every: 100ms}",
        "{kind: timer, at: tomorrow}",
        "{kind: timer, every: 1h, missed: none}",
        "{kind: function, function: reprt}",
        "{kind: function, function: report}",
        "{kind: function, function: mail, on_end: done}",
        "{kind: space}",
        "{kind: space, space: Notes}",
        "{kind: space, space: \"*\"}",
        "{kind: space, space: notes}",
        "{kind: space, space: notes, query: all}",
        "{kind: space, space: notes, events: []}",
        "{kind: space, space: notes, events: [created, created]}",
        "{kind: space, space: notes, events: [creatd]}",
        "{kind: space, space: notes, debounce: 2h}",
        "{kind: space, space: notes, existing: 1}",
        "{kind: manual, every: 1h}",
    ];
    let told: Vec<String> = cases.iter().map(|case| format!("{case}\n  {}", wrong_trigger(case))).collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_wrong_around_a_trigger_is_refused() {
    let spec = "spec: {kind: timer, every: 1h}";
    let cases = [
        format!("triggers: [{{name: a, function: b, {spec}}}]"),
        format!("triggers: [{{name: a, function: main, {spec}}}, {{name: a, function: main, {spec}}}]"),
        format!("triggers: [{{name: a, function: main, {spec}, enabled: maybe}}]"),
        format!("triggers: [{{name: a, function: main, {spec}, input: \"{{{{item}}}}\"}}]"),
        format!("triggers: [{{name: a, function: main, {spec}, on: x}}]"),
    ];
    let told: Vec<String> = cases.iter().map(|case| format!("{case}\n  {}", wrong(case))).collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn functions_that_run_one_another_for_ever_are_refused_with_their_circle() {
    let follow = |name: &str, from: &str, to: &str| {
        format!("  - {{name: {name}, function: {to}, spec: {{kind: function, function: {from}}}}}\n")
    };
    let triggers = [
        follow("a", "main", "report"),
        follow("b", "report", "mail"),
        follow("c", "mail", "third"),
        follow("d", "third", "report"),
    ];
    let text = format!("{FUNCTIONS}  - name: third\ntriggers:\n{}", triggers.concat());
    assert_snapshot!(wrong(text.trim_end()));
}
