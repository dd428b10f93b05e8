import datetime
import itertools
import logging
import threading

import pytest

from executors.runtime import attempt_log
from executors.runtime.attempt_log import BATCH_LINES, LOG_LIMIT_LINES, WRITE_TRIES, AttemptLog

TRIES_AT_THE_END = len(attempt_log.CLOSE_DELAYS_SECONDS)


@pytest.fixture(autouse=True)
def no_delays(monkeypatch):
    monkeypatch.setattr(attempt_log, "CLOSE_DELAYS_SECONDS", (0.0,) * TRIES_AT_THE_END)


def now():
    return datetime.datetime.now(datetime.UTC)


def make_log(*writers, now=now):
    return AttemptLog(*writers, now=now)


class Store:
    """Keeps batches; fails the first `failures` writes."""

    def __init__(self, failures=0):
        self.batches = []
        self.threads = set()
        self.tries = 0
        self.written = threading.Event()
        self._failures = failures

    def write(self, lines):
        self.tries += 1
        self.threads.add(threading.current_thread())
        if self.tries <= self._failures:
            raise ConnectionError("the database is away")
        self.batches.append(list(lines))
        self.written.set()

    @property
    def messages(self):
        return [line.message for batch in self.batches for line in batch]


def test_lines_are_written_at_the_end_in_order():
    store = Store()
    log = make_log(store.write)
    before = datetime.datetime.now(datetime.UTC)

    log.write_line("one")
    log.write_line("two", stream="log", level="error")
    log.close()

    assert [(line.stream, line.level, line.message) for line in store.batches[0]] == [
        ("stdout", "info", "one"),
        ("log", "error", "two"),
    ]
    times = [line.created_at for line in store.batches[0]]
    assert before <= times[0] <= times[1] <= datetime.datetime.now(datetime.UTC)


def test_attempt_that_writes_nothing_starts_no_thread_and_no_write():
    store = Store()
    threads = threading.active_count()
    log = make_log(store.write)

    assert threading.active_count() == threads
    log.close()
    assert store.tries == 0


def test_lines_are_written_while_the_attempt_runs(monkeypatch):
    monkeypatch.setattr(attempt_log, "FLUSH_SECONDS", 0.01)
    store = Store()
    log = make_log(store.write)

    log.write_line("one")

    assert store.written.wait(30)
    assert store.messages == ["one"]
    log.close()
    assert store.messages == ["one"]


def test_full_batch_is_written_at_once(monkeypatch):
    monkeypatch.setattr(attempt_log, "FLUSH_SECONDS", 60)
    store = Store()
    log = make_log(store.write)

    for number in range(BATCH_LINES):
        log.write_line(str(number))

    assert store.written.wait(30)
    assert store.messages == [str(number) for number in range(BATCH_LINES)]
    log.close()


def test_running_code_never_writes_itself(monkeypatch):
    monkeypatch.setattr(attempt_log, "FLUSH_SECONDS", 0)
    store = Store()
    log = make_log(store.write)

    for number in range(3 * BATCH_LINES):
        log.write_line(str(number))
    assert store.written.wait(30)
    threads = set(store.threads)
    log.close()

    assert threading.current_thread() not in threads
    assert store.messages == [str(number) for number in range(3 * BATCH_LINES)]


def test_thread_is_gone_after_the_attempt():
    log = make_log(Store().write)
    log.write_line("one")

    log.close()

    assert [thread.name for thread in threading.enumerate() if thread.name == "attempt-log"] == []


def test_line_written_after_the_end_is_dropped():
    store = Store()
    log = make_log(store.write)
    log.close()

    log.write_line("late")

    assert store.messages == []


def test_message_of_several_lines_becomes_several_lines():
    store = Store()
    log = make_log(store.write)

    log.write_line("one\ntwo\x00\n")
    log.close()

    assert store.messages == ["one", "two\\x00", ""]


def test_lines_of_several_threads_are_all_kept_in_the_order_of_each():
    store = Store()
    log = make_log(store.write)

    def write(name):
        for number in range(300):
            log.write_line(f"{name}{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    for name in "abc":
        assert [text for text in store.messages if text[0] == name] == [f"{name}{number}" for number in range(300)]


def test_log_is_cut_at_its_limit_with_one_marker():
    store = Store()
    log = make_log(store.write)

    for _ in range(1100):
        log.write_line("x" * 1023)
    log.close()

    assert len(store.messages) == 1025
    assert store.messages[-1] == "… log truncated at 1 MiB"
    assert (store.batches[-1][-1].stream, store.batches[-1][-1].level) == ("log", "warning")


def test_log_of_very_many_lines_is_cut_too():
    store = Store()
    log = make_log(store.write)

    log.write_line("\n" * (LOG_LIMIT_LINES + 100))
    log.close()

    assert len(store.messages) == LOG_LIMIT_LINES + 1
    assert store.messages[-1] == "… log truncated at 20,000 lines"


@pytest.mark.parametrize("failures", [1, TRIES_AT_THE_END - 1])
def test_failing_write_is_tried_again_at_the_end(failures, caplog):
    store = Store(failures)
    log = make_log(store.write)
    log.write_line("one")
    log.write_line("two")

    log.close()

    assert store.messages == ["one", "two"]
    assert [record.event for record in caplog.records] == ["attempt_log_write_failed"] * failures


def test_lines_of_a_write_that_failed_are_written_as_such(monkeypatch):
    monkeypatch.setattr(attempt_log, "FLUSH_SECONDS", 60)
    first, again = Store(failures=1), Store()
    log = make_log(first.write, again.write)

    for number in range(BATCH_LINES):
        log.write_line(str(number))
    log.close()

    assert (first.tries, first.messages) == (1, [])
    assert again.messages == [str(number) for number in range(BATCH_LINES)]


def test_each_line_is_later_than_the_one_before():
    store = Store()
    log = make_log(store.write)

    log.write_line("\n" * 500)
    log.close()

    times = [line.created_at for batch in store.batches for line in batch]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))


def test_failing_write_is_tried_again_while_the_attempt_runs(monkeypatch):
    monkeypatch.setattr(attempt_log, "FLUSH_SECONDS", 0.001)
    store = Store(failures=WRITE_TRIES - 1)
    log = make_log(store.write)

    for number in range(2 * BATCH_LINES):
        log.write_line(str(number))

    assert store.written.wait(30)
    log.close()
    assert store.messages == [str(number) for number in range(2 * BATCH_LINES)]


def test_lines_that_cannot_be_written_are_reported_and_never_raise(caplog):
    store = Store(failures=1000)
    log = make_log(store.write)
    log.write_line("one")
    log.write_line("two")

    with caplog.at_level(logging.ERROR):
        log.close()

    assert store.tries == TRIES_AT_THE_END
    assert (caplog.records[-1].event, caplog.records[-1].lines) == ("attempt_log_lost", 2)


def test_lines_are_dated_by_the_clock_that_is_given():
    store = Store()
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    log = make_log(store.write, now=lambda: moment)

    log.write_line("one\ntwo")
    log.close()

    step = datetime.timedelta(microseconds=1)
    assert [line.created_at for line in store.batches[0]] == [moment, moment + step]
