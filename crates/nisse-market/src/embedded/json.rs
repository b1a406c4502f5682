//! The wire form of JSON-RPC 2.0: one call, or a batch of them, in a byte body.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::EmbeddedChain;
use super::budget::Budget;
use super::rpc::RpcError;

/// Largest request body.
pub const RPC_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Calls in one batch.
pub const RPC_BATCH_MAX: usize = 100;

#[derive(Deserialize)]
struct Call<'a> {
    jsonrpc: String,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default)]
    params: Value,
}

impl EmbeddedChain {
    /// Answers a request body with a response body; empty when every call was a notification. Blocks as
    /// [`EmbeddedChain::handle`] does.
    pub fn handle_json(&self, body: &[u8]) -> Vec<u8> {
        if body.len() > RPC_BODY_BYTES_MAX {
            return failure(None, &RpcError::new(-32600, format!("a body has at most {RPC_BODY_BYTES_MAX} bytes")));
        }
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
            return self.one(body, &mut Budget::of_body()).unwrap_or_default();
        }
        let calls: Vec<&RawValue> = match serde_json::from_slice(body) {
            Ok(calls) => calls,
            Err(error) => return failure(None, &RpcError::new(-32700, format!("parse error: {error}"))),
        };
        if calls.is_empty() || calls.len() > RPC_BATCH_MAX {
            return failure(None, &RpcError::new(-32600, format!("a batch holds 1 to {RPC_BATCH_MAX} calls")));
        }
        let mut budget = Budget::of_body();
        let answers: Vec<Vec<u8>> =
            calls.iter().filter_map(|call| self.one(call.get().as_bytes(), &mut budget)).collect();
        if answers.is_empty() {
            return Vec::new();
        }
        [b"[".as_slice(), &answers.join(b",".as_slice()), b"]"].concat()
    }

    fn one(&self, body: &[u8], budget: &mut Budget) -> Option<Vec<u8>> {
        if let Err(error) = serde_json::from_slice::<&RawValue>(body) {
            return Some(failure(None, &RpcError::new(-32700, format!("parse error: {error}"))));
        }
        let call: Call<'_> = match serde_json::from_slice(body) {
            Ok(call) => call,
            Err(error) => return Some(failure(None, &RpcError::new(-32600, format!("invalid request: {error}")))),
        };
        if call.jsonrpc != "2.0" {
            return Some(failure(call.id, &RpcError::new(-32600, "invalid request: jsonrpc is \"2.0\"")));
        }
        let answer = match self.fails(&call.method) {
            true => Err(RpcError::unavailable("this call fails, as nisse_failNext asked")),
            false => self.handle_within(&call.method, &call.params, budget),
        };
        // A call without an id wants no answer.
        let id = call.id?;
        let answer = answer.and_then(|result| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
            budget.answered(text.len()).map(|()| text.into_bytes())
        });
        Some(answer.unwrap_or_else(|error| failure(Some(id), &error)))
    }
}

fn failure(id: Option<&RawValue>, error: &RpcError) -> Vec<u8> {
    let mut object = json!({ "code": error.code, "message": error.message });
    if let (Some(data), Some(object)) = (&error.data, object.as_object_mut()) {
        object.insert("data".to_owned(), data.clone());
    }
    let id = id.map_or("null", RawValue::get);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{object}}}"#).into_bytes()
}
