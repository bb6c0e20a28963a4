"""Runs a repository's tests with unittest, for machines without pytest, and writes what happened as one JSON object.

usage: unittest-report.py REPORT [-k FILTER] [PATH ...]

It is not pytest: fixtures, parametrize and conftest.py do not work, and a test that needs them fails with a message that says so.
Plain functions named test_* without parameters run like test methods, because most small pytest suites are written that way.
The report is written once, at the end: a run that crashes leaves none.
"""

import importlib.util
import inspect
import json
import os
import sys
import traceback
import unittest

SKIPPED_FOLDERS = {"node_modules", "venv", "site-packages", "build", "dist", "__pycache__"}
FILES_MAX = 5000
MESSAGE_MAX = 20000


def is_test_file(name):
    return name.endswith(".py") and (name.startswith("test") or name.endswith("_test.py"))


def test_files(paths):
    """Files named on the command line as they are; below folders, those that look like tests."""
    for path in paths:
        if os.path.isfile(path):
            yield os.path.abspath(path)
            continue
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith("."))
            for name in sorted(files):
                if is_test_file(name):
                    yield os.path.abspath(os.path.join(folder, name))


def module_of(path):
    """Imports by package name where there is one, so that relative imports work; else under a name no other file shares."""
    top = os.path.dirname(path)
    names = [os.path.splitext(os.path.basename(path))[0]]
    while os.path.isfile(os.path.join(top, "__init__.py")):
        names.insert(0, os.path.basename(top))
        top = os.path.dirname(top)
    if top not in sys.path:
        sys.path.insert(1, top)
    if len(names) > 1:
        return importlib.import_module(".".join(names))
    name = os.path.splitext(os.path.relpath(path))[0].replace(os.sep, ".")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class FunctionTest(unittest.FunctionTestCase):
    def __init__(self, function, name):
        super().__init__(function)
        self.name = name

    def id(self):
        return self.name


def needs_pytest():
    raise RuntimeError("this test takes arguments (pytest fixtures), and pytest is not installed")


def tests_of(module):
    yield from unittest.defaultTestLoader.loadTestsFromModule(module)
    for name, value in sorted(vars(module).items()):
        if name.startswith("test") and inspect.isfunction(value) and value.__module__ == module.__name__:
            takes = inspect.signature(value).parameters
            yield FunctionTest(needs_pytest if takes else value, module.__name__ + "." + name)


def flat(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


class Recorder(unittest.TestResult):
    def __init__(self, tests):
        super().__init__()
        self.tests = tests

    def record(self, test, outcome, message=""):
        self.tests.append({"name": test.id(), "outcome": outcome, "message": message[-MESSAGE_MAX:]})

    def addSuccess(self, test):
        self.record(test, "passed")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.record(test, "failed", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.record(test, "failed", self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.record(subtest, "failed", "".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        self.record(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        self.record(test, "skipped", "expected failure")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.record(test, "failed", "passed although it is marked as an expected failure")


def main(arguments):
    report, *rest = arguments
    wanted = None
    if rest[:1] == ["-k"]:
        wanted, rest = rest[1], rest[2:]
    sys.path[0] = os.getcwd()
    recorded = []
    suite = unittest.TestSuite()
    for count, path in enumerate(test_files(rest or ["."])):
        if count >= FILES_MAX:
            raise SystemExit("more than %d test files" % FILES_MAX)
        try:
            found = list(flat(tests_of(module_of(path))))
        except BaseException:
            recorded.append({"name": os.path.relpath(path), "outcome": "failed", "message": traceback.format_exc()[-MESSAGE_MAX:]})
            continue
        suite.addTests(test for test in found if wanted is None or wanted in test.id())
    suite.run(Recorder(recorded))
    with open(report + ".part", "w", encoding="utf-8") as file:
        json.dump({"tests": recorded}, file)
    os.replace(report + ".part", report)
    return 1 if any(test["outcome"] == "failed" for test in recorded) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
