//! Files of the folders that the host gave the run.
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]

use std::io::{ErrorKind, Read as _};

use rquickjs::function::Opt;
use rquickjs::{Ctx, IntoJs as _, Object, Result, TypedArray, Value};

use crate::bindings::wasi::filesystem::preopens;
use crate::natives;

/// The most names of a listing.
const MOST_NAMES: usize = 10_000;

/// Whether there are any.
pub(crate) fn any() -> bool {
    !preopens::get_directories().is_empty()
}

/// `{ value }`, the bytes of a file, or `{ code, message }`.
pub(crate) fn read<'js>(ctx: Ctx<'js>, path: String) -> Result<Object<'js>> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|mut file| {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(length).map_err(|_| ErrorKind::OutOfMemory)?;
        file.read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => value(&ctx, TypedArray::<u8>::new(ctx.clone(), bytes)?.into_value()),
        Err(error) => failure(&ctx, "read", &path, &error),
    }
}

/// Writes a file, in place of one that is there: `{ value: undefined }` or `{ code, message }`.
pub(crate) fn write<'js>(ctx: Ctx<'js>, path: String, bytes: TypedArray<'js, u8>) -> Result<Object<'js>> {
    // SAFETY: nothing runs between here and the last use that could change or free the buffer.
    #[expect(unsafe_code, reason = "the bytes are read where they lie")]
    let bytes = unsafe { bytes.as_bytes() }.unwrap_or_default();
    match std::fs::write(&path, bytes) {
        Ok(()) => value(&ctx, Value::new_undefined(ctx.clone())),
        Err(error) => failure(&ctx, "write", &path, &error),
    }
}

/// `{ value }`, the names in a folder, sorted, those of folders with a slash behind them; of no folder, the folders there
/// are; or `{ code, message }`.
pub(crate) fn list<'js>(ctx: Ctx<'js>, Opt(path): Opt<Option<String>>) -> Result<Object<'js>> {
    let Some(path) = path.flatten() else {
        let folders: Vec<String> = preopens::get_directories().into_iter().map(|(_, path)| path).collect();
        return value(&ctx, folders.into_js(&ctx)?);
    };
    match names(&path) {
        Ok(names) => {
            natives::room(&ctx, names.iter().map(String::len).sum())?;
            value(&ctx, names.into_js(&ctx)?)
        }
        Err(error) => failure(&ctx, "list", &path, &error),
    }
}

fn names(path: &str) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
        if names.len() > MOST_NAMES {
            return Err(std::io::Error::other(format!("there are more than {MOST_NAMES} names in it")));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn value<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("value", value)?;
    Ok(object)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's enum is open")]
fn failure<'js>(ctx: &Ctx<'js>, what: &str, path: &str, error: &std::io::Error) -> Result<Object<'js>> {
    let (code, reason) = match error.kind() {
        ErrorKind::NotFound => ("ENOENT", "there is no such file or folder".to_owned()),
        ErrorKind::PermissionDenied => ("EACCES", "it is not granted".to_owned()),
        ErrorKind::IsADirectory => ("EISDIR", "it is a folder".to_owned()),
        ErrorKind::NotADirectory => ("ENOTDIR", "it is not a folder".to_owned()),
        ErrorKind::OutOfMemory => ("ENOMEM", "it is larger than the memory of this run".to_owned()),
        _ => ("EIO", error.to_string()),
    };
    let object = Object::new(ctx.clone())?;
    object.set("code", code)?;
    object.set("message", format!("{code}: cannot {what} `{path}`: {reason}"))?;
    Ok(object)
}
