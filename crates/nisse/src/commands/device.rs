//! device pair, ls, revoke, rename.

use std::time::Duration;

use nisse_api::client::Client;
use nisse_link::pairing::Code;
use nisse_model::Label;
use nisse_node::control::{DeviceEntry, DeviceName, DeviceRevoked, PairingRequest, PairingStatus};
use nisse_node::{Joined, Speaker, Ticket, join, meet};
use serde_json::json;

use super::chain::seams;
use super::vault::with_typed_passphrase;
use super::{check_home, client, segment};
use crate::cli::{DeviceCommand, Shared};
use crate::failure::{Exit, Failure};
use crate::{config, duration, output, remote, secret_input};

const PAIRING: &str = "/api/v1/devices/pairing";
/// How often it is asked whether somebody joined.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The machine's name (proc(5)).
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

pub(crate) async fn run(shared: &Shared, command: DeviceCommand) -> Result<(), Failure> {
    match command {
        DeviceCommand::Pair { ticket: None, can, agent, expires, .. } => {
            let expires_ms = expires.map(|text| duration::milliseconds(&text)).transpose()?;
            host(shared, &PairingRequest { can: (!can.is_empty()).then_some(can), agent, expires_ms }).await
        }
        DeviceCommand::Pair { ticket: Some(text), name, as_name, .. } => {
            guest(shared, &ticket(&text)?, name_or_machine(name)?, as_name).await
        }
        DeviceCommand::Meet { ticket: text, as_name } => {
            let home = config::home(shared.home.as_deref())?;
            check_home(&home)?;
            let as_name = as_name.map(|name| label(&name)).transpose()?;
            let (ticket, (node, peers)) = (ticket(&text)?, remote::options(&home)?);
            let name = with_typed_passphrase(async |passphrase| {
                let speaker = Speaker { node: &node, peers: &peers, seams: seams(), passphrase };
                meet(speaker, &ticket, as_name.as_ref()).await
            });
            let name = name.await?;
            if shared.json {
                output::json(&json!({ "remote": name, "device": ticket.did.to_string() }));
            } else {
                output::line(format!("`nisse --remote {} status` shows the agents there", quoted(&name)));
            }
            Ok(())
        }
        DeviceCommand::Ls => list(shared, &client(shared).await?.get::<Vec<_>>("/api/v1/devices").await?),
        DeviceCommand::Revoke { device } => {
            let path = path(&device, "revoke");
            let gone: DeviceRevoked = client(shared).await?.post_nothing(&path).await?;
            if shared.json {
                output::json(&gone);
                return Ok(());
            }
            output::line(format!("revoked {} {}", gone.device.name, gone.device.device));
            if !gone.knows.is_empty() {
                let knows = gone.knows.join(", ");
                output::note(
                    false,
                    &format!(
                        "it knows the value of {knows}: change it where it comes from, then `nisse secret rotate`"
                    ),
                );
            }
            Ok(())
        }
        DeviceCommand::Rename { device, name } => {
            let path = path(&device, "rename");
            let renamed: DeviceEntry = client(shared).await?.post(&path, &DeviceName { name }).await?;
            told(shared, &renamed, &format!("{} is called {}", renamed.device, renamed.name))
        }
    }
}

/// Shows a code until somebody joined or nobody can any more.
async fn host(shared: &Shared, request: &PairingRequest) -> Result<(), Failure> {
    let client = client(shared).await?;
    let open: PairingStatus = client.post(PAIRING, request).await?;
    let (ticket, code) = (open.ticket.clone().unwrap_or_default(), open.code.clone().unwrap_or_default());
    if shared.json {
        output::json(&open);
    } else {
        output::line("on the other machine, where no node runs yet, within 10 minutes:");
        output::line("");
        output::line(format!("  nisse device pair {ticket}"));
        output::line("");
        output::line(format!("and there the code {code}"));
    }
    let status = tokio::select! {
        status = end_of_code(&client, open.number) => status?,
        _ = tokio::signal::ctrl_c() => {
            client.delete(PAIRING).await?;
            // Somebody may have come in meanwhile.
            let status = end_of_code(&client, open.number).await?;
            if status.device.is_none() {
                return Err(Failure::new(Exit::Failed, "failed to pair: the code was taken back"));
            }
            status
        }
    };
    match &status.device {
        Some(device) => {
            let kind = if device.kind == "agent" { "an agent" } else { "a device" };
            told(shared, device, &format!("{} is {kind} of this identity now: {}", device.name, device.device))
        }
        None => Err(Failure::new(Exit::Refused, format!("failed to pair: {}", status.why.unwrap_or_default()))
            .hint("`nisse device pair` shows another code")),
    }
}

/// Waits until somebody joined, or nobody can any more.
async fn end_of_code(client: &Client, number: u64) -> Result<PairingStatus, Failure> {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let status: PairingStatus = client.get(PAIRING).await?;
        if status.number != number {
            return Err(Failure::new(Exit::Refused, "failed to pair: another code took the place of this one")
                .hint("one code stands at a time: the newest"));
        }
        if status.state != "open" {
            return Ok(status);
        }
    }
}

async fn guest(shared: &Shared, ticket: &Ticket, name: Label, as_name: Option<String>) -> Result<(), Failure> {
    let home = config::home(shared.home.as_deref())?;
    check_home(&home)?;
    let (node, peers) = remote::options(&home)?;
    let as_name = as_name.map(|name| label(&name)).transpose()?;
    let typed = secret_input::read_line("code that the other machine shows").await?;
    let code: Code = typed.parse().map_err(|error| Failure::usage(format!("failed to {error}")))?;
    let joined = with_typed_passphrase(async |passphrase| {
        let speaker = Speaker { node: &node, peers: &peers, seams: seams(), passphrase };
        join(speaker, (ticket, &code), &name, as_name.as_ref()).await
    });
    tell_joined(shared, &joined.await?);
    Ok(())
}

pub(super) fn tell_joined(shared: &Shared, joined: &Joined) {
    let kind = if joined.is_agent { "agent" } else { "device" };
    if shared.json {
        let Joined { identity, device, remote, .. } = joined;
        let (identity, device) = (identity.to_string(), device.to_string());
        return output::json(&json!({ "identity": identity, "device": device, "kind": kind, "remote": remote }));
    }
    let article = if joined.is_agent { "an" } else { "a" };
    output::line(format!("this home is {article} {kind} of that identity now"));
    output::pairs(&[("identity", joined.identity.to_string()), ("device", joined.device.to_string())]);
    match &joined.remote {
        Some(remote) if joined.is_agent => {
            output::line(format!("`nisse --remote {} COMMAND` does there what it was admitted for", quoted(remote)));
        }
        Some(remote) => output::line(format!("`nisse --remote {} status` shows the agents there", quoted(remote))),
        None => {}
    }
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

fn list(shared: &Shared, devices: &[DeviceEntry]) -> Result<(), Failure> {
    if shared.json {
        output::json(&devices);
        return Ok(());
    }
    let row = |device: &DeviceEntry| {
        let kind = if device.this { format!("{}, this one", device.kind) } else { device.kind.clone() };
        let until = device.expires.map(output::time).unwrap_or_default();
        vec![device.name.clone(), kind, device.device.clone(), device.can.join(" "), until]
    };
    let rows: Vec<_> = devices.iter().map(row).collect();
    output::table(&["name", "kind", "key", "can", "until"], &rows);
    Ok(())
}

fn told(shared: &Shared, device: &DeviceEntry, text: &str) -> Result<(), Failure> {
    if shared.json {
        output::json(device)
    } else {
        output::line(text)
    }
    Ok(())
}

/// What a device is to be called: as it was said, or as the machine is called.
pub(super) fn name_or_machine(name: Option<String>) -> Result<Label, Failure> {
    match name {
        Some(name) => label(&name),
        None => {
            let machine = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
            machine.trim().parse().map_err(|_| {
                Failure::usage("failed to find a name for this device: the machine's own is none")
                    .hint("say one with --name NAME")
            })
        }
    }
}

fn label(text: &str) -> Result<Label, Failure> {
    text.parse().map_err(|error: nisse_model::ParseLabelError| Failure::usage(format!("failed to {error}")))
}

pub(super) fn ticket(text: &str) -> Result<Ticket, Failure> {
    text.parse().map_err(|error: nisse_node::ParseTicketError| Failure::usage(format!("failed to {error}")))
}

/// A device's path: whatever it is called stands in it as one segment.
fn path(device: &str, what: &str) -> String {
    format!("/api/v1/devices/{}/{what}", segment(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_a_path_and_one_word_of_a_shell() {
        assert_eq!(path("old laptop/../x", "revoke"), "/api/v1/devices/old%20laptop%2F%2E%2E%2Fx/revoke");
        assert_eq!((quoted("home-1"), quoted("my home's")), ("home-1".to_owned(), "'my home'\\''s'".to_owned()));
    }
}
