//! Everything a job collected, as a zip with a manifest of hashes.

use std::io::{Cursor, Write as _};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use se_runtime::StepStatus;
use se_runtime::secret::mask_value;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::dto;
use super::input::Large;
use super::problem::Problem;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs;
use crate::tasks::Tasks;

const MANIFEST: &str = "manifest.json";

/// Everything a job collected: a file for each output of each step, what went over each connector, and
/// `manifest.json` with the SHA-256 of each. Secrets are masked. The same log gives the same bytes.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/evidence",
    tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The zip", content_type = "application/zip", body = String),
        (status = 404, description = "No such job", body = dto::Problem),
        (status = 429, description = "Too many large requests at a time; see Retry-After", body = dto::Problem),
    )
)]
pub(super) async fn evidence(
    State(engine): State<Arc<Engine>>,
    _place: Large,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (_, state) = jobs::folded(&engine, &id).await?;
    let mut files: Vec<(String, Value, String)> = Vec::new();
    for index in state.all() {
        let (node, step) = (state.node(index), state.step(index));
        // What a loop or composite gives is what its own steps gave.
        if step.status != StepStatus::Completed || !state.is_leaf(index) {
            continue;
        }
        let key = state.key(index);
        for (output, value) in &step.output {
            let about = json!({
                "step": key,
                "output": output,
                "uses": node.step().uses.id(),
                "target": step.target,
                "at": step.completed_at,
            });
            let (extension, text) = match mask_value(value) {
                Value::String(text) => ("txt", text),
                other => ("json", format!("{other:#}\n")),
            };
            files.push((
                format!("{key}/{output}.{extension}"),
                mask_value(&about),
                text,
            ));
        }
    }
    for it in engine.store.transcripts(&id).await? {
        let connector = it.connector;
        let text = engine.store.transcript(&id, &connector).await?;
        let about = json!({"connector": connector, "at": it.at});
        let path = format!("transcripts/{connector}.txt");
        files.push((path, about, text.unwrap_or_default()));
    }
    let head = json!({
        "job_id": id,
        "session_id": state.accepted().session_id,
        "definition_id": state.accepted().definition_id,
        "version": state.accepted().version,
        "content_hash": state.accepted().content_hash,
        "status": state.status().as_str(),
    });
    let packed = Tasks::blocking(move || pack(head, files))
        .await
        .map_err(Error::Internal)?;
    let packed = packed.map_err(|error| Error::Internal(format!("no evidence zip: {error}")))?;
    let name = format!("attachment; filename=\"evidence-{id}.zip\"");
    let kind = "application/zip".to_owned();
    Ok((
        [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_DISPOSITION, name),
        ],
        packed,
    )
        .into_response())
}

fn pack(
    mut manifest: Value,
    files: Vec<(String, Value, String)>,
) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut listed = Vec::new();
    for (path, mut about, text) in files {
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        about["path"] = Value::from(path.as_str());
        about["bytes"] = Value::from(text.len());
        about["sha256"] = Value::from(hex);
        listed.push(about);
        zip.start_file(path, options)?;
        zip.write_all(text.as_bytes())?;
    }
    manifest["files"] = Value::Array(listed);
    zip.start_file(MANIFEST, options)?;
    zip.write_all(format!("{manifest:#}\n").as_bytes())?;
    Ok(zip.finish()?.into_inner())
}
