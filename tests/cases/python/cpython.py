"""Runs one module of CPython's own tests within the interpreter. Not a test of ours: a program for the form `main`.

`input` has the `module`, and the ids of tests to `leave_out`: those that would end the whole instance. The folder
`/lib/test` is CPython's package `test`; `/tmp` can be written.
"""

import io
import sys
import types
import unittest


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.missed = {}

    def addError(self, test, error):
        self.note(test, error)

    def addFailure(self, test, error):
        self.note(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.note(test, error)

    def addUnexpectedSuccess(self, test):
        self.missed.setdefault(test.id(), "an unexpected success")

    def note(self, test, error):
        told = f"{error[0].__name__}: {error[1]}".strip().splitlines()[0][:200]
        self.missed.setdefault(test.id(), told)


def main(input):
    # The folder alone is granted, not the one above it, where a package is looked for.
    test = sys.modules["test"] = types.ModuleType("test")
    test.__path__ = ["/lib/test"]
    sys.stderr = io.StringIO()
    suite = unittest.defaultTestLoader.loadTestsFromName(input["module"])
    tests = list(flat(suite))
    left_out = [test.id() for test in tests if test.id() in input["leave_out"]]
    result = Result()
    unittest.TestSuite(test for test in tests if test.id() not in left_out).run(result)
    skipped = {test.id(): reason for test, reason in result.skipped}
    return {
        "tests": len(tests),
        "passed": result.testsRun - len(result.missed) - len(skipped),
        "skipped": skipped,
        "missed": result.missed,
        "left_out": left_out,
    }
