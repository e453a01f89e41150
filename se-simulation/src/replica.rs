//! One life of a replica: a process that joins, has its parts run, and leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::{BoxFuture, pending};
use se_runtime::dispatch::Places;
use se_runtime::{Stage, Stages, Timestamp, Unanswered};

use crate::db::{Answer, Db, Refusal, Write};
use crate::executor::Owner;
use crate::planted::Planted;
use crate::world::{Life, World};
use crate::{dispatcher, lease, sender};

/// A process, as its parts see it.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) world: Arc<World>,
    /// Number of the process.
    pub(crate) process: u64,
    pub(crate) host: usize,
    pub(crate) places: Arc<Places>,
    /// Who it is in the store at the moment.
    replica: Arc<AtomicU64>,
}

/// Begins a life on a machine.
pub(crate) fn start(world: &Arc<World>, host: usize) {
    let process = world.known().number();
    let engine = Engine {
        world: Arc::clone(world),
        process,
        host,
        places: Arc::new(Places::new(world.places)),
        replica: Arc::default(),
    };
    world.tell(&format!("process {process} starts on machine {host}"));
    world.executor.spawn(Owner::Replica(process), live(engine));
}

/// Kills a life; the machine begins another one some time later.
pub(crate) fn kill(world: &Arc<World>, no: u64) {
    let known = world.known();
    let life = known.lives.get(&no).filter(|it| !it.is_over);
    let engine = life.map(|it| it.engine.clone());
    drop(known);
    if let Some(engine) = engine {
        end(world, &engine);
    }
}

fn end(world: &Arc<World>, engine: &Engine) {
    engine.change(|life| {
        life.is_over = true;
        life.serves = false;
    });
    world.executor.kill(Owner::Replica(engine.process));
    let (again, host) = (Arc::clone(world), engine.host);
    world.spawn_outside(async move {
        again.sleep(20, 4000).await;
        start(&again, host);
    });
}

async fn live(engine: Engine) {
    let world = &engine.world;
    if engine.join().await.is_err() {
        world.sleep(100, 500).await;
        // It has not even joined, or does not know what was left behind: it begins anew.
        return end(world, &engine);
    }
    engine.spawn(dispatcher::run(engine.clone()));
    engine.spawn(sender::run(engine.clone()));
    if !world.alone {
        engine.spawn(lease::run(engine.clone()));
    }
    engine.change(|life| life.serves = true);
    while !engine.has_sent() {
        world.sleep(50, 400).await;
    }
    while matches!(
        engine.write(Write::Leave).await,
        Err(it) if it != Refusal::Fenced
    ) {
        world.sleep(100, 500).await;
    }
    world.tell(&format!("r{} has drained", engine.me()));
    end(world, &engine);
}

impl Engine {
    /// Who it is at the moment.
    pub(crate) fn me(&self) -> u64 {
        self.replica.load(Ordering::SeqCst)
    }

    /// Joins as another.
    pub(crate) async fn join(&self) -> Result<(), Refusal> {
        let world = &self.world;
        let no = world.known().number();
        let asked = world.now();
        // Nobody else can be there: no lease is waited for.
        let alone = world.alone && world.bug != Some(Planted::NotClaimedAtStart);
        world
            .write_over(self.me(), no, Write::Register { alone })
            .await?;
        self.become_another(no, asked);
        let process = self.process;
        world.tell(&format!(
            "r{no} is process {process} on machine {}",
            self.host
        ));
        self.write(Write::Adopt).await.map(drop)
    }

    /// The life of this process goes on under another number.
    fn become_another(&self, no: u64, asked: Timestamp) {
        let former = self.replica.swap(no, Ordering::SeqCst);
        let mut known = self.world.known();
        let life = known.lives.remove(&former).unwrap_or_else(|| Life {
            engine: self.clone(),
            alive: asked,
            cut_until: Timestamp::default(),
            reads: true,
            told: BTreeSet::new(),
            draining: None,
            serves: false,
            sent: false,
            is_over: false,
        });
        known.lives.insert(
            no,
            Life {
                alive: asked,
                ..life
            },
        );
        known.no_place = self.world.now();
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Answer, Refusal> {
        self.world.write(self.me(), write).await
    }

    /// What is in the store, if it answers.
    pub(crate) fn read(&self) -> Result<Arc<Db>, Unanswered> {
        let world = &self.world;
        let known = world.known();
        let reads = known.lives.get(&self.me()).is_none_or(|it| it.reads);
        drop(known);
        let is_cut = !reads && world.cut(self.me()).is_some();
        if is_cut || world.store.is_out(world) || world.misfortune(30) {
            return Err(Unanswered);
        }
        Ok(world.store.read())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Life)) {
        if let Some(life) = self.world.known().lives.get_mut(&self.me()) {
            change(life);
        }
    }

    pub(crate) fn spawn(&self, part: impl Future<Output = ()> + Send + 'static) {
        let owner = Owner::Replica(self.process);
        self.world.executor.spawn(owner, part);
    }

    /// Whether all that it did has ended.
    fn has_sent(&self) -> bool {
        let is_idle = self.now() == Stage::Idle;
        let known = self.world.known();
        let life = known.lives.get(&self.me());
        is_idle && life.is_some_and(|it| it.sent)
    }
}

impl Stages for Engine {
    fn now(&self) -> Stage {
        let known = self.world.known();
        match known.lives.get(&self.me()) {
            Some(life) if life.draining.is_none() => Stage::Works,
            Some(_) if self.places.counts().0 > 0 => Stage::Stops,
            _ => Stage::Idle,
        }
    }

    fn after(&self, stage: Stage) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while stage == Stage::Idle || self.now() == stage {
                match stage {
                    Stage::Works => self.world.sleep(100, 700).await,
                    Stage::Stops => self.world.sleep(10, 100).await,
                    Stage::Idle => pending().await,
                }
            }
        })
    }
}
