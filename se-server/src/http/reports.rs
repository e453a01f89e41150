//! The report of a job.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use se_runtime::Plan;
use se_runtime::report::{self, Report};

use super::dto;
use super::problem::Problem;
use crate::engine::Engine;
use crate::error::Error;
use crate::jobs;

/// How a report is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Html,
    Markdown,
    Text,
}

/// What a job found: a fold of its log. Several reports come as `{"reports": […]}`.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/report",
    tag = "jobs",
    params(
        ("id" = String, Path),
        ("Accept" = Option<String>, Header, description = "application/json, text/html, text/markdown or text/plain"),
    ),
    responses(
        (status = 200, description = "The report", body = Object),
        (status = 404, description = "No such job, or it has no report (yet)", body = dto::Problem),
    )
)]
pub(super) async fn report(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (plan, state) = jobs::folded(&engine, &id).await?;
    let reports = report::of(&plan, &state);
    if reports.is_empty() {
        let status = state.status().as_str();
        let why = format!(
            "job {id} is {status} and has no report: none of its report steps has completed"
        );
        return Err(Error::NotFound(why).into());
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    Ok(match wanted(accept) {
        Form::Json => Json(report::as_json(&reports)).into_response(),
        Form::Html => text("text/html; charset=utf-8", &plan, &reports, Report::to_html),
        Form::Markdown => text(
            "text/markdown; charset=utf-8",
            &plan,
            &reports,
            Report::to_markdown,
        ),
        Form::Text => text("text/plain; charset=utf-8", &plan, &reports, |report, _| {
            report.to_text()
        }),
    })
}

fn text(
    kind: &'static str,
    plan: &Plan,
    reports: &[Report],
    render: impl Fn(&Report, Option<&se_dsl::checked::ReportSpec>) -> String,
) -> Response {
    let all: Vec<String> = reports
        .iter()
        .map(|it| render(it, report::spec(plan, it)))
        .collect();
    // A report holds what devices said: nothing in it may run.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, all.join("\n")).into_response()
}

/// The form that is liked best of those there are; JSON where nothing is said.
fn wanted(accept: &str) -> Form {
    let mut best = (0.0, Form::Json);
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let form = match parts.next() {
            Some("text/html" | "application/xhtml+xml") => Form::Html,
            Some("text/markdown") => Form::Markdown,
            Some("text/plain") => Form::Text,
            Some("application/json" | "*/*" | "application/*") => Form::Json,
            _ => continue,
        };
        let weight = parts
            .find_map(|it| it.strip_prefix("q="))
            .and_then(|it| it.parse().ok());
        let weight: f64 = weight.unwrap_or(1.0);
        if weight > best.0 {
            best = (weight, form);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::{Form, wanted};

    #[test]
    fn the_form_follows_the_accept_header() {
        for (accept, expected) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Form::Html,
            ),
            ("text/markdown", Form::Markdown),
            ("text/plain, application/json;q=0.5", Form::Text),
            ("image/png", Form::Json),
        ] {
            assert_eq!(wanted(accept), expected, "{accept}");
        }
    }
}
