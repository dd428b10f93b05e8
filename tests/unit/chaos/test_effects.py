from maestro.chaos import effects


def test_what_was_noted_is_read_back_with_beginning_and_end(tmp_path):
    path = tmp_path / "effects"
    one = {"run_id": "r", "task_key": "a", "attempt": 1, "token": "x"}
    killed = one | {"attempt": 2, "token": "y"}

    effects.note(path, effects.BEGUN, **one)
    effects.note(path, effects.BEGUN, **killed)
    effects.note(path, effects.ENDED, **one)

    [first, second] = effects.read(path)
    assert (first.run_id, first.task_key, first.attempt, first.token) == ("r", "a", 1, "x")
    assert first.ended_at >= first.begun_at
    assert (second.attempt, second.ended_at) == (2, None)


def test_planned_failures_are_counted_by_task_and_run(tmp_path):
    path = tmp_path / "effects"
    for run_id, key in [("r", "a"), ("r", "a"), ("r", "a1"), ("s", "a")]:
        effects.note(path, effects.FAILED, run_id=run_id, task_key=key, attempt=1, token="x")

    assert effects.count_failures(path, run_id="r", task_key="a") == 2
    assert effects.read(path) == ()


def test_where_nothing_ran_nothing_is_read(tmp_path):
    assert effects.read(tmp_path / "effects") == ()
