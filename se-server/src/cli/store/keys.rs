//! `store rotate-key` and `store retire-keys`: one sealing key follows another.

use std::sync::Arc;

use se_store::{KeyFile, Keyring, Objects, Options, Resealed, Silent, Store};

use super::{Ended, Failure, Place, configured, print, runtime};
use crate::clock::World;
use crate::config::Config;
use crate::error::Result;
use crate::sealing::{Source, reseal};

pub(super) fn rotate(place: Place) -> Ended {
    let config = configured(place)?;
    let file = own(&config)?;
    let (keys, done) = runtime()?.block_on(rotated(&config, &file))?;
    print(&told(&keys, &done))?;
    Ok(u8::from(!whole(&done)))
}

pub(super) fn retire(place: Place) -> Ended {
    let config = configured(place)?;
    let file = own(&config)?;
    let (keys, done) = runtime()?.block_on(retired(&config, &file))?;
    print(&told(&keys, &done))?;
    Ok(u8::from(!whole(&done)))
}

/// The file that the keys are in; what else they come from is not written here.
fn own(config: &Config) -> Result<KeyFile, Failure> {
    let option = match Source::of(config) {
        Source::Own(file) | Source::File(file) => return Ok(file),
        Source::Given(_) => "sealing.key",
        Source::Printed(..) => "sealing.command",
    };
    Err(Failure::new(
        2,
        format!(
            "the sealing keys come from {option}, so a new one is made there: let it give the new key and \
             behind it the former one, start the service, which seals everything again, and then take \
             the former key out"
        ),
    ))
}

/// The database as an engine opens it, so that none is running.
async fn opened(config: &Config, keys: Keyring, world: &World) -> Result<Store> {
    let options = Options {
        keys,
        announce: Arc::new(Silent),
        clock: Arc::clone(&world.clock),
        random: Arc::clone(&world.random),
        objects: Objects::default(),
        answer_within: se_store::ANSWER_WITHIN,
    };
    let store = Store::open(&config.store.address(), options).await?;
    if let Err(error) = store.alone().await {
        store.close().await;
        return Err(error.into());
    }
    Ok(store)
}

async fn rotated(config: &Config, file: &KeyFile) -> Result<(Keyring, Resealed)> {
    let world = World::system();
    let store = opened(config, file.read()?, &world).await?;
    // In the file before it seals anything: whatever comes now, the next engine opens all.
    let keys = file.rotate(&*world.random)?;
    let done = reseal(&store, &keys).await;
    store.close().await;
    Ok((keys, done?))
}

async fn retired(config: &Config, file: &KeyFile) -> Result<(Keyring, Resealed)> {
    let world = World::system();
    let keys = file.read()?;
    let store = opened(config, keys.clone(), &world).await?;
    let done = reseal(&store, &keys).await;
    // Under the lock of the database: nobody seals with a former key meanwhile.
    let left = match &done {
        Ok(done) if whole(done) => file.retire_others(),
        _ => Ok(keys),
    };
    store.close().await;
    Ok((left?, done?))
}

fn whole(done: &Resealed) -> bool {
    done.locked.is_empty() && done.damaged == 0
}

fn told(keys: &Keyring, done: &Resealed) -> String {
    let mut text = format!(
        "key {} seals; jobs sealed again with it: {}\n",
        keys.id(),
        done.jobs
    );
    for key in keys.others() {
        text.push_str(&format!("key {key} only opens\n"));
    }
    for (key, jobs) in &done.locked {
        text.push_str(&format!(
            "jobs that need key {key}, which is not here: {jobs}; put it into the file, on a line of its own \
             behind the first, or cancel them\n"
        ));
    }
    if done.damaged > 0 {
        text.push_str(&format!(
            "jobs whose secrets are damaged: {}; cancel them, and look at the disk\n",
            done.damaged
        ));
    }
    text
}
