//! One compiled jq program and its bounded evaluation.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jaq_core::{Ctx, Error, Filter, Vars};
use serde_json::Value;

use super::compile::{self, Program};
use super::meter::{self, MAX_DEPTH, Stop};
use super::natives::{Data, Engine};
use super::value::{Val, to_text};
use super::{Known, Reads, Root, Scopes, stack};

/// A compiled jq program. Cheap to clone, `Send + Sync`.
///
/// # Example
/// ```
/// use se_dsl::expr::{Expr, Limits, Root, Scopes};
/// let mut scopes = Scopes::new();
/// scopes.set(Root::Vars, &serde_json::json!({"ports": [1, 2]}));
/// let count = Expr::compile("vars.ports | length").unwrap();
/// assert_eq!(count.eval(&scopes, &Limits::default()), Ok(2.into()));
/// ```
#[derive(Clone)]
pub struct Expr {
    program: Arc<Program>,
}

/// Bounds of one evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps of work.
    pub fuel: u64,
    /// Wall time.
    pub time: Duration,
    /// When it has to have ended, however much of `time` is left: see [`Limits::together`].
    pub until: Option<Instant>,
    /// Outputs.
    pub outputs: usize,
    /// Bytes of any text or value made.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000,
            time: Duration::from_millis(200),
            until: None,
            outputs: 10_000,
            bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// The same for several evaluations, which have `time` from now on for all of them.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use se_dsl::expr::{Limits, Scopes, Template};
    /// let limits = Limits::default().together(Duration::from_secs(1));
    /// let texts = ["${ 1 + 1 }", "${ [range(5)] | add }"].map(|it| Template::parse(it).unwrap());
    /// let values = texts.map(|it| it.eval(&Scopes::new(), &limits));
    /// assert_eq!(values, [Ok(2.into()), Ok(10.into())]);
    /// ```
    #[must_use]
    pub fn together(self, time: Duration) -> Self {
        Self {
            until: meter::clock().checked_add(time),
            ..self
        }
    }
}

/// Why an expression does not compile, or gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// It does not parse or names something that does not exist; `at` is a byte range of its source.
    #[error("{message}")]
    Invalid {
        /// Bytes of the expression's source at fault.
        at: std::ops::Range<usize>,
        /// What is wrong.
        message: String,
        /// A name that exists and is near.
        suggestion: Option<String>,
    },
    /// It ran and failed: jq's own message.
    #[error("{0}")]
    Failed(String),
    /// It went over a bound, which is named.
    #[error("the expression {0}")]
    Exceeded(String),
}

/// More fuel than this could build chains of closures whose freeing overflows the large stack.
const MAX_FUEL: u64 = 10_000_000;
/// Longest message of a failure, in bytes.
const MAX_MESSAGE: usize = 4 << 10;

impl Expr {
    /// Compiles the text between `${` and `}`.
    ///
    /// # Errors
    /// Every [`ExprError::Invalid`] found.
    ///
    /// # Example
    /// ```
    /// use se_dsl::expr::{Expr, ExprError};
    /// let errors = Expr::compile("vars.ports | lenght").unwrap_err();
    /// assert_eq!(
    ///     errors,
    ///     [ExprError::Invalid {
    ///         at: 13..19,
    ///         message: "there is no filter `lenght`".into(),
    ///         suggestion: Some("length".into()),
    ///     }]
    /// );
    /// ```
    pub fn compile(source: &str) -> Result<Self, Vec<ExprError>> {
        let program = Arc::new(compile::compile(source)?);
        Ok(Self { program })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.program.source
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.program.reads
    }

    /// Whether it gives the same whatever the scopes hold: it reads nothing.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.reads().is_empty()
    }

    /// Whether it is null for certain, because it is a plain path (`vars.a.b[0]`) and nothing can
    /// be at one of its keys. `exists` tells that of each path from the root down to it.
    ///
    /// # Example
    /// ```
    /// use se_dsl::expr::{Expr, Known, Root};
    /// let exists = |_: Root, path: &[String]| match path {
    ///     [name] if name == "typo" => Known::No,
    ///     _ => Known::Unknown,
    /// };
    /// assert!(Expr::compile("vars.typo.b").unwrap().always_null(exists));
    /// assert!(!Expr::compile("vars.typo.b // 1").unwrap().always_null(exists));
    /// ```
    #[must_use]
    pub fn always_null(&self, exists: impl Fn(Root, &[String]) -> Known) -> bool {
        let plain = self.program.plain.as_ref();
        plain.is_some_and(|path| path.always_null(exists))
    }

    /// Whether it is nothing but a path with literal keys (`vars.a["b c"]`): what it reads is what it gives.
    ///
    /// # Example
    /// ```
    /// use se_dsl::expr::Expr;
    /// assert!(Expr::compile("runtime_env.devices.r1.password").unwrap().is_path());
    /// assert!(!Expr::compile("runtime_env.devices[vars.name].password").unwrap().is_path());
    /// ```
    #[must_use]
    pub fn is_path(&self) -> bool {
        let plain = self.program.plain.as_ref();
        plain.is_some_and(|path| path.is_whole())
    }

    /// Its value: no output is null, one output is that value, several are an array.
    ///
    /// # Errors
    /// [`ExprError::Failed`] and [`ExprError::Exceeded`].
    pub fn eval(&self, scopes: &Scopes, limits: &Limits) -> Result<Value, ExprError> {
        self.value(scopes, limits).map(|value| value.to_json())
    }

    /// Its value, and how many bytes are in it.
    pub(super) fn sized(
        &self,
        scopes: &Scopes,
        limits: &Limits,
    ) -> Result<(Value, usize), ExprError> {
        let value = self.value(scopes, limits)?;
        Ok((value.to_json(), value.extent().bytes))
    }

    /// Its value as text: a string as it is, anything else as compact JSON.
    pub(super) fn text(&self, scopes: &Scopes, limits: &Limits) -> Result<String, ExprError> {
        let value = self.value(scopes, limits)?;
        to_text(&value, limits.bytes).ok_or_else(|| exceeded(Stop::Bytes, limits))
    }

    fn value(&self, scopes: &Scopes, limits: &Limits) -> Result<Val, ExprError> {
        let plain = self.program.plain.as_ref();
        if let Some(value) = plain.and_then(|path| path.value(scopes)) {
            shallow(std::slice::from_ref(value), limits)?;
            return Ok(value.clone());
        }
        let mut outputs = self.outputs(scopes, limits)?;
        shallow(&outputs, limits)?;
        Ok(match outputs.len() {
            0 => Val::Null,
            1 => outputs.swap_remove(0),
            _ => outputs.into_iter().collect(),
        })
    }

    fn outputs(&self, scopes: &Scopes, limits: &Limits) -> Result<Vec<Val>, ExprError> {
        let run = Run {
            filter: &self.program.filter,
            scopes,
            limits: Limits {
                fuel: limits.fuel.min(MAX_FUEL),
                ..*limits
            },
        };
        let mut deadline = None;
        if !self.program.deep {
            match run.within(stack::INLINE_BUDGET, &mut deadline) {
                Err(Ended::Stopped(Stop::Stack)) => {}
                done => return run.explain(done),
            }
        }
        let done = stack::on_large(|| run.within(stack::LARGE_BUDGET, &mut deadline));
        done.map_or_else(
            || {
                Err(ExprError::Exceeded(
                    "needs a thread, and none could be started".into(),
                ))
            },
            |done| run.explain(done),
        )
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({:?})", self.source())
    }
}

/// The scopes may nest deeper than what programs make, and several outputs are one level more.
fn shallow(outputs: &[Val], limits: &Limits) -> Result<(), ExprError> {
    let around = usize::from(outputs.len() > 1);
    let is_deep = |it: &Val| it.extent().depth + around > MAX_DEPTH;
    match outputs.iter().any(is_deep) {
        true => Err(exceeded(Stop::Depth, limits)),
        false => Ok(()),
    }
}

fn exceeded(stop: Stop, limits: &Limits) -> ExprError {
    ExprError::Exceeded(stop.message(limits))
}

/// How a run ended without a result.
enum Ended {
    Failed(String),
    Stopped(Stop),
}

struct Run<'a> {
    filter: &'a Filter<Engine>,
    scopes: &'a Scopes,
    limits: Limits,
}

impl Run<'_> {
    fn within(&self, stack: usize, deadline: &mut Option<Instant>) -> Result<Vec<Val>, Ended> {
        let run = || self.collect();
        let done = meter::within(&self.limits, stack, *deadline, run);
        *deadline = done.deadline;
        // Whatever the program made of it: a run that passed a bound has no result.
        match done.stop {
            Some(stop) => Err(Ended::Stopped(stop)),
            None => done.result,
        }
    }

    fn collect(&self) -> Result<Vec<Val>, Ended> {
        let data = Data::new(&self.filter.lut, self.scopes);
        let context = Ctx::<Engine>::new(data, Vars::new([]));
        let mut outputs = Vec::new();
        let mut bytes = 0_usize;
        for output in self.filter.id.run((context, self.scopes.all().clone())) {
            match output {
                Ok(value) => {
                    bytes = bytes.saturating_add(value.extent().bytes);
                    outputs.push(value);
                }
                Err(exception) => {
                    let error = exception.get_err();
                    let message = error.map_or_else(|_| "stopped".to_owned(), message);
                    return Err(Ended::Failed(message));
                }
            }
            if outputs.len() > self.limits.outputs {
                return Err(Ended::Stopped(Stop::Outputs));
            }
            // One output may be large because the scopes are; many may not add up to more.
            if outputs.len() > 1 && !meter::admit_bytes(bytes) || meter::stopped() {
                break;
            }
        }
        Ok(outputs)
    }

    fn explain(&self, done: Result<Vec<Val>, Ended>) -> Result<Vec<Val>, ExprError> {
        done.map_err(|ended| match ended {
            Ended::Failed(message) => ExprError::Failed(message),
            Ended::Stopped(stop) => exceeded(stop, &self.limits),
        })
    }
}

fn message(error: Error<Val>) -> String {
    match error.into_val() {
        Val::Str(text) => {
            let end = text.floor_char_boundary(MAX_MESSAGE.min(text.len()));
            text[..end].to_owned()
        }
        other => format!("(not a string): {other}"),
    }
}
