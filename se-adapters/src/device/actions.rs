//! The primitives that run commands on a device: `exec`, `collect`, `cml.bounce_interface`.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use se_dsl::checked::ConnectorClass;
use se_runtime::event::Map;
use se_runtime::{Call, Done, Endpoint, Fault, FaultKind, Outcome};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Answer, Question, Reply, Task};
use crate::connect::Sessions;

/// An attempt ends so much before its time is over.
const LONGEST_RESERVE: Duration = Duration::from_millis(500);
/// How long an interface stays shut.
const SHUT: Duration = Duration::from_secs(1);
/// How many lines of a failed command its fault shows.
const LINES_SHOWN: usize = 5;

/// `exec@v1`: runs `command` or `script` on the target.
///
/// # Errors
/// `validation` if the device rejects it or it exits with a status other than 0, unless
/// `suppress_error` is true; and whatever reaching the device comes to.
pub async fn exec(sessions: &Sessions, call: &Call) -> Outcome {
    let endpoint = target(call)?;
    let suppress = call.inputs.get("suppress_error") == Some(&Value::Bool(true));
    let text = match (text(call, "command"), text(call, "script")) {
        (Some(command), None) => command,
        (None, Some(script)) => script,
        (Some(_), Some(_)) => return Err(invalid("`exec` takes `command` or `script`, not both")),
        (None, None) => return Err(invalid("`exec` needs `command` or `script`")),
    };
    let task = Task {
        text: text.to_owned(),
        answers: answers(call)?,
        keep_going: suppress,
    };
    let deadline = deadline(call);
    let mut lease = sessions.lease(endpoint, deadline).await?;
    let reply = lease.device().run(&task, deadline).await?;
    lease.keep();
    let error = failure(&reply);
    if let (Some(error), false) = (&error, suppress) {
        return Err(rejected(endpoint, &task, &reply, error));
    }
    Ok(done(json!({
        "ok": error.is_none(),
        "stdout": reply.text,
        "exit_code": reply.exit_code,
        "error": error,
    })))
}

/// `collect@v1`: runs a command that changes nothing and keeps what it prints.
///
/// # Errors
/// `validation` if `match` is no regular expression; and whatever reaching the device comes to. What the
/// device says to the command is kept, not judged.
pub async fn collect(sessions: &Sessions, call: &Call) -> Outcome {
    let endpoint = target(call)?;
    let wanted = text(call, "match").map(multiline).transpose()?;
    let task = Task {
        keep_going: true,
        ..Task::new(text(call, "command").unwrap_or_default())
    };
    let deadline = deadline(call);
    let reply = match collect_once(sessions, endpoint, &task, deadline).await {
        // A read may be repeated: what broke was a session of an earlier step.
        Err((fault, true)) if fault.kind == FaultKind::Communication => {
            collect_once(sessions, endpoint, &task, deadline).await
        }
        other => other,
    };
    let output = reply.map_err(|(fault, _)| fault)?.text;
    let output = match wanted {
        Some(wanted) => matched(&wanted, &output),
        None => output,
    };
    Ok(done(json!({ "output": output })))
}

/// The fault comes with whether the session had been opened by an earlier step.
async fn collect_once(
    sessions: &Sessions,
    endpoint: &Arc<Endpoint>,
    task: &Task,
    deadline: Instant,
) -> Result<Reply, (Fault, bool)> {
    let lease = sessions.lease(endpoint, deadline).await;
    let mut lease = lease.map_err(|fault| (fault, false))?;
    let reused = lease.is_reused();
    let reply = if task.text.trim().is_empty() {
        Ok(Reply::default())
    } else {
        lease.device().run(task, deadline).await
    };
    let reply = reply.map_err(|fault| (fault, reused))?;
    lease.keep();
    Ok(reply)
}

/// `cml.bounce_interface@v1`: shuts an interface of a device and opens it again, even if it is cut off in between.
///
/// # Errors
/// `not-found` if there is no connector of that name, `validation` if the device does not know the
/// interface; and whatever reaching the device comes to.
pub async fn bounce(sessions: &Sessions, call: &Call) -> Outcome {
    let (Some(device), Some(interface)) = (text(call, "device"), text(call, "interface")) else {
        return Err(invalid(
            "`cml.bounce_interface` needs `device` and `interface`",
        ));
    };
    let mut endpoint = call.endpoints.get(device)?;
    if let Some(port) = port(call, "serial_port")? {
        Arc::make_mut(&mut endpoint).port = port;
    }
    let [shut, open] = match endpoint.class {
        ConnectorClass::CiscoCommon => ["shutdown", "no shutdown"]
            .map(|it| format!("configure terminal\ninterface {interface}\n{it}\nend")),
        ConnectorClass::Unix | ConnectorClass::Control => {
            ["down", "up"].map(|it| format!("ip link set dev '{interface}' {it}"))
        }
    };
    let deadline = deadline(call);
    let mut lease = sessions.lease(&endpoint, deadline).await?;
    let [shut, open] = [shut, open].map(Task::new);
    lease.owe(open.clone());
    for (task, wait) in [(shut, SHUT), (open, Duration::ZERO)] {
        let reply = lease.device().run(&task, deadline).await?;
        if let Some(error) = failure(&reply) {
            lease.settle();
            return Err(rejected(&endpoint, &task, &reply, &error));
        }
        sleep_until(deadline.min(Instant::now() + wait)).await;
    }
    lease.keep();
    Ok(done(json!({ "ok": true })))
}

pub(super) fn deadline(call: &Call) -> Instant {
    let reserve = LONGEST_RESERVE.min(call.timeout / 10);
    Instant::now() + call.timeout.saturating_sub(reserve)
}

pub(super) fn target(call: &Call) -> Result<&Arc<Endpoint>, Fault> {
    let missing = || invalid(&format!("`{}` needs a `target`", call.primitive.name));
    call.target.as_ref().ok_or_else(missing)
}

pub(super) fn text<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.inputs.get(name).and_then(Value::as_str)
}

pub(super) fn port(call: &Call, name: &str) -> Result<Option<u16>, Fault> {
    let Some(value) = call.inputs.get(name).filter(|it| !it.is_null()) else {
        return Ok(None);
    };
    let port = value.as_u64().and_then(|it| u16::try_from(it).ok());
    let Some(port) = port.filter(|it| *it != 0) else {
        return Err(invalid(&format!(
            "`{name}` is {value}, which is no TCP port"
        )));
    };
    Ok(Some(port))
}

fn answers(call: &Call) -> Result<Vec<Answer>, Fault> {
    let all = call.inputs.get("answers").and_then(Value::as_array);
    all.into_iter().flatten().map(answer).collect()
}

/// `{prompt, reply}`; the prompt is a text, or `~ regex`.
fn answer(value: &Value) -> Result<Answer, Fault> {
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    let (Some(prompt), Some(reply)) = (field("prompt"), field("reply")) else {
        return Err(invalid(
            "each of `answers` is {prompt: what the device asks, reply: what to type}",
        ));
    };
    let prompt = match prompt.strip_prefix("~ ") {
        Some(pattern) => Question::Pattern(multiline(pattern)?),
        None => Question::Text(prompt.to_owned()),
    };
    let reply = reply.to_owned();
    Ok(Answer { prompt, reply })
}

fn multiline(pattern: &str) -> Result<Regex, Fault> {
    let built = regex::RegexBuilder::new(pattern).multi_line(true).build();
    built.map_err(|error| invalid(&format!("`{pattern}` is no regular expression: {error}")))
}

/// The first group of the first match, the whole match where there is no group, nothing without a match.
fn matched(wanted: &Regex, output: &str) -> String {
    let found = wanted.captures(output);
    let kept = found.and_then(|it| it.get(1).or_else(|| it.get(0)));
    kept.map_or_else(String::new, |it| it.as_str().to_owned())
}

fn failure(reply: &Reply) -> Option<String> {
    match (&reply.error, reply.exit_code) {
        (Some(error), _) => Some(error.clone()),
        (None, Some(code)) if code != 0 => Some(format!("exit status {code}")),
        (None, _) => None,
    }
}

fn rejected(endpoint: &Endpoint, task: &Task, reply: &Reply, error: &str) -> Fault {
    use crate::connect::{Came, Place};
    let all: Vec<&str> = reply.text.lines().collect();
    let last = all
        .get(all.len().saturating_sub(LINES_SHOWN)..)
        .unwrap_or(&all);
    // The last lines tell the rest.
    let error = match reply.exit_code {
        Some(code) if code != 0 => format!("exit status {code}"),
        Some(_) | None => error.to_owned(),
    };
    Place::new(endpoint).fault(
        FaultKind::Validation,
        &format!("`{}` failed: {error}", task.title()),
        &Came::Lines(&last.join("\n")),
        "correct the command, or set `suppress_error: true` if this is expected",
    )
}

pub(super) fn invalid(detail: &str) -> Fault {
    Fault::new(FaultKind::Validation, detail)
}

pub(super) fn done(output: Value) -> Done {
    let output = match output {
        Value::Object(output) => output.into_iter().collect(),
        _ => Map::default(),
    };
    Done {
        output,
        ..Done::default()
    }
}
