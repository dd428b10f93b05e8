"""The recording in README.md is what the commands print."""

import subprocess
import sys

from tests.acceptance.conftest import ROOT


def test_recording_is_what_the_commands_print(stack):
    command = [sys.executable, "docs/record.py", "--check"]

    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=stack.environment)

    assert checked.returncode == 0, checked.stdout + checked.stderr
