//! Ports of a worker: who gives them out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_runtime::{Fault, FaultKind};

/// Ports that a session wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortsWanted {
    /// Where they are.
    pub worker: String,
    /// Who holds them: a session, or a job without one.
    pub holder: String,
    /// `<device>_<protocol>`, and which port it must be, if it must be one.
    pub names: BTreeMap<String, Option<u16>>,
    /// From which the others are taken.
    pub range: RangeInclusive<u16>,
}

/// Gives out ports: none to two holders, whatever asks at the same time and whatever crashes.
pub trait PortBook: fmt::Debug + Send + Sync {
    /// Gives each name a port, the one it has already if it has one. All or none.
    fn allocate(&self, wanted: PortsWanted) -> BoxFuture<'_, Result<BTreeMap<String, u16>, Fault>>;

    /// What a holder has.
    fn held<'a>(
        &'a self,
        worker: &'a str,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<String, u16>, Fault>>;

    /// Takes back these names, or all; gives how many ports are free again.
    fn release<'a>(
        &'a self,
        worker: &'a str,
        holder: &'a str,
        names: Option<BTreeSet<String>>,
    ) -> BoxFuture<'a, Result<u64, Fault>>;
}

/// A book that ends with its process: for one process that nobody shares workers with.
#[derive(Debug, Default)]
pub struct PortsInMemory(Mutex<BTreeMap<(String, u16), (String, String)>>);

impl PortsInMemory {
    fn give(&self, wanted: PortsWanted) -> Result<BTreeMap<String, u16>, Fault> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let PortsWanted {
            worker,
            holder,
            names,
            range,
        } = wanted;
        let refused = |what: String| Fault::new(FaultKind::Validation, what);
        let fixed: BTreeSet<u16> = names.values().copied().flatten().collect();
        let mut given = BTreeMap::new();
        for (name, must) in names {
            let own = (holder.clone(), name.clone());
            let held = all
                .iter()
                .find(|((at, _), by)| *at == worker && **by == own);
            let held = held.map(|((_, port), _)| *port);
            let is_free = |it: &u16| !all.contains_key(&(worker.clone(), *it));
            let is_left = |it: &u16| !given.values().any(|port| port == it) && !fixed.contains(it);
            let port = match (must, held) {
                (Some(port), _) if held != Some(port) && !is_free(&port) => {
                    return Err(refused(format!(
                        "port {port} for {name} is held by another"
                    )));
                }
                (Some(port), _) | (None, Some(port)) => port,
                (None, None) => range
                    .clone()
                    .find(|it| is_free(it) && is_left(it))
                    .ok_or_else(|| refused(format!("no port is free for {name}")))?,
            };
            given.insert(name, port);
        }
        all.retain(|(at, _), (by, name)| {
            *at != worker || *by != holder || !given.contains_key(name)
        });
        for (name, port) in &given {
            all.insert((worker.clone(), *port), (holder.clone(), name.clone()));
        }
        Ok(given)
    }
}

impl PortBook for PortsInMemory {
    fn allocate(&self, wanted: PortsWanted) -> BoxFuture<'_, Result<BTreeMap<String, u16>, Fault>> {
        std::future::ready(self.give(wanted)).boxed()
    }

    fn held<'a>(
        &'a self,
        worker: &'a str,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<String, u16>, Fault>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all
            .iter()
            .filter(|((at, _), (by, _))| at == worker && by == holder);
        let own = own.map(|((_, port), (_, name))| (name.clone(), *port));
        std::future::ready(Ok(own.collect())).boxed()
    }

    fn release<'a>(
        &'a self,
        worker: &'a str,
        holder: &'a str,
        names: Option<BTreeSet<String>>,
    ) -> BoxFuture<'a, Result<u64, Fault>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|(at, _), (by, name)| {
            at != worker || by != holder || names.as_ref().is_some_and(|it| !it.contains(name))
        });
        let gone = u64::try_from(before - all.len()).unwrap_or(u64::MAX);
        std::future::ready(Ok(gone)).boxed()
    }
}

/// The ports of one pod: who holds them, and in whose book.
#[derive(Clone, Debug)]
pub struct PodPorts {
    /// Who gives them out.
    pub book: Arc<dyn PortBook>,
    /// Who holds them.
    pub holder: String,
}

impl PodPorts {
    /// In a book of its own, that ends with its process.
    #[must_use]
    pub fn in_memory(holder: impl Into<String>) -> Self {
        Self {
            book: Arc::new(PortsInMemory::default()),
            holder: holder.into(),
        }
    }
}
