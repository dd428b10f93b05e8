from maestro.chaos import report
from maestro.chaos.expected import interpret
from maestro.chaos.findings import Findings, Plan
from maestro.chaos.rows import LogLine
from maestro.chaos.schedule import FaultKind, Injected
from tests.unit.chaos.builders import EFFECTS, GRAPH, NOTHING_LEFT, RUN_ID, START, a_run, a_verdict, at, with_task


def fault(seconds, kind=FaultKind.KILL_WORKER, **more):
    begun = START.timestamp() + seconds
    return Injected(kind=kind, detail="worker, pid 7", at=begun, until=begun, **more)


def found(run=None, kinds=tuple(FaultKind), faults=()):
    run = run or a_run()
    line = LogLine(task_key="b", attempt=1, stream="log", message="hello", created_at=at(1.2))
    return Findings(
        plan=Plan(runs=1, seed=7, kinds=kinds),
        runs=(run,),
        expected={"chaos-0": interpret(GRAPH)},
        effects=EFFECTS,
        faults=tuple(faults),
        leftovers=NOTHING_LEFT,
        verdict=a_verdict(run),
        lines={RUN_ID: (line,)},
        log={RUN_ID: ("beat | Recovered 1 tasks",)},
        began_at=START.timestamp(),
        quiet_at=START.timestamp() + 2,
        seconds=3,
    )


def test_figures_count_what_happened():
    figures = report.figures(found(faults=[fault(1), fault(1.5, FaultKind.DUPLICATE, messages=4)]))

    assert figures["tasks"] == 3
    assert (figures["attempts"], figures["attempts lost"]) == (4, 1)
    assert figures["messages duplicated"] == 4
    assert figures["seconds from last fault to last end"] == 1
    assert figures["seconds of the longest run"] == 3
    assert figures["breaks"] == 0


def test_faults_that_were_asked_for_and_did_not_happen_are_counted_too():
    findings = found(kinds=(FaultKind.KILL_WORKER, FaultKind.PAUSE), faults=[fault(1), fault(2)])

    assert report.fault_counts(findings) == {FaultKind.KILL_WORKER: 2, FaultKind.PAUSE: 0}


def test_the_command_repeats_the_campaign():
    assert report.command(found()) == "maestro chaos --runs 1 --seed 7"
    assert report.command(found(kinds=(FaultKind.PAUSE,))) == "maestro chaos --runs 1 --seed 7 --faults pause"


def test_a_page_says_that_everything_held_or_names_each_break():
    held, broken = (report.as_markdown(found(run)) for run in (None, with_task("b", output={"value": 6})))

    assert "Every invariant held." in held
    assert f"- wrong_output: b of run {RUN_ID}: output {{'value': 6}}, expected value 5" in broken
    assert "| breaks | 1 |" in broken


def test_json_has_the_history_of_broken_runs_only():
    held, broken = (report.as_json(found(run)) for run in (None, a_run(status="failed")))

    assert (held["held"], held["breaks"], held["histories"]) == (True, [], {})
    assert (broken["held"], broken["seed"]) == (False, 7)
    assert broken["breaks"][0]["rule"] == "wrong_status"
    assert list(broken["histories"]) == [RUN_ID]
    assert broken["histories"][RUN_ID]["log"] == ["beat | Recovered 1 tasks"]


def test_a_history_has_rows_attempts_effects_lines_and_faults_in_order_of_time():
    lines = report.history(found(faults=[fault(1.1), fault(60)]), a_run())

    texts = [line.partition("  ")[2] for line in lines]
    assert [line[:24] for line in lines] == sorted(line[:24] for line in lines)
    assert texts[0] == f"run {RUN_ID} of chaos-0 created"
    assert texts[-1] == "run succeeded"
    assert "a attempt 1 lost: The worker was lost while it ran this attempt." in texts
    assert "a attempt 2 (two): its code was done" in texts
    assert "b wrote in attempt 1: hello" in texts
    assert [text for text in texts if text.startswith("FAULT")] == ["FAULT kill-worker: worker, pid 7"]
