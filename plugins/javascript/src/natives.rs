//! What the prelude is given by the component: the clock, randomness, bytes, addresses, calls and files.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rquickjs::function::Opt;
use rquickjs::promise::PromiseState;
use rquickjs::{Ctx, Exception, Function, Object, Result, String as Text, TypedArray, Value};

use crate::bindings::bailiwick::host::call;
use crate::bindings::wasi::random::random;
use crate::files;
use crate::state::{self, Asked};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Puts the functions onto `host`.
pub(crate) fn define<'js>(ctx: &Ctx<'js>, host: &Object<'js>) -> Result<()> {
    host.set("print", Function::new(ctx.clone(), print)?)?;
    host.set("frames", Function::new(ctx.clone(), frames)?)?;
    host.set("now", Function::new(ctx.clone(), state::elapsed)?)?;
    host.set("random", Function::new(ctx.clone(), state::random)?)?;
    host.set("bytes", Function::new(ctx.clone(), bytes)?)?;
    host.set("promiseState", Function::new(ctx.clone(), promise_state)?)?;
    host.set("encode", Function::new(ctx.clone(), encode)?)?;
    host.set("decode", Function::new(ctx.clone(), decode)?)?;
    host.set("toBase64", Function::new(ctx.clone(), to_base64)?)?;
    host.set("fromBase64", Function::new(ctx.clone(), from_base64)?)?;
    host.set("url", Function::new(ctx.clone(), url)?)?;
    host.set("changeUrl", Function::new(ctx.clone(), change_url)?)?;
    host.set("start", Function::new(ctx.clone(), start)?)?;
    host.set("readFile", Function::new(ctx.clone(), files::read)?)?;
    host.set("writeFile", Function::new(ctx.clone(), files::write)?)?;
    host.set("listFiles", Function::new(ctx.clone(), files::list)?)
}

fn print(text: Text<'_>) -> Result<()> {
    let text = text.to_cstring()?;
    state::console(|console| console.line(text.as_str()));
    Ok(())
}

/// The frames of a stack that are the author's, at the author's places.
fn frames(stack: String) -> String {
    state::map(|map| map.stack(&stack).0)
}

fn bytes(ctx: Ctx<'_>, count: u32) -> Result<TypedArray<'_, u8>> {
    TypedArray::new(ctx, random::get_random_bytes(u64::from(count)))
}

/// `pending`, `fulfilled` or `rejected`; of what is no promise, nothing.
fn promise_state(value: Value<'_>) -> &'static str {
    match value.as_promise().map(rquickjs::Promise::state) {
        None => "",
        Some(PromiseState::Pending) => "pending",
        Some(PromiseState::Resolved) => "fulfilled",
        Some(PromiseState::Rejected) => "rejected",
    }
}

/// Text as bytes. QuickJS makes a copy, so that memory it does not have is an exception; the second copy is this one's.
fn encode<'js>(ctx: Ctx<'js>, text: Text<'js>) -> Result<TypedArray<'js, u8>> {
    let text = text.to_cstring()?;
    TypedArray::new(ctx.clone(), copied(&ctx, text.as_str().as_bytes())?)
}

/// Bytes as text: what is not UTF-8 is replaced, or with `strict`, there is no text.
fn decode<'js>(ctx: Ctx<'js>, bytes: TypedArray<'js, u8>, strict: bool) -> Result<Option<Text<'js>>> {
    // SAFETY: nothing runs between here and the last use that could change or free the buffer.
    #[expect(unsafe_code, reason = "the bytes are read where they lie")]
    let bytes = unsafe { bytes.as_bytes() }.unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => Text::from_str(ctx, text).map(Some),
        Err(_) if strict => Ok(None),
        Err(_) => {
            room(&ctx, bytes.len().saturating_mul(3))?;
            Text::from_str(ctx, &String::from_utf8_lossy(bytes)).map(Some)
        }
    }
}

fn to_base64<'js>(ctx: Ctx<'js>, bytes: TypedArray<'js, u8>, url: bool) -> Result<String> {
    // SAFETY: nothing runs between here and the last use that could change or free the buffer.
    #[expect(unsafe_code, reason = "the bytes are read where they lie")]
    let bytes = unsafe { bytes.as_bytes() }.unwrap_or_default();
    room(&ctx, bytes.len().saturating_mul(2))?;
    let engine = if url {
        GeneralPurpose::new(&URL_SAFE, LENIENT.with_encode_padding(false))
    } else {
        GeneralPurpose::new(&STANDARD, LENIENT)
    };
    Ok(engine.encode(bytes))
}

/// The bytes of base64. Strict, as `atob` is: spaces may stand in it, nothing else. Otherwise as `Buffer` is: either
/// alphabet, and what is of neither is passed over.
fn from_base64<'js>(ctx: Ctx<'js>, text: Text<'js>, strict: bool) -> Result<Option<TypedArray<'js, u8>>> {
    let text = text.to_cstring()?;
    room(&ctx, text.len())?;
    let mut plain = String::with_capacity(text.len());
    for character in text.as_str().chars() {
        match character {
            '-' if !strict => plain.push('+'),
            '_' if !strict => plain.push('/'),
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '/' => plain.push(character),
            '=' if !strict => break,
            ' ' | '\t' | '\n' | '\r' | '\u{c}' => {}
            other if strict => plain.push(other),
            _ => {}
        }
    }
    if strict && plain.len().is_multiple_of(4) {
        plain.truncate(plain.strip_suffix("==").or_else(|| plain.strip_suffix('=')).unwrap_or(&plain).len());
    }
    if plain.len() % 4 == 1 {
        if strict {
            return Ok(None);
        }
        plain.pop();
    }
    match GeneralPurpose::new(&STANDARD, LENIENT).decode(plain) {
        Ok(bytes) => TypedArray::new(ctx, bytes).map(Some),
        Err(_) => Ok(None),
    }
}

/// The parts of an address, in the order of the prelude; nothing, if it is none.
fn url(address: String, Opt(base): Opt<Option<String>>) -> Option<Vec<String>> {
    let base = base.flatten().map(|base| url::Url::parse(&base)).transpose().ok()?;
    let parsed = url::Url::options().base_url(base.as_ref()).parse(&address).ok()?;
    Some(parts(&parsed))
}

fn parts(url: &url::Url) -> Vec<String> {
    use url::quirks;
    let parts = [
        quirks::href(url),
        &quirks::origin(url),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
    ];
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// An address with one part changed; nothing, if that part cannot be so.
fn change_url(address: String, name: String, value: String) -> Option<Vec<String>> {
    use url::quirks;
    let mut url = url::Url::parse(&address).ok()?;
    match name.as_str() {
        "href" => url = url::Url::parse(&value).ok()?,
        "protocol" => quirks::set_protocol(&mut url, &value).ok()?,
        "username" => quirks::set_username(&mut url, &value).ok()?,
        "password" => quirks::set_password(&mut url, &value).ok()?,
        "host" => quirks::set_host(&mut url, &value).ok()?,
        "hostname" => quirks::set_hostname(&mut url, &value).ok()?,
        "port" => quirks::set_port(&mut url, &value).ok()?,
        "pathname" => quirks::set_pathname(&mut url, &value),
        "search" => quirks::set_search(&mut url, &value),
        "hash" => quirks::set_hash(&mut url, &value),
        _ => return None,
    }
    Some(parts(&url))
}

/// Begins a call of another tool and gives the number its answer will come under.
fn start(tool: String, arguments: String) -> u32 {
    let id = state::next_id();
    let call = call::start(&tool, &arguments);
    state::asked(|asked| asked.push(Asked { id, ready: call.subscribe(), call }));
    id
}

/// A copy of bytes, or an exception where there is no room for one.
pub(crate) fn copied(ctx: &Ctx<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    if copy.try_reserve_exact(bytes.len()).is_err() {
        return Err(Exception::throw_internal(ctx, "out of memory"));
    }
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// An exception where there is no room for so many bytes.
pub(crate) fn room(ctx: &Ctx<'_>, bytes: usize) -> Result<()> {
    match Vec::<u8>::new().try_reserve_exact(bytes) {
        Ok(()) => Ok(()),
        Err(_) => Err(Exception::throw_internal(ctx, "out of memory")),
    }
}
