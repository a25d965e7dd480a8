//! Swagger 2.0, written as OpenAPI 3.0 says the same. Types stay under `definitions`, where references find them.

use serde_json::{Map, Value, json};

use super::operation::METHODS;
use crate::schema::MAX_SCHEMA;

/// `document` as OpenAPI 3.0.
pub(super) fn modern(document: &Value) -> Value {
    let mut modern = document.clone();
    modern["servers"] = servers(document);
    let Some(paths) = modern.get_mut("paths").and_then(Value::as_object_mut) else { return modern };
    for item in paths.values_mut() {
        let shared = list(item, "parameters");
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).filter(|operation| operation.is_object()) {
                convert(operation, &shared, document);
            }
        }
        if let Some(item) = item.as_object_mut() {
            item.shift_remove("parameters");
        }
    }
    modern
}

fn list(of: &Value, key: &str) -> Vec<Value> {
    of.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// One address for each scheme, the safest first.
fn servers(document: &Value) -> Value {
    let path = document.get("basePath").and_then(Value::as_str).unwrap_or("/");
    let Some(host) = document.get("host").and_then(Value::as_str) else {
        return json!([{ "url": path }]);
    };
    let mut schemes: Vec<String> =
        list(document, "schemes").iter().filter_map(|scheme| Some(scheme.as_str()?.to_owned())).collect();
    schemes.retain(|scheme| matches!(scheme.as_str(), "http" | "https"));
    schemes.sort_by_key(|scheme| scheme == "http");
    if schemes.is_empty() {
        schemes.extend(["https".to_owned(), "http".to_owned()]);
    }
    schemes.iter().map(|scheme| json!({ "url": format!("{scheme}://{host}{path}") })).collect()
}

fn convert(operation: &mut Value, shared: &[Value], document: &Value) {
    let own: Vec<Value> = list(operation, "parameters").iter().map(|parameter| resolved(parameter, document)).collect();
    let key = |parameter: &Value| (parameter["in"].clone(), parameter["name"].clone());
    let shared = shared.iter().map(|parameter| resolved(parameter, document));
    let mut all: Vec<Value> =
        shared.filter(|other| !own.iter().any(|parameter| key(parameter) == key(other))).collect();
    all.extend(own);
    let media = |key: &str| -> Vec<String> {
        let source = if operation.get(key).is_some() { &*operation } else { document };
        list(source, key).iter().filter_map(|media| Some(media.as_str()?.to_owned())).collect()
    };
    let (consumes, produces) = (media("consumes"), media("produces"));
    let (in_form, rest): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|parameter| parameter["in"] == "formData");
    let (bodies, plain): (Vec<Value>, Vec<Value>) = rest.into_iter().partition(|parameter| parameter["in"] == "body");
    operation["parameters"] = plain.into_iter().map(modern_parameter).collect();
    if let Some(body) = bodies.into_iter().next() {
        let consumes = if consumes.is_empty() { vec!["application/json".to_owned()] } else { consumes };
        let content: Map<String, Value> =
            consumes.into_iter().map(|media| (media, json!({ "schema": body["schema"] }))).collect();
        operation["requestBody"] = json!({ "required": body["required"] == true, "content": content });
        if let Some(text) = body.get("description") {
            operation["requestBody"]["description"] = text.clone();
        }
    } else if !in_form.is_empty() {
        operation["requestBody"] = form(in_form, &consumes);
    }
    answers(operation, &produces);
}

/// A parameter itself, where it is written or, once, where its reference leads.
fn resolved(parameter: &Value, document: &Value) -> Value {
    let target = parameter.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(parameter).clone()
}

fn modern_parameter(parameter: Value) -> Value {
    let Value::Object(mut fields) = parameter else { return parameter };
    let mut modern = Map::new();
    for key in ["name", "in", "description", "required", "$ref", "x-example", "deprecated"] {
        if let Some(value) = fields.shift_remove(key) {
            modern.insert(key.to_owned(), value);
        }
    }
    let in_query = modern.get("in").is_some_and(|place| place == "query");
    let (style, explode) = collection(fields.shift_remove("collectionFormat").as_ref(), in_query);
    modern.insert("style".to_owned(), style.into());
    modern.insert("explode".to_owned(), explode.into());
    modern.insert("schema".to_owned(), Value::Object(fields));
    Value::Object(modern)
}

fn collection(format: Option<&Value>, in_query: bool) -> (&'static str, bool) {
    match format.and_then(Value::as_str) {
        Some("multi") => ("form", true),
        Some("ssv") => ("spaceDelimited", false),
        Some("pipes") => ("pipeDelimited", false),
        Some("tsv") => ("tabDelimited", false),
        Some(_) | None if in_query => ("form", false),
        Some(_) | None => ("simple", false),
    }
}

fn form(parameters: Vec<Value>, consumes: &[String]) -> Value {
    let has_file = parameters.iter().any(|parameter| parameter["type"] == "file");
    let multipart = has_file || consumes.iter().any(|media| media.starts_with("multipart/"));
    let media = if multipart { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
    let (mut properties, mut encoding, mut required) = (Map::new(), Map::new(), Vec::new());
    for parameter in parameters {
        let Value::Object(mut fields) = parameter else { continue };
        let Some(Value::String(name)) = fields.shift_remove("name") else { continue };
        if fields.shift_remove("required") == Some(Value::Bool(true)) {
            required.push(Value::from(name.clone()));
        }
        let (style, explode) = collection(fields.shift_remove("collectionFormat").as_ref(), true);
        fields.shift_remove("in");
        encoding.insert(name.clone(), json!({ "style": style, "explode": explode }));
        properties.insert(name, Value::Object(fields));
    }
    let needed = !required.is_empty();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    json!({ "required": needed, "content": { media: { "schema": schema, "encoding": encoding } } })
}

/// What comes back, of each media type it may come in.
fn answers(operation: &mut Value, produces: &[String]) {
    let json = "application/json".to_owned();
    let media = produces.iter().find(|media| media.contains("json")).or(produces.first()).unwrap_or(&json).clone();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for response in responses.values_mut() {
        // Larger ones are not told of anyway.
        let schema = response.get("schema").filter(|schema| schema.to_string().len() < MAX_SCHEMA).cloned();
        if let Some(schema) = schema {
            response["content"] = json!({ media.clone(): { "schema": schema } });
        }
    }
}
