"""Writes the terminal recording in README.md: what commands really print on the stack that runs. `make record` runs it.

`--check` writes nothing; it says what has become different, but for times, ids and the like.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN = """<!-- recording: `make record` writes it -->
<!-- not run: tests/acceptance/test_readme.py records it again and compares -->
"""
END = "<!-- end of the recording -->\n"
MAESTRO = Path(sys.executable).with_name("maestro")
# Settings of whoever calls this that change what is printed.
DISTURBING = ("FORCE_COLOR", "CLICOLOR_FORCE", "MAESTRO_COMPLETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the recording."""

    typed: str
    """What a person types; RUN stands for the id of the latest run."""
    until: str = ""
    """The line of its output that begins so is left out, and what follows…"""
    last: int = 0
    """…but for so many lines from the end."""


STEPS = (
    Step(typed="maestro run examples/flight-delays.yaml --follow", until="Scheduled departure", last=3),
    Step(typed="maestro runs --limit 1"),
    Step(typed="maestro logs RUN highlights --timestamps"),
    Step(typed="maestro canvas flight-delays", until="  advance after read_weather"),
    Step(typed="maestro run flight-delays --input late_after=soon"),
)

# What differs from one recording to the next, and what is read instead of it.
VARYING = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
    (r"\b\d+\.\ds\b", "DURATION"),
    (r"just now|\d+ \w+ ago", "AGE"),
    (r"\((new|unchanged)\)", "(NEWS)"),
    (r"\bversion \d+|\bv\d+\b", "VERSION"),
    (r"(?m)^\w+: (pending|queued|running|waiting).*\n", ""),
    (r" {2,}", "  "),
)
FINISHED = re.compile(r"(?:^\w+: succeeded in DURATION\n)+", re.MULTILINE)


def main() -> int:
    """Write the recording, or check it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something became different")
    is_check = parser.parse_args().check
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    recorded = record()
    if not is_check:
        README.write_text(before + BEGIN + recorded + END + after)
        return 0
    difference = list(
        difflib.unified_diff(
            normalized(written).splitlines(), normalized(recorded).splitlines(), "README.md", "now", lineterm=""
        )
    )
    if difference:
        print("\n".join([*difference, "The recording in README.md is not what the commands print: run `make record`."]))
    return 1 if difference else 0


def record() -> str:
    """Return the recording: every command with what it prints, cut where it is long."""
    environment = {name: value for name, value in os.environ.items() if name not in DISTURBING}
    environment |= {"NO_COLOR": "1", "COLUMNS": "120"}
    parts = []
    for step in STEPS:
        typed = step.typed.replace("RUN", _latest_run(environment)) if "RUN" in step.typed else step.typed
        lines = _output_of(typed, environment).rstrip("\n").split("\n")
        if step.until:
            shown = list(itertools.takewhile(lambda line, end=step.until: not line.startswith(end), lines))
            lines = [*shown, "…", *lines[len(lines) - step.last :]]
        parts.append("\n".join([f"$ {typed}", *lines]))
    return "```console\n" + "\n\n".join(parts) + "\n```\n"


def normalized(recording: str) -> str:
    """Return a recording without what differs from one to the next."""
    for pattern, replacement in VARYING:
        recording = re.sub(pattern, replacement, recording)
    # Tasks that run at the same time end in any order.
    return FINISHED.sub(lambda match: "".join(sorted(match[0].splitlines(keepends=True))), recording)


def _latest_run(environment: dict[str, str]) -> str:
    runs = json.loads(_output_of("maestro runs --workflow flight-delays --limit 1 --json", environment))
    return str(runs[0]["id"])


def _output_of(typed: str, environment: dict[str, str]) -> str:
    _, *arguments = shlex.split(typed)
    finished = subprocess.run(
        [str(MAESTRO), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    return finished.stdout


if __name__ == "__main__":
    sys.exit(main())
