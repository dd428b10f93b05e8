import datetime

from maestro.core.clock import DatabaseClock, say_time

READ = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def test_time_goes_on_from_what_was_read_whatever_the_clock_of_the_machine_says():
    elapsed = [1000.0]
    clock = DatabaseClock(READ, monotonic=lambda: elapsed[0])

    at_first = clock.now()
    elapsed[0] += 2.5

    assert (at_first, clock.now()) == (READ, READ + datetime.timedelta(seconds=2.5))


def test_sentence_has_a_time_in_utc_to_the_second():
    zone = datetime.timezone(datetime.timedelta(hours=1))

    assert say_time(datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=zone)) == "2026-01-02 02:04:05Z"
