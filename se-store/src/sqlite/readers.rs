//! A few connections that read beside the writer.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{only_read, place::Place};
use crate::sql::{Error, Result};

/// Readers at a time; reads are short.
const READERS: u32 = 4;

/// Connections for reading only, made when they are needed and kept.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Shared>);

struct Shared {
    place: Place,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(place: Place) -> Self {
        Self(Arc::new(Shared {
            place,
            places: Arc::new(Semaphore::new(READERS as usize)),
            idle: Mutex::default(),
        }))
    }

    /// Does `work` on a connection of its own, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        let place = place.map_err(|_| Error::Closed)?;
        let shared = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let conn = shared.take()?;
            let done = work(&conn);
            shared.idle().push(conn);
            drop(place);
            done
        });
        done.await.map_err(|_| Error::Closed)?
    }

    /// Waits for those that read, then closes all.
    pub(crate) async fn close(&self) {
        // An error means that it is closed already.
        let all = self.0.places.acquire_many(READERS).await;
        self.0.places.close();
        drop(all);
        self.0.idle().clear();
    }
}

impl Shared {
    fn take(&self) -> Result<Connection> {
        if let Some(conn) = self.idle().pop() {
            return Ok(conn);
        }
        let conn = self.place.connect(false)?;
        only_read(&conn)?;
        Ok(conn)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
