//! The home's identity, and the devices that act for it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;
use nisse_node::control::{
    DeviceEntry, DeviceName, DeviceRevoked, IdentityStatus, PairingRequest, PairingStatus, Profile, ProfileRequest,
};

use super::{Answer, Sent, read};
use crate::control::App;
use crate::needs;

pub(crate) async fn identity_show(State(app): State<App>) -> Json<IdentityStatus> {
    Json(app.node.identity())
}

pub(crate) async fn identity_device(State(app): State<App>) -> Answer<IdentityStatus> {
    Ok(Json(app.node.device_key().await?))
}

pub(crate) async fn identity_begin(State(app): State<App>, genesis: Bytes) -> Answer<IdentityStatus> {
    Ok(Json(app.node.identity_begin(&genesis).await?))
}

pub(crate) async fn identity_profile(State(app): State<App>) -> Answer<Profile> {
    Ok(Json(app.node.profile().await?))
}

pub(crate) async fn identity_profile_set(State(app): State<App>, sent: Sent<ProfileRequest>) -> Answer<Profile> {
    Ok(Json(app.node.profile_set(&read(sent)?).await?))
}

pub(crate) async fn device_list(State(app): State<App>) -> Answer<Vec<DeviceEntry>> {
    Ok(Json(app.node.devices()?))
}

pub(crate) async fn device_pair(State(app): State<App>, sent: Sent<PairingRequest>) -> Answer<PairingStatus> {
    let request = read(sent)?;
    for scope in request.scopes()? {
        needs::check_known_of_agents(&scope)?;
    }
    Ok(Json(app.node.pairing_open(&request).await?))
}

pub(crate) async fn device_pair_status(State(app): State<App>) -> Answer<PairingStatus> {
    Ok(Json(app.node.pairing()?))
}

pub(crate) async fn device_pair_close(State(app): State<App>) -> StatusCode {
    app.node.pairing_close();
    StatusCode::NO_CONTENT
}

pub(crate) async fn device_revoke(State(app): State<App>, Path(device): Path<String>) -> Answer<DeviceRevoked> {
    Ok(Json(app.node.device_revoke(&device).await?))
}

pub(crate) async fn device_rename(
    State(app): State<App>,
    Path(device): Path<String>,
    sent: Sent<DeviceName>,
) -> Answer<DeviceEntry> {
    Ok(Json(app.node.device_rename(&device, &read(sent)?.name).await?))
}
