//! The ports of workers, given out by the store.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use se_adapters::{PortBook, PortsWanted};
use se_runtime::{Fault, FaultKind};
use se_store::{Error, PortRequest, Store};

/// The store as a book of ports: what it gives to a session outlives engines, and is nobody else's.
#[derive(Clone, Debug)]
pub(crate) struct StoredPorts(pub(crate) Store);

impl PortBook for StoredPorts {
    fn allocate(&self, wanted: PortsWanted) -> BoxFuture<'_, Result<BTreeMap<String, u16>, Fault>> {
        let PortsWanted {
            worker,
            holder,
            names,
            range,
        } = wanted;
        let request = PortRequest {
            worker,
            holder,
            names,
            range,
        };
        async { self.0.allocate_ports(request).await.map_err(fault) }.boxed()
    }

    fn held<'a>(
        &'a self,
        worker: &'a str,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<String, u16>, Fault>> {
        async { self.0.held_ports(worker, holder).await.map_err(fault) }.boxed()
    }

    fn release<'a>(
        &'a self,
        worker: &'a str,
        holder: &'a str,
        names: Option<BTreeSet<String>>,
    ) -> BoxFuture<'a, Result<u64, Fault>> {
        async move {
            let released = self.0.release_ports(worker, holder, names).await;
            released.map_err(fault)
        }
        .boxed()
    }
}

/// A port that is another's stays so; a store that does not answer may do so later.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
pub(crate) fn fault(error: Error) -> Fault {
    let kind = match error {
        Error::Conflict { .. } => FaultKind::Validation,
        _ => FaultKind::Communication,
    };
    Fault::new(kind, crate::error::chain(&error))
}
