//! Busy guests take turns. A guest runs only while it holds one of as many turns as there are processors; it gives its
//! turn up at every tick and whenever it waits for the host.
//!
//! The next turn goes to the plugin that has had the least of the processors, and within a plugin to the call that has
//! had the least: two hundred loops of one plugin take no more from another than one loop would, and a call that needs a
//! moment does not stand behind them.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker, ready};
use std::time::{Duration, Instant};

use bailiwick_core::name::PluginName;

/// One for each processor: more could not run at once anyway.
static TURNS: LazyLock<Turns> = LazyLock::new(|| Turns::new(processors()));
/// A call that was called up and has not come within this time lets others go first: nobody may be looking at it.
const PATIENCE: Duration = Duration::from_millis(50);

pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// An executor for a host: with one thread more than guests run at once, so that what only takes a moment always finds
/// one that is free, and with an eye on the world after every few steps, because a step of a guest may take a whole tick.
#[must_use]
pub fn executor() -> tokio::runtime::Builder {
    let mut executor = tokio::runtime::Builder::new_multi_thread();
    executor.worker_threads(processors() + 1).event_interval(8).enable_all();
    executor
}

/// Runs a guest of `plugin`, turn by turn. `giving_way` says when it stopped for others and not for the host.
pub(super) async fn over<T>(plugin: &PluginName, giving_way: &GivingWay, guest: impl Future<Output = T>) -> T {
    let mut guest = pin!(guest);
    let mut place = Place::new(&TURNS, plugin);
    std::future::poll_fn(|cx| {
        ready!(place.enter(cx.waker()));
        let polled = guest.as_mut().poll(cx);
        if polled.is_pending() && giving_way.0.swap(false, Ordering::Relaxed) {
            place.pass(cx.waker());
        } else {
            place.leave();
        }
        polled
    })
    .await
}

/// Whether a guest has stopped to let others go first. Then nobody has to wake it but whoever calls up the next.
#[derive(Debug, Clone, Default)]
pub(super) struct GivingWay(Arc<AtomicBool>);

impl GivingWay {
    /// Stops once.
    pub(super) async fn stop(self) {
        let mut stopped = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut stopped, true) {
                return Poll::Ready(());
            }
            self.0.store(true, Ordering::Relaxed);
            Poll::Pending
        })
        .await;
    }
}

/// Passes over those who were called up and do not come. Something has to say this now and then, such as a clock.
pub(super) fn pass_over_absent() {
    TURNS.lock().pass_over(Instant::now());
}

/// All turns and who waits for one.
#[derive(Debug)]
struct Turns(Mutex<Queue>);

#[derive(Debug)]
struct Queue {
    free: usize,
    waiting: Vec<Waiter>,
    shares: HashMap<PluginName, Share>,
    /// What the plugin had that got the last turn: whoever comes back from a pause starts from here, and has no claim
    /// to what it did not use meanwhile.
    level: Duration,
    next: u64,
}

/// What a plugin has had.
#[derive(Debug, Default)]
struct Share {
    used: Duration,
    /// Calls that hold a turn or wait for one.
    wanting: u32,
    /// Calls in all.
    calls: u32,
}

/// A call that waits for a turn.
#[derive(Debug)]
struct Waiter {
    ticket: u64,
    plugin: PluginName,
    /// What the call itself has had.
    used: Duration,
    waker: Waker,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waits,
    /// A turn is kept for it since then.
    Called(Instant),
    /// It was called and did not come.
    Absent,
}

impl Turns {
    fn new(turns: usize) -> Self {
        Self(Mutex::new(Queue {
            free: turns,
            waiting: Vec::new(),
            shares: HashMap::new(),
            level: Duration::ZERO,
            next: 0,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Lines up for a turn; the number to come with.
    fn line_up(&mut self, plugin: &PluginName, used: Duration, waker: &Waker) -> u64 {
        let ticket = self.next;
        self.next += 1;
        let (plugin, waker) = (plugin.clone(), waker.clone());
        self.waiting.push(Waiter { ticket, plugin, used, waker, standing: Standing::Waits });
        ticket
    }

    /// Calls up the next, as long as there are turns. Whoever asks needs not be woken.
    fn call_up(&mut self, asks: Option<u64>) {
        while self.free > 0 {
            let shares = &self.shares;
            let rank = |waiter: &&mut Waiter| {
                let had = shares.get(&waiter.plugin).map_or(Duration::ZERO, |share| share.used);
                (had, waiter.used, waiter.ticket)
            };
            let waits = self.waiting.iter_mut().filter(|waiter| waiter.standing == Standing::Waits);
            let Some(next) = waits.min_by_key(rank) else { return };
            next.standing = Standing::Called(Instant::now());
            if asks != Some(next.ticket) {
                next.waker.wake_by_ref();
            }
            self.free -= 1;
        }
    }

    fn pass_over(&mut self, now: Instant) {
        for waiter in &mut self.waiting {
            if let Standing::Called(since) = waiter.standing
                && now.saturating_duration_since(since) >= PATIENCE
            {
                waiter.standing = Standing::Absent;
                self.free += 1;
            }
        }
        self.call_up(None);
    }

    /// The plugin wants one more turn.
    fn want(&mut self, plugin: &PluginName) {
        let level = self.level;
        if let Some(share) = self.shares.get_mut(plugin) {
            if share.wanting == 0 {
                share.used = share.used.max(level);
            }
            share.wanting += 1;
        }
    }

    /// The plugin wants one turn less, after having had `used`.
    fn had(&mut self, plugin: &PluginName, used: Duration) {
        if let Some(share) = self.shares.get_mut(plugin) {
            share.used += used;
            share.wanting = share.wanting.saturating_sub(1);
        }
    }

    /// The plugin has a turn now.
    fn begin(&mut self, plugin: &PluginName) {
        if let Some(share) = self.shares.get(plugin) {
            self.level = self.level.max(share.used);
        }
    }
}

/// The place of one call among all.
struct Place<'t> {
    turns: &'t Turns,
    plugin: PluginName,
    used: Duration,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It wants no turn.
    Outside,
    /// It waits under this number.
    Waiting(u64),
    /// It has a turn since then.
    Inside(Instant),
}

impl<'t> Place<'t> {
    fn new(turns: &'t Turns, plugin: &PluginName) -> Self {
        turns.lock().shares.entry(plugin.clone()).or_default().calls += 1;
        Self { turns, plugin: plugin.clone(), used: Duration::ZERO, at: At::Outside }
    }

    /// Ready when it is this call's turn.
    fn enter(&mut self, waker: &Waker) -> Poll<()> {
        let mut queue = self.turns.lock();
        if self.at == At::Outside && queue.free > 0 && queue.waiting.is_empty() {
            queue.want(&self.plugin);
            queue.begin(&self.plugin);
            queue.free -= 1;
            drop(queue);
            self.at = At::Inside(Instant::now());
            return Poll::Ready(());
        }
        let ticket = match self.at {
            At::Inside(_) => return Poll::Ready(()),
            At::Waiting(ticket) => ticket,
            At::Outside => {
                queue.want(&self.plugin);
                queue.line_up(&self.plugin, self.used, waker)
            }
        };
        self.at = At::Waiting(ticket);
        if let Some(waiter) = queue.waiting.iter_mut().find(|waiter| waiter.ticket == ticket) {
            waiter.waker.clone_from(waker);
            if waiter.standing == Standing::Absent {
                waiter.standing = Standing::Waits;
            }
        }
        queue.call_up(Some(ticket));
        let called = |waiter: &Waiter| waiter.ticket == ticket && matches!(waiter.standing, Standing::Called(_));
        let Some(index) = queue.waiting.iter().position(called) else { return Poll::Pending };
        queue.waiting.swap_remove(index);
        queue.begin(&self.plugin);
        drop(queue);
        self.at = At::Inside(Instant::now());
        Poll::Ready(())
    }

    /// Gives the turn up.
    fn leave(&mut self) {
        let At::Inside(since) = self.at else { return };
        let used = since.elapsed();
        self.used += used;
        self.at = At::Outside;
        let mut queue = self.turns.lock();
        queue.had(&self.plugin, used);
        queue.free += 1;
        queue.call_up(None);
    }

    /// Gives the turn up and lines up for the next, which may be the very same.
    fn pass(&mut self, waker: &Waker) {
        let At::Inside(since) = self.at else { return };
        let used = since.elapsed();
        self.used += used;
        let mut queue = self.turns.lock();
        queue.had(&self.plugin, used);
        queue.want(&self.plugin);
        self.at = At::Waiting(queue.line_up(&self.plugin, self.used, waker));
        queue.free += 1;
        queue.call_up(None);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
        let mut queue = self.turns.lock();
        if let At::Waiting(ticket) = self.at
            && let Some(index) = queue.waiting.iter().position(|waiter| waiter.ticket == ticket)
        {
            if let Standing::Called(_) = queue.waiting.swap_remove(index).standing {
                queue.free += 1;
            }
            queue.had(&self.plugin, Duration::ZERO);
        }
        if let Some(share) = queue.shares.get_mut(&self.plugin) {
            share.calls -= 1;
            if share.calls == 0 {
                queue.shares.remove(&self.plugin);
            }
        }
        queue.call_up(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A waker, and how often it was woken.
    fn bell() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell(AtomicUsize::new(0)));
        (Arc::clone(&bell), bell.into())
    }

    fn plugin(name: &str) -> PluginName {
        PluginName::parse(name).unwrap()
    }

    fn enter(place: &mut Place<'_>) -> bool {
        place.enter(Waker::noop()).is_ready()
    }

    #[test]
    fn there_are_so_many_turns_and_no_more() {
        let turns = Turns::new(2);
        let mut places: Vec<_> = (0..3).map(|_| Place::new(&turns, &plugin("a"))).collect();
        assert_eq!(places.iter_mut().map(enter).collect::<Vec<_>>(), [true, true, false]);
        places[0].leave();
        assert!(enter(&mut places[2]));
        assert!(!enter(&mut places[0]));
    }

    #[test]
    fn the_plugin_that_had_least_is_next() {
        let turns = Turns::new(1);
        let (hog, modest) = (plugin("hog"), plugin("modest"));
        let mut loops: Vec<_> = (0..10).map(|_| Place::new(&turns, &hog)).collect();
        assert!(enter(&mut loops[0]));
        for waiting in &mut loops[1..] {
            assert!(!enter(waiting));
        }
        std::thread::sleep(Duration::from_millis(2));
        let (rung, waker) = bell();
        let mut quick = Place::new(&turns, &modest);
        assert!(quick.enter(&waker).is_pending());
        loops[0].leave();
        assert_eq!(rung.0.load(Ordering::SeqCst), 1, "it is called before nine others that came first");
        assert!(enter(&mut quick));
    }

    #[test]
    fn who_comes_back_from_a_pause_has_no_claim_to_the_past() {
        let turns = Turns::new(1);
        let (worker, sleeper) = (plugin("worker"), plugin("sleeper"));
        let (mut works, mut sleeps) = (Place::new(&turns, &worker), Place::new(&turns, &sleeper));
        for _ in 0..3 {
            assert!(enter(&mut works));
            std::thread::sleep(Duration::from_millis(2));
            works.leave();
        }
        assert!(enter(&mut sleeps));
        sleeps.leave();
        // Twice two milliseconds had gone by when the worker got its last turn.
        assert!(turns.lock().shares[&sleeper].used >= Duration::from_millis(4));
    }

    #[test]
    fn within_a_plugin_the_call_that_had_least_is_next() {
        let turns = Turns::new(1);
        let name = plugin("a");
        let (mut old, mut other, mut young) =
            (Place::new(&turns, &name), Place::new(&turns, &name), Place::new(&turns, &name));
        assert!(enter(&mut old));
        std::thread::sleep(Duration::from_millis(1));
        old.leave();
        assert!(enter(&mut other));
        assert!(!enter(&mut old));
        assert!(!enter(&mut young));
        other.leave();
        assert!(!enter(&mut old), "the turn is kept for the young one");
        assert!(enter(&mut young));
    }

    #[test]
    fn whoever_gives_way_goes_on_when_nobody_has_had_less() {
        let turns = Turns::new(1);
        let (hog, modest) = (plugin("hog"), plugin("modest"));
        let (mut busy, mut quick) = (Place::new(&turns, &hog), Place::new(&turns, &modest));
        assert!(enter(&mut busy));
        std::thread::sleep(Duration::from_millis(2));
        assert!(!enter(&mut quick));
        let (rung, waker) = bell();
        busy.pass(&waker);
        assert!(enter(&mut quick) && !enter(&mut busy));
        let (rung_quick, waker_quick) = bell();
        quick.pass(&waker_quick);
        assert_eq!((rung_quick.0.load(Ordering::SeqCst), rung.0.load(Ordering::SeqCst)), (1, 0));
        assert!(enter(&mut quick) && !enter(&mut busy));
        quick.leave();
        assert!(enter(&mut busy));
    }

    #[test]
    fn whoever_does_not_come_is_passed_over_until_it_comes() {
        let turns = Turns::new(1);
        let name = plugin("a");
        let (mut first, mut absent, mut third) =
            (Place::new(&turns, &name), Place::new(&turns, &name), Place::new(&turns, &name));
        assert!(enter(&mut first));
        assert!(!enter(&mut absent));
        let (rung, waker) = bell();
        assert!(third.enter(&waker).is_pending());
        first.leave();
        assert_eq!(rung.0.load(Ordering::SeqCst), 0, "the turn is kept for the second");
        turns.lock().pass_over(Instant::now() + PATIENCE);
        assert_eq!(rung.0.load(Ordering::SeqCst), 1);
        assert!(enter(&mut third));
        assert!(!enter(&mut absent));
        third.leave();
        assert!(enter(&mut absent));
    }

    #[test]
    fn whoever_gives_up_leaves_nothing_behind() {
        let turns = Turns::new(1);
        let name = plugin("a");
        let (mut holds, mut waits, mut called) =
            (Place::new(&turns, &name), Place::new(&turns, &name), Place::new(&turns, &name));
        assert!(enter(&mut holds));
        assert!(!enter(&mut called));
        assert!(!enter(&mut waits));
        holds.leave();
        drop(called);
        drop(waits);
        drop(holds);
        let queue = turns.lock();
        assert_eq!((queue.free, queue.waiting.len(), queue.shares.len()), (1, 0, 0));
    }
}
