use bailiwick_core::call::{May, Policy, Selector};
use bailiwick_core::config::Key;
use bailiwick_core::key::KeyId;

use super::rows::{Change, Own, Rights, Row};
use super::*;
use crate::resolver::Resolver;

/// Bytes 0 to 31, and a hash that costs next to nothing.
const KEY: &str = "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const CHEAP: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$vJUe/WFIFA3WGmy/KkLlcQ";
const OTHER: &str = "rtr_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";

struct World {
    folder: tempfile::TempDir,
    keys: Arc<Keys>,
}

fn policy(name: &str) -> Arc<Policy> {
    let may = May { execute: true, ..May::default() };
    Arc::new(Policy { name: name.to_owned(), tools: Selector::all(), may, per_minute: Some(7), ..Policy::default() })
}

fn config(keys: &[&str], policies: &[&str]) -> Config {
    let hash = KeyHash::parse(CHEAP).unwrap();
    let key = |name: &&str| ((*name).to_owned(), Key { hash: hash.clone(), policy: policy("given") });
    let policies = policies.iter().map(|name| ((*name).to_owned(), policy(name)));
    Config { keys: keys.iter().map(key).collect(), policies: policies.collect(), ..Config::default() }
}

impl World {
    fn new(config: &Config) -> Self {
        Self::with(config, Environment::default())
    }

    fn with(config: &Config, environment: Environment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("bailiwick.db")).unwrap());
        let egress = Arc::new(Egress::new(Resolver::default(), &[]).unwrap());
        let keys = Arc::new(Keys::new(store, egress, config, environment).unwrap());
        Self { folder, keys }
    }

    /// The database, as another process has it.
    fn beside(&self) -> Store {
        Store::open(&self.folder.path().join("bailiwick.db")).unwrap()
    }

    /// Who asks, or why not.
    async fn ask(&self, header: &str) -> String {
        told(&self.keys.identify(&headers(&[header])).await)
    }
}

fn headers(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
}

fn told(identity: &Result<Identity, Refused>) -> String {
    match identity {
        Ok(identity) => identity.caller.name.clone(),
        Err(refused) => format!("{refused:?}"),
    }
}

fn row(name: &str, rights: Rights) -> Row {
    let id = KeyText::parse(KEY).unwrap().id();
    Row { name: name.to_owned(), id, hash: CHEAP.to_owned(), rights, created: now(), expires: None, revoked: None }
}

fn own() -> Rights {
    Rights::Own(Own { tools: vec!["read".to_owned()], execute: true, calls: Some(3), ..Own::default() })
}

#[tokio::test]
async fn api1_a23_only_one_bearer_header_with_a_key_of_ours_lets_in() {
    let world = World::new(&config(&["ci"], &[]));
    assert_eq!(world.ask(&format!("Bearer {KEY}")).await, "key:ci");
    assert_eq!(world.ask(&format!("bearer {KEY}")).await, "key:ci");
    assert_eq!(world.ask(&format!("BEARER  {KEY}")).await, "key:ci");
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        KEY,
        &format!("Basic {KEY}"),
        &format!("Bearer {KEY} "),
        &format!("Bearer{KEY}"),
        &format!("Bearer {OTHER}"),
        &format!("Bearer {}", &KEY[..46]),
        &format!("Bearer {KEY},{KEY}"),
        &format!("Bearer {}", KEY.to_lowercase()),
    ] {
        assert_eq!(world.ask(wrong).await, "Invalid", "{wrong}");
    }
    let both = format!("Bearer {KEY}");
    assert_eq!(told(&world.keys.identify(&headers(&[&both, &both])).await), "Invalid");
    assert_eq!(told(&world.keys.identify(&HeaderMap::new()).await), "Missing");
}

#[tokio::test]
async fn without_a_key_one_is_anonymous_where_that_is_granted() {
    let mut config = config(&["ci"], &[]);
    config.gateway.anonymous = Some(policy("guests"));
    let world = World::new(&config);
    let guest = world.keys.identify(&HeaderMap::new()).await.unwrap();
    assert_eq!((guest.caller.name.as_str(), guest.per_minute), ("anonymous", Some(7)));
    assert_eq!(world.ask(&format!("Bearer {OTHER}")).await, "Invalid", "a wrong key is no way to be a guest");
}

#[tokio::test]
async fn a46_a_key_has_what_its_policy_says_or_rights_of_its_own() {
    let world = World::new(&config(&[], &["readers"]));
    let store = world.beside();
    assert_eq!(rows::add(&store, &row("own", own())).unwrap(), Change::Done);
    let key = format!("Bearer {KEY}");
    let identity = world.keys.identify(&headers(&[&key])).await.unwrap();
    assert_eq!(identity.caller.tools.entries(), ["read"]);
    assert_eq!((identity.caller.budget.calls, identity.caller.policy.as_deref()), (Some(3), None));
    rows::revoke(&store, "own", now()).unwrap();
    assert_eq!(rows::add(&store, &row("shared", Rights::Policy("readers".to_owned()))).unwrap(), Change::Done);
    let identity = world.keys.identify(&headers(&[&key])).await.unwrap();
    assert_eq!((identity.per_minute, identity.caller.policy.as_deref()), (Some(7), Some("readers")));
    // Its policy is taken away, and given back.
    world.keys.reload(&config(&[], &[]));
    assert_eq!(world.ask(&key).await, "Invalid");
    assert!(identity.revoked.is_cancelled());
    world.keys.reload(&config(&[], &["readers"]));
    assert_eq!(world.ask(&key).await, "key:shared");
}

#[tokio::test]
async fn a13_a_key_that_another_process_revokes_is_none_at_once() {
    let world = World::new(&config(&[], &[]));
    let key = format!("Bearer {KEY}");
    assert_eq!(world.ask(&key).await, "Invalid");
    let store = world.beside();
    rows::add(&store, &row("ci", own())).unwrap();
    let identity = world.keys.identify(&headers(&[&key])).await.unwrap();
    assert_eq!(rows::add(&store, &row("ci", own())).unwrap(), Change::Refused, "the name is taken");
    let other = row("other", own());
    rows::add(&store, &Row { id: KeyId::stored("0"), ..other }).unwrap();
    assert_eq!(world.ask(&key).await, "key:ci");
    assert!(!identity.revoked.is_cancelled(), "another key is no business of this one's");
    assert_eq!(rows::revoke(&store, "ci", now()).unwrap(), Change::Done);
    let watching = tokio::spawn(Arc::clone(&world.keys).watch());
    // Nobody asks: what goes on under the key ends all the same.
    identity.revoked.cancelled().await;
    watching.abort();
    assert_eq!(world.ask(&key).await, "Invalid");
    assert_eq!(rows::revoke(&store, "ci", now()).unwrap(), Change::Refused);
    assert_eq!(rows::add(&store, &row("ci", own())).unwrap(), Change::Done, "the name is free again");
    assert_eq!(world.ask(&key).await, "key:ci");
}

#[tokio::test]
async fn api3_a_key_that_expired_is_none() {
    let world = World::new(&config(&[], &[]));
    let store = world.beside();
    let expired = Row { expires: Some(now() - 1), ..row("old", own()) };
    rows::add(&store, &expired).unwrap();
    assert_eq!(world.ask(&format!("Bearer {KEY}")).await, "Invalid");
    rows::add(&store, &Row { expires: Some(now() + 600), ..row("old", own()) }).unwrap();
    assert_eq!(world.ask(&format!("Bearer {KEY}")).await, "key:old");
}

#[tokio::test]
async fn a_key_that_is_gone_from_the_configuration_is_revoked_and_its_twin_is_not() {
    let world = World::new(&config(&["ci"], &[]));
    let identity = world.keys.identify(&headers(&[&format!("Bearer {KEY}")])).await.unwrap();
    world.keys.reload(&config(&["ci"], &["more"]));
    assert!(!identity.revoked.is_cancelled());
    world.keys.reload(&config(&[], &[]));
    assert!(identity.revoked.is_cancelled());
    assert_eq!(world.ask(&format!("Bearer {KEY}")).await, "Invalid");
}

#[tokio::test]
async fn a7_the_key_of_the_environment_lets_in() {
    let variable = |name: &str| (name == "AUXOT_API_KEY_HASH").then(|| CHEAP.to_owned());
    let world = World::with(&Config::default(), Environment::of(&variable).unwrap());
    assert_eq!(world.ask(&format!("Bearer {KEY}")).await, "key:environment");
    assert!(!world.keys.is_empty() && World::new(&Config::default()).keys.is_empty());
}

#[tokio::test]
async fn a4_what_came_of_a_check_is_remembered_and_bounded() {
    let world = World::new(&config(&["ci"], &[]));
    let key = format!("Bearer {KEY}");
    assert_eq!(world.ask(&key).await, "key:ci");
    // Nobody gets to check anything: only what is remembered is answered.
    world.keys.known.places.close();
    world.keys.unknown.places.close();
    assert_eq!(world.ask(&key).await, "key:ci");
    assert_eq!(world.ask(&format!("Bearer {OTHER}")).await, "Busy");
    let number = world.keys.book.load().number;
    for n in 0..100_000_u32 {
        let mut tag = Tag::default();
        tag[..4].copy_from_slice(&n.to_le_bytes());
        held(&world.keys.remembered).bad.insert(tag, (number, Instant::now()));
    }
    assert!(held(&world.keys.remembered).bad.len() <= 2 * MOST_REMEMBERED);
    // What nobody knew may be known to the next set of keys.
    let tag = world.keys.tag(OTHER);
    held(&world.keys.remembered).bad.insert(tag, (number, Instant::now()));
    assert_eq!(world.ask(&format!("Bearer {OTHER}")).await, "Invalid");
    world.keys.reload(&config(&["ci"], &["more"]));
    assert_eq!(world.ask(&format!("Bearer {OTHER}")).await, "Busy");
    assert_eq!(world.ask(&key).await, "key:ci");
}

#[tokio::test]
async fn a4_what_is_remembered_is_checked_again_after_a_while() {
    let cache = Some(Duration::ZERO);
    let world = World::with(&config(&["ci"], &[]), Environment { cache, ..Environment::default() });
    let key = format!("Bearer {KEY}");
    assert_eq!(world.ask(&key).await, "key:ci");
    // A key that was good before does not stand behind those nobody knows.
    world.keys.unknown.places.close();
    assert_eq!(world.ask(&key).await, "key:ci");
    world.keys.known.places.close();
    assert_eq!(world.ask(&key).await, "Busy");
}

#[tokio::test]
async fn api4_those_who_guess_wait_for_each_other_and_for_nobody_else() {
    let world = World::new(&config(&["given"], &[]));
    rows::add(&world.beside(), &Row { hash: CHEAP.to_owned(), ..row("ci", own()) }).unwrap();
    assert_eq!(world.ask(&format!("Bearer {OTHER}")).await, "Invalid");
    let _busy = world.keys.unknown.enter().await.unwrap();
    let guess = |n: u8| {
        let (keys, key) = (Arc::clone(&world.keys), bailiwick_core::key::make(&[n; 32]));
        async move { told(&keys.identify(&headers(&[&format!("Bearer {key}")])).await) }
    };
    let mut waiting: Vec<_> = (0..64).map(|n| Box::pin(guess(n))).collect();
    for guess in &mut waiting {
        assert!(futures::poll!(guess).is_pending());
    }
    assert_eq!(guess(99).await, "Busy");
    assert_eq!(world.ask(&format!("Bearer {KEY}")).await, "key:ci");
}

/// Takes a while and needs a quiet machine, so it runs with the slow tests.
#[tokio::test]
async fn api2_how_much_of_a_key_is_right_takes_no_time() {
    if crate::ambient::env("RUN_SLOW_TESTS").is_none() {
        return;
    }
    const SAMPLES: u32 = 100_000;
    let world = World::new(&config(&[], &[]));
    rows::add(&world.beside(), &row("ci", own())).unwrap();
    assert_eq!(world.ask(&format!("Bearer {KEY}")).await, "key:ci");
    let mut times = [Vec::new(), Vec::new()];
    for sample in 0..SAMPLES {
        let random: [u8; 32] = rand_bytes();
        let random = bailiwick_core::key::make(&random);
        // All but the last 42 bits are those of a good key.
        let near = format!("{}{}", &KEY[..40], &random[40..]);
        let pair = [headers(&[&format!("Bearer {near}")]), headers(&[&format!("Bearer {random}")])];
        let first = (sample % 2) as usize;
        for which in [first, 1 - first] {
            let begun = Instant::now();
            let refused = world.keys.identify(&pair[which]).await.is_err();
            times[which].push(begun.elapsed().as_nanos() as f64);
            assert!(refused);
        }
    }
    // Without the slowest tenth: those were interrupted.
    let mean = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 9 / 10);
        times.iter().sum::<f64>() / times.len() as f64
    };
    let [near, random] = &mut times;
    let (near, random) = (mean(near), mean(random));
    eprintln!("a key that is nearly right: {near:.0} ns; a random one: {random:.0} ns; {SAMPLES} of each");
    assert!((near - random).abs() < random * 0.02, "{near:.0} ns and {random:.0} ns");
}

fn rand_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
