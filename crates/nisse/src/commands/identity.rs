//! identity new, show, profile, recover; kit check.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nisse_api::client::Client;
use nisse_model::{Claim, Did, Label, Statement, Timestamp};
use nisse_node::control::{IdentityStatus, Profile, ProfileRequest};
use nisse_node::{Speaker, recover};
use nisse_store::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use serde_json::json;
use zeroize::Zeroizing;

use super::chain::seams;
use super::device::{self, name_or_machine};
use super::vault::with_typed_passphrase;
use super::{check_home, client};
use crate::cli::{IdentityCommand, Shared};
use crate::failure::{Exit, Failure, unreadable};
use crate::kit::Kit;
use crate::{config, output, remote, secret_input};

/// Bytes of a picture that are read: the node takes fewer.
const AVATAR_BYTES_MAX: u64 = 1 << 20;
/// How often the words may be typed wrong at a terminal.
const TRIES: usize = 3;

pub(crate) async fn run(shared: &Shared, command: IdentityCommand) -> Result<(), Failure> {
    match command {
        IdentityCommand::New { name } => new(shared, name_or_machine(name)?).await,
        IdentityCommand::Show => {
            let status = client(shared).await?.get("/api/v1/identity").await?;
            tell(shared, &status);
            Ok(())
        }
        IdentityCommand::Profile { name, avatar } => profile(shared, name, avatar).await,
        IdentityCommand::Recover { from, name } => bring_back(shared, from, name_or_machine(name)?).await,
    }
}

async fn new(shared: &Shared, name: Label) -> Result<(), Failure> {
    secret_input::keep_memory_closed();
    let client = client(shared).await?;
    let status: IdentityStatus = client.get("/api/v1/identity").await?;
    if let Some(identity) = status.identity {
        let text = format!("failed to begin an identity: this home belongs to {identity}");
        return Err(Failure::new(Exit::Refused, text).hint("name another home with --home DIR"));
    }
    let status: IdentityStatus = client.post_nothing("/api/v1/identity/device").await?;
    let device = key_of(status.device.as_deref())?;
    let mut seed = Zeroizing::new([0; 32]);
    SystemEntropy.fill(seed.as_mut_slice());
    let kit = Kit::of(seed);
    show(shared, &kit);
    retype(&kit).await?;
    let status = begin(&client, &kit, device, name).await?;
    tell(shared, &status);
    Ok(())
}

/// The words, for the one time that they are shown.
fn show(shared: &Shared, kit: &Kit) {
    if shared.json {
        output::json(&json!({ "words": kit.words().collect::<Vec<_>>() }));
        return;
    }
    output::line(
        "This is the recovery kit of your identity. Whoever has these words is you; without them a lost identity",
    );
    output::line("cannot be brought back. Write them down on paper now: they are shown this once, and kept nowhere.");
    output::line("");
    kit.lines().iter().for_each(|line| output::line(line.as_str()));
    output::line("");
}

async fn retype(kit: &Kit) -> Result<(), Failure> {
    let mut left = TRIES;
    loop {
        let typed = secret_input::read_line("24 words, from your paper").await;
        let typed = typed.and_then(|text| Kit::read(&text));
        left -= 1;
        let failure = match typed.map(|typed| kit.differs(&typed)) {
            Ok(None) => return Ok(()),
            Ok(Some(place)) => {
                Failure::new(Exit::Refused, format!("failed to check the recovery kit: word {place} is another one"))
            }
            Err(failure) => failure,
        };
        if left == 0 || !secret_input::is_terminal() {
            return Err(failure
                .hint("no identity was made, and these words open nothing: begin anew with `nisse identity new`"));
        }
        output::aside(&format!("{}; type them again", failure.text()));
    }
}

async fn begin(client: &Client, kit: &Kit, device: Did, name: Label) -> Result<IdentityStatus, Failure> {
    let mut nonce = [0; 12];
    SystemEntropy.fill(&mut nonce);
    let issued: Timestamp = SystemClock::default().now();
    let identity = kit.identity();
    let claim = Claim::IdentityGenesis { device, name };
    let genesis = Statement { issuer: identity, subject: identity, parents: Vec::new(), issued, nonce, claim };
    let genesis = genesis.sign(&kit.key()).map_err(|error| Failure::new(Exit::Failed, format!("failed to {error}")))?;
    Ok(client.post_bytes("/api/v1/identity", genesis.encode().into()).await?)
}

async fn profile(shared: &Shared, name: Option<String>, avatar: Option<PathBuf>) -> Result<(), Failure> {
    const PROFILE: &str = "/api/v1/identity/profile";
    let avatar = avatar.map(|file| picture(&file)).transpose()?;
    let client = client(shared).await?;
    let profile: Profile = match (&name, &avatar) {
        (None, None) => client.get(PROFILE).await?,
        _ => client.post(PROFILE, &ProfileRequest { name, avatar }).await?,
    };
    if shared.json {
        output::json(&profile);
        return Ok(());
    }
    let size = |avatar: &nisse_node::control::ProfileAvatar| {
        let bytes = STANDARD.decode(&avatar.bytes).map(|bytes| bytes.len()).unwrap_or_default();
        format!("{}, {bytes} bytes", avatar.media_type)
    };
    output::pairs(&[
        ("name", profile.name.clone().unwrap_or_default()),
        ("avatar", profile.avatar.as_ref().map(size).unwrap_or_default()),
        ("space", format!("{} {}", profile.called, profile.space)),
    ]);
    Ok(())
}

fn picture(file: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file).and_then(|open| open.take(AVATAR_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(file, &error))?;
    Ok(STANDARD.encode(bytes))
}

fn key_of(text: Option<&str>) -> Result<Did, Failure> {
    let key = text.and_then(|text| text.parse().ok());
    key.ok_or_else(|| Failure::new(Exit::Failed, "failed to read the node's answer: it names no key"))
}

fn tell(shared: &Shared, status: &IdentityStatus) {
    if shared.json {
        return output::json(status);
    }
    let Some(identity) = &status.identity else {
        output::line(
            "this home belongs to nobody yet: `nisse identity new` begins an identity, `nisse device pair` joins one",
        );
        return;
    };
    output::pairs(&[
        ("identity", identity.clone()),
        ("device", status.name.clone().unwrap_or_default()),
        ("admitted", if status.admitted { "" } else { "no: it was cut off" }.to_owned()),
        ("wallets", status.wallets.join(", ")),
        ("key", status.device.clone().unwrap_or_default()),
        ("ticket", status.ticket.clone().unwrap_or_default()),
        ("trouble", status.trouble.clone().unwrap_or_default()),
    ]);
}

pub(crate) async fn check_kit(shared: &Shared) -> Result<(), Failure> {
    secret_input::keep_memory_closed();
    let status: IdentityStatus = client(shared).await?.get("/api/v1/identity").await?;
    let Some(identity) = status.identity else {
        return Err(Failure::new(Exit::Refused, "failed to check the recovery kit: this home belongs to nobody yet")
            .hint("`nisse identity new` begins an identity and shows its kit"));
    };
    let kit = Kit::read(&secret_input::read_line("24 words").await?)?;
    if kit.identity().to_string() != identity {
        let text = format!("failed to check the recovery kit: it is whole, and it is that of {}", kit.identity());
        return Err(Failure::new(Exit::Refused, text).hint(format!("this home belongs to {identity}")));
    }
    if shared.json {
        output::json(&json!({ "identity": identity, "kit": "right" }));
    } else {
        output::line(format!("these are the words of {identity}"));
    }
    Ok(())
}

async fn bring_back(shared: &Shared, from: Option<String>, name: Label) -> Result<(), Failure> {
    secret_input::keep_memory_closed();
    let home = config::home(shared.home.as_deref())?;
    check_home(&home)?;
    let ticket = from.map(|text| device::ticket(&text)).transpose()?;
    let (node, peers) = remote::options(&home)?;
    let kit = Kit::read(&secret_input::read_line("24 words").await?)?;
    let root = kit.into_seed();
    let joined = with_typed_passphrase(async |passphrase| {
        let speaker = Speaker { node: &node, peers: &peers, seams: seams(), passphrase };
        recover(speaker, root.clone(), ticket.as_ref(), &name).await
    });
    device::tell_joined(shared, &joined.await?);
    if ticket.is_none() {
        output::note(
            shared.json,
            "see that this is the identity that you know: one wrong word in 256 makes another one. No other device knows of this one yet: `--from TICKET` tells one that still runs",
        );
    }
    Ok(())
}
