//! What a program in a cage finds in the file system: a root of its own, in which there is what it is granted, what the
//! system's programs need, what its own command names, a scratch folder, and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::mount::MountFlags;

use super::office::{Checked, missing};
use super::{LaunchError, Program};
use crate::ambient;
use crate::ambient::cage::Through;

/// The scratch folder: in memory, writable; no programs are started from it but by what installs them.
pub(super) const SCRATCH: &str = "/.scratch";
/// What programs keep of their own, in a cage.
pub(super) const HOME: &str = "/.scratch/home";
/// Where programs put what is temporary, in a cage.
pub(super) const TEMPORARY: &str = "/.scratch/tmp";
/// What `/tmp` is, for programs that do not ask. Not the same folder: what is granted may lie below it, and whatever may be
/// made in a folder may be made below it too.
const BESIDE: &str = "/.scratch/beside";
/// The most that a scratch folder holds, or as much as a program may have memory, if that is less.
const MOST_SCRATCH: u64 = 256 << 20;
/// The same for a program that installs what it runs.
const MOST_INSTALLED: u64 = 1 << 30;
/// Folders that programs and their libraries are in.
const PROGRAMS: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];
/// What programs look up below `/etc`; nothing there that is not for everybody's eyes.
const SETTINGS: [&str; 39] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "gitconfig",
    "group",
    "host.conf",
    "hosts",
    "inputrc",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "mailcap",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "pki",
    "profile",
    "profile.d",
    "protocols",
    "python3",
    "resolv.conf",
    "services",
    "ssl",
    "terminfo",
];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// What `/dev` has besides; each names another place.
const STREAMS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];
/// As many links as the kernel itself follows.
const MOST_LINKS: usize = 40;

/// What is shown, and where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Without links; each is shown where it is.
    places: BTreeMap<PathBuf, Through>,
    /// The links on the way to them.
    links: BTreeMap<PathBuf, PathBuf>,
    /// What is there and empty.
    folders: BTreeSet<PathBuf>,
    /// Bytes.
    scratch: u64,
    /// Whether programs are started from the scratch folder.
    installs: bool,
}

impl View {
    /// What this program is shown.
    ///
    /// # Errors
    /// When something it is granted is not there.
    pub(super) fn of(checked: &Checked<'_>) -> Result<Self, LaunchError> {
        let program = checked.program;
        let most = if program.installs { MOST_INSTALLED } else { MOST_SCRATCH };
        let (scratch, installs) = (program.memory.min(most), program.installs);
        let mut view = Self { scratch, installs, ..Self::default() };
        for granted in &program.files {
            let through = if granted.write { Through::Write } else { Through::Read };
            let found = view.walk(&granted.path);
            let path = found.ok_or_else(|| missing("what is granted,", &granted.path.display().to_string(), ""))?;
            view.places.insert(path, through);
        }
        PROGRAMS.iter().for_each(|path| view.add(Path::new(path), Through::Read));
        SETTINGS.iter().for_each(|name| view.add(&Path::new("/etc").join(name), Through::Read));
        DEVICES.iter().for_each(|path| view.add(Path::new(path), Through::Devices));
        view.add_command(program, &checked.file);
        if let Some(cwd) = &program.cwd {
            view.add_folder(cwd);
        }
        Ok(view)
    }

    /// The places, without links, and what may be done there.
    pub(super) fn places(&self) -> impl Iterator<Item = (&Path, Through)> {
        self.places.iter().map(|(path, through)| (path.as_path(), *through))
    }

    /// Shows what is at a path, unless there is nothing, or it is shown already.
    fn add(&mut self, path: &Path, through: Through) {
        if let Some(real) = self.walk(path)
            && !self.shows(&real)
        {
            self.places.insert(real, through);
        }
    }

    fn shows(&self, real: &Path) -> bool {
        real.ancestors().any(|ancestor| self.places.contains_key(ancestor))
    }

    /// Follows the links on a path, and remembers them. Gives the path without links; none if there is nothing.
    fn walk(&mut self, path: &Path) -> Option<PathBuf> {
        let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<Vec<OsString>>();
        let mut rest = VecDeque::from(parts(path));
        let (mut real, mut n_links) = (PathBuf::from("/"), 0);
        while let Some(part) = rest.pop_front() {
            match Path::new(&part).components().next() {
                None | Some(Component::CurDir | Component::Prefix(_)) => {}
                Some(Component::RootDir) => real = PathBuf::from("/"),
                Some(Component::ParentDir) => {
                    real.pop();
                }
                Some(Component::Normal(name)) => {
                    let next = real.join(name);
                    match ambient::cage::link_target(&next) {
                        None => real = next,
                        Some(target) => {
                            n_links += 1;
                            parts(&target).into_iter().rev().for_each(|part| rest.push_front(part));
                            self.links.insert(next, target);
                        }
                    }
                }
            }
            if n_links > MOST_LINKS {
                return None;
            }
        }
        ambient::exists(&real).then_some(real)
    }

    /// Shows what the operator's command names: the program with what belongs to it, and the code among its arguments.
    fn add_command(&mut self, program: &Program, file: &Path) {
        let Some(real) = self.walk(file) else { return };
        for file in [file, &real] {
            self.add_program(file);
        }
        for argument in program.argv.iter().skip(1).map(Path::new) {
            if argument.is_absolute() && ambient::cage::is_file(argument) {
                self.add_code(argument);
            }
        }
    }

    /// Shows a program's file and, if it lies in the `bin` of a folder, what such a folder has for its programs.
    fn add_program(&mut self, file: &Path) {
        self.add(file, Through::Read);
        let Some(bin) = file.parent() else { return };
        let Some(prefix) = bin.parent().filter(|_| bin.ends_with("bin")) else { return };
        self.add_prefix(prefix);
        if let Some(base) = python_of(prefix) {
            self.add(prefix, Through::Read);
            self.add_prefix(&base);
            self.walk(&base).iter().for_each(|base| self.add_prefix(base));
        }
    }

    fn add_prefix(&mut self, prefix: &Path) {
        let mut parts = vec!["bin", "lib", "lib64", "libexec", "share"];
        // `~/.local/share` is where a user's other programs keep their data.
        if prefix.ends_with(".local") {
            parts = vec!["bin", "lib", "lib64"];
        }
        parts.into_iter().for_each(|part| self.add(&prefix.join(part), Through::Read));
    }

    /// Shows a file that is an argument: if it is code, with the modules it lies among, its project, or its folder.
    fn add_code(&mut self, file: &Path) {
        let named = self.walk(file).unwrap_or_default();
        for file in [file, &named] {
            let folder = if ambient::cage::is_script(file) { folder_of_code(file) } else { None };
            match folder {
                Some(folder) => self.add(&folder, Through::Read),
                None => self.add(file, Through::Read),
            }
        }
    }

    /// Shows a folder, or makes an empty one if too much is in it.
    fn add_folder(&mut self, folder: &Path) {
        if is_shared(folder) {
            let real = self.walk(folder);
            self.folders.extend(real);
        } else {
            self.add(folder, Through::Read);
        }
    }

    /// Makes this the file system of a mount namespace of its own, in a PID namespace of its own.
    ///
    /// # Errors
    /// Which part of it the kernel does not make.
    pub(super) fn raise(&self) -> Result<(), LaunchError> {
        const OLD: &str = "/.old";
        let part = |part: &'static str| move |error: io::Error| LaunchError::Cage(format!("{part}: {error}"));
        ambient::cage::keep_mounts_private().map_err(part("no mounts of its own"))?;
        // Mounted where a folder is sure to be.
        let stage = Path::new("/proc");
        let plain = MountFlags::NOSUID | MountFlags::NODEV;
        ambient::cage::mount("tmpfs", stage, plain, "size=4m,mode=0755").map_err(part("no root of its own"))?;
        self.turn(stage).map_err(part("no root of its own"))?;
        self.furnish(Path::new(OLD))?;
        let hidden = plain | MountFlags::NOEXEC | MountFlags::RDONLY;
        ambient::cage::mount("proc", Path::new("/proc"), hidden, "").map_err(part(
            "no `/proc` of its own (a container that hides parts of its own `/proc` refuses it: have it show all of it)",
        ))?;
        ambient::cage::unmount(Path::new(OLD)).map_err(part("the host's root does not go away"))?;
        ambient::cage::remove_dir(Path::new(OLD)).map_err(part("the host's root does not go away"))?;
        ambient::cage::close_root().map_err(part("a root that cannot be closed"))
    }

    /// Steps onto the stage: what was the root until now is at `/.old`.
    fn turn(&self, stage: &Path) -> io::Result<()> {
        rustix::process::chdir(stage)?;
        for folder in [".old", "proc", "dev", "tmp", ".scratch"] {
            ambient::cage::create_open_dir(Path::new(folder))?;
        }
        ambient::cage::pivot(".old")
    }

    fn furnish(&self, old: &Path) -> Result<(), LaunchError> {
        let part = |what: &Path| {
            let what = what.display().to_string();
            move |error: io::Error| LaunchError::Cage(format!("`{what}` cannot be shown in it: {error}"))
        };
        let scratch = Path::new(SCRATCH);
        let plain = MountFlags::NOSUID | MountFlags::NODEV;
        let plain = if self.installs { plain } else { plain | MountFlags::NOEXEC };
        let options = format!("size={},nr_inodes=262144,mode=0755", self.scratch);
        ambient::cage::mount("tmpfs", scratch, plain, &options).map_err(part(scratch))?;
        self.furnish_scratch().map_err(part(scratch))?;
        for (path, through) in &self.places {
            self.show(old, path, *through).map_err(part(path))?;
        }
        for folder in &self.folders {
            // Below what is shown it is there already.
            let _ = ambient::cage::create_open_dir(folder);
        }
        let links = self.links.iter().map(|(path, target)| (path.as_path(), target.as_path()));
        let streams = STREAMS.iter().map(|(path, target)| (Path::new(path), Path::new(target)));
        for (path, target) in links.chain(streams).filter(|(path, _)| !self.shows(path)) {
            path.parent().map_or(Ok(()), ambient::cage::create_open_dir).map_err(part(path))?;
            let target =
                target.to_str().ok_or(io::ErrorKind::InvalidFilename).map_err(|kind| part(path)(kind.into()))?;
            ambient::symlink(target, path).map_err(part(path))?;
        }
        Ok(())
    }

    /// Whether programs are started from the scratch folder.
    pub(super) fn installs(&self) -> bool {
        self.installs
    }

    fn furnish_scratch(&self) -> io::Result<()> {
        let shared_memory = format!("{SCRATCH}/shm");
        for folder in [HOME, TEMPORARY, BESIDE, &shared_memory, "/dev/shm"] {
            ambient::cage::create_open_dir(Path::new(folder))?;
        }
        let same = |source: &str, target: &str| ambient::cage::repeat(Path::new(source), Path::new(target));
        same(&shared_memory, "/dev/shm")?;
        same(BESIDE, "/tmp")
    }

    fn show(&self, old: &Path, path: &Path, through: Through) -> io::Result<()> {
        let Ok(relative) = path.strip_prefix("/") else { return Ok(()) };
        let source = old.join(relative);
        if ambient::is_dir(&source) {
            ambient::cage::create_open_dir(path)?;
        } else if !ambient::exists(path) {
            path.parent().map_or(Ok(()), ambient::cage::create_open_dir)?;
            ambient::cage::touch(path)?;
        }
        ambient::cage::show(&source, path, through)
    }
}

/// Where the modules are that a file of code needs: the outermost `node_modules` it lies in, or the nearest folder that is
/// a project's or a virtual environment's, or its own; none if that is a folder in which everything else is too.
fn folder_of_code(file: &Path) -> Option<PathBuf> {
    const OF_PROJECTS: [&str; 3] = ["pyvenv.cfg", "package.json", "pyproject.toml"];
    let folders = || file.ancestors().skip(1);
    let modules = folders().filter(|folder| folder.ends_with("node_modules")).last();
    let is_project = |folder: &Path| OF_PROJECTS.iter().any(|name| ambient::cage::is_file(&folder.join(name)));
    let project = || folders().take_while(|folder| !is_shared(folder)).find(|folder| is_project(folder));
    let own = || folders().next().filter(|folder| !is_shared(folder));
    modules.or_else(project).or_else(own).map(Path::to_owned)
}

/// Where the Python of a virtual environment is installed.
fn python_of(environment: &Path) -> Option<PathBuf> {
    let text = ambient::read(&environment.join("pyvenv.cfg"), 64 << 10).ok()?;
    let text = String::from_utf8(text).ok()?;
    let home = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "home")?.1;
    Path::new(home.trim()).parent().filter(|prefix| prefix.is_absolute()).map(Path::to_owned)
}

/// Whether other things than a program's own are in a folder: the system's, the user's, everybody's.
fn is_shared(folder: &Path) -> bool {
    let home = ambient::env("HOME").map(PathBuf::from);
    let is_of_user = home.is_some_and(|home| home.starts_with(folder));
    let is_home = folder.parent() == Some(Path::new("/home"));
    let depth = folder.components().count();
    let is_of_system = ["/usr", "/var", "/run"].iter().any(|top| folder.starts_with(top)) && depth <= 3;
    depth <= 2 || is_of_user || is_home || is_of_system
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View::default()
    }

    #[test]
    fn links_on_the_way_are_shown_too() {
        let dir = tempfile::tempdir().unwrap();
        let root = ambient::canonical(dir.path()).unwrap();
        ambient::create_private_dir(&root.join("versions/1/bin")).unwrap();
        ambient::cage::touch(&root.join("versions/1/bin/tool")).unwrap();
        ambient::symlink("1", &root.join("versions/now")).unwrap();
        ambient::symlink("versions/now/bin/../bin/tool", &root.join("tool")).unwrap();
        let mut view = view();
        assert_eq!(view.walk(&root.join("tool")), Some(root.join("versions/1/bin/tool")));
        let links: Vec<_> = view.links.keys().cloned().collect();
        assert!(links.contains(&root.join("tool")) && links.contains(&root.join("versions/now")), "{links:?}");
        ambient::symlink("loop", &root.join("loop")).unwrap();
        assert_eq!(view.walk(&root.join("loop")), None);
        assert_eq!(view.walk(&root.join("nothing")), None);
    }

    #[test]
    fn code_is_shown_with_the_modules_it_lies_among() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("one");
        let file = |path: &str| {
            let path = root.join(path);
            ambient::create_private_dir(path.parent().unwrap()).unwrap();
            ambient::cage::touch(&path).unwrap();
            path
        };
        let shown = |path: &Path| folder_of_code(path).unwrap().strip_prefix(&root).unwrap().to_owned();
        let nested = file("app/node_modules/.pnpm/a@1/node_modules/a/dist/index.js");
        assert_eq!(shown(&nested), Path::new("app/node_modules"));
        file("project/package.json");
        assert_eq!(shown(&file("project/dist/index.js")), Path::new("project"));
        assert_eq!(shown(&file("loose/tools/a.py")), Path::new("loose/tools"));
        assert_eq!(folder_of_code(Path::new("/home/someone/a.py")), None);
        assert_eq!(folder_of_code(Path::new("/srv/a.py")), None);
        assert_eq!(folder_of_code(Path::new("/srv/app/a.py")), Some(PathBuf::from("/srv/app")));
    }

    #[test]
    fn what_is_granted_is_not_narrowed_by_what_a_command_names() {
        let mut view = view();
        view.places.insert(PathBuf::from("/usr/share"), Through::Write);
        view.add(Path::new("/usr/share/doc"), Through::Read);
        assert_eq!(view.places.len(), 1);
    }
}
