//! The one table of control routes: method, path, scope, what goes in and out, and who answers.

use axum::routing::MethodRouter;
use nisse_node::control;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::control::App;
use crate::handlers;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anyone who reaches loopback.
    Anyone,
    /// The holder of the home's token, a device of its identity, and whom either gave a part of it.
    Owner,
    /// The holder of the home's token, at this machine: what lets keys out.
    Here,
    /// On the public listener: the owner of the deployment, wherever, by a signature.
    Signer,
    /// On the public listener: anybody.
    Stranger,
}

/// One control route.
pub struct Route {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Below the listener's root, with `{name}` for parameters.
    pub path: &'static str,
    /// Who may call it.
    pub scope: Scope,
    /// Its name in generated clients.
    pub operation: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What it takes.
    pub request: Payload,
    /// What it answers with status 200.
    pub response: Payload,
    pub(crate) handler: fn() -> MethodRouter<App>,
}

/// A body.
#[derive(Clone, Copy)]
pub enum Payload {
    /// None.
    Nothing,
    /// Any bytes.
    Bytes,
    /// Any bytes, read as they come and never held whole. What takes them looks at who asks first.
    Stream,
    /// Lines of `text/event-stream`, each event's data being JSON.
    Events(fn(&mut SchemaGenerator) -> Schema),
    /// JSON of this shape.
    Json(fn(&mut SchemaGenerator) -> Schema),
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn json<T: JsonSchema>() -> Payload {
    Payload::Json(schema::<T>)
}

macro_rules! route {
    ($method:literal $path:literal $scope:ident $operation:ident($request:expr) -> $response:expr, $summary:literal) => {
        Route {
            method: $method,
            path: $path,
            scope: Scope::$scope,
            operation: stringify!($operation),
            summary: $summary,
            request: $request,
            response: $response,
            handler: || {
                let filter = match $method {
                    "GET" => axum::routing::MethodFilter::GET,
                    "DELETE" => axum::routing::MethodFilter::DELETE,
                    _ => axum::routing::MethodFilter::POST,
                };
                axum::routing::on(filter, handlers::$operation)
            },
        }
    };
}

use Payload::{Bytes, Nothing};

/// All of them.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route!("GET" "/api/v1/health" Anyone health(Nothing) -> json::<serde_json::Value>(), "Whether the node serves."),
    route!("GET" "/api/v1/openapi.json" Anyone openapi(Nothing) -> json::<serde_json::Value>(), "This document."),
    route!("GET" "/api/v1/node" Owner node_status(Nothing) -> json::<control::NodeStatus>(), "The node: its keys' addresses, chain, room, money."),
    route!("GET" "/api/v1/node/check" Owner node_check(Nothing) -> json::<Vec<control::Check>>(), "Read back all that the node holds, and say what is not in order."),
    route!("GET" "/api/v1/node/earnings" Owner node_earnings(Nothing) -> json::<control::NodeEarnings>(), "What this node's leases pay, and what can be drawn."),
    route!("POST" "/api/v1/node/withdraw" Owner node_withdraw(json::<Option<String>>()) -> json::<control::NodeWithdrawn>(), "Settle what is due and draw all of it, to this address or the operator's own."),
    route!("POST" "/api/v1/node/drain" Owner node_drain(json::<bool>()) -> Nothing, "Take no new work (true), or take it again (false)."),
    route!("GET" "/api/v1/agents" Owner agent_list(Nothing) -> json::<control::AgentList>(), "Every agent that this node knows."),
    route!("POST" "/api/v1/agents" Owner agent_deploy(json::<control::DeployRequest>()) -> json::<control::Deployed>(), "Deploy a package by contract and wait until it is live."),
    route!("GET" "/api/v1/agents/{agent}" Owner agent_status(Nothing) -> json::<control::AgentStatus>(), "One agent's state."),
    route!("GET" "/api/v1/agents/{agent}/logs" Owner agent_logs(Nothing) -> json::<Vec<control::LogLine>>(), "The last log lines: `?lines=` of them, else 100."),
    route!("GET" "/api/v1/agents/{agent}/logs/follow" Owner agent_logs_follow(Nothing) -> Payload::Events(schema::<control::LogLine>), "Log lines as they come: behind the number `?after=` or the header `Last-Event-ID`, else from now on."),
    route!("POST" "/api/v1/agents/{agent}/start" Owner agent_start(Nothing) -> json::<control::Deployed>(), "Deploy the last package of a stopped agent again, with its state."),
    route!("POST" "/api/v1/agents/{agent}/stop" Owner agent_stop(Nothing) -> json::<control::AgentStatus>(), "End the lease; what is left of the deposit goes back."),
    route!("POST" "/api/v1/agents/{agent}/pause" Owner agent_pause(Nothing) -> json::<control::AgentStatus>(), "Run nothing; the lease and its price go on."),
    route!("POST" "/api/v1/agents/{agent}/resume" Owner agent_resume(Nothing) -> json::<control::AgentStatus>(), "Run again."),
    route!("POST" "/api/v1/agents/{agent}/update" Owner agent_update(json::<control::UpdateRequest>()) -> json::<control::AgentStatus>(), "Swap to another package; the old one goes on until the new one is ready."),
    route!("POST" "/api/v1/agents/{agent}/rollback" Owner agent_rollback(Nothing) -> json::<control::AgentStatus>(), "Go back to the package before the last update, and to its state."),
    route!("POST" "/api/v1/agents/{agent}/destroy" Owner agent_destroy(Nothing) -> json::<control::Destroyed>(), "Stop it, export its state into the content store, then delete it."),
    route!("POST" "/api/v1/agents/{agent}/invoke" Owner agent_invoke(json::<control::InvokeRequest>()) -> json::<control::Invoked>(), "Raise a `manual` event and give the handler's answer."),
    route!("POST" "/api/v1/agents/{agent}/fund" Owner agent_fund(json::<control::FundRequest>()) -> json::<control::AgentStatus>(), "Pay more into the lease."),
    route!("GET" "/api/v1/agents/{agent}/triggers" Owner agent_trigger_list(Nothing) -> json::<Vec<control::Trigger>>(), "The triggers of an agent, and why each fired last or did not."),
    route!("GET" "/api/v1/agents/{agent}/triggers/{trigger}" Owner agent_trigger_show(Nothing) -> json::<control::Trigger>(), "One trigger."),
    route!("POST" "/api/v1/agents/{agent}/triggers/{trigger}/fire" Owner agent_trigger_fire(json::<control::FireRequest>()) -> json::<control::Fired>(), "Raise an event of a trigger by hand: durable when this answers."),
    route!("POST" "/api/v1/agents/{agent}/triggers/{trigger}/pause" Owner agent_trigger_pause(Nothing) -> json::<control::Trigger>(), "Pause a trigger: what happens meanwhile is passed over."),
    route!("POST" "/api/v1/agents/{agent}/triggers/{trigger}/resume" Owner agent_trigger_resume(Nothing) -> json::<control::Trigger>(), "Let a trigger go on."),
    route!("GET" "/api/v1/agents/{agent}/invocations" Owner agent_invocation_list(Nothing) -> json::<Vec<control::InvocationEntry>>(), "Invocations by events, the newest first: `?count=` of them, else 20; in one `state=`, of one `trigger=`."),
    route!("GET" "/api/v1/agents/{agent}/invocations/{invocation}" Owner agent_invocation_show(Nothing) -> json::<control::InvocationShown>(), "One invocation, with its event."),
    route!("POST" "/api/v1/agents/{agent}/invocations/{invocation}/retry" Owner agent_invocation_retry(Nothing) -> json::<control::InvocationEntry>(), "Handle an event again whose invocation failed or was cancelled."),
    route!("POST" "/api/v1/agents/{agent}/invocations/{invocation}/cancel" Owner agent_invocation_cancel(Nothing) -> json::<control::InvocationEntry>(), "Call an invocation off that has not begun."),
    route!("GET" "/api/v1/content" Owner content_list(Nothing) -> json::<Vec<control::ContentEntry>>(), "What the content store holds."),
    route!("POST" "/api/v1/content" Owner content_add(Bytes) -> json::<control::ContentAdded>(), "Add a file and pin it."),
    route!("GET" "/api/v1/content/{cid}" Owner content_get(Nothing) -> Bytes, "A file's bytes, verified."),
    route!("GET" "/api/v1/content/{cid}/providers" Owner content_find(Nothing) -> json::<control::ContentProviders>(), "Who has a file besides this node: each is tried for its first block."),
    route!("POST" "/api/v1/content/{cid}/provide" Owner content_provide(Nothing) -> json::<control::ContentProvided>(), "Make a file that is held here readable for everybody."),
    route!("DELETE" "/api/v1/content/{cid}" Owner content_remove(Nothing) -> Nothing, "Unpin what `content add` pinned, or a pin by its name."),
    route!("POST" "/api/v1/content/gc" Owner content_collect(Nothing) -> json::<control::ContentCollected>(), "Drop blocks that no pin holds."),
    route!("GET" "/api/v1/market" Owner market_list(Nothing) -> json::<control::MarketList>(), "Deployments on the market, newest first."),
    route!("GET" "/api/v1/market/nodes" Owner market_nodes(Nothing) -> json::<control::MarketNodes>(), "The registered nodes, and what they are known for."),
    route!("GET" "/api/v1/market/rates" Owner market_rates(Nothing) -> json::<control::MarketRates>(), "What running leases pay, and what open orders offer."),
    route!("GET" "/api/v1/market/offers" Owner market_offers(Nothing) -> json::<control::MarketOffers>(), "What nodes offer for an agent of `?cpu_millis=`, `memory_bytes=` and `gpu=`: they are asked now."),
    route!("GET" "/api/v1/market/{deployment}" Owner market_show(Nothing) -> json::<control::MarketEntry>(), "One deployment with the events of its life."),
    route!("GET" "/.well-known/nisse/v1/offer" Stranger node_offer(Nothing) -> json::<control::NodeOffer>(), "A signed offer to `?client=`, for an agent of `cpu_millis=`, `memory_bytes=`, `gpu=` and `gas_budget=`, good for a minute."),
    route!("GET" "/.well-known/nisse/v1/agents/{deployment}" Signer signed_status(Nothing) -> json::<control::AgentStatus>(), "One agent's state, for its owner elsewhere."),
    route!("GET" "/.well-known/nisse/v1/agents/{deployment}/logs" Signer signed_logs(Nothing) -> json::<Vec<control::LogLine>>(), "The last log lines: `?lines=` of them, else 100."),
    route!("GET" "/.well-known/nisse/v1/agents/{deployment}/logs/follow" Signer signed_logs_follow(Nothing) -> Payload::Events(schema::<control::LogLine>), "Log lines as they come: behind the number `?after=`, else from now on."),
    route!("POST" "/.well-known/nisse/v1/agents/{deployment}/invoke" Signer signed_invoke(json::<control::InvokeRequest>()) -> json::<control::Invoked>(), "Raise a `manual` event and give the handler's answer."),
    route!("POST" "/.well-known/nisse/v1/agents/{deployment}/rollback" Signer signed_rollback(json::<control::RollbackTo>()) -> Nothing, "Note that the next update to this package, which ran before the last one, brings its state back."),
    route!("GET" "/.well-known/nisse/v1/agents/{deployment}/receipts/{seq}" Signer signed_receipt(Nothing) -> json::<control::ReceiptBundle>(), "An invocation record and the node's signature over it."),
    route!("GET" "/.well-known/nisse/v1/agents/{deployment}/heartbeat" Signer signed_heartbeat(Nothing) -> json::<control::HeartbeatProof>(), "What its node's last heartbeat said of it, proven under the root that the chain has."),
    route!("GET" "/api/v1/heartbeats/{deployment}" Owner heartbeat_show(Nothing) -> json::<control::HeartbeatProof>(), "What its node's last heartbeat said of it, proven under the root that the chain has."),
    route!("GET" "/api/v1/audit" Owner audit_lines(Nothing) -> json::<Vec<control::AuditEntry>>(), "The last lines of the audit log, `?lines=` of them, else 100; or those from the number `from=` on."),
    route!("GET" "/api/v1/vault" Owner vault_status(Nothing) -> json::<control::VaultStatus>(), "Whether the vault is sealed, and what opens it."),
    route!("POST" "/api/v1/vault/unlock" Owner vault_unlock(Bytes) -> json::<control::VaultStatus>(), "Unlock the vault with the passphrase that is the body."),
    route!("POST" "/api/v1/vault/seal" Owner vault_seal(Nothing) -> json::<control::VaultStatus>(), "Make the vault forget its root key."),
    route!("POST" "/api/v1/vault/protect" Owner vault_protect(Bytes) -> json::<control::VaultStatus>(), "Unlock the vault from now on by the passphrase that is the body, `?credential=true` or `?key_file=true`, each by itself, and by nothing else."),
    route!("POST" "/api/v1/vault/export" Here vault_export(json::<control::ExportRequest>()) -> Bytes, "All secrets and keys, encrypted to these recipients of age and to those of the configuration; for the owner at this machine alone."),
    route!("GET" "/api/v1/wallets" Owner wallet_list(Nothing) -> json::<Vec<control::Wallet>>(), "The home's keys, and what they have."),
    route!("POST" "/api/v1/wallets/{wallet}/export" Here wallet_export(Nothing) -> Bytes, "The 32 bytes of a wallet's secret key; for the owner at this machine alone."),
    route!("GET" "/api/v1/secrets" Owner secret_list(Nothing) -> json::<Vec<control::SecretEntry>>(), "The owner's secrets, without their values."),
    route!("POST" "/api/v1/secrets/{secret}" Owner secret_set(Bytes) -> json::<control::SecretSet>(), "Keep the body as a secret of a new name."),
    route!("POST" "/api/v1/secrets/{secret}/rotate" Owner secret_rotate(Bytes) -> json::<control::SecretSet>(), "Put the body in the place of a secret's value."),
    route!("DELETE" "/api/v1/secrets/{secret}" Owner secret_remove(Nothing) -> Nothing, "Forget a secret."),
    route!("GET" "/api/v1/identity" Owner identity_show(Nothing) -> json::<control::IdentityStatus>(), "Whose home it is, and where this device listens for the others."),
    route!("POST" "/api/v1/identity" Owner identity_begin(Bytes) -> json::<control::IdentityStatus>(), "Begin an identity with the credential that is the body: an IdentityGenesis of this device."),
    route!("POST" "/api/v1/identity/device" Owner identity_device(Nothing) -> json::<control::IdentityStatus>(), "Draw this device's key, if it has none."),
    route!("GET" "/api/v1/identity/profile" Owner identity_profile(Nothing) -> json::<control::Profile>(), "Who the owner says that they are: what stands in the home space."),
    route!("POST" "/api/v1/identity/profile" Owner identity_profile_set(json::<control::ProfileRequest>()) -> json::<control::Profile>(), "Say who the owner is; what is left out stays."),
    route!("GET" "/api/v1/devices" Owner device_list(Nothing) -> json::<Vec<control::DeviceEntry>>(), "Devices and agents of the identity."),
    route!("POST" "/api/v1/devices/pairing" Owner device_pair(json::<control::PairingRequest>()) -> json::<control::PairingStatus>(), "Show a code with which another machine becomes a device, or an agent."),
    route!("GET" "/api/v1/devices/pairing" Owner device_pair_status(Nothing) -> json::<control::PairingStatus>(), "How that code goes; it is not told again."),
    route!("DELETE" "/api/v1/devices/pairing" Owner device_pair_close(Nothing) -> Nothing, "Take that code back."),
    route!("POST" "/api/v1/devices/{device}/rename" Owner device_rename(json::<control::DeviceName>()) -> json::<control::DeviceEntry>(), "Call a device, named by its name or its key, something else."),
    route!("POST" "/api/v1/devices/{device}/revoke" Owner device_revoke(Nothing) -> json::<control::DeviceRevoked>(), "Cut a device or an agent off; and which secrets it knows."),
    route!("POST" "/api/v1/tokens" Owner token_create(json::<control::TokenRequest>()) -> json::<control::TokenCreated>(), "Make a token that gives a part of what the owner may do, for a time."),
    route!("POST" "/api/v1/tokens/revoke" Owner token_revoke(json::<control::TokenRevoke>()) -> Nothing, "Take capabilities of tokens back, by name: what goes on by them ends."),
    route!("GET" "/api/v1/spaces" Owner space_list(Nothing) -> json::<Vec<control::SpaceEntry>>(), "The spaces that this home holds."),
    route!("POST" "/api/v1/spaces" Owner space_create(json::<control::SpaceRequest>()) -> json::<control::SpaceStatus>(), "Begin a space with the home's identity as its first member."),
    route!("GET" "/api/v1/spaces/{space}" Owner space_show(Nothing) -> json::<control::SpaceStatus>(), "One space, by its name or the first digits of its id."),
    route!("GET" "/api/v1/spaces/{space}/members" Owner space_members(Nothing) -> json::<Vec<control::SpaceMember>>(), "Who has which role in a space."),
    route!("POST" "/api/v1/spaces/{space}/keep" Owner space_keep(json::<control::SpaceKeepRequest>()) -> json::<control::SpaceStatus>(), "Keep some objects and documents of a space here, or all; what is here stays."),
    route!("POST" "/api/v1/spaces/{space}/ticket" Owner space_ticket(json::<control::SpaceTicketRequest>()) -> json::<control::SpaceTicket>(), "Make a ticket that lets a client of automerge-repo into a space, for a time."),
    route!("POST" "/api/v1/spaces/{space}/members" Owner space_member(json::<control::MemberRequest>()) -> json::<Vec<control::SpaceMember>>(), "Give a member of a space another role, or none; what it wrote stays."),
    route!("POST" "/api/v1/spaces/{space}/invitations" Owner space_invite(json::<control::InvitationRequest>()) -> json::<control::SpaceInvitation>(), "Make an invitation to a space, for so many and for a time."),
    route!("GET" "/api/v1/spaces/{space}/invitations" Owner space_invitations(Nothing) -> json::<Vec<control::OpenSpaceInvitation>>(), "The invitations to a space that still let somebody in."),
    route!("DELETE" "/api/v1/spaces/{space}/invitations/{invitation}" Owner space_uninvite(Nothing) -> Nothing, "Take an invitation back, named by its id or the first digits of that; who came in by it stays."),
    route!("POST" "/api/v1/spaces/{space}/leave" Owner space_leave(Nothing) -> json::<control::SpaceStatus>(), "Leave a space: the home's identity is no member any more."),
    route!("POST" "/api/v1/invitations" Owner space_join(json::<control::JoinRequest>()) -> json::<control::SpaceStatus>(), "Take an invitation that another home made, and hold its space from then on."),
    route!("GET" "/api/v1/spaces/{space}/export" Owner space_export(Nothing) -> Bytes, "A space as one file: its chunks, and the credentials by which they are judged."),
    route!("POST" "/api/v1/imports" Owner space_import(Payload::Stream) -> json::<control::SpaceImported>(), "Take back a space that was exported, under the name `?as=` where it is not held yet: what is new in it is merged with what is here."),
    route!("POST" "/api/v1/spaces/{space}/objects" Owner space_put(json::<serde_json::Value>()) -> json::<serde_json::Value>(), "Make an object of a space what the JSON says; without an `id` in it, a new one."),
    route!("GET" "/api/v1/spaces/{space}/objects/{object}" Owner space_get(Nothing) -> json::<serde_json::Value>(), "One object of a space."),
    route!("POST" "/api/v1/spaces/{space}/objects/{object}" Owner space_patch(json::<serde_json::Value>()) -> json::<serde_json::Value>(), "Change an object by a merge patch (RFC 7396)."),
    route!("DELETE" "/api/v1/spaces/{space}/objects/{object}" Owner space_remove(Nothing) -> Nothing, "Mark an object as deleted; its history stays."),
    route!("GET" "/api/v1/spaces/{space}/objects/{object}/history" Owner space_history(Nothing) -> json::<control::ObjectHistory>(), "The newest changes of an object, and whose they are."),
    route!("GET" "/api/v1/spaces/{space}/watch" Owner space_watch(Nothing) -> Payload::Events(schema::<control::SpaceChange>), "What `?query=` finds, a query of ECHO, or every object without one; and whatever changes in that."),
    route!("POST" "/api/v1/spaces/{space}/query" Owner space_query(json::<serde_json::Value>()) -> json::<Vec<serde_json::Value>>(), "The objects that a query of ECHO finds. Where a part of the space is kept, the header `nisse-elsewhere` says how many there are of which nothing is here."),
    route!("GET" "/api/v1/spaces/{space}/schemas" Owner space_schema_list(Nothing) -> json::<Vec<control::SpaceSchema>>(), "The types of which a space declares what their objects have to be."),
    route!("POST" "/api/v1/spaces/{space}/schemas" Owner space_schema_put(json::<control::SchemaRequest>()) -> json::<control::SpaceSchema>(), "Declare what objects of a type have to be, by a JSON Schema."),
    route!("GET" "/api/v1/spaces/{space}/schemas/{type}" Owner space_schema_get(Nothing) -> json::<control::SpaceSchema>(), "The schema that counts for a type, `NAME:VERSION`."),
    route!("DELETE" "/api/v1/spaces/{space}/schemas/{type}" Owner space_schema_remove(Nothing) -> Nothing, "Take back what is declared of a type; objects stay as they are."),
    route!("GET" "/api/v1/spaces/{space}/misfits" Owner space_schema_check(Nothing) -> json::<control::SchemaCheck>(), "The objects that do not fit the schema of their type."),
    route!("GET" "/api/v1/receipts/{deployment}/{seq}" Owner receipt_show(Nothing) -> json::<control::ReceiptBundle>(), "An invocation record and the node's signature over it."),
];
