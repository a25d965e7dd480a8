//! Calls that a call makes: what a plugin's code asks for through `bailiwick:host/call`. They pass the gate like any other,
//! as calls of the same caller, while the call that makes them is under way; with it they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use bailiwick_core::call::{Call, CallId, Caller};
use bailiwick_core::context::Wanted;
use bailiwick_core::grant::{Want, Witness};
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::registry::{Registry, Tool};
use bailiwick_core::trace::TraceContext;

use crate::channel::Channel;
use crate::context::CallContext;
use crate::host::Host;

/// What became of a call.
pub(crate) type Answer = Result<Output, Failure>;

/// Another call that is wanted.
pub(crate) struct Order {
    tool: String,
    arguments: String,
    /// Closed by whoever does not want it any more.
    reply: oneshot::Sender<Answer>,
}

/// The way of one call to others.
#[derive(Debug)]
pub(crate) struct Door {
    names: Vec<ToolName>,
    /// Those that call tools themselves: calls are one level deep.
    barred: Vec<ToolName>,
    orders: mpsc::UnboundedSender<Order>,
}

/// Who makes the calls.
pub(crate) struct Outer {
    id: CallId,
    caller: Arc<Caller>,
    trace: Option<TraceContext>,
    session: Option<Arc<str>>,
    channel: Channel,
    count: AtomicU64,
}

impl Door {
    /// The way to those of the tools of `caller` that `tool` may call; none for a tool that calls none.
    pub(crate) fn of(
        registry: &Registry,
        tool: &Tool,
        caller: &Caller,
    ) -> Option<(Self, mpsc::UnboundedReceiver<Order>)> {
        let grants = &tool.effective.grants.call;
        if grants.is_empty() {
            return None;
        }
        let (names, barred) = callable(registry, tool, caller);
        let (orders, taken) = mpsc::unbounded_channel();
        Some((Self { names, barred, orders }, taken))
    }

    /// The tools that can be called, sorted.
    pub(crate) fn names(&self) -> &[ToolName] {
        &self.names
    }

    /// Asks for a call, if the grants of `call` name the tool and it has not made too many.
    ///
    /// # Errors
    /// `denied.call`, `limit.calls`.
    pub(crate) fn order(
        call: &CallContext,
        tool: String,
        arguments: String,
    ) -> Result<oneshot::Receiver<Answer>, Failure> {
        let grants = &call.effective.grants;
        let denied = |failure: Failure| {
            call.ledger.deny(failure.clone());
            failure
        };
        let gone = || Failure::new(Code::Cancelled, "the call that wanted it is over");
        // What is no name of a tool is told so by the gate.
        if let Ok(name) = ToolName::parse(&tool) {
            grants.call.permits(&name).map_err(|failure| {
                call.ledger.want(Some(Want::Call(name.clone())), Witness::Host);
                denied(failure)
            })?;
            if call.door.as_ref().is_some_and(|door| door.barred.contains(&name)) {
                let message = format!("`{name}` calls tools itself, and is not called by what is called so");
                return Err(denied(Failure::new(Code::DeniedCall, message)));
            }
        }
        let most = call.effective.limits.calls;
        if call.ledger.calls.fetch_add(1, Ordering::Relaxed) >= most {
            let message = format!("`{}` has made all the calls it may make: {most}", call.tool);
            let fix = format!("raise `limits.calls` under `[{}]` ({})", grants.table, grants.at);
            return Err(Failure::new(Code::LimitCalls, message).with_fix(fix));
        }
        let door = call.door.as_ref().ok_or_else(gone)?;
        call.ledger.operation(format!("call {tool}"));
        let (reply, answer) = oneshot::channel();
        door.orders.send(Order { tool, arguments, reply }).map_err(|_| gone())?;
        Ok(answer)
    }
}

/// The tools of `caller` that `tool` may call, sorted; and those that it is granted and may not, because they call tools
/// themselves.
pub(crate) fn callable(registry: &Registry, tool: &Tool, caller: &Caller) -> (Vec<ToolName>, Vec<ToolName>) {
    let grants = &tool.effective.grants.call;
    let granted = registry.visible(&caller.tools).filter(|(name, _)| grants.allows(name));
    let (mut names, mut barred) = (Vec::new(), Vec::new());
    for (name, tool) in granted {
        let calls_none = tool.effective.grants.call.is_empty();
        if calls_none { &mut names } else { &mut barred }.push(name.clone());
    }
    names.sort();
    (names, barred)
}

impl Outer {
    /// The maker of calls behind `call`, whose context is `context`.
    pub(crate) fn of(call: &Call, context: &CallContext) -> Self {
        // Reports of several calls would not grow; and while a person is asked, the time of the one that waits stands still.
        let clock = Some(Arc::clone(&context.deadline));
        let channel = Channel { progress: None, clock, ..context.channel.clone() };
        Self {
            id: call.id.clone(),
            caller: Arc::clone(&call.caller),
            trace: context.trail.trace().cloned().or_else(|| call.trace.clone()),
            session: call.session.clone(),
            channel,
            count: AtomicU64::new(0),
        }
    }

    /// A call as this caller makes it. Its id says within which.
    fn call(&self, tool: String, arguments: String) -> Call {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        Call {
            id: CallId::new(&format!("{}.{number}", self.id)),
            tool,
            arguments,
            caller: Arc::clone(&self.caller),
            trace: self.trace.clone(),
            session: self.session.clone(),
        }
    }
}

impl Host {
    /// Runs `outer` and, beside it, the calls that it makes, until it is over.
    pub(crate) async fn with_inner<T>(
        &self,
        maker: Outer,
        mut orders: mpsc::UnboundedReceiver<Order>,
        outer: impl Future<Output = T>,
    ) -> T {
        let mut under_way: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        let mut outer = std::pin::pin!(outer);
        loop {
            tokio::select! {
                result = &mut outer => return result,
                Some(order) = orders.recv() => under_way.push(self.inner(&maker, order)),
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
            }
        }
    }

    fn inner<'h>(&'h self, maker: &'h Outer, order: Order) -> BoxFuture<'h, ()> {
        Box::pin(async move {
            let Order { tool, arguments, mut reply } = order;
            let call = maker.call(tool, arguments);
            let answer = tokio::select! {
                outcome = self.pass(Wanted::Tool, call, maker.channel.clone()) => outcome.result,
                () = reply.closed() => return,
            };
            // Nobody may want it any more.
            let _ = reply.send(answer);
        })
    }
}
