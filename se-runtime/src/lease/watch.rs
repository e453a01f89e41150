//! Who gives signs of life.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::planted::{self, Bug};
use crate::time::Timestamp;

/// An engine on a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number; none is used twice.
    pub id: i64,
    /// How often it has said that it is alive.
    pub beats: i64,
    /// Whether its process is known to have ended: it ran on this machine, and is not there any more.
    pub is_gone: bool,
}

/// Sees by its own clock whose lease has run out.
#[derive(Debug)]
pub struct Watch {
    lease: Duration,
    seen: BTreeMap<i64, (i64, Timestamp)>,
}

impl Watch {
    /// A member that gives no sign for `lease` has lost it.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        let lease = if planted::is(Bug::LeaseTooShort) {
            lease / 4
        } else {
            lease
        };
        let seen = BTreeMap::new();
        Self { lease, seen }
    }

    /// Those of `members` that have given no sign since they were first seen with as many beats, a
    /// lease ago or longer. `now` is the time of a clock that never jumps.
    pub fn lost(&mut self, now: Timestamp, members: &[Member]) -> Vec<i64> {
        let mut seen = BTreeMap::new();
        let mut lost = Vec::new();
        for it in members {
            let since = match self.seen.get(&it.id) {
                Some((beats, since)) if *beats == it.beats => *since,
                _ => now,
            };
            seen.insert(it.id, (it.beats, since));
            if now.since(since) >= self.lease {
                lost.push(it.id);
            }
        }
        self.seen = seen;
        lost
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Member, Watch};
    use crate::time::Timestamp;

    fn member(id: i64, beats: i64) -> Member {
        let is_gone = false;
        Member { id, beats, is_gone }
    }

    #[test]
    fn a_lease_is_lost_by_a_whole_lease_without_a_sign() {
        let mut watch = Watch::new(Duration::from_secs(15));
        let mut lost = |second, members: &[Member]| {
            let now = Timestamp::default().after(Duration::from_secs(second));
            watch.lost(now, members)
        };
        assert!(lost(100, &[member(1, 7), member(2, 0)]).is_empty());
        assert!(lost(114, &[member(1, 7), member(2, 1)]).is_empty());
        assert_eq!(lost(115, &[member(1, 7), member(2, 1)]), [1]);
        assert_eq!(lost(116, &[member(1, 7), member(2, 1)]), [1]);
        assert!(lost(117, &[member(1, 8), member(2, 1)]).is_empty());
        // One that was gone is seen for the first time again.
        assert!(lost(118, &[member(1, 8)]).is_empty());
        assert!(lost(200, &[member(2, 1)]).is_empty());
        assert_eq!(lost(215, &[member(2, 1)]), [2]);
    }
}
