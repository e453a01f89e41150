//! What a person sees while a job runs.

use std::fmt::Write as _;

use futures_util::{StreamExt, pin_mut};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::client::Client;
use crate::command::{Failure, say};

/// Follows a job's event stream to its end; fails if the job did.
pub(crate) async fn until_ended(client: &Client, job: &str, phase: &str) -> Result<(), Failure> {
    let bar = ProgressBar::new(100);
    let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos:>3} %  {wide_msg}")
        .map_err(|error| error.to_string())?;
    bar.set_style(style.progress_chars("█▌ "));
    bar.set_prefix(phase.to_owned());
    let stream = client.events(&format!("/api/v1/jobs/{job}/stream")).await?;
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        let event = event?;
        let data = &event["data"];
        match short(&event) {
            "job.progress" => {
                bar.set_position(data["percentage"].as_u64().unwrap_or_default());
                bar.set_message(text(&data["message"]));
            }
            "task.started" => bar.set_message(text(&data["task_name"])),
            "task.faulted" => {
                bar.suspend(|| {
                    say(&format!(
                        "{phase:>12}  {}: {}",
                        text(&data["task_name"]),
                        text(&data["error"]["detail"])
                    ))
                });
            }
            "job.completed" => {
                bar.finish_and_clear();
                let seconds = data["duration_seconds"].as_f64().unwrap_or_default();
                say(&format!("{phase:>12}  completed in {seconds:.1} s"));
                return Ok(());
            }
            "job.faulted" | "job.cancelled" => {
                bar.finish_and_clear();
                return Err(format!("{phase}: {data:#}"));
            }
            _ => {}
        }
    }
    Err(format!(
        "{phase}: the stream of job {job} ended before the job did"
    ))
}

/// One line an event.
pub(crate) fn summaries(events: &[String]) -> String {
    let mut out = String::new();
    for line in events {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let data = &event["data"];
        let about = ["task_name", "message", "phase", "definition_id"]
            .iter()
            .find_map(|key| data[*key].as_str())
            .unwrap_or_default();
        // Writing to a String cannot fail.
        if writeln!(
            out,
            "{}  {:<16}  {about}",
            text(&event["time"]),
            short(&event)
        )
        .is_err()
        {
            break;
        }
    }
    out
}

/// The last parts of an event's type: `job.completed`.
fn short(event: &Value) -> &str {
    let full = event["type"].as_str().unwrap_or_default();
    full.strip_prefix("io.lcm.se.").unwrap_or(full)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
