//! The primitives that move files: `copy`, and `transfer_file` both ways.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use se_runtime::port::Progress;
use se_runtime::{Call, Endpoint, Fault, Outcome};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::actions::{deadline, done, invalid, port, target, text};
use super::{Moved, Payload, Wanted};
use crate::connect::Sessions;

/// A file that is fetched becomes an output up to this size; of a larger one only size and digest are kept.
const LARGEST_OUTPUT: usize = 16 * 1024 * 1024;
/// Between two reports of how far a file is.
const LOOK: Duration = Duration::from_millis(500);

/// `copy@v1` and `transfer_file@v1`: puts the file `source` on the target. `source` is where the bytes of the content
/// file are.
///
/// # Errors
/// `not-found` if there is no such file or no such folder on the device, `validation` if the copy
/// differs or the connector cannot take files; and whatever reaching the device comes to.
pub async fn copy(
    sessions: &Sessions,
    call: &Call,
    source: &Path,
    progress: &dyn Progress,
) -> Outcome {
    let endpoint = endpoint(call)?;
    let Some(dest) = text(call, "dest") else {
        let name = call.primitive.name;
        return Err(invalid(&format!("`{name}` needs `dest`")));
    };
    let moved = Arc::new(Moved::default());
    let file = Payload {
        source: source.to_owned(),
        dest: dest.to_owned(),
        mode: mode(call)?,
        moved: Arc::clone(&moved),
    };
    let deadline = deadline(call);
    let mut lease = sessions.lease(&endpoint, deadline).await?;
    let putting = lease.device().put(&file, deadline);
    let stored = watched(putting, &moved, progress, &format!("to {dest}")).await?;
    lease.keep();
    Ok(done(json!({
        "ok": true,
        "bytes": stored.bytes,
        "sha256": stored.sha256,
    })))
}

/// `transfer_file@v1` with `direction: get`: gets the file `source` of the target. What is in it is the output
/// `output`, if it is text and not too large.
///
/// # Errors
/// `not-found` if the device has no such file, `validation` if what came differs from it or the connector has no
/// files; and whatever reaching the device comes to.
pub async fn fetch(sessions: &Sessions, call: &Call, progress: &dyn Progress) -> Outcome {
    let endpoint = endpoint(call)?;
    let Some(source) = text(call, "source") else {
        return Err(invalid("`transfer_file` needs `source`"));
    };
    for key in ["dest", "mode"] {
        if text(call, key).is_some() {
            let detail = format!(
                "`transfer_file` with `direction: get` takes no `{key}`: what comes is the step's output"
            );
            return Err(invalid(&detail));
        }
    }
    let moved = Arc::new(Moved::default());
    let file = Wanted {
        source: source.to_owned(),
        keep: LARGEST_OUTPUT,
        moved: Arc::clone(&moved),
    };
    let deadline = deadline(call);
    let mut lease = sessions.lease(&endpoint, deadline).await?;
    let getting = lease.device().get(&file, deadline);
    let fetched = watched(getting, &moved, progress, &format!("of {source}")).await?;
    lease.keep();
    let text = fetched.content.and_then(|it| String::from_utf8(it).ok());
    Ok(done(json!({
        "ok": true,
        "bytes": fetched.bytes,
        "sha256": fetched.sha256,
        "output": text,
    })))
}

/// Tells how far a file is while it moves.
async fn watched<T>(
    moving: impl Future<Output = Result<T, Fault>>,
    moved: &Moved,
    progress: &dyn Progress,
    which: &str,
) -> Result<T, Fault> {
    let telling = async {
        let mut told = 0;
        loop {
            sleep(LOOK).await;
            let (bytes, total) = moved.so_far();
            if bytes > told {
                told = bytes;
                let message = format!("{bytes} of {total} bytes {which}");
                progress.report(percent(bytes, total), &message);
            }
        }
    };
    let result = tokio::select! {
        result = moving => result?,
        // Never ends.
        () = telling => return Err(invalid("a file was not watched to its end")),
    };
    let (bytes, _) = moved.so_far();
    progress.report(100, &format!("all {bytes} bytes {which}"));
    Ok(result)
}

/// Not all before it is all.
fn percent(bytes: u64, total: u64) -> u8 {
    let percent = bytes.saturating_mul(100).checked_div(total).unwrap_or(0);
    u8::try_from(percent.min(99)).unwrap_or(99)
}

/// The target, at the port of an address translation where the step names one.
fn endpoint(call: &Call) -> Result<Arc<Endpoint>, Fault> {
    let mut endpoint = Arc::clone(target(call)?);
    if let Some(port) = port(call, "via_port")? {
        Arc::make_mut(&mut endpoint).port = port;
    }
    Ok(endpoint)
}

fn mode(call: &Call) -> Result<Option<u32>, Fault> {
    let Some(mode) = text(call, "mode") else {
        return Ok(None);
    };
    match u32::from_str_radix(mode, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(Some(mode)),
        Ok(_) | Err(_) => Err(invalid(&format!(
            "`mode` is `{mode}`; write octal permissions, as \"0644\""
        ))),
    }
}

/// Whether the file comes from the device.
///
/// # Errors
/// `validation` if the direction is none.
pub(crate) fn comes_from_device(call: &Call) -> Result<bool, Fault> {
    match call.inputs.get("direction") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(word)) if word == "put" => Ok(false),
        Some(Value::String(word)) if word == "get" => Ok(true),
        Some(other) => Err(invalid(&format!(
            "`direction` is {other}; write put (to the device) or get (from it)"
        ))),
    }
}
