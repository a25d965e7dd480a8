//! One run: evaluates, waits, and gathers what came of it.

use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Function, Object, Value, qjs};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::bindings::bailiwick::host::artifact;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::{self, Pollable};
use crate::failure::{Kind, Trouble};
use crate::input::{Form, Language, Request};
use crate::position::FILE;
use crate::source::{self, Script};
use crate::{engine, files, state, syntax};

/// The largest value, as JSON, in bytes; a larger one goes to an artifact.
const LARGEST: usize = 1 << 20;

/// What came of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_artifact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    main: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Trouble>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Trouble>>,
    duration_ms: f64,
}

/// Why a run gave no value.
enum Stop {
    /// Something is wrong with the source.
    Mistakes(Vec<Trouble>),
    /// Something went wrong.
    Trouble(Trouble),
    /// There is no `main`.
    NoMain,
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Runs a request. It never fails: what went wrong is in the answer.
pub(crate) fn run(request: &Request) -> Answer {
    state::begin(request.time_ms);
    let mut answer = Answer::default();
    let came = match request.form {
        Form::Check => {
            answer.errors = Some(syntax::mistakes(&request.source, request.language));
            Ok(None)
        }
        Form::Script | Form::Body | Form::Main => engine::with(|ctx, own| Run { ctx, own, request }.all(&mut answer)),
    };
    answer.duration_ms = (state::elapsed() * 1000.0).round() / 1000.0;
    let printed = state::end().finish();
    (answer.output, answer.artifact) = (printed.text, printed.artifact);
    match came {
        Ok(trouble) => answer.error = trouble,
        Err(Stop::Trouble(trouble)) => answer.error = Some(trouble),
        Err(Stop::NoMain) => answer.main = Some(false),
        Err(Stop::Mistakes(mistakes)) => answer.error = mistakes.into_iter().next(),
    }
    answer
}

/// What the engine makes at its first use is made by this.
const WARM: &str = include_str!("prelude/warm.js");

/// Sets the engine up, unless it is, and runs what every run needs once: as a body, so that its names are its own.
pub(crate) fn warm() {
    if engine::is_made() {
        return;
    }
    let (language, form) = (Language::JavaScript, Form::Body);
    let request = Request { language, form, source: WARM.to_owned(), input: ().into(), time_ms: 10_000, tools: false };
    let answer = run(&request);
    assert!(answer.error.is_none(), "the prelude is part of the component, and runs: {:?}", answer.error);
    engine::with(|ctx, _| ctx.run_gc());
}

/// How far to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Until what is waited for is there.
    Settled,
    /// Until nothing is left to do.
    Idle,
}

struct Run<'a, 'js> {
    ctx: &'a Ctx<'js>,
    own: &'a Object<'js>,
    request: &'a Request,
}

impl<'js> Run<'_, 'js> {
    /// Runs all of it. What it gives beside the value is what went wrong after there was one.
    fn all(&self, answer: &mut Answer) -> Result<Option<Trouble>, Stop> {
        self.globals().map_err(|error| self.trouble(&error))?;
        let evaluated = self.evaluate()?;
        let watched = self.watch(evaluated, true)?;
        let watched = if self.request.form == Form::Main {
            self.drive(&watched, Until::Settled)?;
            self.settled(&watched)?;
            self.call_main()?
        } else {
            watched
        };
        let ended = self.drive(&watched, Until::Idle);
        let settled = self.settled(&watched);
        match (settled, ended) {
            (Err(trouble), Ok(())) => return Err(trouble.into()),
            (Err(_), Err(late)) => return Err(late.into()),
            (Ok(settled), ended) => {
                self.give(settled, answer)?;
                ended?;
            }
        }
        Ok(self.unhandled())
    }

    /// What this run has beside the prelude.
    fn globals(&self) -> rquickjs::Result<()> {
        if self.request.tools {
            let names = crate::bindings::bailiwick::host::call::tools();
            self.own.get::<_, Function<'js>>("tools")?.call::<_, ()>((names,))?;
        }
        if files::any() {
            self.own.get::<_, Function<'js>>("files")?.call::<_, ()>(())?;
        }
        if self.request.form == Form::Main {
            self.own.get::<_, Function<'js>>("module")?.call::<_, ()>(())?;
        }
        Ok(())
    }

    /// The promise of the source's own value.
    fn evaluate(&self) -> Result<Value<'js>, Stop> {
        let Request { source, language, form, .. } = self.request;
        let script = source::first(source, *language, *form).map_err(Stop::Mistakes)?;
        let refused = match self.eval(script) {
            Ok(promise) => return Ok(promise),
            Err(trouble) => trouble,
        };
        if *language == Language::TypeScript || refused.kind != Kind::Syntax {
            return Err(refused.into());
        }
        match source::translated(source, *language, *form) {
            Ok(script) => self.eval(script).map_err(Stop::Trouble),
            Err(mistakes) => Err(Stop::Mistakes(better(refused, mistakes))),
        }
    }

    fn eval(&self, script: Script) -> Result<Value<'js>, Trouble> {
        if let Some(block) = script.in_block() {
            match self.begin(block) {
                Err(trouble) if trouble.kind == Kind::Syntax => {}
                begun => return begun,
            }
        }
        self.begin(script)
    }

    /// The promise of a script's value; of what cannot be compiled, the mistake.
    fn begin(&self, script: Script) -> Result<Value<'js>, Trouble> {
        state::set_map(script.map);
        let mut options = EvalOptions::default();
        (options.strict, options.promise, options.filename) = (false, true, Some(FILE.to_owned()));
        // What the engine refuses at once it could not compile; what goes wrong later rejects the promise.
        self.ctx.eval_with_options(script.text, options).map_err(|error| {
            let mut trouble = self.trouble(&error);
            if trouble.kind == Kind::Runtime {
                trouble.kind = Kind::Syntax;
                trouble.stack = String::new();
            }
            trouble
        })
    }

    /// Calls `main` with the input.
    fn call_main(&self) -> Result<Object<'js>, Stop> {
        let named: Option<Value<'js>> = self
            .ctx
            .eval_with_options("typeof main === 'function' ? main : undefined", EvalOptions::default())
            .map_err(|error| self.trouble(&error))?;
        let find: Function<'js> = self.own.get("main").map_err(|error| self.trouble(&error))?;
        let found: Value<'js> = find.call((named,)).map_err(|error| self.trouble(&error))?;
        let Some(main) = found.into_function() else { return Err(Stop::NoMain) };
        let input = self.ctx.json_parse(self.request.input.to_string()).map_err(|error| self.trouble(&error))?;
        let result: Value<'js> = main.call((input,)).map_err(|error| self.trouble(&error))?;
        Ok(self.watch(result, false)?)
    }

    fn watch(&self, promise: Value<'js>, wrapped: bool) -> Result<Object<'js>, Trouble> {
        let watch = self.own.get::<_, Function<'js>>("watch");
        watch.and_then(|watch| watch.call((promise, wrapped))).map_err(|error| self.trouble(&error))
    }

    /// Runs what is ready and waits for what is not.
    fn drive(&self, watched: &Object<'js>, until: Until) -> Result<(), Trouble> {
        loop {
            while self.job()? {
                self.in_time()?;
            }
            self.in_time()?;
            let is_settled = || watched.get::<_, String>("state").is_ok_and(|state| state != "waiting");
            if until == Until::Settled && is_settled() {
                return Ok(());
            }
            let due: f64 = self.hook("due", ())?;
            if due >= 0.0 && due <= state::elapsed() {
                self.hook::<_, ()>("fire", ())?;
                continue;
            }
            if due < 0.0 && state::asked(|asked| asked.is_empty()) {
                return Ok(());
            }
            self.wait((due >= 0.0).then_some(due))?;
        }
    }

    /// Runs what a promise has ready; false, if nothing is. What a program throws there rejects a promise, so an exception that
    /// comes out of it is the engine's own, and the end: it had no memory left.
    fn job(&self) -> Result<bool, Trouble> {
        let mut of = std::ptr::null_mut();
        // SAFETY: the context lives as long as this run does, and there is one of its runtime.
        #[expect(unsafe_code, reason = "the safe function drops the exception")]
        let ran = unsafe {
            let runtime = qjs::JS_GetRuntime(self.ctx.as_raw().as_ptr());
            qjs::JS_ExecutePendingJob(runtime, &raw mut of)
        };
        if ran >= 0 {
            return Ok(ran > 0);
        }
        Err(self.trouble(&rquickjs::Error::Exception))
    }

    /// Waits for the next timer or answer, whichever is first, and hands answers on.
    fn wait(&self, due: Option<f64>) -> Result<(), Trouble> {
        let begun = state::elapsed();
        let is_asking = state::asked(|asked| !asked.is_empty());
        // Without a call under way, a wait ends with the run's time; with one, it does not count.
        let limit = if is_asking { f64::INFINITY } else { state::left() };
        let sleep = due.map(|due| (due - begun).max(0.0).min(limit));
        let timer = sleep.map(|ms| monotonic_clock::subscribe_duration((ms * 1e6) as u64));
        state::asked(|asked| {
            let all: Vec<&Pollable> = asked.iter().map(|one| &one.ready).chain(timer.as_ref()).collect();
            poll::poll(&all);
        });
        if is_asking {
            state::extend(state::elapsed() - begun);
        }
        let mut answers = Vec::new();
        state::asked(|asked| {
            asked.retain(|one| match one.call.take() {
                Some(answer) => {
                    answers.push((one.id, answer));
                    false
                }
                None => true,
            });
        });
        for (id, answer) in answers {
            self.hook::<_, ()>("settle", (id, answer.success, answer.output, answer.code))?;
        }
        Ok(())
    }

    fn hook<A, T>(&self, name: &str, arguments: A) -> Result<T, Trouble>
    where
        A: rquickjs::function::IntoArgs<'js>,
        T: rquickjs::FromJs<'js>,
    {
        let hook = self.own.get::<_, Function<'js>>(name);
        hook.and_then(|hook| hook.call(arguments)).map_err(|error| self.trouble(&error))
    }

    /// What the watched promise came to.
    fn settled(&self, watched: &Object<'js>) -> Result<Value<'js>, Trouble> {
        let read = || Ok::<_, rquickjs::Error>((watched.get::<_, String>("state")?, watched.get("value")?));
        let (state, value): (String, Value<'js>) = read().map_err(|error| self.trouble(&error))?;
        match state.as_str() {
            "done" => Ok(value),
            "failed" => {
                self.in_time()?;
                Err(Trouble::thrown(self.own, value))
            }
            _ => Err(Trouble::plain(Kind::Runtime, "the program awaits a promise that nothing settles")),
        }
    }

    /// Puts the value into the answer.
    fn give(&self, value: Value<'js>, answer: &mut Answer) -> Result<(), Trouble> {
        let kind = value.type_of();
        let text: Option<rquickjs::String<'js>> = self.hook("json", (value,))?;
        let Some(text) = text else { return Ok(()) };
        let text = text.to_cstring().map_err(|error| self.trouble(&error))?;
        let given = if text.len() > LARGEST {
            answer.value_artifact = artifact::put("value.json", "application/json", text.as_str().as_bytes()).ok();
            format!("\"<{kind}: its JSON has {} bytes, more than an answer holds>\"", text.len())
        } else {
            text.as_str().to_owned()
        };
        let raw = RawValue::from_string(given);
        answer.value =
            Some(raw.map_err(|error| Trouble::plain(Kind::Runtime, format!("the value is no JSON: {error}")))?);
        Ok(())
    }

    /// A rejection that nobody took.
    fn unhandled(&self) -> Option<Trouble> {
        let found: Option<Object<'js>> = match self.hook("unhandled", ()) {
            Ok(found) => found,
            Err(trouble) => return Some(trouble),
        };
        let reason = found?.get("reason").ok()?;
        Some(Trouble::thrown(self.own, reason))
    }

    fn in_time(&self) -> Result<(), Trouble> {
        if state::is_late() { Err(Trouble::late(self.request.time_ms)) } else { Ok(()) }
    }

    /// What an error of the engine means for the program.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest are mistakes of this component")]
    fn trouble(&self, error: &rquickjs::Error) -> Trouble {
        if state::is_late() {
            self.ctx.catch();
            return Trouble::late(self.request.time_ms);
        }
        match error {
            rquickjs::Error::Exception => Trouble::pending(self.ctx, self.own),
            rquickjs::Error::Allocation | rquickjs::Error::Unknown => Trouble::plain(Kind::Memory, "out of memory"),
            other => Trouble::plain(Kind::Runtime, other.to_string()),
        }
    }
}

/// What to say of a source that both the engine and the parser refuse: the parser says it better, where it means the same.
fn better(refused: Trouble, mistakes: Vec<Trouble>) -> Vec<Trouble> {
    match mistakes.first() {
        Some(first) if first.line == refused.line || refused.line.is_none() => mistakes,
        Some(first) if first.message.contains("cannot be imported") => mistakes,
        _ => vec![refused],
    }
}
