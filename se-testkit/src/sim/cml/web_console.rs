//! A simulated controller's consoles on the web: bytes one way, text the other.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;

use super::World;
use super::api::refusal;
use super::bridge::Bridge;

#[derive(Deserialize)]
pub(super) struct Which {
    uuid: String,
}

/// Whoever has the key of a node that runs is let in.
pub(super) async fn open(
    State(world): State<Arc<World>>,
    Query(which): Query<Which>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let known = world.labs(|labs| labs.of_key(&which.uuid));
    let address = known.and_then(|(lab, node)| world.console(&lab, &node));
    let Some(address) = address else {
        return refusal(StatusCode::NOT_FOUND, "Console not found");
    };
    let Ok(bridge) = Bridge::open(address).await else {
        return refusal(StatusCode::BAD_GATEWAY, "Console not reachable");
    };
    world.journal.add("cml", "console", "websocket");
    upgrade.on_upgrade(|socket| carry(socket, bridge))
}

async fn carry(mut socket: WebSocket, mut bridge: Bridge) {
    let mut goes_on = true;
    while goes_on {
        goes_on = tokio::select! {
            said = bridge.say() => match said {
                Ok(Some(bytes)) => socket.send(Message::Binary(bytes)).await.is_ok(),
                Ok(None) | Err(_) => false,
            },
            typed = socket.recv() => match typed {
                Some(Ok(Message::Text(text))) => bridge.keys(Bytes::from(text)).await.is_ok(),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => true,
                Some(Ok(Message::Close(_)) | Err(_)) | None => false,
            },
        };
    }
}
