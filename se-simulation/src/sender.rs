//! The sender of se-runtime, between the store of the simulation and the receivers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::deliver::{Bell, Due, Note, Outbox, Post, Posted, Sending, deliver};
use se_runtime::{Clock as _, Stage, Stages, Timestamp, Unanswered};

use crate::db::{Refusal, Write};
use crate::executor::lock;
use crate::outbox::Delivery;
use crate::planted::Planted;
use crate::replica::Engine;
use crate::world::World;

/// A receiver that does not answer is waited for that long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A repeat that nothing holds up is not later than this.
const SLACK: Duration = Duration::from_secs(5);

/// Sends until this life ends.
pub(crate) async fn run(engine: Engine) {
    let world = Arc::clone(&engine.world);
    let mail = Mail {
        world: Arc::clone(&world),
        engine: engine.clone(),
        seen: Mutex::default(),
    };
    let ports = Sending {
        outbox: &mail,
        post: &mail,
        clock: &world.clock(engine.host),
        stages: &mail,
        policy: world.policy,
    };
    let mut bell = StoreBell {
        world: Arc::clone(&world),
        heard: 0,
    };
    deliver(ports, &mut bell).await;
    mail.check_sent();
    world.tell(&format!("r{} sends no more", engine.me()));
    engine.change(|life| life.sent = true);
}

/// The ports of one sender, and what must be so at each.
struct Mail {
    world: Arc<World>,
    engine: Engine,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Deliveries under way, with their jobs, and who the engine was when they were begun.
    under_way: BTreeMap<i64, (u64, String)>,
    /// What came of the last attempts.
    posted: BTreeMap<i64, Posted>,
    /// When repeats are due, by the true time, and who noted that.
    again: BTreeMap<i64, (u64, Timestamp)>,
    /// When it was not answered what came of them, by the true time, and who did not note it.
    unnoted: BTreeMap<i64, (u64, Timestamp)>,
    /// When it was idle first, by its clock.
    idle: Option<Timestamp>,
    /// Whether the store did not answer when it was asked last.
    failed: bool,
}

type Letter = Arc<Delivery>;

impl Outbox for Mail {
    type Letter = Letter;

    fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Due<Letter>>, Unanswered>> {
        Box::pin(async move {
            let world = &self.world;
            let read = self.engine.read();
            lock(&self.seen).failed = read.is_err();
            world.sleep(0, 40).await;
            let due = read?.outbox.due(self.engine.me(), now, world.bug);
            let due = due.into_iter().take(limit).map(|(id, letter)| Due {
                id,
                attempts: letter.attempts,
                created_at: letter.created_at,
                letter,
            });
            Ok(due.collect())
        })
    }

    fn next_due(&self) -> BoxFuture<'_, Result<Option<Timestamp>, Unanswered>> {
        Box::pin(async move {
            let db = self.engine.read()?;
            Ok(db.outbox.next_due(self.engine.me()))
        })
    }

    fn note<'a>(
        &'a self,
        due: &'a Due<Letter>,
        note: Note,
    ) -> BoxFuture<'a, Result<(), Unanswered>> {
        Box::pin(async move {
            let world = &self.world;
            self.check_note(due, &note);
            let at = world.clock(self.engine.host).now();
            let again = match &note {
                Note::Again { at: again, .. } => Some(world.now().after(again.since(at))),
                _ => None,
            };
            let (id, me) = (due.id, self.engine.me());
            let noted = self.engine.write(Write::Note { id, note, at }).await;
            let mut seen = lock(&self.seen);
            if noted.is_ok()
                && let Some(again) = again
            {
                seen.again.insert(id, (me, again));
            }
            if matches!(noted, Err(Refusal::Unavailable)) {
                seen.unnoted.insert(id, (me, world.now()));
                return Err(Unanswered);
            }
            Ok(())
        })
    }
}

impl Post<Letter> for Mail {
    fn post<'a>(&'a self, due: &'a Due<Letter>) -> BoxFuture<'a, Posted> {
        Box::pin(async move {
            self.begin(due);
            let posted = self.attempt(&due.letter).await;
            let mut seen = lock(&self.seen);
            seen.under_way.remove(&due.id);
            seen.posted.insert(due.id, posted.clone());
            drop(seen);
            if self.world.bug == Some(Planted::SentUnanswered) {
                return Posted::Arrived;
            }
            posted
        })
    }
}

impl Mail {
    /// One attempt over a net that loses requests and answers.
    async fn attempt(&self, letter: &Delivery) -> Posted {
        let world = &self.world;
        world.sleep(2, 80).await;
        let lost = || Posted::Failed("no answer".to_owned());
        if world.misfortune(10) {
            return lost();
        }
        let answer = world.receiver.take(world, letter);
        match answer {
            Posted::Failed(_) if world.chance.one_in(2) => world.executor.sleep(TIMEOUT).await,
            _ if world.misfortune(40) => {
                world.executor.sleep(TIMEOUT).await;
                return lost();
            }
            _ => world.sleep(2, 80).await,
        }
        if world.misfortune(10) { lost() } else { answer }
    }

    /// No more at once than may be, one of a stream, and none later than it is due.
    fn begin(&self, due: &Due<Letter>) {
        let world = &self.world;
        let job = &due.letter.job;
        let mut seen = lock(&self.seen);
        let key = (self.engine.me(), job.clone());
        let is_second = seen.under_way.values().any(|it| *it == key);
        seen.under_way.insert(due.id, key);
        let many = seen.under_way.len();
        let again = seen.again.remove(&due.id);
        let unnoted = seen.unnoted.remove(&due.id);
        // As another it does not know what became of it meanwhile.
        let again = again.filter(|it| it.0 == self.engine.me()).map(|it| it.1);
        drop(seen);
        if is_second {
            world.breaks(&format!("two events of {job} are sent at once"));
        }
        let works = self.engine.now() != Stage::Idle;
        let most = world.policy.at_once;
        if many > most {
            world.breaks(&format!("{many} events are sent at once, not {most}"));
        }
        let known = world.known();
        let odd = known.odd_time || world.store.read().jobs.len() > most;
        let at_once = unnoted.is_some_and(|(me, at)| {
            let since = world.now().since(at);
            me == self.engine.me() && since < world.policy.look_again / 2
        });
        if at_once && works && !known.odd_time {
            world.breaks(&format!(
                "an event of {job} is sent again at once: what came of it could not be noted"
            ));
        }
        let from = again.map_or_else(|| world.now(), |it| it.max(known.trouble));
        drop(known);
        if !odd && world.now().since(from) > SLACK {
            world.breaks(&format!("an event of {job} is sent late: due at {from}"));
        }
    }

    /// What is noted is what happened, and what the policy says.
    fn check_note(&self, due: &Due<Letter>, note: &Note) {
        let (world, policy) = (&self.world, self.world.policy);
        let now = world.clock(self.engine.host).now();
        let is_over = now.since(due.created_at) >= policy.patience;
        let doubled = Duration::from_secs(1 << due.attempts.min(20));
        let next = now.after(doubled.min(policy.longest_wait));
        let posted = lock(&self.seen).posted.remove(&due.id);
        let fits = match (&posted, note) {
            (Some(Posted::Arrived), Note::Delivered) | (Some(Posted::Gone(_)), Note::Gone(_)) => {
                true
            }
            (Some(Posted::Failed(_)), Note::Dead(_)) => is_over,
            (Some(Posted::Failed(_)), Note::Again { at, .. }) => !is_over && *at == next,
            _ => false,
        };
        let (job, seq) = (&due.letter.job, due.letter.seq);
        world.tell(&format!(
            "{job} r{} event {seq}: {note:?}",
            self.engine.me()
        ));
        if !fits {
            let since = now.since(due.created_at);
            world.breaks(&format!(
                "event {seq} of {job} came to {posted:?} and {note:?} after {since:?}"
            ));
        }
    }

    /// Nothing that its own jobs put in is left, when it leaves, that it has not even tried to send.
    fn check_sent(&self) {
        let world = &self.world;
        let seen = lock(&self.seen);
        let idle = seen.idle.unwrap_or_default();
        let known = world.known();
        if known.odd_time || known.power_failed || seen.failed {
            return;
        }
        drop(known);
        let db = world.store.read();
        let me = self.engine.me();
        let left = |it: &&Arc<Delivery>| {
            it.by == me && it.seq > 1 && it.attempts == 0 && it.due == it.created_at
        };
        let due = db.outbox.due(me, idle, None);
        if let Some(it) = due.iter().map(|(_, it)| it).find(left) {
            let (job, seq) = (&it.job, it.seq);
            world.breaks(&format!("r{me} leaves without event {seq} of {job}"));
        }
    }
}

impl Stages for Mail {
    fn now(&self) -> Stage {
        let stage = self.engine.now();
        if stage == Stage::Idle {
            let now = self.world.clock(self.engine.host).now();
            lock(&self.seen).idle.get_or_insert(now);
        }
        stage
    }

    fn after(&self, stage: Stage) -> BoxFuture<'_, ()> {
        self.engine.after(stage)
    }
}

/// Rings at every change of the store.
struct StoreBell {
    world: Arc<World>,
    heard: u64,
}

impl Bell for StoreBell {
    fn listen(&mut self) {
        self.heard = self.world.store.rings();
    }

    fn rings(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.world.store.rung(self.heard))
    }
}
