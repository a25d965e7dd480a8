//! QuickJS with the prelude in it, made once.

use std::cell::OnceCell;

use rquickjs::context::EvalOptions;
use rquickjs::{Context, Ctx, Function, Object, Persistent, Runtime, Value};

use crate::memory::Memory;
use crate::position::PRELUDE;
use crate::{natives, state};

/// The parts of the prelude, in their order. Each is a function of what the host offers and of what parts share.
const PARTS: [(&str, &str); 7] = [
    ("start", include_str!("prelude/start.js")),
    ("inspect", include_str!("prelude/inspect.js")),
    ("bytes", include_str!("prelude/bytes.js")),
    ("console", include_str!("prelude/console.js")),
    ("value", include_str!("prelude/value.js")),
    ("timers", include_str!("prelude/timers.js")),
    ("url", include_str!("prelude/url.js")),
];
/// The part for runs that have tools or files; it too only defines.
const API: (&str, &str) = ("api", include_str!("prelude/api.js"));

/// The most of the stack in memory that a program may use. The engine has a stack of its own, which QuickJS cannot see and
/// whose end is a trap: 2 MiB (`WASM_STACK` in the host's `runtime/engine.rs`). A call of a function takes about 976
/// bytes of that and 275 of this, one by way of a built-in (`map`, `replace`) four times as much of both; so that the
/// exception comes before the trap, this is kept to 7/32 of that. Brackets in brackets in a source, and in what JSON is
/// made of, take less of this: more than about 200, or 1,800, end the call.
const STACK: usize = 448 << 10;

/// What is made once.
struct Engine {
    context: Context,
    own: Persistent<Object<'static>>,
    /// What the context belongs to; it must go last.
    _runtime: Runtime,
}

thread_local! {
    static ENGINE: OnceCell<Engine> = const { OnceCell::new() };
}

/// Uses the engine; makes it, if there is none. What `run` gets is the context and what the prelude keeps for the host.
pub(crate) fn with<T>(run: impl for<'js> FnOnce(&Ctx<'js>, &Object<'js>) -> T) -> T {
    ENGINE.with(|engine| {
        let engine = engine.get_or_init(|| make().expect("the prelude is part of the component, and runs"));
        engine.context.with(|ctx| {
            let own = engine.own.clone().restore(&ctx).expect("it was made by this runtime");
            run(&ctx, &own)
        })
    })
}

/// Whether the engine is made.
pub(crate) fn is_made() -> bool {
    ENGINE.with(|engine| engine.get().is_some())
}

fn make() -> rquickjs::Result<Engine> {
    let runtime = Runtime::new_with_alloc(Memory)?;
    runtime.set_max_stack_size(STACK);
    runtime.set_interrupt_handler(Some(Box::new(state::is_late)));
    let context = Context::full(&runtime)?;
    let own = context.with(|ctx| {
        let (host, own) = (Object::new(ctx.clone())?, Object::new(ctx.clone())?);
        natives::define(&ctx, &host)?;
        for (name, source) in PARTS.into_iter().chain([API]) {
            let mut options = EvalOptions::default();
            options.filename = Some(format!("{PRELUDE}-{name}"));
            let part: Function<'_> = ctx.eval_with_options(source, options)?;
            part.call::<_, ()>((host.clone(), own.clone()))?;
        }
        Ok::<_, rquickjs::Error>(Persistent::save(&ctx, own))
    })?;
    let kept = own.clone();
    runtime.set_host_promise_rejection_tracker(Some(Box::new(move |ctx, promise, reason, handled| {
        tell(&ctx, &kept, promise, reason, handled);
    })));
    Ok(Engine { context, own, _runtime: runtime })
}

/// Tells the prelude that a promise was rejected, or that somebody took the rejection after all.
fn tell<'js>(
    ctx: &Ctx<'js>,
    own: &Persistent<Object<'static>>,
    promise: Value<'js>,
    reason: Value<'js>,
    handled: bool,
) {
    let told = own
        .clone()
        .restore(ctx)
        .and_then(|own| own.get::<_, Function<'js>>("rejection"))
        .and_then(|rejection| rejection.call::<_, ()>((promise, reason, handled)));
    // Only a program without memory or stack comes here, and that is what it will be told.
    if told.is_err() {
        ctx.catch();
    }
}
