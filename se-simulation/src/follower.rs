//! Readers of event streams: the follower of se-runtime over a hub that says little to those who are slow.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use futures_util::future::{Either, select};
use se_runtime::follow::{Follow, Heard, Placed, Source};
use se_runtime::{Record, Unanswered};

use crate::executor::lock;
use crate::planted::Planted;
use crate::world::World;

/// Events kept for a reader that is slow.
const KEPT: usize = 3;
/// Events read in one go.
const PAGE: usize = 5;

/// An event as a stream shows it.
#[derive(Clone, Debug)]
pub(crate) struct Shown(Arc<Record>);

impl Placed for Shown {
    fn place(&self) -> u64 {
        self.0.seq
    }

    fn is_last(&self) -> bool {
        self.0.event.is_last()
    }
}

/// Where a reader of one job hears what was committed.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    job: String,
    inner: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    said: VecDeque<Heard<Shown>>,
    waker: Option<Waker>,
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.0.seq == other.0.seq
    }
}

impl Ear {
    /// To who follows that job; who falls behind is told to read.
    pub(crate) fn say(&self, world: &World, job: &str, record: &Arc<Record>) {
        if job != self.job {
            return;
        }
        let is_slow = lock(&self.inner).said.len() >= KEPT;
        if is_slow || world.misfortune(40) {
            self.look();
        } else {
            self.put(Heard::Event(Shown(Arc::clone(record))));
        }
    }

    /// Something was committed of which nothing is said.
    pub(crate) fn look(&self) {
        lock(&self.inner).said.clear();
        self.put(Heard::Look);
    }

    fn put(&self, said: Heard<Shown>) {
        let mut kept = lock(&self.inner);
        kept.said.push_back(said);
        if let Some(waker) = kept.waker.take() {
            waker.wake();
        }
    }

    async fn next(&self) -> Heard<Shown> {
        std::future::poll_fn(|context| {
            let mut kept = lock(&self.inner);
            if let Some(said) = kept.said.pop_front() {
                return Poll::Ready(said);
            }
            kept.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Reads the stream of a job to its end, through one replica after the other.
pub(crate) async fn run(world: Arc<World>, job: String) {
    world.sleep(0, 20_000).await;
    let mut after = 0;
    loop {
        let Some(no) = world.any_life() else {
            world.sleep(100, 1000).await;
            continue;
        };
        let source = Stream::open(&world, no, &job);
        let mut follow = Follow::new(source, after);
        while let Some(Shown(record)) = follow.next().await {
            check(&world, &job, &record, after);
            after = record.seq;
            if record.event.is_last() {
                world.known().following -= 1;
                return;
            }
            if world.chance.one_in(8) {
                // Slow, now and then.
                world.sleep(100, 4000).await;
            }
        }
        world.sleep(100, 2000).await;
    }
}

/// Each once, in order, and only what is on disk.
fn check(world: &World, job: &str, record: &Record, after: u64) {
    let seq = record.seq;
    if seq != after + 1 {
        world.breaks(&format!("a stream of {job} shows {seq} after {after}"));
    }
    let durable = world.store.durable();
    let row = durable.jobs.get(job);
    let is_there = row.is_some_and(|it| it.log.iter().any(|it| **it == *record));
    if !is_there {
        world.breaks(&format!(
            "a stream of {job} shows {seq}, which is not on disk"
        ));
    }
}

/// The events of a job, through one replica.
struct Stream {
    world: Arc<World>,
    no: u64,
    job: String,
    ear: Arc<Ear>,
}

impl Stream {
    fn open(world: &Arc<World>, no: u64, job: &str) -> Self {
        let ear = Arc::new(Ear {
            job: job.to_owned(),
            ..Ear::default()
        });
        world.store.listen(&ear);
        Self {
            world: Arc::clone(world),
            no,
            job: job.to_owned(),
            ear,
        }
    }

    /// Ends when the replica does not serve any more.
    async fn over(&self) {
        while self.serves() {
            self.world.sleep(500, 3000).await;
        }
    }

    fn serves(&self) -> bool {
        let known = self.world.known();
        known.lives.get(&self.no).is_some_and(|it| it.serves)
    }
}

impl Source for Stream {
    type Event = Shown;
    const DENSE: bool = true;

    async fn read(&mut self, after: u64) -> Result<(Vec<Shown>, bool), Unanswered> {
        let world = &self.world;
        world.sleep(0, 60).await;
        if world.store.is_out(world) || world.misfortune(30) {
            return Err(Unanswered);
        }
        let db = match world.bug {
            Some(Planted::StreamBeforeCommit) => world.store.newest(),
            _ => world.store.read(),
        };
        let log = db.jobs.get(&self.job).map(|it| &it.log);
        let rest = log.into_iter().flatten().filter(|it| it.seq > after);
        let mut page: Vec<Shown> = rest.map(|it| Shown(Arc::clone(it))).collect();
        let more = page.len() > PAGE;
        page.truncate(PAGE);
        Ok((page, more))
    }

    async fn hear(&mut self) -> Heard<Shown> {
        let (said, over) = (self.ear.next(), self.over());
        futures_util::pin_mut!(said, over);
        match select(said, over).await {
            Either::Left((said, _)) => said,
            Either::Right(_) => Heard::Over,
        }
    }
}
