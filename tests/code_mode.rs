//! Code mode: one program calls the caller's other tools as functions, and each of those calls passes the gate.

use std::time::Duration;

use bailiwick::channel::{Answer, Channel, Question};
use bailiwick::search::Menu;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::calls::server_of_crowds;
use crate::support::host::{TestHost, World};

const MODE: &str = "[plugins.mode]\ncomponent = \"builtin:code-mode\"\n";
const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

fn mode(lines: &str) -> String {
    format!("{MODE}{lines}\n{POLITE}")
}

/// The same program in both languages that are interpreted here.
fn programs(javascript: &str, python: &str) -> [Value; 2] {
    [json!({"code": javascript}), json!({"code": python, "language": "python"})]
}

async fn output(host: &TestHost, program: &Value) -> Value {
    host.value("execute_code", program.clone()).await["output"].clone()
}

#[tokio::test]
async fn n22_a_program_lists_files_fetches_pages_together_and_counts_in_one_call() {
    let programs = programs(
        "const found = await api.glob({ pattern: '*.txt' });
         const files = found.output.files ?? found.output.text.trim().split('\\n');
         const pages = await Promise.all(Array.from({ length: 20 }, (_, n) => api.web_fetch({ url: `http://127.0.0.1:PORT/${n}` })));
         const words = pages.reduce((sum, page) => sum + page.output.word_count, 0);
         console.log(`${files.length} files`);
         return { files: files.length, pages: pages.filter((page) => page.output.status === 200).length, words };",
        "found = api.glob(pattern='*.txt')
output = found['output']
files = output['files'] if isinstance(output, dict) and 'files' in output else (output if isinstance(output, str) else output['text']).strip().split('\\n')
pages = api.all([('web_fetch', {'url': f'http://127.0.0.1:PORT/{n}'}) for n in range(20)])
words = sum(page['output']['word_count'] for page in pages)
print(len(files), 'files')
return {'files': len(files), 'pages': sum(1 for page in pages if page['output']['status'] == 200), 'words': words}",
    );
    for program in programs {
        let port = server_of_crowds(20).await;
        let world = World::new().file("data/a.txt", "one").file("data/b.txt", "two").file("data/c.md", "three");
        let text = format!(
            "{MODE}call = [\"*\"]\n[plugins.files]\ncomponent = \"builtin:files\"\nfs = [\"./data\"]\n\
             [plugins.web]\ncomponent = \"builtin:web-fetch\"\nnet = [\"GET,HEAD http://127.0.0.1:{port}\"]\nlimits.concurrency = 20\n"
        );
        let host = world.start(&text).await;
        let mut program = program;
        program["code"] = program["code"].as_str().expect("a text").replace("PORT", &port.to_string()).into();
        let result = host.value("execute_code", program).await;
        assert_eq!(result, json!({"output": {"files": 2, "pages": 20, "words": 60}, "logs": "2 files"}));
        let records = host.audit();
        let fetched =
            records.iter().filter(|record| record["tool"] == "web_fetch" && record["outcome"] == "ok").count();
        assert_eq!((fetched, records.len()), (20, 22), "each call is on record under its own name");
    }
}

#[tokio::test]
async fn n22_results_are_values_and_failures_are_told() {
    let host = TestHost::new(&mode("call = [\"*\"]")).await;
    let programs = programs(
        "const good = await api.echo({ name: 'x', count: 2 });
         const bad = await api.echo({ name: 'x', count: 'many' });
         return [good.success, good.output.count + 1, bad.success, bad.error.code, typeof bad.output];",
        "good = api.echo(name='x', count=2)
bad = api.echo({'name': 'x', 'count': 'many'})
return [good['success'], good['output']['count'] + 1, bad['success'], bad['error']['code'], 'string' if isinstance(bad['output'], str) else '']",
    );
    for program in programs {
        assert_eq!(output(&host, &program).await, json!([true, 3, false, "arguments.invalid", "string"]));
    }
}

#[tokio::test]
async fn n22_what_is_not_granted_is_not_there_and_is_refused() {
    let programs = programs(
        "const there = Object.keys(api).includes('echo');
         return [Object.keys(api).length, there, there && (await api.echo({ name: 'x' })).success]",
        "there = 'echo' in list(api)
return [len(list(api)), there, there and api.echo(name='x')['success']]",
    );
    for program in programs {
        let narrow = TestHost::new(&mode("call = [\"counted\"]")).await;
        assert_eq!(output(&narrow, &program).await, json!([1, false, false]));
        let granted = TestHost::new(&mode("call = [\"echo\"]")).await;
        assert_eq!(output(&granted, &program).await, json!([1, true, true]));
        let kept_out = granted.caller("somebody", &["*", "!echo"]);
        assert_eq!(output(&kept_out, &program).await, json!([0, false, false]), "what its caller may not use");
    }
}

#[tokio::test]
async fn n22_a_tool_of_high_risk_asks_and_that_takes_no_time() {
    let (questions, mut received) = mpsc::channel::<Question>(8);
    tokio::spawn(async move {
        while let Some(question) = received.recv().await {
            assert!(question.message().contains("wants to run the tool `launch` of plugin `polite`"));
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(question.reply.send(Answer::Accepted(json!({}))));
        }
    });
    let channel = Channel { questions: Some(questions), ..Channel::default() };
    let programs = programs(
        "return (await api.launch({ target: 'the moon' })).output",
        "return api.launch(target='the moon')['output']",
    );
    for program in programs {
        let text = mode("call = [\"*\"]\nlimits.time = \"1500ms\"");
        let host = TestHost::new(&text).await;
        let refused = host.value("execute_code", program.clone()).await;
        assert!(refused["output"].as_str().is_some_and(|told| told.contains("approval")), "{refused}");
        let host = host.channel(channel.clone());
        assert_eq!(output(&host, &program).await, "launched at the moon");
    }
}

#[tokio::test]
async fn n22_there_is_an_end_to_calls_and_to_time() {
    let many = programs(
        "const all = []; for (let n = 0; n < 4; n++) all.push(await api.echo({ name: 'x' })); return all.map((r) => r.error?.code ?? 'ok')",
        "all = [api.echo(name='x') for n in range(4)]\nreturn [r['error']['code'] if not r['success'] else 'ok' for r in all]",
    );
    let endless = programs("while (true) {}", "while True: pass");
    for (many, endless) in many.into_iter().zip(endless) {
        let host = TestHost::new(&mode("call = [\"*\"]\nlimits.calls = 3\nlimits.time = \"1s\"")).await;
        assert_eq!(output(&host, &many).await, json!(["ok", "ok", "ok", "limit.calls"]));
        let outcome = host.call("execute_code", endless).await;
        assert_eq!(outcome.code(), "limit.time");
        assert_eq!(output(&host, &many).await[0], "ok", "the next call is unharmed");
    }
}

#[tokio::test]
async fn n22_programs_do_not_run_programs() {
    let text = format!(
        "{}[plugins.other]\ncomponent = \"builtin:code-mode\"\ncall = [\"*\"]\nalias = {{ again = \"execute_code\" }}\nprefix = \"always\"\n",
        mode("call = [\"*\"]")
    );
    let host = TestHost::new(&text).await;
    for program in programs("return Object.keys(api)", "return sorted(api)") {
        let names = output(&host, &program).await.to_string();
        assert!(names.contains("echo") && !names.contains("again") && !names.contains("execute_code"), "{names}");
    }
}

#[tokio::test]
async fn n22_who_writes_programs_is_told_the_types() {
    let text = mode("call = [\"*\"]");
    let host = TestHost::new(&text).await;
    let described = |host: &TestHost, menu| {
        let offered = host.host.offer(&host.who(), menu);
        let mode = offered.iter().find(|(name, _)| name.as_str() == "execute_code");
        (offered.len(), mode.expect("it is offered").1.definition.description.clone())
    };
    let (count, description) = described(&host, Menu::Code);
    assert_eq!(count, 1, "nothing else is offered");
    assert!(description.contains("echo(input: EchoInput): Promise<ToolResult<"), "{description}");
    assert!(description.contains("way?: \"up\" | \"down\""), "{description}");
    assert!(described(&host, Menu::All).0 > 5);
    let types = host.host.code_mode_types(&host.who()).expect("there are types");
    assert!(types.contains("interface EchoInput") || types.contains("type EchoInput"), "{types}");
    assert!(!types.contains("execute_code"));
    let host = host.caller("somebody", &["execute_code", "counted"]);
    let types = host.host.code_mode_types(&host.who()).expect("there are types");
    assert!(types.contains("counted(") && !types.contains("echo("), "{types}");
    let host = host.caller("nobody", &["echo"]);
    assert_eq!(host.host.code_mode_types(&host.who()), None);
    let none = TestHost::new(&mode("")).await;
    assert!(described(&none, Menu::Auto).1.contains("No tool can be called"));
}

#[test]
fn n22_the_types_are_there_over_http_and_mcp() {
    let text = format!(
        "{}[gateway]\nanonymous = \"all\"\n[policies.all]\ntools = [\"*\"]\nexecute = true\n",
        mode("call = [\"echo\"]")
    );
    let served = World::new().serve_http(&text);
    let answer = served.get("/api/v1/code-mode/types", &[]);
    assert_eq!(answer.status, 200);
    let types = answer.body;
    assert!(types.contains("echo(input: EchoInput)") && !types.contains("counted"), "{types}");
    let listed = served.get("/api/v1/tools?tools=code", &[]).json();
    assert_eq!((&listed["count"], &listed["tools"][0]["name"]), (&json!(1), &json!("execute_code")));
    let (_, _, world) = served.end();
    let mut server = world.serve(&text, &[]);
    server.greet();
    let uri = "bailiwick://code-mode/types";
    let listed = server.ask("resources/list", &json!({}));
    assert_eq!(listed["resources"][0]["uri"], uri, "{listed}");
    let read = server.ask("resources/read", &json!({"uri": uri}));
    assert_eq!(read["contents"][0]["text"], types, "{read}");
    server.end();
}
