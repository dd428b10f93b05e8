"""The directory and the clean environment of one attempt's subprocesses."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from executors.base import Workspace

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_FILE = ".maestro-output.json"

logger = logging.getLogger(__name__)


def make_workspace(variables: Mapping[str, str]) -> Workspace:
    """Make a private directory and the environment that goes with it; `variables` are added to it.

    Of the platform's own environment only PATH is passed on.
    """
    directory = Path(tempfile.mkdtemp(prefix="maestro-"))
    output_file = directory / OUTPUT_FILE
    environment = {
        "PATH": os.environ.get("PATH") or DEFAULT_PATH,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "LANG": "C.UTF-8",
        **variables,
        "MAESTRO_OUTPUT": str(output_file),
    }
    return Workspace(directory=directory, environment=environment, output_file=output_file)


def remove_workspace(workspace: Workspace) -> None:
    """Remove the directory with everything in it; what cannot be removed is reported to the platform's log."""
    try:
        remove_directory(workspace.directory)
    except OSError:
        logger.exception(
            "Removing the directory of an attempt failed",
            extra={"event": "attempt_directory_not_removed", "directory": str(workspace.directory)},
        )


def remove_directory(directory: Path) -> None:
    """Remove a directory with everything in it, whatever its permissions; one that is gone is no error."""
    try:
        shutil.rmtree(directory)
    except OSError:
        if not directory.exists():
            return
        # Go's module cache, for one, leaves directories without write permission.
        _make_writable(directory)
        shutil.rmtree(directory)


def _make_writable(directory: Path) -> None:
    directory.chmod(stat.S_IRWXU)
    for parent, names, _ in os.walk(directory):
        for child in (Path(parent, name) for name in names):
            if not child.is_symlink():
                child.chmod(stat.S_IRWXU)
