//! Values between JSON and the engine.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Map, Number, Value, json};
use wasmtime::component::Val;

use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::Redactor;
use bailiwick_core::typed::{Integer, Type};

/// Values in the arguments of one call. The engine takes some forty bytes for each, also for a byte of a `list<u8>`.
const MAX_VALUES: usize = 1 << 20;
/// Base64 with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The arguments of a function, in its order.
///
/// # Errors
/// `arguments.invalid` or `arguments.too-large`; the sentence names the field.
pub(super) fn arguments(params: &[(String, Type)], arguments: Value) -> Result<Vec<Val>, Failure> {
    let mut lowering = Lowering { left: MAX_VALUES };
    let lowered = fields(arguments).and_then(|mut fields| {
        let param = |(name, ty): &(String, Type)| lowering.field(name, ty, &mut fields);
        params.iter().map(param).collect()
    });
    lowered.map_err(|misfit| match &misfit.problem {
        Problem::Wrong(what) => Failure::new(Code::ArgumentsInvalid, format!("`{}` {what}", misfit.place())),
        Problem::TooMany => {
            let message = format!("the arguments hold more than {MAX_VALUES} values (each byte of base64 is one)");
            Failure::new(Code::ArgumentsTooLarge, message)
        }
    })
}

/// Where an argument does not fit, from the inside out, and how.
struct Misfit {
    path: Vec<String>,
    problem: Problem,
}

enum Problem {
    Wrong(String),
    TooMany,
}

impl Misfit {
    fn is(what: impl Into<String>) -> Self {
        Self { path: Vec::new(), problem: Problem::Wrong(what.into()) }
    }

    fn inside(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    /// As `a[0].b`.
    fn place(&self) -> String {
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        path.trim_start_matches('.').to_owned()
    }
}

struct Lowering {
    left: usize,
}

impl Lowering {
    fn spend(&mut self, values: usize) -> Result<(), Misfit> {
        self.left = self.left.checked_sub(values).ok_or(Misfit { path: Vec::new(), problem: Problem::TooMany })?;
        Ok(())
    }

    fn value(&mut self, ty: &Type, value: Value) -> Result<Val, Misfit> {
        self.spend(1)?;
        match ty {
            Type::Bool => value.as_bool().map(Val::Bool).ok_or_else(|| Misfit::is("is not true or false")),
            Type::Integer(kind) => integer(*kind, &value),
            Type::F32 => float(&value).and_then(single).map(Val::Float32),
            Type::F64 => float(&value).map(Val::Float64),
            Type::Char => character(&text(value)?).map(Val::Char),
            Type::Text => text(value).map(Val::String),
            Type::Bytes => self.bytes(&text(value)?),
            Type::List(item) => self.items(list(value)?, |_| item).map(Val::List),
            Type::Tuple(types) => self.tuple(types, list(value)?),
            Type::Record(types) => {
                let mut fields = fields(value)?;
                let field = |(name, ty): &(String, Type)| Ok((name.clone(), self.field(name, ty, &mut fields)?));
                types.iter().map(field).collect::<Result<_, _>>().map(Val::Record)
            }
            Type::Variant(cases) => self.variant(cases, fields(value)?),
            Type::Enum(names) => known(names, text(value)?).map(Val::Enum),
            Type::Flags(names) => {
                let flag = |flag| text(flag).and_then(|flag| known(names, flag));
                list(value)?.into_iter().map(flag).collect::<Result<_, _>>().map(Val::Flags)
            }
            Type::Option(inner) => self.option(inner, value),
            Type::Result(ok, err) => self.result(ok.as_deref(), err.as_deref(), fields(value)?),
        }
    }

    /// A field of an object; an option may be missing.
    fn field(&mut self, name: &str, ty: &Type, fields: &mut Map<String, Value>) -> Result<Val, Misfit> {
        let step = || format!(".{name}");
        match (fields.shift_remove(name), ty) {
            (Some(value), _) => self.value(ty, value).map_err(|misfit| misfit.inside(step())),
            (None, Type::Option(_)) => Ok(Val::Option(None)),
            (None, _) => Err(Misfit::is("is missing").inside(step())),
        }
    }

    fn items<'t>(&mut self, items: Vec<Value>, ty: impl Fn(usize) -> &'t Type) -> Result<Vec<Val>, Misfit> {
        let item = |(index, item)| self.value(ty(index), item).map_err(|misfit| misfit.inside(format!("[{index}]")));
        items.into_iter().enumerate().map(item).collect()
    }

    fn tuple(&mut self, types: &[Type], items: Vec<Value>) -> Result<Val, Misfit> {
        if items.len() != types.len() {
            return Err(Misfit::is(format!("has {} items and needs {}", items.len(), types.len())));
        }
        self.items(items, |index| &types[index]).map(Val::Tuple)
    }

    fn bytes(&mut self, text: &str) -> Result<Val, Misfit> {
        self.spend(text.len() / 4 * 3)?;
        let bytes = LENIENT.decode(text).map_err(|error| Misfit::is(format!("is not base64: {error}")))?;
        Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
    }

    fn variant(&mut self, cases: &[(String, Option<Type>)], mut fields: Map<String, Value>) -> Result<Val, Misfit> {
        let tag = fields.shift_remove("tag").ok_or_else(|| Misfit::is("is missing").inside(".tag"))?;
        let tag = text(tag).map_err(|misfit| misfit.inside(".tag"))?;
        let Some((name, payload)) = cases.iter().find(|(name, _)| *name == tag) else {
            let names: Vec<&str> = cases.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Misfit::is(format!("is none of {}", names.join(", "))).inside(".tag"));
        };
        let payload = payload.as_ref().map(|ty| self.field("value", ty, &mut fields)).transpose()?;
        Ok(Val::Variant(name.clone(), payload.map(Box::new)))
    }

    fn option(&mut self, inner: &Type, value: Value) -> Result<Val, Misfit> {
        if value.is_null() {
            return Ok(Val::Option(None));
        }
        let value = if matches!(inner, Type::Option(_)) {
            self.field("some", inner, &mut fields(value)?)?
        } else {
            self.value(inner, value)?
        };
        Ok(Val::Option(Some(Box::new(value))))
    }

    fn result(&mut self, ok: Option<&Type>, err: Option<&Type>, mut fields: Map<String, Value>) -> Result<Val, Misfit> {
        let is_ok = fields.contains_key("ok");
        if is_ok == fields.contains_key("err") {
            return Err(Misfit::is("needs either `ok` or `err`"));
        }
        let (name, ty) = if is_ok { ("ok", ok) } else { ("err", err) };
        let payload = ty.map(|ty| self.field(name, ty, &mut fields).map(Box::new)).transpose()?;
        Ok(Val::Result(if is_ok { Ok(payload) } else { Err(payload) }))
    }
}

fn fields(value: Value) -> Result<Map<String, Value>, Misfit> {
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Misfit::is("is not an object"))
        }
    }
}

fn list(value: Value) -> Result<Vec<Value>, Misfit> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(Misfit::is("is not a list"))
        }
    }
}

fn text(value: Value) -> Result<String, Misfit> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Misfit::is("is not text"))
        }
    }
}

fn character(text: &str) -> Result<char, Misfit> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ => Err(Misfit::is("is not one character")),
    }
}

fn known(names: &[String], name: String) -> Result<String, Misfit> {
    if names.contains(&name) { Ok(name) } else { Err(Misfit::is(format!("is none of {}", names.join(", ")))) }
}

fn float(value: &Value) -> Result<f64, Misfit> {
    value.as_f64().ok_or_else(|| Misfit::is("is not a number"))
}

fn single(number: f64) -> Result<f32, Misfit> {
    let single = number as f32;
    if single.is_infinite() { Err(Misfit::is("is too large for an f32")) } else { Ok(single) }
}

fn integer(kind: Integer, value: &Value) -> Result<Val, Misfit> {
    // To JSON `3.0` is an integer too.
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i128);
    let number = match value {
        Value::Number(number) => {
            let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            exact.or_else(|| number.as_f64().and_then(whole))
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let fits = number.and_then(|number| match kind {
        Integer::S8 => number.try_into().ok().map(Val::S8),
        Integer::U8 => number.try_into().ok().map(Val::U8),
        Integer::S16 => number.try_into().ok().map(Val::S16),
        Integer::U16 => number.try_into().ok().map(Val::U16),
        Integer::S32 => number.try_into().ok().map(Val::S32),
        Integer::U32 => number.try_into().ok().map(Val::U32),
        Integer::S64 => number.try_into().ok().map(Val::S64),
        Integer::U64 => number.try_into().ok().map(Val::U64),
    });
    fits.ok_or_else(|| Misfit::is(format!("is not an integer from {} to {}", kind.least(), kind.most())))
}

/// A value the engine gave, as JSON; none: it is not of this type. Secrets are taken out of bytes before they are
/// encoded, where nobody would find them any more; out of the rest when the result is sealed.
pub(super) fn json(ty: &Type, value: Val, redactor: &Redactor) -> Option<Value> {
    let inner = |ty: Option<&Type>, value: Option<Box<Val>>| match (ty, value) {
        (Some(ty), Some(value)) => json(ty, *value, redactor),
        (None, None) => Some(Value::Null),
        (Some(_), None) | (None, Some(_)) => None,
    };
    Some(match (ty, value) {
        (Type::Bool, Val::Bool(value)) => value.into(),
        (Type::Integer(kind), value) => number(*kind, &value)?,
        (Type::F32, Val::Float32(value)) => float_json(shortest(value)),
        (Type::F64, Val::Float64(value)) => float_json(value),
        (Type::Char, Val::Char(value)) => value.to_string().into(),
        (Type::Text, Val::String(value)) => value.into(),
        (Type::Bytes, Val::List(items)) => bytes(items, redactor)?.into(),
        (Type::List(ty), Val::List(items)) => {
            items.into_iter().map(|item| json(ty, item, redactor)).collect::<Option<Value>>()?
        }
        (Type::Tuple(types), Val::Tuple(items)) if types.len() == items.len() => {
            types.iter().zip(items).map(|(ty, item)| json(ty, item, redactor)).collect::<Option<Value>>()?
        }
        (Type::Record(types), Val::Record(fields)) if types.len() == fields.len() => {
            let field = |(ty, (name, value))| Some((name, json(ty, value, redactor)?));
            types.iter().map(|(_, ty)| ty).zip(fields).map(field).collect::<Option<Map<_, _>>>()?.into()
        }
        (Type::Variant(cases), Val::Variant(tag, payload)) => {
            let (_, ty) = cases.iter().find(|(name, _)| *name == tag)?;
            match (ty, payload) {
                (None, None) => json!({"tag": tag}),
                (ty, payload) => json!({"tag": tag, "value": inner(ty.as_ref(), payload)?}),
            }
        }
        (Type::Enum(_), Val::Enum(name)) => name.into(),
        (Type::Flags(_), Val::Flags(names)) => names.into(),
        (Type::Option(_), Val::Option(None)) => Value::Null,
        (Type::Option(ty), Val::Option(Some(value))) => {
            let value = json(ty, *value, redactor)?;
            if matches!(**ty, Type::Option(_)) { json!({"some": value}) } else { value }
        }
        (Type::Result(ok, _), Val::Result(Ok(value))) => json!({"ok": inner(ok.as_deref(), value)?}),
        (Type::Result(_, err), Val::Result(Err(value))) => json!({"err": inner(err.as_deref(), value)?}),
        _ => return None,
    })
}

fn number(kind: Integer, value: &Val) -> Option<Value> {
    Some(match (kind, value) {
        (Integer::S8, Val::S8(number)) => (*number).into(),
        (Integer::U8, Val::U8(number)) => (*number).into(),
        (Integer::S16, Val::S16(number)) => (*number).into(),
        (Integer::U16, Val::U16(number)) => (*number).into(),
        (Integer::S32, Val::S32(number)) => (*number).into(),
        (Integer::U32, Val::U32(number)) => (*number).into(),
        (Integer::S64, Val::S64(number)) => (*number).into(),
        (Integer::U64, Val::U64(number)) => (*number).into(),
        _ => return None,
    })
}

/// The number with the fewest digits that is this one as an `f32`: 9.99 and not 9.989999771118164.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

/// What JSON has no number for is text.
fn float_json(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn bytes(items: Vec<Val>, redactor: &Redactor) -> Option<String> {
    let byte = |item| if let Val::U8(byte) = item { Some(byte) } else { None };
    let mut bytes = items.into_iter().map(byte).collect::<Option<Vec<u8>>>()?;
    redactor.mask(&mut bytes);
    Some(STANDARD.encode(bytes))
}
