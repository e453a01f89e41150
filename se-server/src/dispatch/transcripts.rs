//! What goes over the connectors of a job, handed to the store while the job runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use se_adapters::PodActions;
use se_runtime::Vault;
use se_store::{Piece, Store};
use tokio::sync::Mutex;

use crate::error::chain;

/// So much is kept of a connector of one job, in bytes; a device that talks without end must not fill the disk.
const MOST: usize = 4 << 20;

/// Keeps the transcripts of one job.
pub(super) struct Keeper {
    store: Store,
    job: String,
    /// Hides the secrets of the whole job; a transcript by itself knows those of its connector.
    vault: Vault,
    state: Said,
}

/// What was handed in, from one drive of a job to the next.
pub(super) type Said = Arc<Mutex<State>>;

#[derive(Default)]
pub(super) struct State {
    /// What the store has not taken yet.
    pending: Vec<Piece>,
    /// How much there is of each connector.
    kept: BTreeMap<String, usize>,
}

impl Keeper {
    pub(super) fn new(store: Store, job: &str, vault: &Vault, state: Said) -> Self {
        Self {
            store,
            job: job.to_owned(),
            vault: vault.clone(),
            state,
        }
    }

    /// Hands in what is new. What the store does not take is handed in with what comes next.
    pub(super) async fn keep(&self, part: Option<&str>, pod: &PodActions, last: bool) {
        // Held across the write: pieces arrive in their order.
        let mut state = self.state.lock().await;
        for (connector, transcript) in pod.sessions().transcripts() {
            if let Some(news) = transcript.news(last) {
                let connector = named(part, connector);
                state.add(connector, news.at, self.vault.mask_text(&news.text));
            }
        }
        if state.pending.is_empty() {
            return;
        }
        let pieces = state.pending.clone();
        match self.store.keep_transcripts(&self.job, pieces).await {
            Ok(()) => state.pending.clear(),
            Err(error) => {
                tracing::warn!(job = self.job, error = %chain(&error), "transcripts not kept yet");
            }
        }
    }
}

fn named(part: Option<&str>, connector: String) -> String {
    part.map_or(connector.clone(), |it| format!("{it}.{connector}"))
}

impl State {
    fn add(&mut self, connector: String, at: se_runtime::Timestamp, mut text: String) {
        let kept = self.kept.entry(connector.clone()).or_default();
        if *kept >= MOST {
            return;
        }
        *kept += text.len();
        if *kept >= MOST {
            text.push_str("(what came later is not kept: it is too much)\n");
        }
        self.pending.push(Piece {
            connector,
            at,
            text,
        });
    }
}
