"""Packages of other people, as tests install them."""

import shutil
import subprocess
import sys
from pathlib import Path


def install(name: str, directory: Path) -> Path:
    """Install a package of this directory, offline, into a directory of its own; return what to put on PYTHONPATH."""
    source, target = directory / "source", directory / "installed"
    shutil.copytree(Path(__file__).parent / name, source)  # building leaves files beside the source
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=120)
    return target
