//! From WIT types to JSON Schema.

use serde_json::{Map, Value, json};

use super::docs::TypeDocs;
use super::{Docs, Function, Type, Unfit};
use crate::name::ToolName;
use crate::registry::{Annotations, Definition, Risk};
use crate::schema::MAX_SCHEMA;

/// The field a result stands in when it is no record: structured results of tools are objects.
pub const RESULT: &str = "result";

/// The definition of the tool `name` that `function` becomes. `types` are the named types of its interface; `docs` may
/// describe them.
///
/// # Errors
/// When a schema is larger than the host takes.
pub fn definition(
    function: &Function,
    name: &ToolName,
    types: &[(String, Type)],
    docs: &Docs,
) -> Result<Definition, Unfit> {
    let docs_of_types = docs.types(function.name.short_interface(), types);
    let schemas = |side| Schemas { side, docs: &docs_of_types };
    let params = function.params.iter().map(|(name, ty)| (name.as_str(), ty));
    let input_schema = bounded(&schemas(Side::Argument).object(params, None))?;
    let output_schema = function.output().map(|ty| bounded(&schemas(Side::Result).root(ty))).transpose()?;
    Ok(Definition {
        name: name.to_string(),
        title: None,
        description: docs.function(&function.name).map_or_else(|| undescribed(function), str::to_owned),
        input_schema,
        output_schema,
        annotations: Annotations::default(),
        risk: Risk::Medium,
    })
}

/// Whether a result of this type is structured as it is; any other stands in the field [`RESULT`].
#[must_use]
pub fn is_bare(ty: &Type) -> bool {
    matches!(ty, Type::Record(_))
}

fn undescribed(function: &Function) -> String {
    match &function.name.interface {
        Some(interface) => format!("Calls `{}` of `{interface}`.", function.name.function),
        None => format!("Calls `{}`.", function.name.function),
    }
}

fn bounded(schema: &Value) -> Result<String, Unfit> {
    let text = schema.to_string();
    if text.len() > MAX_SCHEMA { Err(Unfit::TooLarge) } else { Ok(text) }
}

/// Which way a value goes: what may be left out of an argument is always there in a result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Argument,
    Result,
}

struct Schemas<'d> {
    side: Side,
    docs: &'d TypeDocs<'d>,
}

impl Schemas<'_> {
    fn root(&self, ty: &Type) -> Value {
        if is_bare(ty) { self.of(ty) } else { self.object([(RESULT, ty)], None) }
    }

    fn of(&self, ty: &Type) -> Value {
        let mut schema = self.undocumented(ty);
        let cases = if let Type::Enum(names) | Type::Flags(names) = ty { names.as_slice() } else { &[] };
        // JSON Schema has no place for a text on one of several names.
        let items = cases.iter().filter_map(|name| Some(format!("`{name}`: {}", self.docs.item(ty, name)?)));
        let said: Vec<String> = self.docs.whole(ty).map(str::to_owned).into_iter().chain(items).collect();
        if !said.is_empty() {
            describe(&mut schema, &said.join("\n"));
        }
        schema
    }

    fn undocumented(&self, ty: &Type) -> Value {
        match ty {
            Type::Bool => json!({"type": "boolean"}),
            Type::Integer(integer) => {
                json!({"type": "integer", "minimum": integer.least(), "maximum": integer.most()})
            }
            Type::F32 | Type::F64 => match self.side {
                Side::Argument => json!({"type": "number"}),
                Side::Result => json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}),
            },
            Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            Type::Text => json!({"type": "string"}),
            Type::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Type::List(item) => json!({"type": "array", "items": self.of(item)}),
            Type::Tuple(items) => self.tuple(items),
            Type::Record(fields) => self.object(fields.iter().map(|(name, ty)| (name.as_str(), ty)), Some(ty)),
            Type::Variant(cases) => {
                let case = |(name, payload): &(String, Option<Type>)| {
                    let mut case = self.case(name, payload.as_ref());
                    if let Some(said) = self.docs.item(ty, name) {
                        describe(&mut case, said);
                    }
                    case
                };
                json!({"anyOf": cases.iter().map(case).collect::<Value>()})
            }
            Type::Enum(names) => json!({"type": "string", "enum": names}),
            Type::Flags(names) => {
                json!({"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": true})
            }
            Type::Option(inner) => self.option(inner),
            Type::Result(ok, err) => {
                json!({"anyOf": [self.outcome("ok", ok.as_deref()), self.outcome("err", err.as_deref())]})
            }
        }
    }

    /// An object with these fields and no others. An option may be left out of an argument. `record` is the type
    /// whose doc comments speak of them.
    fn object<'t>(&self, fields: impl IntoIterator<Item = (&'t str, &'t Type)>, record: Option<&Type>) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (name, ty) in fields {
            let mut schema = self.of(ty);
            if let Some(said) = record.and_then(|record| self.docs.item(record, name)) {
                describe(&mut schema, said);
            }
            properties.insert(name.to_owned(), schema);
            if self.side == Side::Result || !matches!(ty, Type::Option(_)) {
                required.push(name.to_owned());
            }
        }
        let mut object = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            object["required"] = required.into();
        }
        object["additionalProperties"] = false.into();
        object
    }

    fn tuple(&self, items: &[Type]) -> Value {
        let length = items.len();
        let mut schema = json!({"type": "array", "minItems": length, "maxItems": length});
        match items {
            [first, rest @ ..] if rest.iter().all(|item| item == first) => schema["items"] = self.of(first),
            _ => schema["prefixItems"] = items.iter().map(|item| self.of(item)).collect(),
        }
        schema
    }

    /// One case of a variant. A list of one name instead of `const`: not every provider knows `const`.
    fn case(&self, name: &str, payload: Option<&Type>) -> Value {
        let mut case = self.object(payload.map(|ty| ("value", ty)), None);
        let mut properties = Map::new();
        properties.insert("tag".to_owned(), json!({"type": "string", "enum": [name]}));
        properties.extend(case["properties"].as_object().cloned().unwrap_or_default());
        case["properties"] = properties.into();
        let mut required = vec![json!("tag")];
        required.extend(case["required"].as_array().cloned().unwrap_or_default());
        case["required"] = required.into();
        case
    }

    /// The type or null. An option within an option says which of the two is missing.
    fn option(&self, inner: &Type) -> Value {
        let mut schema = self.of(inner);
        if matches!(inner, Type::Option(_)) {
            schema = self.only("some", schema);
        }
        let nothing = json!({"type": "null"});
        match schema.get_mut("anyOf") {
            Some(Value::Array(alternatives)) => {
                alternatives.push(nothing);
                schema
            }
            _ => json!({"anyOf": [schema, nothing]}),
        }
    }

    fn outcome(&self, name: &str, payload: Option<&Type>) -> Value {
        self.only(name, payload.map_or_else(|| json!({"type": "null"}), |ty| self.of(ty)))
    }

    fn only(&self, name: &str, schema: Value) -> Value {
        json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
    }
}

/// Adds a description; one that is there stands after it.
fn describe(schema: &mut Value, text: &str) {
    let text = match schema["description"].as_str() {
        Some(more) => format!("{text}\n{more}"),
        None => text.to_owned(),
    };
    schema["description"] = text.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::{FunctionName, Integer};

    fn function(params: &[(&str, Type)], result: Option<Type>) -> Function {
        Function {
            name: FunctionName { interface: Some("a:b/api@1.0.0".to_owned()), function: "f".to_owned() },
            params: params.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect(),
            result,
        }
    }

    fn defined(function: &Function, types: &[(String, Type)], docs: &Docs) -> Definition {
        definition(function, &ToolName::parse("f").unwrap(), types, docs).unwrap()
    }

    #[track_caller]
    fn check(ty: Type, argument: Value, result: Value) {
        let definition =
            defined(&function(&[("p", ty.clone())], Some(Type::List(Box::new(ty)))), &[], &Docs::default());
        let input: Value = serde_json::from_str(&definition.input_schema).unwrap();
        let output: Value = serde_json::from_str(&definition.output_schema.unwrap()).unwrap();
        assert_eq!(input["properties"]["p"], argument, "as an argument");
        assert_eq!(output["properties"]["result"]["items"], result, "as a result");
    }

    #[track_caller]
    fn both(ty: Type, schema: Value) {
        check(ty, schema.clone(), schema);
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn optional(ty: Type) -> Type {
        Type::Option(Box::new(ty))
    }

    fn boxed(ty: Type) -> Option<Box<Type>> {
        Some(Box::new(ty))
    }

    #[test]
    fn plain_types() {
        both(Type::Bool, json!({"type": "boolean"}));
        both(Type::Integer(Integer::U8), json!({"type": "integer", "minimum": 0, "maximum": 255}));
        both(Type::Integer(Integer::S64), json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX}));
        both(Type::Integer(Integer::U64), json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}));
        both(Type::Char, json!({"type": "string", "minLength": 1, "maxLength": 1}));
        both(Type::Text, json!({"type": "string"}));
        both(Type::Bytes, json!({"type": "string", "contentEncoding": "base64"}));
        let float = json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]});
        check(Type::F32, json!({"type": "number"}), float.clone());
        check(Type::F64, json!({"type": "number"}), float);
    }

    #[test]
    fn compound_types() {
        both(Type::List(Box::new(Type::Bool)), json!({"type": "array", "items": {"type": "boolean"}}));
        both(
            Type::Tuple(vec![Type::Bool, Type::Bool]),
            json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "boolean"}}),
        );
        both(
            Type::Tuple(vec![Type::Bool, Type::Text]),
            json!({"type": "array", "minItems": 2, "maxItems": 2,
                   "prefixItems": [{"type": "boolean"}, {"type": "string"}]}),
        );
        both(Type::Enum(names(&["a", "b-c"])), json!({"type": "string", "enum": ["a", "b-c"]}));
        both(
            Type::Flags(names(&["read", "write"])),
            json!({"type": "array", "items": {"type": "string", "enum": ["read", "write"]}, "uniqueItems": true}),
        );
    }

    #[test]
    fn a_variant_is_told_by_its_tag() {
        both(
            Type::Variant(vec![("none".to_owned(), None), ("some-text".to_owned(), Some(Type::Text))]),
            json!({"anyOf": [
                {"type": "object", "properties": {"tag": {"type": "string", "enum": ["none"]}},
                 "additionalProperties": false, "required": ["tag"]},
                {"type": "object",
                 "properties": {"tag": {"type": "string", "enum": ["some-text"]}, "value": {"type": "string"}},
                 "required": ["tag", "value"], "additionalProperties": false},
            ]}),
        );
    }

    #[test]
    fn an_option_may_be_left_out_of_an_argument_and_is_null_in_a_result() {
        let text_or_null = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
        both(optional(Type::Text), text_or_null.clone());
        let record = Type::Record(vec![("a".to_owned(), optional(Type::Text)), ("b".to_owned(), Type::Bool)]);
        let schema = |required: Value| {
            json!({"type": "object", "properties": {"a": text_or_null, "b": {"type": "boolean"}},
                   "required": required, "additionalProperties": false})
        };
        check(record, schema(json!(["b"])), schema(json!(["a", "b"])));
        let definition = defined(&function(&[("p", optional(Type::Text))], None), &[], &Docs::default());
        assert!(!definition.input_schema.contains("required"));
    }

    #[test]
    fn an_option_in_an_option_says_which_is_missing() {
        both(
            optional(optional(Type::Bool)),
            json!({"anyOf": [
                {"type": "object",
                 "properties": {"some": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}},
                 "required": ["some"], "additionalProperties": false},
                {"type": "null"},
            ]}),
        );
    }

    #[test]
    fn a_result_within_is_ok_or_err() {
        both(
            Type::Result(None, boxed(Type::Text)),
            json!({"anyOf": [
                {"type": "object", "properties": {"ok": {"type": "null"}}, "required": ["ok"],
                 "additionalProperties": false},
                {"type": "object", "properties": {"err": {"type": "string"}}, "required": ["err"],
                 "additionalProperties": false},
            ]}),
        );
    }

    #[test]
    fn the_root_of_a_result_is_an_object() {
        let output = |result| {
            let text = defined(&function(&[], result), &[], &Docs::default()).output_schema?;
            Some(serde_json::from_str::<Value>(&text).unwrap())
        };
        let record = Type::Record(vec![("a".to_owned(), Type::Bool)]);
        let bare = json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"],
                          "additionalProperties": false});
        assert_eq!(output(Some(record.clone())), Some(bare.clone()));
        assert_eq!(output(Some(Type::Result(boxed(record), boxed(Type::Text)))), Some(bare));
        let wrapped = json!({"type": "object", "properties": {"result": {"type": "boolean"}}, "required": ["result"],
                             "additionalProperties": false});
        assert_eq!(output(Some(Type::Bool)), Some(wrapped.clone()));
        assert_eq!(output(Some(Type::Result(boxed(Type::Bool), None))), Some(wrapped));
        assert_eq!(output(Some(Type::Result(None, boxed(Type::Text)))), None);
        assert_eq!(output(None), None);
    }

    #[test]
    fn doc_comments_become_descriptions() {
        let level = Type::Enum(names(&["low", "high"]));
        let item = Type::Record(vec![("size".to_owned(), Type::Bool), ("level".to_owned(), level.clone())]);
        let choice = Type::Variant(vec![("none".to_owned(), None)]);
        let types =
            [("item".to_owned(), item.clone()), ("level".to_owned(), level), ("choice".to_owned(), choice.clone())];
        let json = r#"{"interfaces": {"api": {
            "funcs": {"f": {"docs": "Does f."}},
            "types": {
                "item": {"docs": "A thing.", "items": {"size": "How large."}},
                "level": {"docs": "How much.", "items": {"high": "A lot."}},
                "choice": {"items": {"none": "Nothing."}}
            }}}}"#;
        let docs = Docs::read(format!("\u{1}{json}").as_bytes()).unwrap();
        let definition = defined(&function(&[("p", item), ("c", choice)], None), &types, &docs);
        assert_eq!(definition.description, "Does f.");
        let input: Value = serde_json::from_str(&definition.input_schema).unwrap();
        let item = &input["properties"]["p"];
        assert_eq!(item["description"], "A thing.");
        assert_eq!(item["properties"]["size"]["description"], "How large.");
        assert_eq!(item["properties"]["level"]["description"], "How much.\n`high`: A lot.");
        assert_eq!(input["properties"]["c"]["anyOf"][0]["description"], "Nothing.");
        let bare = defined(&function(&[], None), &[], &Docs::default());
        assert_eq!(bare.description, "Calls `f` of `a:b/api@1.0.0`.");
    }

    #[test]
    fn a_schema_that_is_too_large_is_refused() {
        let wide = Type::Enum((0..40_000).map(|n| format!("n{n}")).collect());
        let name = ToolName::parse("f").unwrap();
        let refused = definition(&function(&[("p", wide)], None), &name, &[], &Docs::default());
        assert_eq!(refused.unwrap_err(), Unfit::TooLarge);
    }
}
