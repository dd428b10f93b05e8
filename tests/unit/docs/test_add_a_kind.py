from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("file", ["pyproject.toml", "maestro_kind_reverse.py"])
def test_how_to_shows_the_package_that_the_tests_install(file):
    shown = (ROOT / "docs/how-to/add-a-kind.md").read_text()

    assert (ROOT / "tests/packages/maestro-kind-reverse" / file).read_text() in shown
