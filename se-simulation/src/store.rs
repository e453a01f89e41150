//! A durable store: one writer that commits what waits in one group, on a disk that may lose what it
//! was not told to keep.

use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};

use futures_channel::oneshot;
use se_runtime::Timestamp;
use se_runtime::dispatch::Told;

use crate::db::{Answer, Db, Refusal, Write};
use crate::executor::{Owner, lock};
use crate::follower::Ear;
use crate::noted::Noted;
use crate::outside;
use crate::planted::Planted;
use crate::world::World;

#[derive(Default)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What readers see.
    current: Arc<Db>,
    /// What a power failure leaves for certain.
    synced: Arc<Db>,
    /// Written, not synced: any of them may be what a power failure leaves.
    unsynced: Vec<Arc<Db>>,
    /// A transaction as far as it had been written.
    torn: Option<Arc<Db>>,
    queue: Vec<Request>,
    writer: Option<Waker>,
    /// Nothing is written until then.
    out_until: Timestamp,
    groups: u64,
    /// How often something was committed, and who wants to know of the next time.
    rings: u64,
    /// What has been told of so often.
    told: Told,
    listeners: Vec<Waker>,
    /// Who follows streams.
    ears: Vec<Weak<Ear>>,
}

struct Request {
    by: u64,
    write: Write,
    answer: oneshot::Sender<Result<Answer, Refusal>>,
}

impl Store {
    /// What readers see.
    pub(crate) fn read(&self) -> Arc<Db> {
        Arc::clone(&lock(&self.inner).current)
    }

    /// What is there whatever happens.
    pub(crate) fn durable(&self) -> Arc<Db> {
        Arc::clone(&lock(&self.inner).synced)
    }

    /// The newest that was written, whether synced or not.
    pub(crate) fn newest(&self) -> Arc<Db> {
        let inner = lock(&self.inner);
        Arc::clone(inner.unsynced.last().unwrap_or(&inner.current))
    }

    pub(crate) async fn write(&self, by: u64, write: Write) -> Result<Answer, Refusal> {
        let (answer, answered) = oneshot::channel();
        {
            let mut inner = lock(&self.inner);
            inner.queue.push(Request { by, write, answer });
            if let Some(writer) = inner.writer.take() {
                writer.wake();
            }
        }
        answered.await.unwrap_or(Err(Refusal::Unavailable))
    }

    pub(crate) fn fail_until(&self, until: Timestamp) {
        lock(&self.inner).out_until = until;
    }

    /// Power fails: what was synced stays, and of the rest whatever chance leaves.
    pub(crate) fn crash(&self, world: &World) {
        let mut inner = lock(&self.inner);
        let mut left = vec![Arc::clone(&inner.synced)];
        left.append(&mut inner.unsynced);
        let mut kept = left.swap_remove(world.chance.place(left.len()));
        if let Some(torn) = inner.torn.take()
            && world.bug == Some(Planted::TornTaken)
        {
            kept = torn;
        }
        inner.current = Arc::clone(&kept);
        inner.synced = kept;
        // Dropping the callers' ends tells them that nobody knows.
        let queue = std::mem::take(&mut inner.queue);
        inner.writer = None;
        drop(inner);
        drop(queue);
    }

    /// Whether it answers nobody at the moment.
    pub(crate) fn is_out(&self, world: &World) -> bool {
        world.now() < lock(&self.inner).out_until
    }

    /// How often something was committed.
    pub(crate) fn rings(&self) -> u64 {
        lock(&self.inner).rings
    }

    /// Ends when something was committed since it was so often.
    pub(crate) async fn rung(&self, heard: u64) {
        std::future::poll_fn(|context| {
            let mut inner = lock(&self.inner);
            if inner.rings != heard {
                return Poll::Ready(());
            }
            inner.listeners.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// How often it has told of what.
    pub(crate) fn told(&self) -> Told {
        lock(&self.inner).told
    }

    /// From here on, what is committed is said there.
    pub(crate) fn listen(&self, ear: &Arc<Ear>) {
        lock(&self.inner).ears.push(Arc::downgrade(ear));
    }

    fn ears(&self) -> Vec<Arc<Ear>> {
        let mut inner = lock(&self.inner);
        inner.ears.retain(|it| it.strong_count() > 0);
        inner.ears.iter().filter_map(Weak::upgrade).collect()
    }

    fn ring(&self, told: Told) {
        let mut inner = lock(&self.inner);
        inner.rings += 1;
        inner.told.jobs += told.jobs;
        inner.told.cancels += told.cancels;
        let listeners = std::mem::take(&mut inner.listeners);
        drop(inner);
        listeners.into_iter().for_each(Waker::wake);
    }

    async fn next_group(&self) {
        std::future::poll_fn(|context| {
            let mut inner = lock(&self.inner);
            if inner.queue.is_empty() {
                inner.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// Of everything.
const ALL: Told = Told {
    jobs: 1,
    cancels: 1,
};

/// What a commit tells of; to other replicas, of everything.
fn tells(world: &World, write: &Write) -> Option<Told> {
    let (jobs, cancels) = match write {
        Write::Beat => return None,
        _ if !world.alone => return Some(ALL),
        Write::Register { .. } | Write::Bury { .. } | Write::Leave | Write::Release(_) => (1, 1),
        Write::Submit(_) => (1, 0),
        Write::Append { batch, .. } => (u64::from(batch.summary.status.is_final()), 0),
        Write::Wish { .. } => (0, 1),
        Write::Claim { .. }
        | Write::ClaimCancelled { .. }
        | Write::Note { .. }
        | Write::Resend { .. }
        | Write::Adopt => (0, 0),
    };
    Some(Told { jobs, cancels })
}

/// Starts the writer.
pub(crate) fn start(world: &Arc<World>) {
    // Whoever connects again looks for what it has missed.
    world.store.ring(ALL);
    world.store.ears().iter().for_each(|it| it.look());
    world
        .executor
        .spawn(Owner::Database, serve(Arc::clone(world)));
}

async fn serve(world: Arc<World>) {
    loop {
        world.store.next_group().await;
        world.sleep(0, 2).await;
        let (group, is_out) = {
            let mut inner = lock(&world.store.inner);
            let is_out = world.executor.now() < inner.out_until;
            (std::mem::take(&mut inner.queue), is_out)
        };
        if is_out || world.misfortune(150) {
            world.tell("the store takes nothing");
            refuse(group.into_iter().map(|it| it.answer));
        } else {
            commit(&world, group).await;
        }
    }
}

fn refuse(callers: impl Iterator<Item = oneshot::Sender<Result<Answer, Refusal>>>) {
    for caller in callers {
        caller.send(Err(Refusal::Unavailable)).ok();
    }
}

async fn commit(world: &Arc<World>, group: Vec<Request>) {
    let bug = world.bug;
    let mut next = Db::clone(&world.store.newest());
    let mut torn = None;
    let mut answers = Vec::new();
    let mut notes = Vec::new();
    let mut rings: Option<Told> = None;
    for Request { by, write, answer } in group {
        if let Some(told) = tells(world, &write) {
            let sum = rings.get_or_insert_default();
            sum.jobs += told.jobs;
            sum.cancels += told.cancels;
        }
        let before = next.clone();
        let taken = next.take(by, write.clone(), bug);
        if taken.is_ok() {
            notes.push(Noted::of(by, &write, (&before, &next)));
        }
        answers.push((answer, taken));
        torn = Some(Db {
            outbox: before.outbox,
            ..next.clone()
        });
    }
    let next = Arc::new(next);
    let early = bug == Some(Planted::AnsweredBeforeCommit);
    {
        let mut inner = lock(&world.store.inner);
        inner.groups += 1;
        inner.unsynced.push(Arc::clone(&next));
        inner.torn = torn.map(Arc::new);
        if early {
            inner.current = Arc::clone(&next);
        }
    }
    if early {
        return finish(world, answers, notes, (next, rings)).await;
    }
    // The likeliest place for a crash to do harm.
    if world.misfortune(400) {
        outside::cut_power(world);
    }
    world.sleep(0, 8).await;
    if world.misfortune(200) {
        world.tell("the disk does not take it");
        lock(&world.store.inner).unsynced.clear();
        return refuse(answers.into_iter().map(|it| it.0));
    }
    finish(world, answers, notes, (next, rings)).await;
}

type Answered = (
    oneshot::Sender<Result<Answer, Refusal>>,
    Result<Answer, Refusal>,
);

async fn finish(
    world: &Arc<World>,
    answers: Vec<Answered>,
    notes: Vec<Noted>,
    (next, rings): (Arc<Db>, Option<Told>),
) {
    let early = world.bug == Some(Planted::AnsweredBeforeCommit);
    let note = || notes.into_iter().for_each(|it| it.check(world));
    if early {
        reply(world, answers);
        world.sleep(0, 8).await;
        publish(world, next, rings);
        note();
    } else {
        publish(world, next, rings);
        note();
        reply(world, answers);
    }
}

fn publish(world: &World, next: Arc<Db>, rings: Option<Told>) {
    let before = world.store.read();
    keep(world, Arc::clone(&next));
    say(world, &before, &next);
    if let Some(told) = rings {
        world.store.ring(told);
    }
}

/// To all who follow, what is new.
fn say(world: &World, before: &Db, next: &Db) {
    let ears = world.store.ears();
    if ears.is_empty() {
        return;
    }
    for (id, job) in &next.jobs {
        let known = before.jobs.get(id).map_or(0, |it| it.log.len());
        for record in job.log.iter().skip(known) {
            ears.iter().for_each(|it| it.say(world, id, record));
        }
    }
}

fn keep(world: &World, next: Arc<Db>) {
    let mut inner = lock(&world.store.inner);
    if world.bug == Some(Planted::FsyncDropped) {
        inner.current = next;
        return;
    }
    inner.current = Arc::clone(&next);
    inner.synced = next;
    inner.unsynced.clear();
    inner.torn = None;
}

/// An answer may get lost on its way, whatever it says.
fn reply(world: &World, answers: Vec<Answered>) {
    for (caller, answer) in answers {
        let lost = world.misfortune(150);
        caller
            .send(if lost {
                Err(Refusal::Unavailable)
            } else {
                answer
            })
            .ok();
    }
}
