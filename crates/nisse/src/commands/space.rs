//! space create, ls, show, members, keep, invite, invitations, uninvite, join, leave, role, revoke, ticket, export, import; put, patch, get, rm, query, watch, history; schema.

mod file;
mod schema;

use std::io::Read as _;

use nisse_node::control::{
    InvitationRequest, JoinRequest, MemberRequest, ObjectHistory, OpenSpaceInvitation, SpaceEntry, SpaceInvitation,
    SpaceKeepRequest, SpaceMember, SpaceRequest, SpaceStatus, SpaceTicket, SpaceTicketRequest,
};
use serde_json::{Value, json};

use super::{client, segment};
use crate::cli::{MemberRole, Shared, SpaceCommand, TicketRole};
use crate::failure::Failure;
use crate::{duration, output, secret_input};

const SPACES: &str = "/api/v1/spaces";
/// What a ticket begins with, and no invitation does.
const TICKET: &str = "did:key:";
const PART_KEPT: &str = "what is here of the rest stays as it is now; of others it is asked for no more";
const ALL_KEPT: &str = "what is not here yet comes from other homes, while they are connected";
/// Bytes of an object or a query that is typed.
const JSON_BYTES_MAX: u64 = 1 << 20;

pub(crate) async fn run(shared: &Shared, command: SpaceCommand) -> Result<(), Failure> {
    match command {
        SpaceCommand::Create { name } => {
            let space: SpaceStatus = client(shared).await?.post(SPACES, &SpaceRequest { name }).await?;
            show(shared, &space);
            if !shared.json {
                output::note(false, &format!("`nisse space ticket {}` lets a client in", space.entry.name));
            }
        }
        SpaceCommand::Ls => list(shared, &client(shared).await?.get::<Vec<_>>(SPACES).await?),
        SpaceCommand::Show { space } => show(shared, &client(shared).await?.get(&path(&space, "")).await?),
        SpaceCommand::Members { space } => {
            members(shared, &client(shared).await?.get::<Vec<_>>(&path(&space, "/members")).await?);
        }
        SpaceCommand::Invite { space, role, lasting, uses, only, code } => {
            let (role, expires_ms) = (word(role).to_owned(), duration::milliseconds(&lasting)?);
            let request = InvitationRequest { role, expires_ms, uses, invitee: only, code };
            invitation(shared, &client(shared).await?.post(&path(&space, "/invitations"), &request).await?);
        }
        SpaceCommand::Invitations { space } => {
            invitations(shared, &client(shared).await?.get::<Vec<_>>(&path(&space, "/invitations")).await?);
        }
        SpaceCommand::Uninvite { space, invitation } => {
            let path = path(&space, &format!("/invitations/{}", segment(&invitation)));
            client(shared).await?.delete(&path).await?;
        }
        SpaceCommand::Join { invitation, name } => {
            let invitation = match invitation.filter(|invitation| invitation != "-") {
                Some(invitation) => invitation,
                None => from_stdin()?.trim().to_owned(),
            };
            let code = match invitation.starts_with(TICKET) {
                true => Some(secret_input::read_line("code that the other home shows").await?.to_string()),
                false => None,
            };
            let request = JoinRequest { invitation, code, name };
            show(shared, &client(shared).await?.post("/api/v1/invitations", &request).await?);
        }
        SpaceCommand::Leave { space } => {
            show(shared, &client(shared).await?.post_nothing(&path(&space, "/leave")).await?);
        }
        SpaceCommand::Role { space, identity, role } => {
            let request = MemberRequest { identity, role: Some(word(role).to_owned()) };
            members(shared, &client(shared).await?.post::<Vec<_>>(&path(&space, "/members"), &request).await?);
        }
        SpaceCommand::Revoke { space, identity } => {
            let request = MemberRequest { identity, role: None };
            members(shared, &client(shared).await?.post::<Vec<_>>(&path(&space, "/members"), &request).await?);
        }
        SpaceCommand::Keep { space, only, all } => {
            let request = SpaceKeepRequest { only: (!all).then_some(only) };
            let status: SpaceStatus = client(shared).await?.post(&path(&space, "/keep"), &request).await?;
            show(shared, &status);
            output::note(shared.json, if all { ALL_KEPT } else { PART_KEPT });
        }
        SpaceCommand::Ticket { space, role, lasting, app } => {
            let app = app.map(page).transpose()?;
            let role = match role {
                TicketRole::Read => "read",
                TicketRole::Edit => "edit",
            };
            let request = SpaceTicketRequest { role: role.to_owned(), expires_ms: duration::milliseconds(&lasting)? };
            let made: SpaceTicket = client(shared).await?.post(&path(&space, "/ticket"), &request).await?;
            ticket(shared, &made, app.map(|app| format!("{app}#space={}", segment(&made.url))));
        }
        SpaceCommand::Export { space, file: to } => file::export(shared, &space, &to).await?,
        SpaceCommand::Import { file: from, name } => file::import(shared, &from, name.as_deref()).await?,
        SpaceCommand::Put { space, value } => {
            let value = typed(value)?;
            object(&client(shared).await?.post(&path(&space, "/objects"), &value).await?);
        }
        SpaceCommand::Patch { space, object: id, value } => {
            let value = typed(value)?;
            object(&client(shared).await?.post(&at(&space, &id, ""), &value).await?);
        }
        SpaceCommand::Get { space, object: id } => object(&client(shared).await?.get(&at(&space, &id, "")).await?),
        SpaceCommand::Rm { space, object: id } => client(shared).await?.delete(&at(&space, &id, "")).await?,
        SpaceCommand::Query { space, query } => {
            let query = match query {
                Some(query) => parsed(&query)?,
                None => json!({ "type": "select", "filter": { "type": "object", "typename": null, "props": {} } }),
            };
            let (found, elsewhere): (Vec<Value>, _) =
                client(shared).await?.post_heard(&path(&space, "/query"), &query, "nisse-elsewhere").await?;
            found.iter().for_each(object);
            if let Some(elsewhere) = elsewhere {
                let text = format!("this home keeps a part of the space: {elsewhere} objects of it are not here");
                output::note(shared.json, &text);
            }
        }
        SpaceCommand::Watch { space, query } => {
            let query = query.map(|query| parsed(&query)).transpose()?;
            let query = query.map(|query| format!("?query={}", segment(&query.to_string()))).unwrap_or_default();
            let each = |change: &str| {
                output::line(change);
                true
            };
            client(shared).await?.follow(&path(&space, &format!("/watch{query}")), each).await?;
            output::aside(&format!("it ends here: `nisse space show {space}` says why"));
        }
        SpaceCommand::Schema(command) => schema::run(shared, command).await?,
        SpaceCommand::History { space, object: id } => {
            history(shared, &client(shared).await?.get(&at(&space, &id, "/history")).await?);
        }
    }
    Ok(())
}

fn at(space: &str, object: &str, what: &str) -> String {
    path(space, &format!("/objects/{}{what}", segment(object)))
}

/// What was typed, or stands on stdin.
fn typed(json: Option<String>) -> Result<Value, Failure> {
    let text = match json {
        Some(json) => json,
        None => from_stdin()?,
    };
    parsed(&text)
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(JSON_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("failed to read stdin: {error}")))?;
    Ok(text)
}

fn word(role: MemberRole) -> &'static str {
    match role {
        MemberRole::Relay => "relay",
        MemberRole::Read => "read",
        MemberRole::Edit => "edit",
        MemberRole::Admin => "admin",
    }
}

fn parsed(text: &str) -> Result<Value, Failure> {
    if text.len() as u64 > JSON_BYTES_MAX {
        return Err(Failure::usage("failed to read the JSON: more than 1 MiB"));
    }
    serde_json::from_str(text).map_err(|error| Failure::usage(format!("failed to read the JSON: {error}")))
}

/// One line, with `--json` or without.
fn object(object: &Value) {
    output::line(object.to_string());
}

fn history(shared: &Shared, history: &ObjectHistory) {
    if shared.json {
        return output::json(history);
    }
    let row = |change: &nisse_node::control::ObjectChange| {
        let by = change.name.clone().or_else(|| change.device.clone()).unwrap_or_default();
        let touched: Vec<_> = change.touched.iter().filter_map(|touched| touched.key.clone()).collect();
        vec![output::time(change.time), by, touched.join(" ")]
    };
    output::table(&["time", "through", "changed"], &history.changes.iter().map(row).collect::<Vec<_>>());
    let left = history.total.saturating_sub(history.changes.len() as u64);
    if left > 0 {
        output::note(false, &format!("{left} older changes are not shown"));
    }
}

fn path(space: &str, what: &str) -> String {
    format!("{SPACES}/{}{what}", segment(space))
}

fn show(shared: &Shared, status: &SpaceStatus) {
    if shared.json {
        return output::json(status);
    }
    let SpaceStatus { entry, root, connected, trouble, kept } = status;
    let SpaceEntry { space, name, role, home, documents, bytes } = entry;
    output::pairs(&[
        ("space", name.clone()),
        ("id", space.clone()),
        ("role", with_home(role.clone().unwrap_or_else(|| "none any more".to_owned()), *home)),
        ("root", root.clone()),
        ("documents", documents.to_string()),
        ("bytes", bytes.to_string()),
        ("connected", connected.to_string()),
        ("kept", kept.map_or_else(String::new, |kept| format!("{kept} documents, the root among them"))),
        ("trouble", trouble.clone().unwrap_or_default()),
    ]);
}

/// Says which one is the home space, whatever it is called.
fn with_home(role: String, home: bool) -> String {
    if home { format!("{role}, home space") } else { role }
}

fn list(shared: &Shared, spaces: &[SpaceEntry]) {
    if shared.json {
        return output::json(&spaces);
    }
    let row = |entry: &SpaceEntry| {
        let role = with_home(entry.role.clone().unwrap_or_default(), entry.home);
        let (documents, bytes) = (entry.documents.to_string(), entry.bytes.to_string());
        vec![entry.name.clone(), role, documents, bytes, entry.space.clone()]
    };
    output::table(&["space", "role", "documents", "bytes", "id"], &spaces.iter().map(row).collect::<Vec<_>>());
}

fn members(shared: &Shared, members: &[SpaceMember]) {
    if shared.json {
        return output::json(&members);
    }
    let row = |member: &SpaceMember| {
        let role = if member.own { format!("{}, this home's", member.role) } else { member.role.clone() };
        let connected = member.keys.iter().filter(|key| key.connected).count();
        vec![member.identity.clone(), role, member.keys.len().to_string(), connected.to_string()]
    };
    output::table(&["identity", "role", "devices", "connected"], &members.iter().map(row).collect::<Vec<_>>());
}

fn invitations(shared: &Shared, open: &[OpenSpaceInvitation]) {
    if shared.json {
        return output::json(&open);
    }
    let row = |one: &OpenSpaceInvitation| {
        let id = one.id.chars().take(16).collect();
        let by = one.name.clone().unwrap_or_else(|| one.inviter.clone());
        let only = one.invitee.clone().unwrap_or_else(|| "anybody".to_owned());
        vec![id, one.role.clone(), format!("{} of {}", one.left, one.uses), output::time(one.expires), by, only]
    };
    let headings = ["invitation", "role", "left", "until", "by", "for"];
    output::table(&headings, &open.iter().map(row).collect::<Vec<_>>());
}

/// The invitation stands alone on stdout, so that it can be passed on.
fn invitation(shared: &Shared, invitation: &SpaceInvitation) {
    if shared.json {
        return output::json(invitation);
    }
    let SpaceInvitation { role, expires, uses, id, invitation, code, ticket } = invitation;
    if let (Some(code), Some(ticket)) = (code, ticket) {
        output::line(format!("nisse space join {ticket}"));
        output::line(format!("and there the code {code}"));
        let how = "for ten minutes or three wrong tries; another code takes its place";
        return output::note(false, &format!("good for one and the role `{role}`, {how}"));
    }
    output::line(invitation.as_deref().unwrap_or_default());
    let who = if *uses == 1 { "whoever takes it first".to_owned() } else { format!("the first {uses} who take it") };
    let text =
        format!("good until {} for the role `{role}`; {who} with `nisse space join` is let in", output::time(*expires));
    output::note(false, &text);
    output::note(false, &format!("`nisse space uninvite SPACE {}` takes it back", &id[..id.len().min(16)]));
}

/// The page that a link leads to.
fn page(url: String) -> Result<String, Failure> {
    let is_plain = |url: &&String| !url.contains(|letter: char| letter == '#' || !letter.is_ascii_graphic());
    let is_page = |url: &&String| url.starts_with("http://") || url.starts_with("https://");
    if Some(&url).filter(is_page).filter(is_plain).is_some() {
        return Ok(url);
    }
    Err(Failure::usage("failed to make a link: `--app` is the URL of a page, without a part behind a `#`")
        .hint("`--app http://localhost:8000/`, for one"))
}

/// The URL, or the link that logs in by it, stands alone on stdout, so that it can be passed on.
fn ticket(shared: &Shared, ticket: &SpaceTicket, link: Option<String>) {
    if shared.json {
        let mut told = json!(ticket);
        if let Some(link) = link {
            told["link"] = json!(link);
        }
        return output::json(&told);
    }
    output::line(link.as_ref().unwrap_or(&ticket.url));
    let SpaceTicket { role, expires, .. } = ticket;
    let text = format!("good until {} for the role `{role}`; whoever has it is let in", output::time(*expires));
    output::note(false, &text);
}
