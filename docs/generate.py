"""Writes the pages of `docs/` that are made from the code. `make docs` runs it; `--check` only says what is stale."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import django

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maestro.settings")
django.setup()

from docs.generator import cli, errors, kinds, language, rest, settings, statuses  # noqa: E402


def main() -> int:
    """Write every page, or check it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    is_check = parser.parse_args().check
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not is_check:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is not what the code says: run `make docs`" if is_check else f"wrote docs/{name}")
    return 1 if is_check and stale else 0


def pages() -> dict[str, str]:
    """Return every generated page by its path below `docs/`."""
    return {
        "reference/cli.md": cli.page(),
        "reference/error-codes.md": errors.page(),
        "reference/kinds.md": kinds.page(),
        "reference/language.md": language.page(),
        "reference/rest.md": rest.page(),
        "reference/settings.md": settings.page(),
        "reference/statuses.md": statuses.page(),
    }


if __name__ == "__main__":
    sys.exit(main())
