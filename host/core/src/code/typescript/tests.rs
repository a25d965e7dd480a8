use serde_json::json;

use super::*;

/// The types for a schema of arguments, without what is the same for all tools.
#[track_caller]
fn check(input: Value, expected: &str) {
    let text = declarations(&[Callable { name: "t", description: "", input: &input, output: None }]);
    let types = text.strip_prefix(HEAD).and_then(|text| text.split_once("\n/** The tools. ")).unwrap().0;
    assert_eq!(types.trim(), expected);
}

#[test]
fn what_is_required_has_no_question_mark() {
    let schema = json!({"type": "object", "required": ["path"], "properties": {
        "path": {"type": "string"}, "limit": {"type": "number"}, "a-b": {"type": ["string", "null"]}}});
    check(schema, r#"type TInput = { path: string; limit?: number; "a-b"?: string | null };"#);
}

#[test]
fn what_types_cannot_say_stands_in_comments() {
    let schema = json!({"type": "object", "properties": {
        "limit": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5, "description": "How many."},
        "when": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}}});
    let expected = "type TInput = {\n  /** How many. (integer, 1 to 9, default 5) */\n  limit?: number;\n  \
                    /** date-time */\n  when?: string | null;\n};";
    check(schema, expected);
}

#[test]
fn a_recursive_schema_is_a_type_with_a_name() {
    let node = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/list-item"}}});
    let schema = json!({"$ref": "#/$defs/list-item", "$defs": {"list-item": node}});
    check(schema, "type TInput = TInput_ListItem;\ntype TInput_ListItem = { next?: TInput_ListItem };");
}

#[test]
fn what_is_made_of_itself_is_unknown() {
    let defs = json!({"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}});
    let expected = "type TInput = TInput_A;\ntype TInput_B = unknown;\ntype TInput_A = TInput_B;";
    check(json!({"$ref": "#/$defs/a", "$defs": defs}), expected);
}

#[test]
fn alternatives_that_only_name_types_share_what_stands_beside_them() {
    let schema = json!({"items": {"type": "string"}, "anyOf": [{"type": "array"}, {"type": "null"}]});
    check(schema, "type TInput = string[] | null;");
    let schema = json!({"properties": {"x": {}}, "anyOf": [{"$ref": "#/$defs/n"}], "$defs": {"n": {"type": "null"}}});
    check(schema, "type TInput = TInput_N;\ntype TInput_N = null;");
}

#[test]
fn no_room_makes_types_wider_and_never_narrower() {
    let long: Vec<Value> = (0..9_000).map(|i| json!({"properties": {format!("p{i}"): {}}})).collect();
    check(json!({ "anyOf": long }), "type TInput = unknown;");
    let values: Vec<String> = (0..9_000).map(|i| format!("value {i}")).collect();
    check(json!({"enum": values}), "type TInput = string;");
}

#[test]
fn a_comment_stays_one() {
    let input = json!({});
    let description = "Ends */ here, `/*` too.\n\n  @ts-ignore\r\nturned \u{202e}round\u{2028}next";
    let text = declarations(&[Callable { name: "t", description, input: &input, output: None }]);
    let expected =
        "  /**\n   * Ends *\\/ here, `/*` too.\n   * @ ts-ignore\n   * turned \\u{202e}round\\u{2028}next\n   */\n  t(";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_long_description_is_cut() {
    let (input, description) = (json!({}), "ä".repeat(2_000));
    let text = declarations(&[Callable { name: "t", description: &description, input: &input, output: None }]);
    assert!(text.contains(&format!("  /** {}… */\n", "ä".repeat(MAX_DESCRIPTION))), "{text}");
}

#[test]
fn arguments_can_be_left_out_where_none_is_needed() {
    let defs = json!({"needs": {"required": ["x"]}, "free": {}});
    let check = |mut input: Value, expected: &str| {
        input["$defs"] = defs.clone();
        let line = signature(&Callable { name: "t", description: "", input: &input, output: None });
        assert!(line.starts_with(&format!("t({expected}: ")), "{line}");
    };
    check(json!({"type": "object", "properties": {"x": {}}, "required": []}), "input?");
    check(json!({"required": ["x"]}), "input");
    check(json!({"$ref": "#/$defs/free"}), "input?");
    check(json!({"$ref": "#/$defs/needs"}), "input");
    check(json!({"allOf": [{"$ref": "#/$defs/free"}, {"$ref": "#/$defs/needs"}]}), "input");
    check(json!({"anyOf": [{"$ref": "#/$defs/free"}, {"$ref": "#/$defs/needs"}]}), "input?");
    check(json!({"oneOf": [{"$ref": "#/$defs/needs"}, {"required": ["y"]}]}), "input");
    check(json!({"minProperties": 1}), "input");
    check(json!({"$ref": "#"}), "input");
}

#[test]
fn a_signature_is_one_line() {
    let input = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "string", "description": "Not said."}, "b": {"$ref": "#/$defs/b"}},
        "$defs": {"b": {"type": "array", "items": {"enum": ["x", "y\n"]}}}});
    let output = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    let description = "Does this\nand that. And more.";
    let tool = Callable { name: "do-it", description, input: &input, output: Some(&output) };
    let types = "{ a: string; b?: (\"x\" | \"y\\n\")[] }): Promise<ToolResult<{ text?: string }>>";
    assert_eq!(signature(&tool), format!("do_it(input: {types}; // Does this and that"));
    assert_eq!(signature(&Callable { description: "", ..tool }), format!("do_it(input: {types};"));
}

#[test]
fn a_method_is_an_identifier_in_every_language() {
    for (name, method) in [
        ("read", "read"),
        ("a-b.c d", "a_b_c_d"),
        ("2nd", "_2nd"),
        ("", "_"),
        ("größe", "gr__e"),
        ("$x", "_x"),
        ("class", "class"),
        ("mcp__fs__read", "mcp__fs__read"),
    ] {
        assert_eq!(identifier(name), method, "{name}");
    }
}

#[test]
fn methods_are_all_different_and_a_name_that_fits_has_itself() {
    assert_eq!(identifiers(["a-b", "a_b", "a.b", "a_b_2"]), ["a_b_3", "a_b", "a_b_4", "a_b_2"]);
    assert_eq!(identifiers(["x", "x"]), ["x", "x_2"]);
    let input = json!({});
    let tool = |name| Callable { name, description: "", input: &input, output: None };
    let text = declarations(&[tool("a-b"), tool("aB"), tool("a_b"), tool("m_i_d_i"), tool("new")]);
    for line in ["a_b_2(input?: AB2Input)", "aB(input?: ABInput)", "MIDI2Input", "  \"new\"(input?: NewInput)"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn many_tools_of_one_method_are_named_in_time() {
    let names: Vec<String> =
        (0..1_u32 << 14).map(|bits| format!("{bits:014b}").replace('0', ".").replace('1', "-")).collect();
    let methods = identifiers(names.iter().map(String::as_str));
    assert_eq!(methods.last().unwrap(), "_______________16384");
}

#[test]
fn nothing_can_be_called_where_there_is_nothing() {
    assert!(declarations(&[]).ends_with("declare const api: {\n};\n"));
}
