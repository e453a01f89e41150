//! The deliveries in the store, by the rules of se-store.

use std::collections::BTreeMap;
use std::sync::Arc;

use se_runtime::Timestamp;
use se_runtime::deliver::Note;

use crate::planted::Planted;

/// What is to be delivered, in the order of the facts; what has arrived is not kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    all: BTreeMap<i64, Arc<Delivery>>,
    count: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) job: String,
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) attempts: u32,
    pub(crate) due: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) place: Place,
    /// The life that sends it.
    pub(crate) owner: Option<u64>,
    /// The life that put it in.
    pub(crate) by: u64,
    /// Whether somebody put it back in.
    pub(crate) resent: bool,
}

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first of its stream.
    Pending,
    /// Behind another of its stream.
    Waiting,
    Dead,
    Gone,
}

impl Delivery {
    /// Whether it is still on its way.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.place, Place::Pending | Place::Waiting)
    }
}

impl Outbox {
    pub(crate) fn all(&self) -> impl Iterator<Item = (i64, &Arc<Delivery>)> {
        self.all.iter().map(|(id, it)| (*id, it))
    }

    /// Who sends it.
    pub(crate) fn owner(&self, id: i64) -> Option<u64> {
        self.all.get(&id)?.owner
    }

    /// Those of a job.
    pub(crate) fn of<'o>(&'o self, job: &'o str) -> impl Iterator<Item = &'o Delivery> {
        let all = self.all.values().map(|it| &**it);
        all.filter(move |it| it.job == job)
    }

    /// Puts one in, at the end of its stream.
    pub(crate) fn put(&mut self, mut it: Delivery) {
        let stands = |place| self.of(&it.job).any(|other| other.place == place);
        it.place = if stands(Place::Gone) {
            Place::Gone
        } else if stands(Place::Pending) || stands(Place::Waiting) {
            Place::Waiting
        } else {
            Place::Pending
        };
        self.count += 1;
        self.all.insert(self.count, Arc::new(it));
    }

    /// What a life may send now, the longest due first.
    pub(crate) fn due(
        &self,
        owner: u64,
        now: Timestamp,
        bug: Option<Planted>,
    ) -> Vec<(i64, Arc<Delivery>)> {
        let reorders = bug == Some(Planted::DeliveriesReordered);
        let is_due = |it: &Delivery| {
            let is_head = it.place == Place::Pending || reorders && it.is_open();
            is_head && it.owner == Some(owner) && it.due <= now
        };
        let mut due: Vec<(i64, Arc<Delivery>)> = self
            .all()
            .filter(|(_, it)| is_due(it))
            .map(|(id, it)| (id, Arc::clone(it)))
            .collect();
        due.sort_by_key(|(id, it)| (it.due, *id));
        if reorders {
            due.reverse();
        }
        due
    }

    pub(crate) fn next_due(&self, owner: u64) -> Option<Timestamp> {
        let own = |it: &&Arc<Delivery>| it.place == Place::Pending && it.owner == Some(owner);
        self.all.values().filter(own).map(|it| it.due).min()
    }

    /// What came of an attempt; false if it is not on its way any more, or another's.
    pub(crate) fn note(&mut self, id: i64, note: Note, (now, by): (Timestamp, u64)) -> bool {
        let Some(it) = self.all.get_mut(&id).map(Arc::make_mut) else {
            return false;
        };
        if it.place != Place::Pending || it.owner != Some(by) {
            return false;
        }
        let job = it.job.clone();
        match note {
            Note::Again { at, .. } => {
                it.attempts += 1;
                it.due = at;
                return true;
            }
            Note::Delivered => drop(self.all.remove(&id)),
            Note::Dead(_) => (it.place, it.owner) = (Place::Dead, None),
            Note::Gone(_) => {
                let rest = self.all.values_mut();
                for it in rest.filter(|it| it.job == job && it.is_open()) {
                    let it = Arc::make_mut(it);
                    (it.place, it.owner) = (Place::Gone, None);
                }
                return true;
            }
        }
        self.promote(&job, now);
        true
    }

    /// The first that waits is due, unless another is.
    fn promote(&mut self, job: &str, now: Timestamp) {
        let mut of_job = self.all.values_mut().filter(|it| it.job == job);
        if let Some(it) = of_job.find(|it| it.place == Place::Waiting) {
            let it = Arc::make_mut(it);
            (it.place, it.due) = (Place::Pending, now);
        }
    }

    /// Puts back in what was given up or refused; whether it was.
    pub(crate) fn resend(&mut self, id: i64, by: u64, now: Timestamp) -> bool {
        let Some(it) = self.all.get_mut(&id).filter(|it| !it.is_open()) else {
            return false;
        };
        let it = Arc::make_mut(it);
        (it.place, it.owner, it.resent) = (Place::Waiting, Some(by), true);
        (it.attempts, it.due, it.created_at) = (0, now, now);
        let job = it.job.clone();
        if self.of(&job).all(|it| it.place != Place::Pending) {
            self.promote(&job, now);
        }
        true
    }

    /// An owner is no more.
    pub(crate) fn free(&mut self, owner: u64) {
        let own = |it: &&mut Arc<Delivery>| it.owner == Some(owner);
        for it in self.all.values_mut().filter(own) {
            Arc::make_mut(it).owner = None;
        }
    }

    pub(crate) fn has_left_behind(&self) -> bool {
        let mut all = self.all.values();
        all.any(|it| it.is_open() && it.owner.is_none())
    }

    /// Takes over what nobody sends.
    pub(crate) fn adopt(&mut self, by: u64) {
        let left = |it: &&mut Arc<Delivery>| it.is_open() && it.owner.is_none();
        for it in self.all.values_mut().filter(left) {
            Arc::make_mut(it).owner = Some(by);
        }
    }
}
