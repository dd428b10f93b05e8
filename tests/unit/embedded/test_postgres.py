import asyncio
import io

import pytest

from maestro.embedded import postgres
from maestro.embedded.errors import HomeUnusable
from maestro.embedded.family import Family
from maestro.embedded.home import Home, load_or_create_secrets
from maestro.embedded.output import Log


def create(home):
    log = Log(io.BytesIO(), is_coloured=False)
    secrets = load_or_create_secrets(home)
    return postgres.create_data_directory(home, secrets, Family(), log)


def test_data_of_another_major_version_is_refused(tmp_path):
    home = Home(tmp_path)
    creation = create(home)
    home.postgres.mkdir()
    (home.postgres / "PG_VERSION").write_text("17\n")

    with pytest.raises(HomeUnusable, match=r"made by PostgreSQL 17, this is 18"):
        asyncio.run(creation)


def test_a_directory_without_data_is_refused(tmp_path):
    home = Home(tmp_path)
    creation = create(home)
    home.postgres.mkdir()

    with pytest.raises(HomeUnusable, match="holds no PostgreSQL data"):
        asyncio.run(creation)


def test_bootstrap_contains_no_password():
    text = postgres.BOOTSTRAP.read_text()

    statements = [line for line in text.splitlines() if not line.startswith("--")]
    assert not any("password" in line.lower() for line in statements)
