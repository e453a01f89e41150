//! What a transaction did, as the one who looks from outside sees it.

use std::time::Duration;

use se_runtime::Timestamp;

use crate::db::{Db, Write};
use crate::world::{Known, LEASE, World};

/// A job that may run does not wait longer where there is a place.
const PROMPT: Duration = Duration::from_secs(12);

#[derive(Default)]
pub(crate) struct Noted {
    by: u64,
    ended: Option<String>,
    buried: Vec<u64>,
    /// A delivery of which something was noted that somebody else sends.
    foreign: Option<i64>,
    /// Jobs that had an owner and have another.
    taken: Vec<String>,
    /// Jobs that nobody drives from here on.
    freed: Vec<String>,
    /// Jobs that somebody drives from here on.
    claimed: Vec<String>,
}

impl Noted {
    /// What `write` made of the store.
    pub(crate) fn of(by: u64, write: &Write, (before, after): (&Db, &Db)) -> Self {
        let mut noted = Self {
            by,
            ..Self::default()
        };
        if let Write::Append { job, batch } = write
            && batch.summary.status.is_final()
        {
            noted.ended = Some(job.clone());
        }
        if !matches!(write, Write::Leave) {
            let gone = |it: &&u64| !after.replicas.contains_key(*it);
            noted.buried = before.replicas.keys().filter(gone).copied().collect();
        }
        if let Write::Bury { other, beats } = write
            && before.replicas.get(other) == Some(beats)
        {
            noted.buried = vec![*other];
        }
        if let Write::Note { id, .. } = write {
            let owner = before.outbox.owner(*id);
            noted.foreign = (owner != Some(by)).then_some(*id);
        }
        for (id, job) in &after.jobs {
            let owner = before.jobs.get(id).map(|it| it.owner);
            let changes = match (owner, job.owner) {
                (None | Some(Some(_)), None) => &mut noted.freed,
                (Some(None), Some(_)) => &mut noted.claimed,
                (Some(Some(one)), Some(other)) if one != other => &mut noted.taken,
                _ => continue,
            };
            changes.push(id.clone());
        }
        noted
    }

    /// Whether it was one that may be, once it is on disk.
    pub(crate) fn check(self, world: &World) {
        let now = world.now();
        let by = self.by;
        let is_full = world.is_full();
        let mut known = world.known();
        let mut broken = Vec::new();
        if known.buried.contains(&by) {
            broken.push(format!("r{by} writes, which was declared dead"));
        }
        if let Some(job) = self.ended {
            known.ended.insert(job, now);
        }
        for other in self.buried {
            known.buried.insert(other);
            if has_lease(&known, other, now) {
                broken.push(format!("r{other} is declared dead and lives"));
            }
        }
        if let Some(id) = self.foreign {
            broken.push(format!("r{by} ends delivery {id}, which another sends"));
        }
        for job in self.taken {
            broken.push(format!("{job} is taken from its owner"));
        }
        for job in self.freed {
            known.free.insert(job, now);
        }
        for job in self.claimed {
            let since = known.free.remove(&job).unwrap_or_default();
            let since = since
                .max(known.no_place)
                .max(known.trouble.after(LEASE * 2));
            if now.since(since) > PROMPT && !is_full && !known.odd_time {
                broken.push(format!("{job} waits since {since}, and there is a place"));
            }
        }
        drop(known);
        broken.iter().for_each(|it| world.breaks(it));
    }
}

/// Whether a life may take its jobs for its own, by a clock that is right.
fn has_lease(known: &Known, no: u64, now: Timestamp) -> bool {
    let life = known.lives.get(&no).filter(|it| !it.is_over);
    life.is_some_and(|it| now.since(it.alive) < LEASE) && !known.odd_time
}
