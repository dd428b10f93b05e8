import os

import pytest

from maestro.embedded import privileges
from maestro.embedded.errors import HomeUnusable, NoUnprivilegedUser


def test_an_ordinary_user_runs_postgresql_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid or 1000)

    assert privileges.choose_user(data_directory=tmp_path / "none", reached=[tmp_path]) is None


def test_data_of_another_user_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    with pytest.raises(HomeUnusable, match="belongs to user"):
        privileges.choose_user(data_directory=tmp_path, reached=[tmp_path])


def test_root_without_any_other_user_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(privileges, "PREFERRED_USERS", ("no-such-user", "root"))

    with pytest.raises(NoUnprivilegedUser, match="useradd --system postgres"):
        privileges.choose_user(data_directory=tmp_path / "none", reached=[tmp_path])
