//! Tools that are programs, or run some. Two components of the host's own, the interpreters, run them all: each call in a
//! fresh instance, with the plugin's directories and nothing else of the world but the tools it may call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, Semaphore};

use bailiwick_core::code::run::{Fault, Form, RUN, Ran, Run};
use bailiwick_core::code::tools::Kind;
use bailiwick_core::code::{Interpreter, Language};
use bailiwick_core::outcome::{Code as FailureCode, Failure, Output};
use bailiwick_core::policy::Permitted;
use bailiwick_core::schema;

use crate::builtin;
use crate::context::CallContext;
use crate::runtime::{self, Component, Directories, Runtime};

/// What an interpreter has to stop a program by itself, and say what it printed, before it is ended.
const GRACE: Duration = Duration::from_millis(500);

/// Programs that are read at once without being run; each can keep a processor busy.
const MAX_CHECKS: usize = 2;

/// How long that may take.
const CHECK_TIME: Duration = Duration::from_secs(10);

/// The interpreters of a host. Each is compiled when it is first needed, and stays.
pub(crate) struct Interpreters {
    runtime: Arc<Runtime>,
    javascript: OnceCell<Arc<Component>>,
    python: OnceCell<Arc<Component>>,
    checks: Semaphore,
}

impl Interpreters {
    pub(crate) fn new(runtime: &Arc<Runtime>) -> Self {
        let checks = Semaphore::new(MAX_CHECKS);
        Self { runtime: Arc::clone(runtime), javascript: OnceCell::new(), python: OnceCell::new(), checks }
    }

    /// An interpreter, ready to run. The first time on a machine that takes seconds: it is compiled.
    ///
    /// # Errors
    /// The program has none, or it cannot be compiled here.
    pub(crate) async fn ready(&self, interpreter: Interpreter) -> Result<&Arc<Component>, Failure> {
        let place = match interpreter {
            Interpreter::JavaScript => &self.javascript,
            Interpreter::Python => &self.python,
        };
        place.get_or_try_init(|| self.load(interpreter)).await
    }

    /// What is wrong with the text of a program, without running it. `context` is made once it begins, because its time
    /// begins then.
    ///
    /// # Errors
    /// It could not be read at all: there is no interpreter, or it took too long or too much.
    pub(crate) async fn check(
        &self,
        language: Language,
        source: &str,
        context: impl FnOnce() -> Arc<CallContext>,
    ) -> Result<Vec<Fault>, Failure> {
        let component = self.ready(language.interpreter()).await?;
        let _turn = self.checks.acquire().await.ok();
        let context = context();
        context.deadline.shorten(CHECK_TIME);
        let (form, source) = (Form::Check, source.to_owned());
        let run = Run { language, form, source, input: None, time: CHECK_TIME, tools: false };
        let ran = read(runtime::ask_own(component, (RUN, &run.text()), &context).await?)?;
        Ok(ran.errors.into_iter().chain(ran.error).collect())
    }

    async fn load(&self, interpreter: Interpreter) -> Result<Arc<Component>, Failure> {
        let unavailable = |message: String| Failure::new(FailureCode::PluginNotConfigured, message);
        let code = builtin::interpreter(interpreter).map_err(unavailable)?;
        let name = interpreter.as_str();
        let loaded = self.runtime.load(code, name).await;
        loaded.map_err(|error| Failure::new(error.code(), error.to_string()))
    }
}

/// The tool of a plugin that is a program, or runs some.
pub(crate) struct Program {
    pub(crate) kind: Kind,
    pub(crate) directories: Directories,
    pub(crate) interpreters: Arc<Interpreters>,
}

impl Program {
    /// The interpreters that its calls may need.
    pub(crate) fn interpreters(&self) -> Vec<Interpreter> {
        match &self.kind {
            Kind::Executor | Kind::Mode | Kind::Runner => Interpreter::ALL.to_vec(),
            Kind::Custom(custom) => vec![custom.language.interpreter()],
        }
    }

    fn run(&self, permitted: &Permitted) -> Result<Run, Failure> {
        let arguments = schema::parse(&permitted.arguments().text).map_err(|error| {
            Failure::new(FailureCode::Internal, format!("the arguments cannot be read again: {error}"))
        })?;
        let mut run = self.kind.run(&arguments)?;
        run.tools = run.tools && !permitted.tool().effective.grants.call.is_empty();
        Ok(run)
    }

    /// Runs a program in a fresh interpreter. Where that has to be compiled first, nobody's time runs meanwhile.
    ///
    /// # Errors
    /// See [`Kind::answer`]; and what ends calls of any component.
    pub(crate) async fn call(&self, permitted: &Permitted, context: &Arc<CallContext>) -> Result<Output, Failure> {
        let mut run = self.run(permitted)?;
        run.time = run.time.min(permitted.tool().effective.limits.time);
        let component = {
            let _still = context.stand_still();
            self.interpreters.ready(run.language.interpreter()).await?
        };
        context.deadline.shorten(run.time + GRACE);
        let begun = Instant::now();
        let result = runtime::call_as(component, permitted, (RUN, &run.text()), &self.directories, context).await;
        let ran = match result {
            Ok(output) => read(output)?,
            Err(failure) => {
                let fault = Fault::of(&failure, run.time).ok_or(failure)?;
                Ran::ended(fault, begun.elapsed())
            }
        };
        self.kind.answer(ran)
    }
}

fn read(output: Output) -> Result<Ran, Failure> {
    let said = output.structured.unwrap_or_default();
    Ran::read(said).map_err(|error| Failure::new(FailureCode::PluginInvalid, error))
}
