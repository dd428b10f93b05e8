import pytest
from billiard.exceptions import WorkerLostError

from workflows.dispatch.lost_process import describe_end


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 3."),
            "was killed by SIGKILL (as happens when memory runs out)",
        ),
        (WorkerLostError("Worker exited prematurely: signal 11 (SIGSEGV) Job: 0."), "was killed by SIGSEGV"),
        (WorkerLostError("Worker exited prematurely: signal 120 Job: 0."), "was killed by signal 120"),
        (WorkerLostError("Worker exited prematurely: exitcode 155 Job: 0."), "exited with status 155"),
        (WorkerLostError("Could not start worker processes"), "died"),
        (SystemExit(7), "exited with status 7"),
        (KeyboardInterrupt(), "was interrupted"),
        (ValueError("the user's own"), None),
    ],
)
def test_end_of_a_process_is_told_in_words(error, expected):
    assert describe_end(error) == expected
