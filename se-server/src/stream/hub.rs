//! From the store to who listens: each event is put into words once, and given only to those who follow its job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use se_runtime::Accepted;
use se_runtime::event::{FrozenScopes, Map};
use se_store::{News, Result, Store};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};

use super::{Item, broken_off};
use crate::engine::Engine;

/// Events kept for a reader of one job that is slow; one that falls behind further reads the store.
const OF_JOB: usize = 16;
/// The same, for readers of all jobs.
const OF_ALL: usize = 1024;
/// Acceptances that are remembered.
const REMEMBERED: usize = 100;

/// What is said to who listens.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// This came next, at that place among the events of all jobs.
    Event(i64, Arc<Item>),
    /// Something came that could not be put into words here: read the store.
    Look,
}

/// Who listens to what. News are taken from the store only while somebody does.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    rooms: Mutex<Rooms>,
    opened: Notify,
    acceptances: Mutex<BTreeMap<String, Arc<Accepted>>>,
}

#[derive(Debug, Default)]
struct Rooms {
    jobs: BTreeMap<String, broadcast::Sender<Said>>,
    all: Option<broadcast::Sender<Said>>,
    /// News for who hands them on, from before the first began to listen.
    news: Option<broadcast::Receiver<Arc<News>>>,
    /// Whether news are handed on, or are about to be.
    is_open: bool,
    /// Whether nothing will ever be said again.
    is_over: bool,
}

/// A place to hear of one job. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Seat {
    /// Nothing once it is given up.
    heard: Option<broadcast::Receiver<Said>>,
    hub: Arc<Hub>,
    job: String,
}

impl Hub {
    /// From here on, the events of a job.
    pub(super) fn follow(self: &Arc<Self>, store: &Store, job: &str) -> Seat {
        let mut rooms = self.open(store);
        let seat = self.seat(&mut rooms, job);
        if rooms.is_over {
            rooms.jobs.clear();
        }
        seat
    }

    fn seat(self: &Arc<Self>, rooms: &mut Rooms, job: &str) -> Seat {
        let room = rooms.jobs.entry(job.to_owned());
        let room = room.or_insert_with(|| broadcast::Sender::new(OF_JOB));
        Seat {
            heard: Some(room.subscribe()),
            hub: Arc::clone(self),
            job: job.to_owned(),
        }
    }

    /// From here on, the events of all jobs.
    pub(super) fn follow_all(&self, store: &Store) -> broadcast::Receiver<Said> {
        let mut rooms = self.open(store);
        let room = rooms
            .all
            .get_or_insert_with(|| broadcast::Sender::new(OF_ALL));
        let heard = room.subscribe();
        if rooms.is_over {
            rooms.all = None;
        }
        heard
    }

    /// What a job was accepted as, as far as events tell it.
    pub(super) async fn accepted(&self, store: &Store, job: &str) -> Result<Arc<Accepted>> {
        if let Some(known) = lock(&self.acceptances).get(job) {
            return Ok(Arc::clone(known));
        }
        let mut accepted = store.accepted(job).await?;
        // What may be large, and is never told.
        accepted.scopes = FrozenScopes::default();
        if let Some(scenario) = &mut accepted.scenario {
            scenario.input = Map::new();
        }
        let accepted = Arc::new(accepted);
        let mut all = lock(&self.acceptances);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(job.to_owned(), Arc::clone(&accepted));
        Ok(accepted)
    }

    /// Somebody is about to listen: whatever is committed from here on will be said.
    fn open(&self, store: &Store) -> MutexGuard<'_, Rooms> {
        let mut rooms = lock(&self.rooms);
        if !rooms.is_open {
            rooms.is_open = true;
            rooms.news = Some(store.committed());
            self.opened.notify_one();
        }
        rooms
    }

    /// Ends once somebody listens.
    async fn opened(&self) -> broadcast::Receiver<Arc<News>> {
        loop {
            if let Some(news) = lock(&self.rooms).news.take() {
                return news;
            }
            self.opened.notified().await;
        }
    }

    /// Whether nobody listens; then no news are handed on until somebody does again.
    fn closes(&self) -> bool {
        let mut rooms = lock(&self.rooms);
        rooms.is_open = !rooms.jobs.is_empty() || rooms.follow_all();
        !rooms.is_open
    }

    fn is_wanted(&self, job: &str) -> bool {
        let rooms = lock(&self.rooms);
        rooms.follow_all() || rooms.jobs.contains_key(job)
    }

    /// To all who follow that job.
    fn say(&self, job: &str, said: &Said) {
        let rooms = lock(&self.rooms);
        for room in rooms.jobs.get(job).into_iter().chain(&rooms.all) {
            // An error means that nobody listens any more.
            room.send(said.clone()).ok();
        }
    }

    /// To all.
    fn say_look(&self) {
        let rooms = lock(&self.rooms);
        for room in rooms.jobs.values().chain(&rooms.all) {
            room.send(Said::Look).ok();
        }
    }

    /// Lets all who listen know that nothing more will be said.
    fn end(&self) {
        *lock(&self.rooms) = Rooms {
            is_open: true,
            is_over: true,
            ..Rooms::default()
        };
    }
}

impl Rooms {
    /// Whether anybody follows all jobs.
    fn follow_all(&self) -> bool {
        self.all.as_ref().is_some_and(|it| it.receiver_count() > 0)
    }
}

impl Seat {
    /// What is said next.
    pub(super) async fn hear(&mut self) -> Result<Said, RecvError> {
        match &mut self.heard {
            Some(heard) => heard.recv().await,
            None => Err(RecvError::Closed),
        }
    }

    fn leave(&mut self) {
        let mut rooms = lock(&self.hub.rooms);
        // Given up while nobody else counts: the last of some who leave together finds itself alone.
        self.heard = None;
        let room = rooms.jobs.get(&self.job);
        if room.is_some_and(|it| it.receiver_count() == 0) {
            rooms.jobs.remove(&self.job);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Hands news on until the engine stops.
pub(crate) async fn run(engine: Arc<Engine>) {
    let handing_on = async {
        loop {
            let news = engine.hub.opened().await;
            hand_on(&engine, news).await;
        }
    };
    // Dropped wherever it is: who listens goes on from the store.
    tokio::select! {
        () = handing_on => {}
        () = engine.tasks.stopping() => {}
    }
    engine.hub.end();
}

/// Ends when nobody listens.
async fn hand_on(engine: &Engine, mut news: broadcast::Receiver<Arc<News>>) {
    let hub = &engine.hub;
    loop {
        match news.recv().await {
            Ok(_) if hub.closes() => return,
            Ok(news) if !hub.is_wanted(&news.job_id) => {}
            Ok(news) => {
                let said = match said(engine, &news).await {
                    Ok(item) => Said::Event(news.position, Arc::new(item)),
                    Err(error) => {
                        broken_off(&error);
                        Said::Look
                    }
                };
                hub.say(&news.job_id, &said);
            }
            Err(RecvError::Lagged(_)) => hub.say_look(),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn said(engine: &Engine, news: &News) -> Result<Item> {
    let (store, public) = (&engine.store, &engine.config.server.public_url);
    let accepted = engine.hub.accepted(store, &news.job_id).await?;
    if let Some(record) = &news.record {
        return Ok(Item::new(public, &accepted, record));
    }
    let before = news.seq.saturating_sub(1);
    let read = store.events(&news.job_id, before, 1).await?.records.pop();
    let record = read.ok_or_else(|| se_store::Error::NotFound {
        what: format!("event {} of job {}", news.seq, news.job_id),
    })?;
    Ok(Item::new(public, &accepted, &record))
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Hub, lock};

    #[test]
    fn readers_that_leave_at_the_same_time_leave_no_room_behind() {
        let hub = Arc::new(Hub::default());
        let [mut one, mut other] = [(); 2].map(|()| hub.seat(&mut lock(&hub.rooms), "a"));
        // On two threads, both may have left before either is dropped whole.
        one.leave();
        assert!(lock(&hub.rooms).jobs.contains_key("a"));
        other.leave();
        assert!(lock(&hub.rooms).jobs.is_empty());
    }
}
