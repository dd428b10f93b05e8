import datetime

import pytest

from maestro.embedded.errors import HomeUnusable
from maestro.embedded.home import Home
from maestro.embedded.record import (
    Ports,
    ProcessRecord,
    ProcessStatus,
    StackRecord,
    StackStatus,
    read_record,
    urls_of,
    write_record,
)

PORTS = Ports(api=3000, flower=5555, postgres=40001, valkey=40002)


def make_record(status=StackStatus.READY, *process_statuses):
    processes = tuple(
        ProcessRecord(name=f"p{number}", status=each, pid=None, born_at=None, started_at=None, restarts=0)
        for number, each in enumerate(process_statuses)
    )
    return StackRecord(
        status=status,
        pid=1,
        born_at=1.5,
        started_at=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        ports=PORTS,
        urls=urls_of(PORTS),
        admin_email="admin@example.org",
        processes=processes,
    )


def test_addresses_follow_from_the_ports():
    urls = urls_of(PORTS)

    assert urls.model_dump() == {
        "api": "http://127.0.0.1:3000",
        "docs": "http://127.0.0.1:3000/api/docs/",
        "admin": "http://127.0.0.1:3000/admin/",
        "flower": "http://127.0.0.1:5555",
    }


def test_a_written_record_is_read_back(tmp_path):
    record = make_record(StackStatus.READY, ProcessStatus.RUNNING)

    write_record(Home(tmp_path), record)

    assert read_record(Home(tmp_path)) == record


def test_a_home_without_a_record_has_none(tmp_path):
    assert read_record(Home(tmp_path)) is None


def test_a_damaged_record_is_named(tmp_path):
    Home(tmp_path).record.write_text("{")

    with pytest.raises(HomeUnusable, match=r"state\.json is damaged"):
        read_record(Home(tmp_path))


@pytest.mark.parametrize(
    ("status", "processes", "expected"),
    [
        (StackStatus.READY, [ProcessStatus.RUNNING, ProcessStatus.RUNNING], True),
        (StackStatus.READY, [ProcessStatus.RUNNING, ProcessStatus.RESTARTING], False),
        (StackStatus.STARTING, [ProcessStatus.RUNNING], False),
        (StackStatus.STOPPED, [], False),
    ],
)
def test_a_stack_is_whole_when_it_is_ready_and_every_process_runs(status, processes, expected):
    assert make_record(status, *processes).is_whole is expected


@pytest.mark.parametrize("status", StackStatus)
def test_only_a_stopped_stack_has_no_supervisor(status):
    assert make_record(status).is_running is (status is not StackStatus.STOPPED)
