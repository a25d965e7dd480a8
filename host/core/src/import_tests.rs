use super::*;

#[track_caller]
fn check(file: &str, expected: &str) {
    let told = import(file).map_or_else(|error| format!("error: {error}"), |import| import.text());
    assert_eq!(told, expected, "\n{told}");
}

#[test]
fn a_program_becomes_a_table_with_its_secrets_elsewhere() {
    check(
        r#"{
          // as Claude has it
          "mcpServers": {
            "github": {
              "command": "npx",
              "args": ["-y", "@modelcontextprotocol/server-github@2026.8.31"],
              "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "LOG_LEVEL": "debug", },
            },
          },
        }"#,
        r#"# install it once: `npm install --global @modelcontextprotocol/server-github@2026.8.31`; its program is taken to be `mcp-server-github`
# set `GITHUB_PERSONAL_ACCESS_TOKEN` where the host is started to what the file has for it; the secret itself is not written here
[plugins.github]
mcp = { command = ["mcp-server-github"] }
env = { LOG_LEVEL = "debug" }

[plugins.github.secrets.github_personal_access_token]
env = "GITHUB_PERSONAL_ACCESS_TOKEN"
variable = "GITHUB_PERSONAL_ACCESS_TOKEN"
"#,
    );
}

#[test]
fn directories_that_an_entry_names_are_proposed_to_be_read() {
    check(
        r#"{"mcpServers": {
            "files": {"command": "mcp-server-filesystem", "args": ["/srv/notes/", "~/docs", "/", "C:\\x", "/proc/1"]},
            "git": {"command": "uvx", "args": ["mcp-server-git==2026.10.1", "--repository", "/srv/code"], "disabled": true},
            "own": {"command": "node", "args": ["/srv/own/dist/index.js", "--data", "/var/data"], "cwd": "/srv/own"},
            "mine": {"command": "python3", "args": ["/home/me/server.py"]}
        }}"#,
        r##"# the directory `/` is not proposed: the whole file system is never granted
# the directory `C:\x` is not proposed: a grant cannot hold such a path
# the directory `/proc/1` is not proposed: it holds no files
[plugins.files]
mcp = { command = ["mcp-server-filesystem", "/srv/notes/", "~/docs", "/", "C:\\x", "/proc/1"] }
# What the entry names; `:rw` in the place of `:ro` lets the server write there.
fs = ["/srv/notes:ro", "~/docs:ro"]

# install it once: `pipx install mcp-server-git==2026.10.1`; its program is taken to be `mcp-server-git`
[plugins.git]
enabled = false
mcp = { command = ["mcp-server-git", "--repository", "/srv/code"] }
# What the entry names; `:rw` in the place of `:ro` lets the server write there.
fs = ["/srv/code:ro"]

# its arguments name `/var/data`: it gets nothing there unless `fs` says so
[plugins.own]
mcp = { command = ["node", "/srv/own/dist/index.js", "--data", "/var/data"], cwd = "/srv/own" }
# What the entry names; `:rw` in the place of `:ro` lets the server write there.
fs = ["/srv/own:ro", "/srv/own/dist:ro"]

# its arguments name `/home/me/server.py`: it gets nothing there unless `fs` says so
[plugins.mine]
mcp = { command = ["python3", "/home/me/server.py"] }
"##,
    );
}

#[test]
fn a_server_at_a_url_may_be_reached_and_nothing_else() {
    check(
        r#"{"mcpServers": {
            "hub": {"type": "http", "url": "https://api.example.com/mcp/?mode=a&token=abc",
                    "headers": {"Authorization": "Bearer ${HUB_TOKEN}", "X-Toolsets": "repos", "Content-Type": "x"}},
            "zap": {"url": "https://mcp.example.com/s/Zk3xP9q2Lw8Rt5Yb1Nc7/mcp"},
            "near": {"url": "http://localhost:3000/sse", "headers": {"X-Api-Key": "${input:key}"}},
            "plain": {"url": "http://api.example.com/mcp"},
            "old": {"type": "sse", "url": "https://api.example.com/sse"},
            "both": {"command": "x", "url": "https://x.example"},
            "user": {"url": "https://me:hunter22@x.example/"}
        }, "inputs": [{"id": "key", "description": "the key\nof near", "password": true}]}"#,
        r#"# `plain` is left out: its `url` is not `https`: all that is said to it could be read on the way
# `old` is left out: it speaks HTTP+SSE, which is deprecated and not spoken here
# `both` is left out: it has both a `command` and a `url`

# set `HUB_TOKEN_2` where the host is started to what the file has for it; the secret itself is not written here
# set `HUB_TOKEN` where the host is started; the secret itself is not written here
# the header `Content-Type` is left out: it is the host's own, or none
[plugins.hub]
mcp = { url = "https://api.example.com/mcp/?mode=a", headers = { "X-Toolsets" = "repos" } }
net = ["GET,POST,DELETE https://api.example.com/mcp/"]

[plugins.hub.secrets.token]
env = "HUB_TOKEN_2"
origin = "https://api.example.com"
query = "token"

[plugins.hub.secrets.authorization]
env = "HUB_TOKEN"
origin = "https://api.example.com"
header = "Authorization"
format = "Bearer {}"

# a secret in its `url` is left out: set `ZAP_PATH_0` where the host is started
[plugins.zap]
mcp = { url = "https://mcp.example.com/s/${ZAP_PATH_0}/mcp" }
net = ["GET,POST,DELETE https://mcp.example.com/s/${ZAP_PATH_0}/mcp"]

# set `NEAR_X_API_KEY` where the host is started: the key\nof near; the secret itself is not written here
# its `url` ends with `/sse`: if it speaks only the deprecated HTTP+SSE, it cannot be had
[plugins.near]
mcp = { url = "http://localhost:3000/sse" }
net = ["GET,POST,DELETE http://localhost:3000/sse"]

[plugins.near.secrets.x_api_key]
env = "NEAR_X_API_KEY"
origin = "http://localhost:3000"
header = "X-Api-Key"

# set `USER_PASSWORD` where the host is started to what the file has for it; the secret itself is not written here
[plugins.user]
mcp = { url = "https://x.example/" }
net = ["GET,POST,DELETE https://x.example"]

[plugins.user.secrets.password]
env = "USER_PASSWORD"
origin = "https://x.example"
basic = "me"
"#,
    );
}

#[test]
fn vs_code_has_other_words_for_it() {
    check(
        r#"{"servers": {
            "Play Wright": {"type": "stdio", "command": "${workspaceFolder}/run", "args": ["--region", "${input:region}"],
                "env": {"KEY": "${env:OTHER_KEY}", "A": "${B}", "C": "${D:-e}"}, "envFile": ".env", "gallery": "x", "new": 1}
        }, "inputs": [{"id": "region", "type": "promptString", "description": "Region", "default": "eu"}]}"#,
        r#"# it was called `Play Wright`
# `envFile` is left out: put what is in it under `env` and `secrets`
# its `new`: not understood, and left out
# `${workspaceFolder}` is written as `.`: give the path of a folder
# `region` is written as it is where nobody answers
# set `OTHER_KEY` where the host is started; the secret itself is not written here
# `B` has to be set where the host is started
# `D` is written as what it is where it is not set
[plugins.play-wright]
mcp = { command = ["./run", "--region", "eu"] }
env = { A = "${B}", C = "e" }

[plugins.play-wright.secrets.key]
env = "OTHER_KEY"
variable = "KEY"
"#,
    );
}

#[test]
fn secrets_among_arguments_are_not_written() {
    check(
        r#"{"mcpServers": {
            "db": {"command": "mcp-db", "args": ["postgresql://me:hunter2@db/x", "--api-key=hunter2", "--token", "hunter2",
                   "-e", "DB_PASSWORD=hunter2", "--token", "${T}", "--header", "X-Key: hunter2", "--max-tokens", "4096"]},
            "remote": {"command": "npx", "args": ["-y", "mcp-remote@latest", "https://x.example/mcp", "--header",
                   "Authorization:${AUTH}", "--allow-http"], "env": {"AUTH": "Bearer hunter2"}},
            "box": {"command": "docker", "args": ["run", "-i", "-e", "API_KEY=hunter2", "image"], "disabledTools": ["rm", "a b"]}
        }}"#,
        r#"# a secret among its arguments is left out: set `DB_ARGUMENT_1` where the host is started; everybody on the machine can see the arguments of a program
# a secret among its arguments is left out: set `DB_API_KEY` where the host is started; everybody on the machine can see the arguments of a program
# a secret among its arguments is left out: set `DB_TOKEN` where the host is started; everybody on the machine can see the arguments of a program
# a secret among its arguments is left out: set `DB_DB_PASSWORD` where the host is started; everybody on the machine can see the arguments of a program
# `T` has to be set where the host is started
# a secret among its arguments is left out: set `DB_X_KEY` where the host is started; everybody on the machine can see the arguments of a program
[plugins.db]
mcp = { command = ["mcp-db", "${DB_ARGUMENT_1}", "--api-key=${DB_API_KEY}", "--token", "${DB_TOKEN}", "-e", "DB_PASSWORD=${DB_DB_PASSWORD}", "--token", "${T}", "--header", "X-Key: ${DB_X_KEY}", "--max-tokens", "4096"] }

# `mcp-remote` is left out: the host speaks to the server itself
# arguments of `mcp-remote` are left out: `--allow-http`
# set `AUTH` where the host is started; the secret itself is not written here
[plugins.remote]
mcp = { url = "https://x.example/mcp" }
net = ["GET,POST,DELETE https://x.example/mcp"]

[plugins.remote.secrets.authorization]
env = "AUTH"
origin = "https://x.example"
header = "Authorization"

# it is switched off: what runs in a container is not held to its grants; install the server itself, and name its program
# a secret among its arguments is left out: set `BOX_API_KEY` where the host is started; everybody on the machine can see the arguments of a program
# `a b` was switched off, and is no name a tool can have
[plugins.box]
enabled = false
mcp = { command = ["docker", "run", "-i", "-e", "API_KEY=${BOX_API_KEY}", "image"] }

[plugins.box.tools.rm]
allow = false
"#,
    );
}

#[test]
fn two_secrets_never_share_a_variable() {
    let file = r#"{"mcpServers": {
        "a": {"command": "x", "env": {"TOKEN": "one", "SAME": "${TOKEN_2}"}},
        "b": {"command": "x", "env": {"TOKEN": "two"}},
        "c": {"command": "x", "env": {"TOKEN": "one"}, "args": ["--key", "k1", "--key", "k2"]}
    }}"#;
    let text = import(file).unwrap().text();
    let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>().join(" ");
    assert_eq!(lines("env = \""), r#"env = "TOKEN" env = "TOKEN_2" env = "TOKEN_3" env = "TOKEN""#, "{text}");
    assert!(text.contains(r#""--key", "${C_KEY}", "--key", "${C_KEY_2}""#), "{text}");
}

#[test]
fn names_become_legal_and_stay_distinct() {
    let names = ["@scope/My Server", "my_server", "my__server", "My-Server", "1", "日本", "日", "scope-my-server"];
    let servers: Vec<String> =
        names.iter().map(|name| format!("{}: {{\"command\": \"x\"}}", serde_json::Value::from(*name))).collect();
    let file = format!(
        "{{\"mcpServers\": {{{}, {:?}: {{\"command\": \"x\"}}, {:?}: {{\"command\": \"x\"}} }}}}",
        servers.join(","),
        "x".repeat(40),
        "x".repeat(41)
    );
    let imported = import(&file).unwrap();
    let got: Vec<&str> = imported.proposals.iter().map(|proposal| proposal.name.as_str()).collect();
    let (long, longer) = ("x".repeat(32), format!("{}-2", "x".repeat(30)));
    assert_eq!(
        got,
        [
            "scope-my-server",
            "my_server",
            "my_server-2",
            "my-server",
            "server-1",
            "server",
            "server-2",
            "scope-my-server-2",
            &long,
            &longer
        ]
    );
}

#[test]
fn what_is_hidden_in_a_file_is_shown() {
    check(
        "{\"mcpServers\": {\"a\\u202eb\": {\"command\": \"x\\u202e\\n[plugins.evil]\", \"args\": [\"\\\"\", \"$${A}\"], \"z\\u200b`\\n\": 1}}}",
        r#"# it was called `a\u{202e}b`
# its `z\u{200b}'\n`: not understood, and left out
# `A` has to be set where the host is started
[plugins.a-b]
mcp = { command = ["x\u202E\n[plugins.evil]", "\"", "$$${A}"] }
"#,
    );
}

#[test]
fn what_is_no_such_file_is_refused() {
    check("", "error: the file is not JSON: EOF while parsing a value at line 1 column 0");
    check("[]", "error: the file has no servers: there is neither `mcpServers` nor `servers` with a server in it");
    check(
        "{\"mcpServers\": {}}",
        "error: the file has no servers: there is neither `mcpServers` nor `servers` with a server in it",
    );
    check(&" ".repeat(MAX_FILE + 1), "error: the file has 1048577 bytes; at most 1048576 are read");
    let many: Vec<String> = (0..=MAX_SERVERS).map(|number| format!("\"s{number}\": {{}}")).collect();
    check(
        &format!("{{\"servers\": {{{}}}}}", many.join(",")),
        "error: the file has 201 servers; at most 200 are taken",
    );
    assert!(matches!(import(&"[".repeat(10_000)), Err(ImportError::NotJson(_))));
    check(
        r#"{"mcpServers": {"a": [], "b": {"command": ["x"]}, "c": {"command": "x", "args": "y"}, "d": {"command": "x y"},
            "e": {"command": " "}, "f": {"type": "ws", "url": "wss://x"}, "g": {"url": "x"}, "h": {}}}"#,
        "# `a` is left out: it is no object\n# `b` is left out: its `command` is no text\n\
         # `c` is left out: its `args` is no list\n\
         # `d` is left out: its `command` is one text with spaces: give each word for itself\n\
         # `e` is left out: its `command` is empty\n\
         # `f` is left out: it speaks over a WebSocket, which is not spoken here\n\
         # `g` is left out: its `url` is none\n# `h` is left out: it has neither a `command` nor a `url`\n",
    );
    let twice = import(r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}"#);
    assert!(matches!(twice, Err(ImportError::NotJson(_))));
}

#[test]
fn one_server_is_given_by_its_words() {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    let name = PluginName::parse("time").unwrap();
    let proposal = given(&name, Given { command: words("uvx mcp-server-time@2026.10.1 --tz UTC"), ..Given::default() });
    assert_eq!(
        proposal.unwrap().toml,
        "[plugins.time]\nmcp = { command = [\"mcp-server-time\", \"--tz\", \"UTC\"] }\n"
    );
    let hub = Given {
        url: Some("https://hub.example".to_owned()),
        headers: vec![("Authorization".to_owned(), "Bearer abc".to_owned())],
        ..Given::default()
    };
    let proposal = given(&name, hub).unwrap();
    assert!(
        proposal.toml.contains("env = \"TIME_AUTHORIZATION\"\norigin = \"https://hub.example\"")
            && !proposal.text().contains("abc")
    );
    assert!(given(&name, Given::default()).is_err());
}

/// What is proposed for a file of every sort of server is legal, whatever it is called and wherever it stands.
#[test]
fn proposals_are_read_as_they_are_meant() {
    let file = r#"{"mcpServers": {
        "github": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-github@2026.8.31"],
                   "env": {"GITHUB_TOKEN": "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "LOG": "${LEVEL}"}, "disabledTools": ["rm"]},
        "files": {"command": "npx", "args": ["@modelcontextprotocol/server-filesystem", "/srv/notes", "~/docs", "/"], "cwd": "/srv/notes"},
        "time": {"command": "uvx", "args": ["mcp-server-time", "--local-timezone=UTC"], "disabled": true},
        "db": {"command": "mcp-db", "args": ["postgresql://me:hunter2@db/x"]},
        "hub": {"url": "https://api.example.com/mcp/*?mode=a&token=abc", "headers": {"Authorization": "Bearer x", "X-Toolsets": "a"}},
        "zap": {"url": "https://mcp.example.com/s/Zk3xP9q2Lw8Rt5Yb1Nc7/mcp"},
        "near": {"url": "http://localhost:3000/mcp", "headers": {"X-Api-Key": "${KEY}"}},
        "user": {"url": "https://me:hunter22@x.example"},
        "box": {"command": "docker", "args": ["run", "-i", "image"]},
        "remote": {"command": "npx", "args": ["mcp-remote", "https://x.example/mcp"]}
    }}"#;
    let imported = import(file).unwrap();
    assert_eq!(imported.notes, [] as [String; 0]);
    let source = crate::config::Source {
        name: "bailiwick.toml".to_owned(),
        text: imported.text(),
        base: std::path::PathBuf::from("/etc/bailiwick"),
    };
    let env = |name: &str| Some(if name == "HOME" { "/home/me".to_owned() } else { "value".to_owned() });
    let read = crate::config::read(&source, &env);
    let config = read.unwrap_or_else(|mistakes| panic!("{}", crate::config::render(&source, &mistakes)));
    let summary: Vec<String> = config
        .plugins
        .iter()
        .map(|plugin| {
            format!(
                "{} {} net {} fs {} env {} secrets {}",
                plugin.name,
                if plugin.enabled { "on" } else { "off" },
                plugin.grants.net.iter().count(),
                plugin.grants.fs.iter().count(),
                plugin.grants.env.len(),
                plugin.grants.secrets.len(),
            )
        })
        .collect();
    assert_eq!(
        summary,
        [
            "github on net 0 fs 0 env 1 secrets 1",
            "files on net 0 fs 2 env 0 secrets 0",
            "time off net 0 fs 0 env 0 secrets 0",
            "db on net 0 fs 0 env 0 secrets 0",
            "hub on net 1 fs 0 env 0 secrets 2",
            "zap on net 1 fs 0 env 0 secrets 0",
            "near on net 1 fs 0 env 0 secrets 1",
            "user on net 1 fs 0 env 0 secrets 1",
            "box off net 0 fs 0 env 0 secrets 0",
            "remote on net 1 fs 0 env 0 secrets 0",
        ]
    );
    assert!(!config.plugins[0].tools["rm"].allow.unwrap_or(true));
}
