//! What goes over the connectors of a job, handed to the store while the job runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_adapters::PodActions;
use se_runtime::Vault;
use se_store::{Piece, Store};
use tokio::sync::Mutex;

use crate::error::chain;

/// So much is kept of a connector of one job, in bytes; a device that talks without end must not fill the disk.
const MOST: usize = 4 << 20;
/// How what is kept ends, where that is not all.
const CUT: &str = "(what came later is not kept: it is too much)\n";

/// Keeps the transcripts of one job.
pub(super) struct Keeper {
    store: Store,
    job: String,
    /// Hides the secrets of the whole job; a transcript by itself knows those of its connector.
    vault: Vault,
    state: Said,
}

/// What the store has not taken yet.
#[derive(Default)]
struct Waiting {
    pieces: Vec<Piece>,
    /// What the store is at, and how many pieces, the first, that is. Whoever waited for it may have gone.
    writing: Option<(usize, Write)>,
}

type Write = BoxFuture<'static, se_store::Result<()>>;

/// What was handed in, from one drive of a job to the next.
pub(super) type Said = Arc<Mutex<State>>;

#[derive(Default)]
pub(super) struct State {
    waiting: Waiting,
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

    /// Hands in what is new. What the store does not take is handed in with what comes next. Where this is dropped,
    /// the store goes on, and what is handed in next waits for it.
    pub(super) async fn keep(&self, part: Option<&str>, pod: &PodActions, last: bool) {
        // Held across the write: pieces arrive in their order.
        let mut state = self.state.lock().await;
        for (connector, transcript) in pod.sessions().transcripts() {
            if let Some(news) = transcript.news(last) {
                let connector = named(part, connector);
                state.add(connector, news.at, self.vault.mask_text(&news.text));
            }
        }
        let write = |pieces| {
            let (store, job) = (self.store.clone(), self.job.clone());
            async move { store.keep_transcripts(&job, pieces).await }.boxed()
        };
        if let Err(error) = state.waiting.hand_in(write).await {
            tracing::warn!(job = self.job, error = %chain(&error), "transcripts not kept yet");
        }
    }
}

impl Waiting {
    /// Returns once all is taken. May be dropped anywhere: nothing is lost, and nothing handed in twice.
    async fn hand_in(&mut self, write: impl Fn(Vec<Piece>) -> Write) -> se_store::Result<()> {
        while self.writing.is_some() || !self.pieces.is_empty() {
            let (all, mine) = (&self.pieces, self.writing.is_none());
            let (count, writing) = self
                .writing
                .get_or_insert_with(|| (all.len(), write(all.clone())));
            let (count, written) = (*count, writing.await);
            self.writing = None;
            match written {
                Ok(()) => drop(self.pieces.drain(..count)),
                Err(error) if mine => return Err(error),
                // What was begun before has failed; this call has not tried yet.
                Err(_) => {}
            }
        }
        Ok(())
    }
}

fn named(part: Option<&str>, connector: String) -> String {
    part.map_or(connector.clone(), |it| format!("{it}.{connector}"))
}

impl State {
    fn add(&mut self, connector: String, at: se_runtime::Timestamp, mut text: String) {
        let kept = self.kept.entry(connector.clone()).or_default();
        if *kept == MOST {
            return;
        }
        // There is always room to say that it was cut.
        let room = MOST - CUT.len() - *kept;
        if text.len() > room {
            let mut lines = text.as_bytes().iter().take(room);
            let whole = lines.rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
            text.truncate(whole);
            text.push_str(CUT);
            *kept = MOST;
        } else {
            *kept += text.len();
        }
        self.waiting.pieces.push(Piece {
            connector,
            at,
            text,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;
    use futures_util::future::ready;
    use se_runtime::Timestamp;
    use se_store::Piece;
    use tokio::sync::oneshot;

    use super::{CUT, MOST, State, Waiting};

    fn piece(text: &str) -> Piece {
        Piece {
            connector: "r1".to_owned(),
            at: Timestamp::from_micros(0),
            text: text.to_owned(),
        }
    }

    /// What the store was handed where it was slow to take the first piece, and nobody waited for it any more.
    async fn handed_in(fails: bool) -> Vec<Vec<String>> {
        let kept = Mutex::new(Vec::new());
        let keep = |pieces: Vec<Piece>| {
            let texts = pieces.into_iter().map(|it| it.text);
            kept.lock().unwrap().push(texts.collect::<Vec<_>>());
        };
        let mut waiting = Waiting::default();
        waiting.pieces.push(piece("first"));
        let (done, slow) = oneshot::channel();
        let slow = Mutex::new(Some(slow));
        let write = |pieces: Vec<Piece>| {
            keep(pieces);
            let slow = slow.lock().unwrap().take().unwrap();
            slow.map(Result::unwrap).boxed()
        };
        assert!(waiting.hand_in(write).now_or_never().is_none());
        waiting.pieces.push(piece("second"));
        let failed = se_store::Error::NotFound {
            what: "room".to_owned(),
        };
        done.send(if fails { Err(failed) } else { Ok(()) }).unwrap();
        let write = |pieces| {
            keep(pieces);
            ready(Ok(())).boxed()
        };
        waiting.hand_in(write).await.unwrap();
        assert!(waiting.pieces.is_empty());
        kept.into_inner().unwrap()
    }

    #[test]
    fn no_more_is_handed_in_than_is_kept() {
        let line = format!("{}\n", "ü".repeat(100));
        for lines in [1, 1000, MOST / 150] {
            let mut state = State::default();
            for _ in 0..=(MOST / lines / line.len()) {
                let at = Timestamp::from_micros(0);
                state.add("r1".to_owned(), at, line.repeat(lines));
            }
            let pieces = state.waiting.pieces.iter().map(|it| it.text.as_str());
            let text: String = pieces.collect();
            assert!(text.len() <= MOST, "{lines}: {}", text.len());
            let kept = text.strip_suffix(CUT).unwrap();
            assert!(
                kept.len() > MOST - 2 * line.len(),
                "{lines}: {}",
                kept.len()
            );
            assert!(kept.ends_with(&line), "{lines}");
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_kept_once_and_in_order() {
        assert_eq!(handed_in(false).await, [["first"], ["second"]]);
        let again = handed_in(true).await;
        assert_eq!(again, [vec!["first"], vec!["first", "second"]]);
    }
}
