//! What a trigger makes of an event: JSON with places for parts of it.

use serde_json::{Map, Value};

use crate::EVENT_DATA_LENGTH_MAX;

/// JSON in whose texts `{{event.a.b}}` stands for a part of an event's data. A text that is nothing else becomes that part,
/// whatever it is; inside a longer one it is put in as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Value);

/// Why something is no template, or cannot be filled in. Each text completes "cannot …" or "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Longer than [`Template::LENGTH_MAX`].
    #[error("use an input of {length} bytes: at most {max} are allowed", max = Template::LENGTH_MAX)]
    TooLong {
        /// As JSON.
        length: usize,
    },
    /// Between `{{` and `}}` stands no path, or one of them is alone.
    #[error("read {0:?} in an input: expected a path such as {{{{event.item.name}}}}")]
    Path(String),
    /// What it comes to is more than a handler is given.
    #[error("fill in an input: it comes to more than {EVENT_DATA_LENGTH_MAX} bytes")]
    Large,
}

/// A piece of a text.
enum Piece<'t> {
    Text(&'t str),
    Path(&'t str),
}

impl Template {
    /// Longest template as JSON, in bytes.
    pub const LENGTH_MAX: usize = 16 << 10;

    /// Checks every text of it.
    pub fn new(value: Value) -> Result<Self, TemplateError> {
        let length = value.to_string().len();
        if length > Self::LENGTH_MAX {
            return Err(TemplateError::TooLong { length });
        }
        check(&value)?;
        Ok(Self(value))
    }

    /// What it comes to for an event of these data.
    pub fn render(&self, data: &Value) -> Result<Value, TemplateError> {
        let mut left = EVENT_DATA_LENGTH_MAX;
        let rendered = render(&self.0, data, &mut left)?;
        match rendered.to_string().len() <= EVENT_DATA_LENGTH_MAX {
            true => Ok(rendered),
            false => Err(TemplateError::Large),
        }
    }
}

fn check(value: &Value) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => pieces(text).map(drop),
        Value::Array(values) => values.iter().try_for_each(check),
        Value::Object(entries) => entries.values().try_for_each(check),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// `left` bounds what is put together before it is measured.
fn render(value: &Value, data: &Value, left: &mut usize) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => match pieces(text)?.as_slice() {
            [Piece::Path(path)] => {
                let found = look(data, path).cloned().unwrap_or_default();
                take(left, found.to_string().len())?;
                found
            }
            pieces => {
                let mut filled = String::new();
                for piece in pieces {
                    let before = filled.len();
                    match piece {
                        Piece::Text(text) => filled.push_str(text),
                        Piece::Path(path) => match look(data, path) {
                            None | Some(Value::Null) => {}
                            Some(Value::String(text)) => filled.push_str(text),
                            Some(other) => filled.push_str(&other.to_string()),
                        },
                    }
                    take(left, filled.len() - before)?;
                }
                Value::String(filled)
            }
        },
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| render(value, data, left)).collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let filled = entries.iter().map(|(key, value)| Ok((key.clone(), render(value, data, left)?)));
            Value::Object(filled.collect::<Result<Map<_, _>, TemplateError>>()?)
        }
        plain => plain.clone(),
    })
}

fn take(left: &mut usize, length: usize) -> Result<(), TemplateError> {
    *left = left.checked_sub(length).ok_or(TemplateError::Large)?;
    Ok(())
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (path, after) = behind.split_once("}}").ok_or_else(|| wrong(rest))?;
        if before.contains("}}") {
            return Err(wrong(before));
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Path(read_path(path)?));
        rest = after;
    }
    if rest.contains("}}") {
        return Err(wrong(rest));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// What follows `event`, with its dots.
fn read_path(text: &str) -> Result<&str, TemplateError> {
    let path = text.trim().strip_prefix("event").ok_or_else(|| wrong(text))?;
    let is_segment = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let is_path = path.is_empty() || path.strip_prefix('.').is_some_and(|path| path.split('.').all(is_segment));
    if is_path { Ok(path) } else { Err(wrong(text)) }
}

fn look<'d>(data: &'d Value, path: &str) -> Option<&'d Value> {
    path.split('.').skip(1).try_fold(data, |value, segment| match value {
        Value::Object(entries) => entries.get(segment),
        Value::Array(values) => values.get(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

fn wrong(text: &str) -> TemplateError {
    TemplateError::Path(text.chars().take(60).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rendered(template: Value, data: &Value) -> Value {
        Template::new(template).expect("a template").render(data).expect("it fits")
    }

    #[test]
    fn a_place_by_itself_becomes_the_part_and_among_text_it_becomes_text() {
        let data = json!({ "item": { "name": "milk", "count": 3, "tags": ["a", "b"] }, "none": null });
        let template = json!({
            "whole": "{{event}}",
            "item": "{{ event.item }}",
            "count": "{{event.item.count}}",
            "second": "{{event.item.tags.1}}",
            "absent": "{{event.no.such}}",
            "text": "{{event.item.count}} of {{event.item.name}}, {{event.none}}{{event.no}}{{event.item.tags}}",
            "plain": [1, true, null, "as it is"],
        });
        let expected = json!({
            "whole": data,
            "item": data["item"],
            "count": 3,
            "second": "b",
            "absent": null,
            "text": "3 of milk, [\"a\",\"b\"]",
            "plain": [1, true, null, "as it is"],
        });
        assert_eq!(rendered(template, &data), expected);
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_text() {
        for text in
            ["{{event", "event}}", "{{}}", "{{item}}", "{{event..a}}", "{{event.a b}}", "{{event.a.}}", "}}{{event}}"]
        {
            let error = Template::new(json!({ "deep": [text] })).expect_err("no template");
            assert!(matches!(error, TemplateError::Path(_)), "{text}: {error}");
        }
        let long = json!("x".repeat(Template::LENGTH_MAX));
        assert!(matches!(Template::new(long), Err(TemplateError::TooLong { .. })));
    }

    #[test]
    fn what_comes_to_too_much_is_refused() {
        let template = Template::new(json!(vec!["{{event}}"; 100])).expect("a template");
        let data = json!("x".repeat(EVENT_DATA_LENGTH_MAX / 50));
        assert_eq!(template.render(&data), Err(TemplateError::Large));
    }

    proptest! {
        #[test]
        fn whatever_text_stands_there_is_refused_or_filled_in(text in "[{}a-z. ]{0,30}|\\{\\{event[a-z.]{0,9}\\}\\}") {
            if let Ok(template) = Template::new(Value::String(text)) {
                template.render(&json!({ "a": 1 })).expect("it fits");
            }
        }
    }
}
