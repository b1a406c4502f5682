//! A client of automerge-repo, as far as its bytes go.

use std::collections::{BTreeMap, BTreeSet};

use automerge::sync::{Message, State, SyncDoc as _};
use automerge::transaction::Transactable as _;
use automerge::{ActorId, Automerge, ROOT, ReadDoc as _};
use minicbor::{Decoder, Encoder};

use crate::document_id::DocumentId;
use crate::documents::empty;
use crate::repo_protocol::{Outgoing, PeerName};

/// One who writes lines into documents, each a key of the document's root.
pub(super) struct Client {
    name: PeerName,
    actor: u8,
    pub(super) documents: BTreeMap<DocumentId, (Automerge, State)>,
    wanted: BTreeSet<DocumentId>,
    pub(super) unavailable: BTreeSet<DocumentId>,
    pub(super) passed: Vec<(String, Vec<u8>)>,
    pub(super) errors: Vec<String>,
    /// Messages that say of which heads the space has.
    pub(super) gone: bool,
}

impl Client {
    pub(super) fn new(name: &str, actor: u8) -> Self {
        Self {
            name: PeerName::new(name).expect("a name"),
            actor,
            documents: BTreeMap::new(),
            wanted: BTreeSet::new(),
            unavailable: BTreeSet::new(),
            passed: Vec::new(),
            errors: Vec::new(),
            gone: false,
        }
    }

    pub(super) fn join(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes);
        let mut write = || -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
            encoder.map(4)?.str("type")?.str("join")?.str("senderId")?.str(self.name.as_str())?;
            encoder.str("peerMetadata")?.map(1)?.str("isEphemeral")?.bool(true)?;
            encoder.str("supportedProtocolVersions")?.array(1)?.str("1")?;
            Ok(())
        };
        write().expect("written");
        bytes
    }

    pub(super) fn find(&mut self, document: DocumentId) {
        self.wanted.insert(document);
        self.document(document);
    }

    fn document(&mut self, document: DocumentId) -> &mut (Automerge, State) {
        let actor = ActorId::from([self.actor; 16].as_slice());
        self.documents.entry(document).or_insert_with(|| (empty().with_actor(actor), State::new()))
    }

    pub(super) fn write(&mut self, document: DocumentId, line: &str) {
        let (automerge, _) = self.document(document);
        let mut transaction = automerge.transaction();
        transaction.put(ROOT, line, true).expect("written");
        transaction.commit();
    }

    /// Makes a value of an object's data a number, whatever it was.
    pub(super) fn set_in_data(&mut self, document: DocumentId, object: &str, key: &str, value: i64) {
        let (automerge, _) = self.document(document);
        let mut transaction = automerge.transaction();
        let mut place = ROOT;
        for step in ["objects", object, "data"] {
            place = transaction.get(&place, step).expect("read").expect("it is there").1;
        }
        transaction.put(&place, key, value).expect("written");
        transaction.commit();
    }

    pub(super) fn lines(&self, document: DocumentId) -> Vec<String> {
        let lines = self.documents.get(&document).map(|(automerge, _)| automerge.keys(ROOT).collect());
        lines.unwrap_or_default()
    }

    /// What it has to say now.
    pub(super) fn say(&mut self) -> Vec<Vec<u8>> {
        if self.gone {
            return Vec::new();
        }
        let server = PeerName::new("server").expect("a name");
        let mut frames = Vec::new();
        for (document, (automerge, state)) in &mut self.documents {
            let Some(message) = automerge.generate_sync_message(state) else { continue };
            let (data, document) = (message.encode(), *document);
            let request = self.wanted.contains(&document) && automerge.get_heads().is_empty();
            let message = match request {
                true => Outgoing::Request { document, data: &data },
                false => Outgoing::Sync { document, data: &data },
            };
            frames.push(message.encode(&self.name, &server));
        }
        frames
    }

    pub(super) fn ephemeral(&self, document: DocumentId, author: &str, count: u64, data: &[u8]) -> Vec<u8> {
        let author = PeerName::new(author).expect("a name");
        let message = Outgoing::Ephemeral { author: &author, document, count, session: "session", data };
        message.encode(&self.name, &self.name)
    }

    /// Takes what the space says.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let fields = fields(bytes);
        let text = |key: &str| match fields.get(key) {
            Some(Value::Text(text)) => text.clone(),
            other => panic!("{key} is {other:?}"),
        };
        let document = || text("documentId").parse::<DocumentId>().expect("a document");
        let data = || match fields.get("data") {
            Some(Value::Bytes(bytes)) => bytes.clone(),
            other => panic!("data is {other:?}"),
        };
        match text("type").as_str() {
            "peer" => {}
            "error" => self.errors.push(text("message")),
            "doc-unavailable" => {
                self.unavailable.insert(document());
            }
            "ephemeral" => self.passed.push((text("senderId"), data())),
            "sync" => {
                let message = Message::decode(&data()).expect("a sync message");
                let (automerge, state) = self.document(document());
                automerge.receive_sync_message(state, message).expect("applied");
            }
            other => panic!("a message of the type {other}"),
        }
    }
}

#[derive(Debug)]
enum Value {
    Text(String),
    Bytes(Vec<u8>),
    Other,
}

fn fields(bytes: &[u8]) -> BTreeMap<String, Value> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.map().expect("a map").expect("of a length");
    let mut fields = BTreeMap::new();
    for _ in 0..count {
        let key = decoder.str().expect("a key").to_owned();
        let value = match decoder.datatype().expect("a value") {
            minicbor::data::Type::String => Value::Text(decoder.str().expect("text").to_owned()),
            minicbor::data::Type::Bytes => Value::Bytes(decoder.bytes().expect("bytes").to_vec()),
            _ => {
                decoder.skip().expect("a value");
                Value::Other
            }
        };
        fields.insert(key, value);
    }
    fields
}
