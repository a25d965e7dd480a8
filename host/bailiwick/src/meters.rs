//! What callers had of their budgets: counted before a call runs, added up when it is over, kept from start to start.
//!
//! Counting happens in memory. What was counted is written down about once a second, by whoever counts next or by a task
//! that waits for it; so a host that is killed forgets at most the last second, and hosts that share a state folder see
//! each other's counts that late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension as _, Transaction, params};

use bailiwick_core::bucket::Spent;
use bailiwick_core::call::Caller;
use bailiwick_core::outcome::{Code, Failure, Outcome};
use bailiwick_core::policy::Permitted;

use crate::store::{Store, StoreError};

/// How long what was counted may wait to be written down.
const BEHIND: Duration = Duration::from_secs(1);

/// The budgets of all callers that have one.
#[derive(Debug)]
pub(crate) struct Meters {
    store: Arc<Store>,
    meters: Mutex<HashMap<String, Meter>>,
    /// Held while counts move between memory and the database: on the way they are in neither.
    moving: Mutex<()>,
}

#[derive(Debug)]
struct Meter {
    spent: Spent,
    /// What of it the database does not know yet.
    unwritten: Option<Spent>,
    per: Duration,
    /// When the database was read.
    read: Instant,
}

impl Meters {
    pub(crate) fn new(store: Arc<Store>) -> Arc<Self> {
        Arc::new(Self { store, meters: Mutex::default(), moving: Mutex::default() })
    }

    /// Counts a call that may run, if something of its caller's budget is left. What it takes is counted when what is given
    /// back ends, however that comes.
    ///
    /// # Errors
    /// `limit.budget`, with the time when there is more; `host.internal` when it cannot be known what is left.
    pub(crate) async fn charge(self: &Arc<Self>, pending: Option<&Permitted>) -> Result<Spending, Failure> {
        let bounded = pending.map(|permitted| &permitted.call().caller).filter(|caller| caller.budget.is_bounded());
        let Some(caller) = bounded else { return Ok(Spending::default()) };
        let (meters, name, budget) = (Arc::clone(self), caller.name.clone(), caller.budget);
        // Reading takes a file, at most once a second for each caller.
        let fresh = held(&self.meters).get(&name).is_some_and(|meter| meter.read.elapsed() < BEHIND);
        if !fresh {
            let read = tokio::task::spawn_blocking(move || meters.read(&name, budget.per)).await;
            read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string())).map_err(
                |error| {
                    tracing::error!(error, "a budget cannot be read");
                    Failure::new(Code::Internal, "it cannot be known what is left of the caller's budget")
                },
            )?;
        }
        self.count(caller)?;
        Ok(Spending { account: Some((Arc::clone(self), caller.name.clone())), ..Spending::default() })
    }

    fn count(self: &Arc<Self>, caller: &Caller) -> Result<(), Failure> {
        let now = now();
        let mut meters = held(&self.meters);
        let meter =
            meters.entry(caller.name.clone()).or_insert_with(|| Meter::new(Spent::default(), caller.budget.per));
        meter.per = caller.budget.per;
        meter.spent = meter.spent.charge(&caller.budget, now).map_err(|used_up| {
            let message = format!("`{}` has used up its budget of {}", caller.name, used_up.what);
            let again = used_up.again.as_secs() + 1;
            let fix = match &caller.policy {
                Some(policy) => {
                    format!("try again in {again} s, or raise `{}` under `[policies.{policy}]`", used_up.key)
                }
                None => format!("try again in {again} s"),
            };
            Failure::new(Code::LimitBudget, message).with_fix(fix)
        })?;
        self.note(meter, Spent { calls: 1, ..Spent::default() });
        Ok(())
    }

    /// Adds what a call took.
    fn add(self: &Arc<Self>, name: &str, time: Duration, bytes: u64) {
        let mut meters = held(&self.meters);
        let Some(meter) = meters.get_mut(name) else { return };
        meter.spent = meter.spent.at(now(), meter.per);
        meter.spent.time += time;
        meter.spent.bytes = meter.spent.bytes.saturating_add(bytes);
        self.note(meter, Spent { time, bytes, ..Spent::default() });
    }

    /// Has it written down, soon.
    fn note(self: &Arc<Self>, meter: &mut Meter, more: Spent) {
        let begun = meter.spent.begun;
        let is_first = meter.unwritten.is_none();
        // What was counted before counting began anew is nobody's business any more.
        let before = meter.unwritten.filter(|before| begun < before.begun + meter.per).unwrap_or_default();
        let (calls, bytes) = (before.calls + more.calls, before.bytes.saturating_add(more.bytes));
        meter.unwritten = Some(Spent { begun, calls, time: before.time + more.time, bytes });
        if is_first && let Ok(threads) = tokio::runtime::Handle::try_current() {
            let meters = Arc::downgrade(self);
            threads.spawn(async move {
                tokio::time::sleep(BEHIND).await;
                let write = move || Weak::upgrade(&meters).map(|meters| meters.write());
                drop(tokio::task::spawn_blocking(write).await);
            });
        }
    }

    /// Reads what the database has of a caller: other processes count too. Blocks.
    fn read(&self, name: &str, per: Duration) -> Result<(), StoreError> {
        let _alone = held(&self.moving);
        let written = self.store.read(|read| {
            let mut select = read.prepare_cached("SELECT begun, calls, micros, bytes FROM spent WHERE caller = ?1")?;
            select
                .query_row([name], |row| {
                    Ok(Spent {
                        begun: Duration::from_millis(unsigned(row.get(0)?)),
                        calls: unsigned(row.get(1)?),
                        time: Duration::from_micros(unsigned(row.get(2)?)),
                        bytes: unsigned(row.get(3)?),
                    })
                })
                .optional()
        })?;
        let now = now();
        let written = written.unwrap_or_default().at(now, per);
        let mut meters = held(&self.meters);
        let meter = meters.entry(name.to_owned()).or_insert_with(|| Meter::new(written, per));
        meter.read = Instant::now();
        let own = meter.unwritten.filter(|own| now < own.begun + per);
        let begun = own.map_or(written.begun, |own| own.begun.min(written.begun));
        let own = own.unwrap_or_default();
        let (calls, bytes) = (written.calls + own.calls, written.bytes.saturating_add(own.bytes));
        meter.spent = Spent { begun, calls, time: written.time + own.time, bytes };
        Ok(())
    }

    /// Writes down what was counted. Blocks.
    fn write(&self) {
        let _alone = held(&self.moving);
        let unwritten: Vec<(String, Spent, Duration)> = held(&self.meters)
            .iter_mut()
            .filter_map(|(name, meter)| Some((name.clone(), meter.unwritten.take()?, meter.per)))
            .collect();
        if unwritten.is_empty() {
            return;
        }
        let all =
            |write: &Transaction<'_>| unwritten.iter().try_for_each(|(name, more, per)| add(write, name, more, *per));
        let written = self.store.write(all);
        if let Err(error) = written {
            tracing::error!(%error, "what callers had of their budgets is not written down");
        }
    }
}

impl Drop for Meters {
    fn drop(&mut self) {
        self.write();
    }
}

/// Adds to what the database has, or begins anew where the time that was counted over has passed.
fn add(write: &Transaction<'_>, name: &str, more: &Spent, per: Duration) -> rusqlite::Result<()> {
    const ADD: &str = "INSERT INTO spent (caller, begun, calls, micros, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (caller) DO UPDATE SET
            calls = iif(excluded.begun >= begun + ?6, 0, calls) + excluded.calls,
            micros = iif(excluded.begun >= begun + ?6, 0, micros) + excluded.micros,
            bytes = iif(excluded.begun >= begun + ?6, 0, bytes) + excluded.bytes,
            begun = iif(excluded.begun >= begun + ?6, excluded.begun, min(begun, excluded.begun))";
    let Spent { begun, calls, time, bytes } = more;
    let (calls, bytes) = (signed(u128::from(*calls)), signed(u128::from(*bytes)));
    let (begun, micros) = (signed(begun.as_millis()), signed(time.as_micros()));
    write.execute(ADD, params![name, begun, calls, micros, bytes, signed(per.as_millis())])?;
    Ok(())
}

fn signed(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Since 1970, in whole milliseconds, as it is written down.
fn now() -> Duration {
    Duration::from_millis(unsigned(jiff::Timestamp::now().as_millisecond()))
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Meter {
    fn new(spent: Spent, per: Duration) -> Self {
        Self { spent, unwritten: None, per, read: Instant::now() }
    }
}

/// A call that is paid for by a budget, or by none. Dropped, it is over.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    account: Option<(Arc<Meters>, String)>,
    /// None until the call runs: waiting costs nothing.
    since: Option<Instant>,
    bytes: u64,
}

impl Spending {
    /// The call runs from here on.
    pub(crate) fn runs(&mut self) {
        self.since = Some(Instant::now());
    }

    /// The call has a result.
    pub(crate) fn done(mut self, outcome: &Outcome) {
        self.bytes = outcome.result.as_ref().map_or(0, |output| output.size());
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        if let (Some((meters, name)), Some(since)) = (self.account.take(), self.since) {
            meters.add(&name, since.elapsed(), self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_core::call::{Budget, Policy};

    use super::*;

    fn caller(calls: u32) -> Caller {
        let budget = Budget { calls: Some(calls), per: Duration::from_secs(3_600), ..Budget::default() };
        Caller::under("key:ci", &Policy { name: "ci".to_owned(), budget, ..Policy::default() })
    }

    fn store(folder: &tempfile::TempDir) -> Arc<Store> {
        Arc::new(Store::open(&folder.path().join("bailiwick.db")).unwrap())
    }

    #[tokio::test]
    async fn a_budget_outlives_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let caller = caller(3);
        let count = |meters: &Arc<Meters>| {
            meters.read("key:ci", caller.budget.per).unwrap();
            meters.count(&caller).map_err(|failure| failure.to_string())
        };
        let first = Meters::new(store(&folder));
        assert_eq!(count(&first), Ok(()));
        first.add("key:ci", Duration::from_millis(1_500), 42);
        assert_eq!(count(&first), Ok(()));
        drop(Arc::into_inner(first).unwrap());
        let second = Meters::new(store(&folder));
        assert_eq!(count(&second), Ok(()));
        {
            let meters = held(&second.meters);
            let spent = meters["key:ci"].spent;
            assert_eq!((spent.calls, spent.time, spent.bytes), (3, Duration::from_millis(1_500), 42));
        }
        let refused = count(&second).unwrap_err();
        let expected = "`key:ci` has used up its budget of 3 calls in each 1h; try again in ";
        assert!(
            refused.starts_with(expected) && refused.ends_with(" s, or raise `calls` under `[policies.ci]`"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn hosts_that_share_a_state_folder_share_budgets() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Meters::new(store(&folder)), Meters::new(store(&folder)));
        let caller = caller(5);
        for meters in [&one, &other, &one, &other] {
            meters.read("key:ci", caller.budget.per).unwrap();
            meters.count(&caller).unwrap();
            meters.write();
        }
        one.read("key:ci", caller.budget.per).unwrap();
        one.count(&caller).unwrap();
        assert!(one.count(&caller).is_err());
    }
}
