#!/usr/bin/env python3
"""Switches off one control of the host at a time and wants a test to fail: run.py [NAME…], by default all of them.

What is switched off, and which tests have to notice, is in controls.toml. The sources are changed in a copy, with a target
folder of its own (both under target/teeth), never in the working tree. A control passes when the changed sources compile
and a test fails; a change that does not compile, or that no test notices, is told and makes the exit code 1.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "teeth" / "tree"
# For building and running the tests of one control. Tests that hang have noticed.
PATIENCE = 400


def copy_tree():
    """The files git knows of, as they are now. What is unchanged keeps its time, so that cargo takes it as built."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.unlink(missing_ok=True)
            target.symlink_to(os.readlink(source))
        elif source.is_file() and (not target.exists() or target.read_bytes() != source.read_bytes()):
            shutil.copy(source, target)


def cargo_test(tests):
    """Whether all of `tests` pass: True, False, or None when they do not even compile; and what was said."""
    said = ""
    for package, *filters in tests:
        command = ["cargo", "test", "--locked", "--quiet", "-p", package, "--", *filters]
        environment = dict(os.environ, CARGO_TARGET_DIR=str(ROOT / "target" / "teeth" / "target"))
        # A group of its own: what hangs is ended with all it started.
        run = subprocess.Popen(
            command, cwd=COPY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )
        try:
            said += run.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            return False, said + f"{package}: not done after {PATIENCE} s"
        if run.returncode != 0:
            # A crash of the whole test program counts: somebody would look.
            ended = "test result: FAILED" in said or re.search(r"\(signal: \d+", said)
            return (False if ended else None), said
    return True, said


def failures(said):
    return sorted(set(re.findall(r"^    ([a-z_0-9]+(?:::[a-z_0-9]+)*)$", said, re.M)))


def switch_off(control):
    """Changes the copy; gives what undoes it."""
    before = {}
    for edit in control["edits"]:
        path = COPY / edit["file"]
        text = path.read_text()
        before.setdefault(path, text)
        if text.count(edit["from"]) != 1:
            sys.exit(f"{control['name']}: `{edit['from']}` stands {text.count(edit['from'])} times in {edit['file']}")
        path.write_text(text.replace(edit["from"], edit["to"]))
    return before


def main():
    controls = tomllib.loads((Path(__file__).parent / "controls.toml").read_text())["control"]
    wanted = sys.argv[1:]
    if unknown := set(wanted) - {control["name"] for control in controls}:
        sys.exit(f"no such control: {', '.join(sorted(unknown))}")
    controls = [control for control in controls if not wanted or control["name"] in wanted]
    copy_tree()
    print("with every control on …", flush=True)
    for tests in sorted({tuple(test) for control in controls for test in control["tests"]}):
        passed, said = cargo_test([tests])
        if passed is not True:
            sys.exit(f"{said}\nthe tests have to pass before anything is switched off: {' '.join(tests)}")
        if not re.search(r"^running [1-9]", said, re.M):
            sys.exit(f"there is no such test: {' '.join(tests)}")
    unnoticed = []
    for control in controls:
        started, before = time.monotonic(), switch_off(control)
        try:
            passed, said = cargo_test(control["tests"])
        finally:
            for path, text in before.items():
                path.write_text(text)
        seconds = time.monotonic() - started
        if passed is False:
            noticed = failures(said)
            first = noticed[0] if noticed else "the test program ended"
            print(f"noticed    {control['name']:28} {len(noticed):3} tests, such as {first} ({seconds:.0f} s)", flush=True)
        else:
            unnoticed.append(control["name"])
            what = "does not compile" if passed is None else "no test fails"
            print(f"UNNOTICED  {control['name']:28} {what} ({seconds:.0f} s)", flush=True)
            if passed is None:
                print(said[-3000:], flush=True)
    print(f"\n{len(controls)} controls switched off, {len(controls) - len(unnoticed)} noticed")
    sys.exit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
