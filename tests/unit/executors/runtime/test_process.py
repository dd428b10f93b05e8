import os
import signal
import sys
import time
from pathlib import Path

import pytest

from executors.runtime import pipes, process
from executors.runtime.process import run_process


def run(command, tmp_path, *, is_cancelled=lambda: False, grace_seconds=5.0):
    received = []
    end = run_process(
        ["/bin/sh", "-c", command],
        environment={"PATH": "/usr/bin:/bin", "PLACE": str(tmp_path)},
        directory=tmp_path,
        receive=lambda stream, chunk: received.append((stream, chunk)),
        is_cancelled=is_cancelled,
        grace_seconds=grace_seconds,
    )
    return end, received


def is_alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid):
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def test_status_and_output_are_returned(tmp_path):
    end, received = run("echo out; exit 7", tmp_path)

    assert (end.status, end.is_cancelled) == (7, False)
    assert received == [("stdout", b"out\n")]


def test_process_leads_its_own_session(tmp_path):
    _, received = run("echo $$; ps -o sid= -p $$", tmp_path)

    pid, session = b"".join(chunk for _, chunk in received).split()
    assert pid == session
    assert int(session) != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pipes of one write")
def test_writes_keep_their_order_across_streams(tmp_path):
    command = "i=0; while [ $i -lt 500 ]; do echo e$i >&2; echo o$i; echo p$i; echo f$i >&2; i=$((i+1)); done"

    _, received = run(command, tmp_path)

    assert b"".join(chunk for _, chunk in received).split() == [
        f"{kind}{number}".encode() for number in range(500) for kind in "eopf"
    ]
    assert {stream for stream, chunk in received if chunk[:1] in b"ef"} == {"stderr"}


def test_output_is_complete_where_pipes_hold_more_than_one_write(tmp_path, monkeypatch):
    monkeypatch.setattr(pipes, "_make_pipe", lambda: (*os.pipe(), False))

    _, received = run("head -c 300000 /dev/zero >&2; for i in 1 2 3; do echo $i; done", tmp_path)

    assert b"".join(chunk for stream, chunk in received if stream == "stdout") == b"1\n2\n3\n"
    assert sum(len(chunk) for stream, chunk in received if stream == "stderr") == 300000


def test_output_can_be_opened_by_its_name(tmp_path):
    end, received = run("echo one > /dev/stderr; echo two > /dev/stdout", tmp_path)

    assert end.status == 0
    assert received == [("stderr", b"one\n"), ("stdout", b"two\n")]


def test_pipes_leave_no_descriptor_behind(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))

    run("echo out; echo err >&2", tmp_path)
    with pytest.raises(FileNotFoundError):
        run_process(
            ["/no/such/program"],
            environment={},
            directory=tmp_path,
            receive=lambda stream, chunk: None,
            is_cancelled=lambda: False,
            grace_seconds=5.0,
        )

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_both_streams_are_read_at_once(tmp_path):
    end, received = run("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero", tmp_path)

    assert end.status == 0
    for stream in ("stdout", "stderr"):
        assert sum(len(chunk) for of, chunk in received if of == stream) == 300000


def test_process_that_closed_its_output_is_waited_for(tmp_path):
    end, _ = run("exec >&- 2>&-; sleep 0.05; exit 5", tmp_path)

    assert end.status == 5


def test_background_process_is_killed_and_does_not_hold_up(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LINGER_SECONDS", 0.05)
    started = time.monotonic()

    end, received = run("sleep 60 & echo $!", tmp_path)

    assert end.status == 0
    assert time.monotonic() - started < 30
    assert wait_until_gone(int(received[0][1]))


def test_background_process_without_the_pipes_is_killed_too(tmp_path):
    _, received = run("sleep 60 >/dev/null 2>&1 & echo $!", tmp_path)

    assert wait_until_gone(int(received[0][1]))


def test_cancel_terminates_the_whole_group(tmp_path):
    command = 'sleep 60 & echo $! > "$PLACE/new"; mv "$PLACE/new" "$PLACE/pid"; wait'

    end, _ = run(command, tmp_path, is_cancelled=(tmp_path / "pid").exists)

    assert (end.status, end.is_cancelled) == (-signal.SIGTERM, True)
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_cancelled_process_may_clean_up(tmp_path):
    command = 'trap "echo bye; exit 0" TERM; touch "$PLACE/ready"; while :; do sleep 0.01; done'

    end, received = run(command, tmp_path, is_cancelled=(tmp_path / "ready").exists)

    assert (end.status, end.is_cancelled) == (0, True)
    assert ("stdout", b"bye\n") in received


def test_process_that_ignores_the_cancel_is_killed(tmp_path):
    command = 'trap "" TERM; touch "$PLACE/ready"; while :; do sleep 0.01; done'

    end, _ = run(command, tmp_path, is_cancelled=(tmp_path / "ready").exists, grace_seconds=0.05)

    assert (end.status, end.is_cancelled) == (-signal.SIGKILL, True)


def test_process_is_killed_when_the_reader_fails(tmp_path):
    pids = []

    def receive(stream, chunk):
        pids.append(int(chunk))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_process(
            ["/bin/sh", "-c", "echo $$; sleep 60"],
            environment={"PATH": "/usr/bin:/bin"},
            directory=tmp_path,
            receive=receive,
            is_cancelled=lambda: False,
            grace_seconds=5.0,
        )

    assert not is_alive(pids[0])


def test_program_that_is_not_there_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        run_process(
            ["/no/such/program"],
            environment={},
            directory=tmp_path,
            receive=lambda stream, chunk: None,
            is_cancelled=lambda: False,
            grace_seconds=5.0,
        )
