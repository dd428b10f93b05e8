import os
import tempfile
from pathlib import Path

import pytest

from executors.base import Workspace
from executors.runtime.workspace import DEFAULT_PATH, make_workspace, remove_workspace


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_directory_is_empty_and_private(temporary_directory):
    workspace = make_workspace({})

    assert workspace.directory.parent == temporary_directory
    assert workspace.directory.stat().st_mode & 0o777 == 0o700
    assert list(workspace.directory.iterdir()) == []


def test_two_workspaces_are_apart():
    assert make_workspace({}).directory != make_workspace({}).directory


def test_environment_has_path_and_variables_and_nothing_else(monkeypatch):
    monkeypatch.setenv("PATH", "/opt/tools:/bin")
    monkeypatch.setenv("DATABASE_URL", "canary")

    workspace = make_workspace({"MAESTRO_RUN_ID": "7"})

    assert workspace.environment == {
        "PATH": "/opt/tools:/bin",
        "HOME": str(workspace.directory),
        "TMPDIR": str(workspace.directory),
        "LANG": "C.UTF-8",
        "MAESTRO_RUN_ID": "7",
        "MAESTRO_OUTPUT": str(workspace.output_file),
    }


def test_path_has_a_default(monkeypatch):
    monkeypatch.delenv("PATH")

    assert make_workspace({}).environment["PATH"] == DEFAULT_PATH


def test_output_file_is_inside_and_absent():
    workspace = make_workspace({})

    assert workspace.output_file.parent == workspace.directory
    assert not workspace.output_file.exists()


def test_workspace_is_removed_with_everything_in_it(temporary_directory):
    workspace = make_workspace({})
    (workspace.directory / "a" / "b").mkdir(parents=True)
    (workspace.directory / "a" / "b" / "file").write_text("x")

    remove_workspace(workspace)

    assert list(temporary_directory.iterdir()) == []


def test_directory_the_task_removed_itself_is_fine(caplog):
    workspace = make_workspace({})
    workspace.directory.rmdir()

    remove_workspace(workspace)

    assert caplog.records == []


def test_directory_without_write_permission_is_removed(temporary_directory, monkeypatch):
    workspace = make_workspace({})
    (workspace.directory / "module").mkdir()
    (workspace.directory / "module" / "file").write_text("x")
    outside = temporary_directory / "outside"
    outside.mkdir(mode=0o500)
    (workspace.directory / "link").symlink_to(outside)
    (workspace.directory / "module").chmod(0o500)
    _obey_permissions_even_as_root(monkeypatch)

    remove_workspace(workspace)

    assert [path.name for path in temporary_directory.iterdir()] == ["outside"]
    assert outside.stat().st_mode & 0o777 == 0o500


def test_what_cannot_be_removed_is_reported(temporary_directory, caplog):
    file = temporary_directory / "file"
    file.write_text("x")

    remove_workspace(Workspace(directory=file, environment={}, output_file=Path("unused")))

    assert [record.event for record in caplog.records] == ["attempt_directory_not_removed"]


def _obey_permissions_even_as_root(monkeypatch):
    unlink = os.unlink

    def checked_unlink(path, *, dir_fd=None):
        if dir_fd is not None and not os.fstat(dir_fd).st_mode & 0o200:
            raise PermissionError(13, "Permission denied", path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", checked_unlink)
