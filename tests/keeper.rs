//! Programs in cages: what they reach, what they take, and that nothing of them is left. Real programs, the real keeper.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bailiwick::keeper::{Ended, Granted, Keeper, LaunchError, Net, Order, Over, Program, Running};
use bailiwick_core::name::PluginName;
use futures::future::join_all;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::program;

fn of(argv: &[&str]) -> Program {
    Program {
        plugin: "native".to_owned(),
        argv: argv.iter().map(ToString::to_string).collect(),
        more_arguments: false,
        cwd: None,
        env: BTreeMap::new(),
        variables: BTreeSet::new(),
        files: Vec::new(),
        net: Net::Nothing,
        sandbox: true,
        memory: 512 << 20,
        processes: 64,
        open_files: 256,
        file_size: 64 << 20,
        installs: false,
    }
}

fn shell(script: &str) -> Program {
    of(&["sh", "-c", script])
}

fn without_walls(program: Program) -> Program {
    Program { sandbox: false, net: Net::Host, ..program }
}

fn granted(program: Program, path: &Path, write: bool) -> Program {
    Program { files: vec![Granted { path: path.to_owned(), write }], ..program }
}

fn order() -> Order {
    let plugin = PluginName::parse("native").expect("it is a name");
    Order { plugin, arguments: Vec::new(), variables: BTreeMap::new(), cwd: None }
}

fn keeper(program: Program) -> Keeper {
    Keeper::start_as(program::path(), vec![program]).expect("it starts")
}

async fn launched(program: Program) -> Running {
    keeper(program).launch(order()).await.expect("it runs")
}

async fn refused(program: Program, order: Order) -> String {
    keeper(program).launch(order).await.expect_err("it does not run").to_string()
}

/// What it printed to both streams, and how it ended.
async fn rest(running: Running) -> (String, Ended) {
    let Running { stdin, mut stdout, mut stderr, proxy: _, mut ended, leash: _leash } = running;
    drop(stdin);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (one, other) = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
    one.and(other).expect("it can be read");
    let ended = *ended.wait_for(Option::is_some).await.expect("it is told");
    let text = [out, err].concat();
    (String::from_utf8_lossy(&text).trim().to_owned(), ended.expect("it ended"))
}

async fn run(program: Program) -> (String, Ended) {
    rest(launched(program).await).await
}

async fn out(program: Program) -> String {
    run(program).await.0
}

fn code(code: i32) -> Ended {
    Ended { code: Some(code), signal: None, over: None }
}

fn python(script: &str) -> Program {
    of(&["/usr/bin/python3", "-c", script])
}

/// A number of seconds that nobody else sleeps.
fn own_sleep() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}.{}", 86_400 + std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// How many processes have this among their arguments.
fn n_running(argument: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("it is there");
    let has = |line: Vec<u8>| line.split(|byte| *byte == 0).any(|one| one == argument.as_bytes());
    processes
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| has(line.clone()))
        .count()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < patience, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn world() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("there is room");
    let path = dir.path().canonicalize().expect("it is there");
    (dir, path)
}

#[tokio::test]
async fn what_is_said_to_a_program_comes_back() {
    let mut running = launched(of(&["cat"])).await;
    running.stdin.write_all(b"one\ntwo").await.expect("it reads");
    assert_eq!(rest(running).await, ("one\ntwo".to_owned(), code(0)));
}

#[tokio::test]
async fn how_a_program_ended_is_told() {
    assert_eq!(run(shell("exit 7")).await.1, code(7));
    let ended = run(shell("kill -TERM $$")).await.1;
    assert_eq!(ended, Ended { code: None, signal: Some(15), over: None });
    assert_eq!(ended.to_string(), "it was ended by signal 15");
}

#[tokio::test]
async fn a_program_has_no_variables_but_its_own() {
    let mut program = of(&["env"]);
    program.env.insert("GIVEN".to_owned(), "value".to_owned());
    program.variables.insert("TOKEN".to_owned());
    let keeper = keeper(program);
    let with = |name: &str| {
        let variables = BTreeMap::from([(name.to_owned(), "secret".to_owned().into())]);
        Order { variables, ..order() }
    };
    let (text, _) = rest(keeper.launch(with("TOKEN")).await.expect("it runs")).await;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let path = lines.iter().position(|line| line.starts_with("PATH=")).expect("it has one");
    assert_eq!(lines.remove(path), "PATH=/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin");
    assert_eq!(lines, ["GIVEN=value", "HOME=/.scratch/home", "LANG=C.UTF-8", "TMPDIR=/.scratch/tmp", "TOKEN=secret"]);
    let refused = keeper.launch(with("LD_PRELOAD")).await.expect_err("it is not among them");
    assert!(refused.to_string().contains("is not given the variable `LD_PRELOAD`"), "{refused}");
}

#[tokio::test]
async fn only_what_is_granted_is_there() {
    let (_dir, path) = world();
    for folder in ["in", "beside"] {
        std::fs::create_dir(path.join(folder)).expect("it can be made");
        std::fs::write(path.join(folder).join("a.txt"), folder).expect("it can be written");
    }
    let script = format!(
        "cd {0}; cat in/a.txt; echo; cat beside/a.txt /etc/shadow {1} 2>/dev/null || echo refused; \
         echo x 2>/dev/null > in/a.txt || echo unchanged; chmod 777 in/a.txt 2>/dev/null || echo mode; \
         touch in/new 2>/dev/null || echo none; ls {0}",
        path.display(),
        program::path().display()
    );
    let text = out(granted(shell(&script), &path.join("in"), false)).await;
    assert_eq!(text, "in\nrefused\nunchanged\nmode\nnone\nin");
    assert_eq!(std::fs::read_to_string(path.join("in/a.txt")).expect("it is there"), "in");
}

#[tokio::test]
async fn what_is_granted_for_writing_is_written() {
    let (_dir, path) = world();
    let script = format!(
        "cd {}; echo new > a.txt && mkdir sub && mv a.txt sub/b.txt && chmod 700 sub/b.txt && cat sub/b.txt; \
         mkfifo pipe 2>/dev/null || echo no pipe; ln /etc/passwd hard 2>/dev/null || echo no link; \
         cp /bin/true . && ./true && echo runs; chmod u+s true 2>/dev/null || echo no setuid",
        path.display()
    );
    assert_eq!(out(granted(shell(&script), &path, true)).await, "new\nno pipe\nno link\nruns\nno setuid");
    assert_eq!(std::fs::read_to_string(path.join("sub/b.txt")).expect("it is there"), "new\n");
}

#[tokio::test]
async fn what_is_granted_and_missing_is_named() {
    let program = granted(shell("true"), Path::new("/nowhere/at/all"), false);
    assert_eq!(refused(program, order()).await, "what is granted, `/nowhere/at/all` is not there");
    let refused = refused(of(&["no-such-program"]), order()).await;
    assert_eq!(refused, "the program `no-such-program` is not there; install it, or give its absolute path");
}

#[tokio::test]
async fn a_scratch_folder_is_writable_bounded_and_gone_afterwards() {
    let script = "echo a > $HOME/a; cat $HOME/a; ls /tmp; echo b > /tmp/b; cat /tmp/b; echo c > $TMPDIR/c; mkfifo $TMPDIR/d || echo no pipe; \
                  cp /bin/true /tmp && chmod +x /tmp/true; /tmp/true 2>/dev/null || echo does not run; \
                  head -c 300M /dev/zero > /tmp/1 2>/dev/null || echo too large; \
                  for i in 1 2 3 4 5 6 7 8; do head -c 60M /dev/zero > /tmp/$i 2>/dev/null || { echo full; break; }; done; \
                  touch /new 2>/dev/null || echo closed";
    let keeper = keeper(shell(script));
    for _ in 0..2 {
        let (text, _) = rest(keeper.launch(order()).await.expect("it runs")).await;
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("File size limit")).collect();
        assert_eq!(lines, ["a", "b", "does not run", "too large", "full", "closed"]);
    }
}

#[tokio::test]
async fn a_program_sees_no_process_and_no_file_of_the_host() {
    let script = "ls /proc | grep -c '^[0-9]'; cat /proc/1/environ /proc/1/maps 2>/dev/null || echo hidden; \
                  readlink /proc/1/fd/3 2>/dev/null || cat /proc/1/fd/3 2>/dev/null || echo closed; ls /proc/self/fd | wc -l; ls -A / | tr '\\n' ' '; echo; \
                  echo 1 2>/dev/null > /proc/sys/kernel/core_pattern || echo read only; \
                  kill -9 1; kill -9 -1; echo alive";
    let text = out(of(&["bash", "-c", script])).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.contains(&"hidden") && lines.contains(&"closed") && lines.contains(&"read only"), "{text}");
    assert!(lines[0].parse::<u32>().expect("a number") <= 5, "{text}");
    // Its three streams and the folder that `ls` looks into.
    assert!(lines.contains(&"4"), "{text}");
    for own in ["run", "root", "home", "var", "sys"] {
        assert!(!text.contains(&format!(" {own} ")), "{text}");
    }
}

#[tokio::test]
async fn without_a_grant_there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has one").port();
    let script = format!(
        "import socket\n\
         def attempt(what):\n\
         \ttry: print(what())\n\
         \texcept OSError as error: print(error.errno)\n\
         attempt(lambda: socket.create_connection(('127.0.0.1', {port}), 3))\n\
         attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53)))\n\
         attempt(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))\n\
         attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))\n\
         own = socket.create_server(('127.0.0.1', 0))\n\
         attempt(lambda: socket.create_connection(own.getsockname()) and 'own')\n"
    );
    // Refused, unreachable, not permitted twice.
    assert_eq!(out(python(&script)).await, "111\n101\n1\n1\nown");
}

#[tokio::test]
async fn the_way_out_leads_to_the_host() {
    let script = "import os, urllib.request\n\
                  print(os.environ['HTTP_PROXY'] == os.environ['https_proxy'], repr(os.environ['NO_PROXY']))\n\
                  print(urllib.request.urlopen('http://example.com/x').read().decode())";
    let mut running = launched(Program { net: Net::Proxy, ..python(script) }).await;
    let proxy = running.proxy.take().expect("it has one");
    let answer = tokio::spawn(async move {
        let (mut stream, from) = proxy.accept().await.expect("it connects");
        assert!(from.ip().is_loopback());
        let mut head = vec![0; 1_024];
        let length = stream.read(&mut head).await.expect("it asks");
        stream.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("it listens");
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    assert_eq!(rest(running).await.0, "True ''\nok");
    let asked = answer.await.expect("it does not panic");
    assert!(asked.starts_with("GET http://example.com/x HTTP/1.1\r\n"), "{asked}");
}

#[tokio::test]
async fn what_leads_out_of_a_cage_is_refused() {
    let script = "import ctypes, os\n\
                  libc = ctypes.CDLL(None, use_errno=True)\n\
                  def call(number, *arguments):\n\
                  \tctypes.set_errno(0)\n\
                  \tresult = libc.syscall(number, *arguments)\n\
                  \treturn ctypes.get_errno() if result < 0 else 'done'\n\
                  print([call(n, 0, 0, 0, 0, 0, 0) for n in (101, 165, 272, 308, 155, 161, 321, 310, 250, 169, 304)])\n\
                  print([call(n, 0, 0, 0, 0, 0, 0) for n in (425, 319, 435, 29)])\n\
                  print(call(56, 0x10000000 | 17, 0, 0, 0, 0))\n\
                  print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])\n\
                  print(open('/proc/self/status').read().split('CapBnd:')[1].split()[0])\n\
                  print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])";
    let nothing = "0000000000000000";
    let expected = format!("{:?}\n[38, 38, 38, 38]\n1\n{nothing}\n{nothing}\n1", [1; 11]);
    assert_eq!(out(python(script)).await, expected);
}

#[tokio::test]
async fn nothing_is_left_of_a_program_that_is_ended() {
    for walls in [true, false] {
        for script in [
            "sleep {0} & wait",
            "setsid sleep {0} & wait",
            "(setsid sleep {0} &) ; sleep {0}",
            "nohup sleep {0} >/dev/null 2>&1 & wait",
            "trap '' TERM HUP INT; sleep {0} & wait; wait; sleep {0}",
            "(trap '' TERM; setsid sh -c '(setsid sleep {0} & setsid sleep {0} &)') & sleep {0}",
        ] {
            let seconds = own_sleep();
            let program = shell(&script.replace("{0}", &seconds));
            let running = launched(if walls { program } else { without_walls(program) }).await;
            until("it runs", || n_running(&seconds) >= 1).await;
            let mut ended = running.ended.clone();
            drop(running);
            let ended = *ended.wait_for(Option::is_some).await.expect("it is told");
            assert_eq!(n_running(&seconds), 0, "{walls} {script}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_program_that_ends() {
    for walls in [true, false] {
        let seconds = own_sleep();
        let program = shell(&format!("setsid sleep {seconds} >/dev/null 2>&1 & sleep {seconds} & echo done"));
        // Its streams stay open in what it leaves behind, and still there is an end.
        let (text, ended) = run(if walls { program } else { without_walls(program) }).await;
        assert_eq!((text.as_str(), ended), ("done", code(0)));
        assert_eq!(n_running(&seconds), 0, "{walls}");
    }
}

#[tokio::test]
async fn a_program_that_is_asked_to_end_may_say_goodbye() {
    for walls in [true, false] {
        let program = shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
        let mut running = launched(if walls { program } else { without_walls(program) }).await;
        let mut ready = [0; 6];
        running.stdout.read_exact(&mut ready).await.expect("it says so");
        running.leash.terminate();
        // All of its session is asked: a shell says so of what it waited for.
        let (text, ended) = rest(running).await;
        assert!(text.starts_with("bye") && ended == code(3), "{text} {ended:?}");
    }
}

#[tokio::test]
async fn a_program_without_walls_has_what_its_user_has_and_a_folder_of_its_own() {
    let (_dir, path) = world();
    std::fs::write(path.join("a.txt"), "text").expect("it can be written");
    let script =
        format!("cat {}/a.txt; echo; echo x > $HOME/x; cat $TMPDIR/x; echo $HOME; env | wc -l", path.display());
    let text = out(without_walls(shell(&script))).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["text", "x"]);
    // PATH, LANG, HOME, TMPDIR, and what the shell adds: PWD.
    assert_eq!(lines[3], "5");
    assert!(!Path::new(lines[2]).exists(), "{} is left", lines[2]);
}

#[tokio::test]
async fn programs_that_multiply_are_bounded() {
    let bomb = "import os, time\n\
                n = 0\n\
                while n < 5000:\n\
                \ttry:\n\
                \t\tif os.fork() == 0:\n\
                \t\t\ttime.sleep(100)\n\
                \texcept OSError:\n\
                \t\tbreak\n\
                \tn += 1\n\
                print(n, flush=True)";
    for walls in [true, false] {
        let program = Program { processes: 20, ..python(bomb) };
        let (text, ended) = run(if walls { program } else { without_walls(program) }).await;
        // For root the kernel does not count: it has no more numbers than 301 for them, and they are ended when that is seen.
        let bounded = text.parse::<u32>().map_or(ended.over == Some(Over::Processes), |n| n <= 301);
        assert!(bounded, "{walls}: {text} {ended:?}");
    }
    let seconds = own_sleep();
    let program = of(&["bash", "-c", ":() { : | : & }; :; sleep $0", &seconds]);
    let running = launched(Program { processes: 40, ..program }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(running);
    until("it ends", || n_running(&seconds) == 0).await;
}

#[tokio::test]
async fn memory_is_bounded_for_one_process_and_for_many() {
    let alone = "held = []\nwhile True: held.append(bytearray(b'x' * (1 << 20)))";
    let many = "import os, time\n\
                for i in range(12):\n\
                \tif os.fork() == 0:\n\
                \t\theld = bytearray(b'x' * (24 << 20))\n\
                \t\ttime.sleep(100)\n\
                time.sleep(100)";
    for (script, walls) in [(alone, true), (many, true), (many, false)] {
        let program = Program { memory: 128 << 20, ..python(script) };
        let (text, ended) = run(if walls { program } else { without_walls(program) }).await;
        let bounded = ended.over == Some(Over::Memory) || text.contains("MemoryError");
        assert!(bounded, "{walls} {script}: {text} {ended:?}");
    }
    // What several share is there once.
    let shared = "import os, time\n\
                  held = bytearray(b'x' * (64 << 20))\n\
                  for i in range(6):\n\
                  \tif os.fork() == 0:\n\
                  \t\ttime.sleep(1)\n\
                  \t\tos._exit(0)\n\
                  for i in range(6): os.wait()\n\
                  print('done')";
    assert_eq!(out(Program { memory: 128 << 20, ..python(shared) }).await, "done");
}

#[tokio::test]
async fn other_limits_hold() {
    let script = "head -c 3M /dev/zero > $HOME/a 2>/dev/null; stat -c %s $HOME/a; ulimit -c; ulimit -n";
    let text = out(Program { file_size: 1 << 20, open_files: 99, ..of(&["bash", "-c", script]) }).await;
    let lines: Vec<&str> = text.lines().filter(|line| line.parse::<u64>().is_ok()).collect();
    assert_eq!(lines, ["1048576", "0", "99"]);
}

#[tokio::test]
async fn arguments_and_folders_are_checked_against_what_the_host_said_at_its_start() {
    let (_dir, path) = world();
    std::fs::create_dir(path.join("sub")).expect("it can be made");
    std::os::unix::fs::symlink("/", path.join("sub/out")).expect("it can be made");
    let with = |argument: &str| Order { arguments: vec![argument.to_owned()], ..order() };
    let at = |cwd: PathBuf| Order { cwd: Some(cwd), ..order() };
    let said = refused(of(&["echo"]), with("x")).await;
    assert!(said.starts_with("the program of `native` takes no more arguments; "), "{said}");
    let open = keeper(Program { more_arguments: true, ..of(&["echo", "first"]) });
    let awkward = "a b; $(rm -rf /) 'x\" --flag \n*";
    assert_eq!(rest(open.launch(with(awkward)).await.expect("it runs")).await.0, format!("first {awkward}"));
    let long = "x".repeat(100_000);
    assert_eq!(rest(open.launch(with(&long)).await.expect("it runs")).await.0, format!("first {long}"));
    for length in [200_000, 5 << 20] {
        let refused = open.launch(with(&"x".repeat(length))).await.expect_err("it is too long").to_string();
        assert!(refused.contains("too long"), "{refused}");
    }
    assert!(matches!(open.launch(with("a\0b")).await, Err(LaunchError::Failed(_))));
    let folders = keeper(granted(of(&["pwd"]), &path, false));
    let sub = path.join("sub");
    assert_eq!(rest(folders.launch(at(sub.clone())).await.expect("it runs")).await.0, sub.display().to_string());
    for outside in [PathBuf::from("/"), path.join(".."), sub.join("out"), sub.join("out/etc"), path.join("none")] {
        let refused = folders.launch(at(outside)).await.expect_err("it is not granted");
        assert!(matches!(refused, LaunchError::Denied(_)), "{refused}");
    }
    let other = Order { plugin: PluginName::parse("other").expect("it is a name"), ..order() };
    assert!(matches!(folders.launch(other).await, Err(LaunchError::Denied(_))));
    let host = refused(Program { net: Net::Host, ..of(&["true"]) }, order()).await;
    assert!(host.contains("cannot have the host's network in a cage"), "{host}");
}

#[tokio::test]
async fn nothing_outlives_the_keeper() {
    for walls in [true, false] {
        let seconds = own_sleep();
        let program = shell(&format!("(setsid sleep {seconds} &); sleep {seconds}"));
        let running = launched(if walls { program } else { without_walls(program) }).await;
        until("it runs", || n_running(&seconds) == 2).await;
        let keeper = keeper_of(std::process::id(), &seconds).expect("it is there");
        Command::new("kill").args(["-9", &keeper.to_string()]).status().expect("it can be started");
        let mut ended = running.ended.clone();
        assert!(ended.wait_for(Option::is_some).await.expect("it is told").is_some());
        until("nothing runs", || n_running(&seconds) == 0).await;
        drop(running);
    }
}

/// The child of a process, below which something runs that has this among its arguments.
fn keeper_of(host: u32, argument: &str) -> Option<u32> {
    let parent_of = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    let pids =
        std::fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if !line.split(|byte| *byte == 0).any(|one| one == argument.as_bytes()) {
            continue;
        }
        let mut at = pid;
        while let Some(parent) = parent_of(at).filter(|parent| *parent > 1) {
            if parent == host {
                return Some(at);
            }
            at = parent;
        }
    }
    None
}

#[tokio::test]
async fn nothing_outlives_the_host() {
    // A host of its own, that is killed: this test once more.
    if let Ok(seconds) = std::env::var("BAILIWICK_TEST_HOST") {
        let one = launched(shell(&format!("(setsid sleep {seconds} &); sleep {seconds}"))).await;
        let other = launched(without_walls(shell(&format!("(setsid sleep {seconds} &); sleep {seconds}")))).await;
        until("they run", || n_running(&seconds) == 4).await;
        std::io::stderr().write_all(b"ready\n").expect("somebody reads");
        std::future::pending::<()>().await;
        drop((one, other));
    }
    let seconds = own_sleep();
    let mut host = Command::new(std::env::current_exe().expect("it has a file"))
        .args(["nothing_outlives_the_host", "--nocapture"])
        .env("BAILIWICK_TEST_HOST", &seconds)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = BufReader::new(host.stderr.take().expect("it is piped"));
    let ready = said.lines().map_while(Result::ok).find(|line| line == "ready");
    assert!(ready.is_some());
    host.kill().expect("it can be killed");
    host.wait().expect("it was");
    until("nothing runs", || n_running(&seconds) == 0).await;
}

#[tokio::test]
async fn the_keeper_ends_with_the_last_of_its_handles() {
    let seconds = own_sleep();
    let keeper = keeper(of(&["sleep", &seconds]));
    let running = keeper.launch(order()).await.expect("it runs");
    let process = keeper_of(std::process::id(), &seconds).expect("it is there");
    drop(keeper);
    until("it runs on", || n_running(&seconds) == 1).await;
    drop(running);
    until("it ends", || !Path::new(&format!("/proc/{process}")).exists()).await;
    assert_eq!(n_running(&seconds), 0);
}

#[tokio::test]
async fn nothing_gathers_in_the_keeper() {
    const TIMES: usize = 200;
    let seconds = own_sleep();
    let keeper = keeper(of(&["sleep", &seconds]));
    let held = keeper.launch(order()).await.expect("it runs");
    let process = keeper_of(std::process::id(), &seconds).expect("it is there");
    let n_files = || std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
    // What the first start needed for a moment is put away a moment after it is there.
    let mut before = n_files();
    until("the first start is over", || {
        let earlier = std::mem::replace(&mut before, n_files());
        std::thread::sleep(Duration::from_millis(100));
        earlier == before && before == n_files()
    })
    .await;
    for _ in 0..TIMES / 20 {
        let all = join_all((0..20).map(|_| keeper.launch(order()))).await;
        let endings: Vec<_> = all.iter().map(|one| one.as_ref().expect("it runs").ended.clone()).collect();
        drop(all);
        for mut ended in endings {
            ended.wait_for(Option::is_some).await.expect("it is told");
        }
    }
    // Nobody waits for these any more before they run.
    for _ in 0..TIMES / 10 {
        let launch = tokio::time::timeout(Duration::from_micros(200), keeper.launch(order()));
        drop(launch.await);
    }
    until("only what is held runs", || n_running(&seconds) == 1).await;
    let children = format!("/proc/{process}/task/{process}/children");
    let n_children = || std::fs::read_to_string(&children).map_or(0, |line| line.split_whitespace().count());
    until("nothing is left", || n_files() == before && n_children() == 1 && n_running(&seconds) == 1).await;
    drop(held);
}

#[tokio::test]
async fn a_program_that_takes_its_time_delays_no_other() {
    let slow: Vec<_> = (0..8).map(|_| shell("sleep 2; echo late")).collect();
    let programs = slow.into_iter().chain([shell("echo quick")]).enumerate();
    let programs = programs.map(|(n, program)| Program { plugin: format!("native{n}"), ..program }).collect();
    let keeper = Keeper::start_as(program::path(), programs).expect("it starts");
    let named = |n: usize| Order { plugin: PluginName::parse(&format!("native{n}")).expect("a name"), ..order() };
    let began = Instant::now();
    let slow = join_all((0..8).map(|n| keeper.launch(named(n)))).await;
    assert_eq!(rest(keeper.launch(named(8)).await.expect("it runs")).await.0, "quick");
    assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());
    assert!(slow.iter().all(Result::is_ok));
}

#[tokio::test]
async fn interpreters_run_in_a_cage() {
    let script = "import json, ssl, threading, subprocess, tempfile, multiprocessing as m\n\
                  q = m.get_context('fork').Queue(); q.put(1)\n\
                  print(q.get(), subprocess.check_output(['echo', 'sub']).decode().strip(), tempfile.gettempdir())";
    assert_eq!(out(python(script)).await, "1 sub /.scratch/tmp");
    let script = "const { execSync } = require('child_process'); const os = require('os'); \
                  os.networkInterfaces(); require('fs').writeFileSync(os.tmpdir() + '/x', 'y'); \
                  console.log(execSync('echo sub').toString().trim(), os.homedir())";
    assert_eq!(out(of(&["node", "-e", script])).await, "sub /.scratch/home");
}

#[tokio::test]
async fn code_that_the_command_names_is_there_and_a_folder_it_names_is_not() {
    let (_dir, path) = world();
    for folder in ["app/node_modules/server/dist", "app/node_modules/other", "data"] {
        std::fs::create_dir_all(path.join(folder)).expect("it can be made");
    }
    std::fs::write(path.join("app/node_modules/other/index.js"), "module.exports = 'other'").expect("written");
    std::fs::write(path.join("data/a.txt"), "text").expect("written");
    let server = path.join("app/node_modules/server/dist/index.js");
    let script = "const fs = require('fs'); console.log(require('other'), fs.existsSync(process.argv[2]))";
    std::fs::write(&server, script).expect("written");
    let data = path.join("data");
    let argv = ["node", server.to_str().expect("text"), data.to_str().expect("text")];
    assert_eq!(out(of(&argv)).await, "other false");
    assert_eq!(out(granted(of(&argv), &data, false)).await, "other true");
}

#[tokio::test]
async fn what_installs_its_program_starts_it_from_its_scratch_folder() {
    let script =
        "cp /bin/true $HOME/own && chmod +x $HOME/own && $HOME/own 2>/dev/null && echo runs || echo does not run";
    assert_eq!(out(shell(script)).await, "does not run");
    assert_eq!(out(Program { installs: true, ..shell(script) }).await, "runs");
}
