import os
import stat

import pytest

from maestro.embedded.errors import HomeUnusable, StackAlreadyRunning
from maestro.embedded.home import Home, HomeLock, Secrets, load_or_create_secrets, write_private


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return home


def test_a_new_home_cannot_be_listed_by_others(home):
    mode = stat.S_IMODE(home.path.stat().st_mode)

    assert mode == (0o711 if os.geteuid() == 0 else 0o700)


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(HomeUnusable, match="Choose another home by --home") as caught:
        Home(tmp_path / "file" / "home").create()

    assert str(tmp_path / "file" / "home") in caught.value.message


def test_a_home_that_is_a_file_is_refused_in_plain_words(tmp_path):
    (tmp_path / "file").write_text("")
    home = Home(tmp_path / "file")

    for use in (home.create, HomeLock(home).is_held):
        with pytest.raises(HomeUnusable, match=r"file is no directory\. Choose another home by --home") as caught:
            use()

        assert str(home.path) in caught.value.message


def test_secrets_are_generated_once_and_differ_from_one_another(home):
    first = load_or_create_secrets(home)
    second = load_or_create_secrets(home)

    assert second == first
    values = {getattr(first, name).get_secret_value() for name in Secrets.model_fields}
    assert len(values) == len(Secrets.model_fields)
    assert all(len(value) >= 32 for value in values)


def test_secrets_are_readable_by_their_owner_only(home):
    load_or_create_secrets(home)

    assert stat.S_IMODE(home.secrets.stat().st_mode) == 0o600


def test_secrets_do_not_show_when_printed(home):
    secrets = load_or_create_secrets(home)

    assert secrets.postgres_password.get_secret_value() not in repr(secrets)


def test_damaged_secrets_are_refused_without_showing_them(home):
    home.secrets.write_text('{"postgres_password": "hunter2"}')

    with pytest.raises(HomeUnusable, match="is damaged") as caught:
        load_or_create_secrets(home)

    assert "hunter2" not in caught.value.message


def test_lost_secrets_of_existing_data_are_not_generated_anew(home):
    home.postgres.mkdir()

    with pytest.raises(HomeUnusable, match="is missing"):
        load_or_create_secrets(home)

    assert not home.secrets.exists()


def test_a_private_file_replaces_an_open_one(home):
    path = home.path / "file"
    path.write_text("old")
    path.chmod(0o644)

    write_private(path, b"new")

    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in home.path.iterdir()] == ["file"]


def test_a_second_supervisor_of_a_home_is_refused(home):
    lock = HomeLock(home)
    lock.acquire()

    with pytest.raises(StackAlreadyRunning, match="already runs in"):
        HomeLock(home).acquire()

    lock.release()


def test_a_released_lock_can_be_taken_again(home):
    lock = HomeLock(home)
    lock.acquire()
    assert HomeLock(home).is_held()

    lock.release()

    assert not HomeLock(home).is_held()
    lock.acquire()
    lock.release()


def test_a_home_that_never_ran_is_not_locked(home):
    assert not HomeLock(home).is_held()
    assert not home.lock.exists()
