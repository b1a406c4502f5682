//! `resources`: cpu, memory and gpu, each with its unit.

use super::super::error::ManifestProblem;
use super::super::scalar::Meaning;
use super::super::tree::{Node, Value, shortened};
use super::{Reader, find};
use crate::{ByteSize, Cpu, Resources};

const KEYS: [&str; 3] = ["cpu", "memory", "gpu"];
const KEYS_TEXT: &str = "cpu, memory, gpu";
const CPU: &str = "a share of a processor with up to three decimals, such as 0.25";
const MEMORY: &str = "a size with its unit, such as 256MiB";
const GPU: &str = "true or false";

impl Reader {
    pub(super) fn resources(&mut self, node: &Node) -> Option<Resources> {
        let entries = self.mapping("resources", node, "a mapping of cpu, memory and gpu")?;
        self.known_keys(entries, &KEYS, KEYS_TEXT);
        let cpu = self.required(entries, node.at, "resources.cpu", CPU);
        let memory = self.required(entries, node.at, "resources.memory", MEMORY);
        let cpu = cpu.and_then(|node| self.cpu(node));
        let memory = memory.and_then(|node| self.memory(node));
        let gpu = find(entries, "gpu").map_or(Some(false), |node| self.gpu(node));
        Some(Resources { cpu: cpu?, memory: memory?, gpu: gpu? })
    }

    fn cpu(&mut self, node: &Node) -> Option<Cpu> {
        let text = self.number_or_text("resources.cpu", node, CPU)?;
        let Ok(cpu) = text.parse::<Cpu>() else {
            return self.refuse("resources.cpu", node, text, CPU.to_owned(), cpu_hint(text));
        };
        if cpu.millis == 0 || cpu > Resources::CPU_MAX {
            let expected = format!("more than 0 and at most {}", Resources::CPU_MAX);
            return self.refuse("resources.cpu", node, text, expected, None);
        }
        Some(cpu)
    }

    fn memory(&mut self, node: &Node) -> Option<ByteSize> {
        let text = self.number_or_text("resources.memory", node, MEMORY)?;
        let Ok(memory) = text.parse::<ByteSize>() else {
            return self.refuse("resources.memory", node, text, MEMORY.to_owned(), memory_hint(text));
        };
        if memory < Resources::MEMORY_MIN || memory > Resources::MEMORY_MAX {
            let expected = format!("{} to {}", Resources::MEMORY_MIN, Resources::MEMORY_MAX);
            return self.refuse("resources.memory", node, text, expected, None);
        }
        Some(memory)
    }

    /// The TIP prints `"false"` in quotes; both spellings mean the same.
    fn gpu(&mut self, node: &Node) -> Option<bool> {
        if let Value::Scalar(scalar) = &node.value {
            match scalar.meaning() {
                Meaning::Bool(wanted) => return Some(wanted),
                Meaning::Text("true") => return Some(true),
                Meaning::Text("false") => return Some(false),
                Meaning::Text(text) => {
                    return self.refuse("resources.gpu", node, text, GPU.to_owned(), None);
                }
                Meaning::Null | Meaning::Number(_) | Meaning::Unclear => {}
            }
        }
        self.wrong_type("resources.gpu", node, GPU, None);
        None
    }

    /// A quantity may stand in quotes or not; its text is what counts.
    pub(super) fn number_or_text<'a>(&mut self, key: &str, node: &'a Node, expected: &'static str) -> Option<&'a str> {
        if let Value::Scalar(scalar) = &node.value
            && matches!(scalar.meaning(), Meaning::Number(_) | Meaning::Text(_) | Meaning::Unclear)
        {
            return Some(&scalar.text);
        }
        self.wrong_type(key, node, expected, None);
        None
    }

    pub(super) fn refuse<T>(
        &mut self,
        key: &str,
        node: &Node,
        text: &str,
        expected: String,
        hint: Option<String>,
    ) -> Option<T> {
        let problem = ManifestProblem::Value { key: key.to_owned(), found: shortened(text), expected };
        self.report(node.at, problem, hint);
        None
    }
}

/// Reads what people of other systems write: `250m`, `25%`.
fn cpu_hint(text: &str) -> Option<String> {
    let text = text.trim();
    let millis = match (text.strip_suffix('m'), text.strip_suffix('%')) {
        (Some(millis), _) => millis.trim().parse::<u32>().ok()?,
        (None, Some(percent)) => percent.trim().parse::<u32>().ok()?.checked_mul(10)?,
        (None, None) => text.parse::<Cpu>().ok()?.millis,
    };
    Some(format!("did you mean \"{}\"?", Cpu { millis }))
}

/// Reads what people of other systems write: `256MB`, `256Mi`, `256 MiB`, `256`.
pub(super) fn memory_hint(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" if digits <= 5 => "MiB",
        "b" | "" => "B",
        "k" | "kb" | "ki" | "kib" => "KiB",
        "m" | "mb" | "mi" | "mib" => "MiB",
        "g" | "gb" | "gi" | "gib" => "GiB",
        _ => return None,
    };
    let size: ByteSize = format!("{}{unit}", &text[..digits]).parse().ok()?;
    Some(format!("did you mean \"{size}\"?"))
}
