from itertools import islice, pairwise

from maestro.chaos.schedule import REST_SECONDS, FaultKind, Injected, draw_faults


def first(count, seed=1, kinds=tuple(FaultKind)):
    return list(islice(draw_faults(seed, kinds), count))


def test_a_schedule_is_a_function_of_the_seed():
    assert first(50) == first(50)
    assert first(50) != first(50, seed=2)


def test_a_target_is_chosen_by_the_seed_and_the_place_in_the_schedule():
    [one, other] = first(2)

    assert one.chance(1).random() == one.chance(1).random()
    assert len({one.chance(1).random(), one.chance(2).random(), other.chance(1).random()}) == 3


def test_faults_follow_one_another_and_are_of_every_kind():
    faults = first(200)

    assert [fault.number for fault in faults] == list(range(200))
    assert all(before.after_seconds < after.after_seconds for before, after in pairwise(faults))
    assert {fault.kind for fault in faults} == set(FaultKind)


def test_only_what_was_asked_for_happens():
    assert {fault.kind for fault in first(50, kinds=(FaultKind.PAUSE,))} == {FaultKind.PAUSE}
    assert list(draw_faults(1, ())) == []


def test_a_kind_rests_before_it_happens_again():
    for kind in FaultKind:
        times = [fault.after_seconds for fault in first(300) if fault.kind is kind]
        assert min(after - before for before, after in pairwise(times)) >= REST_SECONDS[kind]


def test_only_a_fault_that_takes_away_who_ends_what_is_overdue_excuses_that_it_is_late():
    disturbing = {kind for kind in FaultKind if Injected(kind=kind, detail="", at=1, until=1).is_disturbing}

    assert disturbing == {
        FaultKind.KILL_WORKER,
        FaultKind.KILL_BEAT,
        FaultKind.RESTART_BROKER,
        FaultKind.RESTART_DATABASE,
        FaultKind.PAUSE,
        FaultKind.STALL_WORKER,
    }
