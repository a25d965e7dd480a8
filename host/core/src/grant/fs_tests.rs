use super::*;

fn roots() -> Roots<'static> {
    Roots { base: Path::new("/srv/app"), home: Some("/home/me") }
}

fn grant(text: &str) -> FsGrant {
    FsGrant::parse(text, roots(), Place::default()).unwrap()
}

fn grants(texts: &[&str]) -> FsGrants {
    FsGrants::new(texts.iter().map(|text| grant(text)).collect(), Section::new("plugins.files", "bailiwick.toml:3"))
}

#[test]
fn a_grant_is_a_path_what_the_plugin_calls_it_and_an_access() {
    for (text, host, guest, access) in [
        ("/data", "/data", "/data", Access::ReadOnly),
        ("./docs", "/srv/app/docs", "/srv/app/docs", Access::ReadOnly),
        ("docs:rw", "/srv/app/docs", "/srv/app/docs", Access::ReadWrite),
        ("./docs:/d:ro", "/srv/app/docs", "/d", Access::ReadOnly),
        ("./docs:/d/", "/srv/app/docs", "/d", Access::ReadOnly),
        ("~/n:/:rw", "/home/me/n", "/", Access::ReadWrite),
        ("~", "/home/me", "/home/me", Access::ReadOnly),
        ("../x//y/./z", "/srv/x/y/z", "/srv/x/y/z", Access::ReadOnly),
    ] {
        let read = grant(text);
        assert_eq!((read.host.to_str().unwrap(), read.guest.as_str(), read.access), (host, guest, access), "{text}");
    }
}

#[test]
fn what_is_no_grant_or_never_granted_is_refused() {
    for text in [
        "",
        ":rw",
        "/",
        "/..",
        "../../..",
        "/proc",
        "/proc/self",
        "/sys/x",
        "/dev",
        "/x/../proc",
        "~you/x",
        "a:b",
        "a:rx",
        "a:/g:rx",
        "a:/../g",
        "a:/g//h",
        "a:/./g:ro",
        "a:RO",
        "a\0b",
        "a:/g\\h",
        "a:/g:/h:ro",
    ] {
        assert!(FsGrant::parse(text, roots(), Place::default()).is_err(), "{text:?}");
    }
    let homeless = Roots { home: None, ..roots() };
    assert!(FsGrant::parse("~/x", homeless, Place::default()).is_err());
    let baseless = Roots { base: Path::new(""), home: None };
    assert!(FsGrant::parse("x", baseless, Place::default()).is_err());
}

#[test]
fn the_deepest_grant_decides() {
    let grants = grants(&["./a:/w:ro", "./b:/w/out:rw"]);
    assert_eq!(grants.decide_read("/w/x").unwrap().guest, "/w");
    assert_eq!(grants.decide_write("/w/out/x").unwrap().guest, "/w/out");
    assert_eq!(grants.decide_write("/w/./out//x").unwrap().guest, "/w/out");
    assert_eq!(grants.decide_write("/w/x").unwrap_err().kind(), FsDenialKind::ReadOnly);
    assert_eq!(grants.decide_read("/wx").unwrap_err().kind(), FsDenialKind::NotGranted);
    assert_eq!(grants.decide_write("/w/outer").unwrap_err().kind(), FsDenialKind::ReadOnly);
    for crooked in ["w/x", "/w/../x", "", "/w/\0"] {
        assert_eq!(grants.decide_read(crooked).unwrap_err().kind(), FsDenialKind::Crooked, "{crooked:?}");
    }
}

#[test]
fn a_denial_says_why_and_what_to_write() {
    let grants = grants(&["./docs:/docs:ro"]);
    let denial = grants.decide_read("/etc/hosts").unwrap_err();
    assert_eq!(denial.code(), "denied.fs.read");
    assert_eq!(denial.to_string(), "reading `/etc/hosts` is refused: it lies outside of `/docs`");
    assert_eq!(denial.allow_line().unwrap(), r#"fs = ["/etc:ro"]"#);
    assert_eq!(denial.fix(), "add `fs = [\"/etc:ro\"]` under `[plugins.files]` (bailiwick.toml:3)");

    let denial = grants.decide_write("/docs/a").unwrap_err();
    assert_eq!(denial.code(), "denied.fs.write");
    assert_eq!(denial.to_string(), "changing `/docs/a` is refused: `./docs:/docs:ro` is read-only");
    assert_eq!(denial.allow_line().unwrap(), r#"fs = ["./docs:/docs:rw"]"#);

    assert_eq!(grants.decide_read("/proc/self/environ").unwrap_err().fix(), "no grant can allow it");
    let none = FsGrants::new(vec![], Section::new("plugins.files", "bailiwick.toml:3"));
    assert_eq!(
        none.decide_read("/a/b").unwrap_err().to_string(),
        "reading `/a/b` is refused: `[plugins.files]` (bailiwick.toml:3) grants no `fs`"
    );
}

#[test]
fn the_line_of_a_denial_would_have_allowed_it() {
    let denied = grants(&["./docs:/docs:ro"]);
    for (path, access) in
        [("/etc/hosts", Access::ReadOnly), ("/docs/a", Access::ReadWrite), ("/a/b", Access::ReadWrite)]
    {
        let line = denied.decide(path, access).unwrap_err().allow_line().unwrap();
        let table: toml::Table = line.parse().unwrap();
        let text = table["fs"][0].as_str().unwrap().to_owned();
        assert!(grants(&[&text]).decide(path, access).is_ok(), "{line}");
    }
}

#[test]
fn a_tools_grant_lies_within_the_plugins() {
    let plugin = grants(&["./docs:/docs:rw", "/ro:ro"]);
    for (text, covered) in [
        ("./docs", true),
        ("./docs/sub:rw", true),
        ("/ro/x:ro", true),
        ("/ro:rw", false),
        ("./docsx", false),
        ("./docs/..", false),
        (".", false),
    ] {
        assert_eq!(plugin.covers(&grant(text)), covered, "{text}");
    }
    let tool = plugin.narrowed(
        vec![grant("./docs/sub"), grant("./docs/b:/b"), grant("./docs:rw")],
        Section::new("plugins.files.tools.read", "bailiwick.toml:9"),
    );
    let guests: Vec<&str> = tool.iter().map(|grant| grant.guest.as_str()).collect();
    assert_eq!(guests, ["/docs/sub", "/b", "/docs"]);
    let denial = tool.decide_read("/etc/hosts").unwrap_err();
    assert_eq!(
        denial.fix(),
        "add `fs = [\"/etc:ro\"]` under `[plugins.files.tools.read]` (bailiwick.toml:9), and `fs = [\"/etc:ro\"]` under \
         `[plugins.files]` (bailiwick.toml:3)"
    );
}

#[test]
fn what_a_caller_wrote_is_judged_as_what_it_means() {
    let grants = grants(&["/srv/notes:/notes:ro"]);
    assert_eq!(grants.meant("plan.txt"), "/notes/plan.txt");
    assert_eq!(grants.meant("a/../../etc/./passwd"), "/etc/passwd");
    assert_eq!(grants.meant("/a//b/../c/"), "/a/c");
    let denial = grants.decide_write(&grants.meant("plan.txt")).unwrap_err();
    assert_eq!(denial.allow_line().as_deref(), Some("fs = [\"/srv/notes:/notes:rw\"]"));
}
