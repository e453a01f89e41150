//! Ports of workers that are given out: each to one holder, whatever asks at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use se_runtime::Timestamp;

use crate::error::{Doing, Error, Result};
use crate::sql;
use crate::store::Store;
use crate::writer::Tx;

const DOING: &str = "give out ports";

/// Ports that somebody wants on a worker.
#[derive(Clone, Debug)]
pub struct PortRequest {
    /// Where the ports are.
    pub worker: String,
    /// Who holds them, as [`port_holder`] calls it.
    pub holder: String,
    /// What each is called, and which port it must be, if it must be one.
    pub names: BTreeMap<String, Option<u16>>,
    /// From which the others are taken, lowest first.
    pub range: RangeInclusive<u16>,
}

/// Who holds the ports of a pod: the session, so that its later jobs have them too, or a job without one; of a part of
/// it, with the part's name behind it. Ports of whoever has a job that runs are not swept.
#[must_use]
pub fn port_holder(job_id: &str, session_id: Option<&str>, part: Option<&str>) -> String {
    let own = session_id.map_or_else(|| format!("job {job_id}"), str::to_owned);
    part.map_or(own.clone(), |part| format!("{own} {part}"))
}

impl Store {
    /// Gives each name a port that nobody else holds, the one it has already if it has one. All or none.
    ///
    /// # Errors
    /// [`Error::Conflict`] if a port that must be one is another's, or too few are free; [`Error::Unavailable`].
    pub async fn allocate_ports(&self, request: PortRequest) -> Result<BTreeMap<String, u16>> {
        let now = self.now();
        self.write(DOING, move |tx| Box::pin(allocate(tx, request, now)))
            .await
    }

    /// Gives back what `holder` has on `worker`: these names, or all. Gives how many ports are free again.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn release_ports(
        &self,
        worker: &str,
        holder: &str,
        names: Option<BTreeSet<String>>,
    ) -> Result<u64> {
        let (worker, holder) = (worker.to_owned(), holder.to_owned());
        self.write("give back ports", move |tx| {
            Box::pin(release(tx, worker, holder, names))
        })
        .await
    }

    /// What `holder` has on `worker`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn held_ports(&self, worker: &str, holder: &str) -> Result<BTreeMap<String, u16>> {
        let rows: Vec<(String, i64)> =
            sql::query("SELECT name, port FROM ports WHERE worker = $1 AND holder = $2")
                .bind(worker)
                .bind(holder)
                .fetch_all(&self.readers)
                .await
                .doing("read who holds ports")?;
        rows.into_iter()
            .map(|(name, port)| Ok((name, number(worker, port)?)))
            .collect()
    }
}

fn number(worker: &str, port: i64) -> Result<u16> {
    u16::try_from(port).map_err(|error| Error::corrupt("ports", format!("{worker}/{port}"), error))
}

async fn allocate(
    tx: &mut Tx,
    request: PortRequest,
    now: Timestamp,
) -> Result<BTreeMap<String, u16>> {
    let PortRequest {
        worker,
        holder,
        names,
        range,
    } = request;
    let rows: Vec<(i64, String, String)> =
        sql::query("SELECT port, holder, name FROM ports WHERE worker = $1 ORDER BY port")
            .bind(&worker)
            .fetch_all(&mut tx.conn)
            .await
            .doing(DOING)?;
    let mut taken = BTreeMap::new();
    for (port, by, name) in rows {
        taken.insert(number(&worker, port)?, (by, name));
    }
    let own = |port: &u16, name: &str| {
        let found = taken.get(port);
        found.is_some_and(|(by, called)| *by == holder && called == name)
    };
    let known = |name: &str| taken.keys().copied().find(|port| own(port, name));
    let conflict = |found: String| Error::Conflict {
        what: format!("the ports of {worker}"),
        found,
    };
    let mut given: BTreeMap<String, u16> = BTreeMap::new();
    let mut open = Vec::new();
    for (name, wanted) in names {
        match (wanted, known(&name)) {
            (Some(port), _) if given.values().any(|it| *it == port) => {
                return Err(conflict(format!(
                    "port {port} is wanted twice, also as {name}"
                )));
            }
            (Some(port), _) if taken.contains_key(&port) && !own(&port, &name) => {
                return Err(conflict(format!(
                    "port {port} for {name} is held by another"
                )));
            }
            (Some(port), _) | (None, Some(port)) => drop(given.insert(name, port)),
            (None, None) => open.push(name),
        }
    }
    let fixed: BTreeSet<u16> = given.values().copied().collect();
    let free = range.clone();
    let mut free = free.filter(|it| !taken.contains_key(it) && !fixed.contains(it));
    for name in open {
        let Some(port) = free.next() else {
            let (first, last) = (range.start(), range.end());
            return Err(conflict(format!(
                "no port from {first} to {last} is free for {name}: release ports of sessions that are \
                 over (ports_release@v1), or widen the range"
            )));
        };
        given.insert(name, port);
    }
    for (name, port) in &given {
        hold(tx, (&worker, &holder), (name, *port), now).await?;
    }
    Ok(given)
}

/// A name that had another port has this one now.
async fn hold(
    tx: &mut Tx,
    (worker, holder): (&str, &str),
    (name, port): (&str, u16),
    now: Timestamp,
) -> Result<()> {
    sql::query("DELETE FROM ports WHERE worker = $1 AND holder = $2 AND name = $3")
        .bind(worker)
        .bind(holder)
        .bind(name)
        .execute(&mut tx.conn)
        .await
        .doing(DOING)?;
    sql::query("INSERT INTO ports (worker, port, holder, name, since) VALUES ($1, $2, $3, $4, $5)")
        .bind(worker)
        .bind(i64::from(port))
        .bind(holder)
        .bind(name)
        .bind(now.micros())
        .execute(&mut tx.conn)
        .await
        .doing(DOING)?;
    Ok(())
}

async fn release(
    tx: &mut Tx,
    worker: String,
    holder: String,
    names: Option<BTreeSet<String>>,
) -> Result<u64> {
    const DOING: &str = "give back ports";
    let Some(names) = names else {
        return sql::query("DELETE FROM ports WHERE worker = $1 AND holder = $2")
            .bind(worker)
            .bind(holder)
            .execute(&mut tx.conn)
            .await
            .doing(DOING);
    };
    let mut gone = 0;
    for name in names {
        gone += sql::query("DELETE FROM ports WHERE worker = $1 AND holder = $2 AND name = $3")
            .bind(&worker)
            .bind(&holder)
            .bind(name)
            .execute(&mut tx.conn)
            .await
            .doing(DOING)?;
    }
    Ok(gone)
}
