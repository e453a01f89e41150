//! Whether the bucket answers that content and large events are kept in.

use std::time::Duration;

use futures_util::StreamExt as _;
use se_content::S3;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::Config;

/// How long it may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what it has answered is taken for so: whoever asks is not to be a burden.
const FRESH: Duration = Duration::from_secs(3);
/// Below which nothing is: it is asked for a page without objects.
const NOWHERE: &str = "readyz";

/// A bucket that is looked at.
#[derive(Debug)]
pub(crate) struct Bucket {
    s3: S3,
    name: String,
    /// When it was asked last, and why it cannot be used.
    asked: Mutex<Option<(Instant, Option<String>)>>,
}

impl Bucket {
    /// The one that is configured.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        Some(Self {
            s3: config.s3.place()?,
            name: config.s3.bucket.clone()?,
            asked: Mutex::default(),
        })
    }

    /// Why it cannot be used, as far as is known. Those who ask at the same time wait for one answer.
    pub(crate) async fn trouble(&self) -> Option<String> {
        let mut asked = self.asked.lock().await;
        if let Some((at, trouble)) = &*asked
            && at.elapsed() < FRESH
        {
            return trouble.clone();
        }
        let found = match timeout(PATIENCE, self.ask()).await {
            Ok(found) => found,
            Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        let trouble = found.map(|it| format!("the bucket {}: {it}", self.name));
        if let Some(trouble) = &trouble {
            tracing::warn!(trouble, "the object store cannot be used");
        }
        *asked = Some((Instant::now(), trouble.clone()));
        trouble
    }

    async fn ask(&self) -> Option<String> {
        let store = match self.s3.connect(&self.name) {
            Ok(store) => store,
            Err(error) => return Some(error.to_string()),
        };
        let answer = store.list(Some(&NOWHERE.into())).next().await;
        answer.and_then(|it| it.err().map(|error| error.to_string()))
    }
}
