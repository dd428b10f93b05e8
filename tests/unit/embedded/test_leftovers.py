import io
import os
import signal
import stat
import subprocess

import pytest

from maestro.embedded import process_table
from maestro.embedded.home import Home
from maestro.embedded.leftovers import (
    Leftover,
    end_leftovers,
    find_leftovers,
    remove_files,
    stop_leftovers,
)
from maestro.embedded.output import Log
from maestro.embedded.record import ProcessRecord, ProcessStatus
from tests.unit.embedded.test_record import make_record


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def record_of(process, *, born_at):
    left = ProcessRecord(
        name="api", status=ProcessStatus.RUNNING, pid=process.pid, born_at=born_at, started_at=None, restarts=0
    )
    return make_record().model_copy(update={"processes": (left,)})


def test_what_a_killed_supervisor_left_running_is_stopped_and_named(tmp_path, sleeper):
    stream = io.BytesIO()
    record = record_of(sleeper, born_at=process_table.born_at(sleeper.pid))

    stop_leftovers(Home(tmp_path), record, Log(stream, is_coloured=False))

    assert process_table.born_at(sleeper.pid) is None
    assert f"api (pid {sleeper.pid})" in stream.getvalue().decode()


def test_what_a_task_left_running_is_found_by_its_directory(tmp_path):
    directory = tmp_path / "tmp" / "maestro-abc"
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(directory)}
    with subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True) as process:
        found = find_leftovers(Home(tmp_path), None)

        end_leftovers(Home(tmp_path), found)

    assert found == (Leftover(name="sleep", pid=process.pid),)
    assert process.returncode == -signal.SIGTERM


def test_a_stranger_under_a_recycled_pid_is_left_alone(tmp_path, sleeper):
    stream = io.BytesIO()
    record = record_of(sleeper, born_at=process_table.born_at(sleeper.pid) - 100)

    stop_leftovers(Home(tmp_path), record, Log(stream, is_coloured=False))

    assert process_table.born_at(sleeper.pid) is not None
    assert stream.getvalue() == b""


def test_a_home_that_was_stopped_properly_has_no_leftovers(tmp_path):
    stream = io.BytesIO()

    stop_leftovers(Home(tmp_path), make_record(), Log(stream, is_coloured=False))

    assert stream.getvalue() == b""


def test_temporary_files_of_an_earlier_stack_are_removed(tmp_path):
    stream = io.BytesIO()
    locked = tmp_path / "tmp" / "maestro-abc" / "cache"
    locked.mkdir(parents=True)
    (locked / "file").write_text("")
    locked.chmod(0o500)

    remove_files(Home(tmp_path), Log(stream, is_coloured=False))

    assert list((tmp_path / "tmp").iterdir()) == []
    assert stream.getvalue() == b""


def test_the_directory_of_temporary_files_is_closed_to_others(tmp_path):
    remove_files(Home(tmp_path), Log(io.BytesIO(), is_coloured=False))

    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o700
