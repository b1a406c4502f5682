//! The committed ABIs of the contracts: what a log or an answer says, field by field.

use std::collections::BTreeMap;

use serde_json::Value;
use sha3::{Digest as _, Keccak256};

/// What one word of the chain holds.
pub(super) type Word = [u8; 32];

/// Every contract whose logs are read.
pub(super) const CONTRACTS: [&str; 5] = ["TalosToken", "Nodes", "Manager", "Escrow", "OracleFeeds"];

/// Events by contract and by the digest of their signature, functions by contract and name.
pub(super) struct Abi {
    events: BTreeMap<(&'static str, Word), Value>,
    functions: BTreeMap<(&'static str, String), Value>,
}

/// The fields of a log or of an answer, by name; those of a struct as `order.payment`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields {
    words: BTreeMap<String, Word>,
    texts: BTreeMap<String, String>,
}

impl Abi {
    /// As `contracts/artifacts` has them.
    pub(super) fn committed() -> Self {
        let mut abi = Self { events: BTreeMap::new(), functions: BTreeMap::new() };
        for contract in CONTRACTS.into_iter().chain(["AddressBook"]) {
            let path = format!("{}/../../contracts/artifacts/{contract}.json", env!("CARGO_MANIFEST_DIR"));
            let artifact: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            for entry in artifact["abi"].as_array().unwrap() {
                match entry["type"].as_str().unwrap() {
                    "event" => {
                        abi.events.insert((contract, hash(&signature(entry))), entry.clone());
                    }
                    "function" => {
                        abi.functions.insert((contract, entry["name"].as_str().unwrap().to_owned()), entry.clone());
                    }
                    _ => {}
                }
            }
        }
        abi
    }

    /// An event's name and fields.
    pub(super) fn event(&self, contract: &'static str, topics: &[Word], data: &[u8]) -> (String, Fields) {
        let event = &self.events[&(contract, topics[0])];
        let (mut fields, mut topics) = (Fields::default(), topics[1..].iter());
        let (indexed, others): (Vec<Value>, Vec<Value>) =
            event["inputs"].as_array().unwrap().iter().cloned().partition(|input| input["indexed"] == true);
        for input in indexed {
            fields.words.insert(input["name"].as_str().unwrap().to_owned(), *topics.next().unwrap());
        }
        fields.read(&others, data, "");
        (event["name"].as_str().unwrap().to_owned(), fields)
    }

    /// The input of a call.
    pub(super) fn call(&self, contract: &'static str, function: &str, arguments: &[Word]) -> String {
        let function = &self.functions[&(contract, function.to_owned())];
        format!("0x{}{}", hex::encode(&hash(&signature(function))[..4]), hex::encode(arguments.concat()))
    }

    /// What a call answered; a value without a name has the empty one.
    pub(super) fn answer(&self, contract: &'static str, function: &str, data: &[u8]) -> Fields {
        let function = &self.functions[&(contract, function.to_owned())];
        let mut fields = Fields::default();
        fields.read(function["outputs"].as_array().unwrap(), data, "");
        fields
    }
}

impl Fields {
    /// A whole number.
    pub(super) fn number(&self, name: &str) -> u128 {
        let (high, low) = self.words[name].split_at(16);
        assert_eq!(high, [0; 16], "{name} is beyond what is counted here");
        u128::from_be_bytes(low.try_into().unwrap())
    }

    /// An address as `0x` and lower-case digits.
    pub(super) fn address(&self, name: &str) -> String {
        format!("0x{}", hex::encode(&self.words[name][12..]))
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.number(name) != 0
    }

    pub(super) fn text(&self, name: &str) -> &str {
        &self.texts[name]
    }

    /// Reads values as the ABI lays them out: heads in order, and behind them what has no fixed length.
    fn read(&mut self, parameters: &[Value], data: &[u8], prefix: &str) {
        let mut at = 0;
        for parameter in parameters {
            let name = format!("{prefix}{}", parameter["name"].as_str().unwrap());
            let head = &data[at..at + 32];
            let behind = || &data[usize::try_from(u64::from_be_bytes(head[24..].try_into().unwrap())).unwrap()..];
            match parameter["type"].as_str().unwrap() {
                "tuple" => {
                    let parts = parameter["components"].as_array().unwrap();
                    let place = if is_dynamic(parameter) { behind() } else { &data[at..] };
                    self.read(parts, place, &format!("{name}."));
                }
                "string" => {
                    let (length, text) = behind().split_at(32);
                    let length = usize::try_from(u64::from_be_bytes(length[24..].try_into().unwrap())).unwrap();
                    self.texts.insert(name, String::from_utf8(text[..length].to_vec()).unwrap());
                }
                _ => {
                    self.words.insert(name, head.try_into().unwrap());
                }
            }
            at += 32 * head_words(parameter);
        }
    }
}

/// A number as an argument.
pub(super) fn word(number: u128) -> Word {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

/// An address as an argument.
pub(super) fn address_word(address: &str) -> Word {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&hex::decode(address.trim_start_matches("0x")).unwrap());
    word
}

fn signature(entry: &Value) -> String {
    format!("{}{}", entry["name"].as_str().unwrap(), types(&entry["inputs"]))
}

fn types(parameters: &Value) -> String {
    let one = |parameter: &Value| match parameter["type"].as_str().unwrap().strip_prefix("tuple") {
        Some(list) => types(&parameter["components"]) + list,
        None => parameter["type"].as_str().unwrap().to_owned(),
    };
    format!("({})", parameters.as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(","))
}

fn is_dynamic(parameter: &Value) -> bool {
    let kind = parameter["type"].as_str().unwrap();
    let parts = || parameter["components"].as_array().unwrap().iter().any(is_dynamic);
    kind == "string" || kind == "bytes" || kind.ends_with("[]") || (kind == "tuple" && parts())
}

fn head_words(parameter: &Value) -> usize {
    match parameter["type"].as_str().unwrap() {
        "tuple" if !is_dynamic(parameter) => parameter["components"].as_array().unwrap().iter().map(head_words).sum(),
        _ => 1,
    }
}

/// By which a chain names its events and functions.
fn hash(signature: &str) -> Word {
    Keccak256::digest(signature).into()
}
