"""Every command and definition of README.md and docs/ is run, page by page, as its reader would run it.

Each page has a shell and a directory of its own that looks like a checkout in which `make up` has been called; the
addresses of the page are those of the test's stack. What the comments of a page mean is told in CONTRIBUTING.md.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from tests import pages
from tests.acceptance.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STEP_SECONDS = 300
TOP_LEVEL = ("README.md", "docs", "examples", "Makefile", "manage.py")


class Shell:
    """A shell that stays, as a person's does: directories and variables live on from command to command."""

    def __init__(self, directory, environment):
        self._output = directory.parent / "output"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def run(self, command):
        """Run a command; return the first exit code in it that was not 0, and what it printed."""
        wrapped = f"failed=0; trap 'failed=$?' ERR\n{{ {command}\n}} >{self._output} 2>&1 </dev/null\n"
        alarm = threading.Timer(STEP_SECONDS, self._kill)
        alarm.start()
        self._process.stdin.write(f"{wrapped}trap - ERR; echo $failed\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        alarm.cancel()
        printed = self._output.read_text()
        assert answer, f"the shell ended, or had no answer after {STEP_SECONDS} seconds:\n{command}\n{printed}"
        return int(answer), printed

    def close(self):
        """End the shell and what it started."""
        self._kill()
        self._process.communicate()

    def _kill(self):
        os.killpg(self._process.pid, signal.SIGKILL)


class Reader:
    """A person who does what one page says."""

    def __init__(self, stack, directory):
        self._stack = stack
        self._directory = directory
        self._replacements = {"http://127.0.0.1:3000": stack.url, "http://127.0.0.1:5555": stack.flower_url}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {name: value for name, value in stack.environment.items() if name != "MAESTRO_HOME"}
        self.shell = Shell(directory, environment | {"PATH": path, "PYTHONPATH": str(directory)})
        self._saved = {}

    def do(self, block):
        """Save, validate or run a block."""
        text = self._with_own_names(block.text)
        if block.file:
            (self._directory / block.file).write_text(text)
            self._saved[block.file] = block
        if block.language in {"sh", "console"}:
            self._run_commands(block)
        elif block.language == "python":
            self._run_python(text)
        elif block.language == "yaml" and not block.file:
            self._validate(text)

    def _run_commands(self, block):
        *first, last = pages.steps_of(block)
        for step, expected in [*((step, 0) for step in first), (last, block.exits)]:
            command = self._with_own_names(step.command)
            code, printed = self.shell.run(command)
            assert code == expected, f"exit code {code} of {command}\n{printed}"
            if step.shown:
                ids = pages.compare(self._with_own_names(step.shown), printed)
                assert ids is not None, f"{command}\nthe page shows\n{step.shown}\nprinted was\n{printed}"
                self._replacements |= ids
            self._saved = {name: saved for name, saved in self._saved.items() if name not in command}

    def _run_python(self, text):
        script = self._directory.parent / "block.py"
        script.write_text(text)
        code, printed = self.shell.run(shlex.join([sys.executable, str(script)]))
        assert code == 0, f"{text}\n{printed}"

    def _validate(self, text):
        """Validate a definition, or a part of one that has tasks."""
        definition = {"schema_version": 1, "name": "example"} | yaml.safe_load(text)
        answer = self._stack.request("POST", "/workflows/validate", json={"definition": definition}).json()
        assert answer == {"valid": True, "problems": []}, text

    def unused(self):
        """Name the files that the page has its reader save and no later command uses."""
        return list(self._saved)

    def _with_own_names(self, text):
        for shown, own in self._replacements.items():
            text = text.replace(shown, own)
        return text


@pytest.fixture
def reader(stack, tmp_path):
    directory = tmp_path / "maestro"
    directory.mkdir()
    for name in TOP_LEVEL:
        (directory / name).symlink_to(ROOT / name)
    (directory / ".maestro").symlink_to(stack.home)
    (directory / ".venv").symlink_to(sys.prefix)
    assert shutil.which("bash"), "the pages are written for bash"
    person = Reader(stack, directory)
    yield person
    person.shell.close()


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_page_does_what_it_says(reader, page):
    for block in pages.read_blocks(page.read_text()):
        if block.not_run is None:
            reader.do(block)

    assert reader.unused() == []
