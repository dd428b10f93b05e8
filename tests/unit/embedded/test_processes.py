import pytest

from maestro.embedded.processes import describe_exit, next_delay


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-15, "killed by SIGTERM"),
        (-99, "killed by signal 99"),
    ],
)
def test_an_ending_is_told_by_exit_code_or_signal(code, expected):
    assert describe_exit(code) == expected


def test_the_pause_doubles_up_to_half_a_minute():
    delays = []
    delay = 0.0
    for _ in range(8):
        delay = next_delay(delay, lived_seconds=1)
        delays.append(delay)

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_the_pause_grows_no_longer_than_it_may():
    assert next_delay(1, lived_seconds=1, longest=1.5) == 1.5


def test_a_process_that_has_lived_a_while_starts_again_soon():
    assert next_delay(30, lived_seconds=60) == 0.5
