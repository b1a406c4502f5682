//! wallet show, export.

use nisse_node::control::Wallet;
use zeroize::Zeroizing;

use super::client;
use crate::cli::{Shared, WalletCommand};
use crate::failure::Failure;
use crate::{output, secret_input};

pub(crate) async fn run(shared: &Shared, command: WalletCommand) -> Result<(), Failure> {
    match command {
        WalletCommand::Show => show(shared).await,
        WalletCommand::Export { name } => export(shared, &name).await,
    }
}

async fn show(shared: &Shared) -> Result<(), Failure> {
    let wallets: Vec<Wallet> = client(shared).await?.get("/api/v1/wallets").await?;
    if shared.json {
        output::json(&wallets);
        return Ok(());
    }
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let row = |wallet: &Wallet| {
        vec![
            wallet.name.clone(),
            wallet.address.clone(),
            known(&wallet.balance),
            known(&wallet.stake),
            known(&wallet.gas),
        ]
    };
    output::table(&["wallet", "address", "TALOS", "at stake", "for gas"], &wallets.iter().map(row).collect::<Vec<_>>());
    for wallet in &wallets {
        if let Some(warning) = &wallet.warning {
            output::note(shared.json, &format!("{}: {warning}", wallet.name));
        }
    }
    Ok(())
}

async fn export(shared: &Shared, name: &str) -> Result<(), Failure> {
    secret_input::keep_memory_closed();
    let path = format!("/api/v1/wallets/{name}/export");
    let key = Zeroizing::new(client(shared).await?.post_for_bytes(&path, &()).await?.to_vec());
    let text = Zeroizing::new(hex::encode(&*key));
    if shared.json {
        output::json(&serde_json::json!({ "wallet": name, "key": *text }));
    } else {
        output::note(
            shared.json,
            "whoever has this key has all that the wallet owns; two programs that send with it break each other's order",
        );
        output::line(&*text);
    }
    Ok(())
}
