from maestro.chaos import report
from maestro.chaos.schedule import FaultKind
from tests.unit.chaos.builders import RUN_ID, a_fault, a_run, made_findings, with_task


def test_figures_count_what_happened():
    figures = report.figures(made_findings(faults=[a_fault(1), a_fault(1.5, FaultKind.DUPLICATE, messages=4)]))

    assert figures["tasks"] == 3
    assert (figures["attempts"], figures["attempts lost"]) == (4, 1)
    assert figures["messages duplicated"] == 4
    assert figures["seconds from last fault to last end"] == 1
    assert figures["seconds of the longest run"] == 3
    assert figures["breaks"] == 0


def test_faults_that_were_asked_for_and_did_not_happen_are_counted_too():
    findings = made_findings(kinds=(FaultKind.KILL_WORKER, FaultKind.PAUSE), faults=[a_fault(1), a_fault(2)])

    assert report.fault_counts(findings) == {FaultKind.KILL_WORKER: 2, FaultKind.PAUSE: 0}


def test_the_command_repeats_the_campaign():
    assert report.command(made_findings()) == "maestro chaos --runs 1 --seed 7"
    assert report.command(made_findings(kinds=(FaultKind.PAUSE,))) == "maestro chaos --runs 1 --seed 7 --faults pause"


def test_a_page_says_that_everything_held_or_names_each_break():
    held, broken = (report.as_markdown(made_findings(run)) for run in (None, with_task("b", output={"value": 6})))

    assert "Every invariant held." in held
    assert f"- wrong_output: b of run {RUN_ID}: output {{'value': 6}}, expected {{'value': 5, 'attempt': 1}}" in broken
    assert "| breaks | 1 |" in broken


def test_json_has_the_history_of_broken_runs_only():
    held, broken = (report.as_json(made_findings(run)) for run in (None, a_run(status="failed")))

    assert (held["held"], held["breaks"], held["histories"]) == (True, [], {})
    assert (broken["held"], broken["seed"]) == (False, 7)
    assert broken["breaks"][0]["rule"] == "wrong_status"
    assert list(broken["histories"]) == [RUN_ID]
    assert broken["histories"][RUN_ID]["log"] == ["beat | Recovered 1 tasks"]


def test_a_history_has_rows_attempts_effects_lines_and_faults_in_order_of_time():
    lines = report.history(made_findings(faults=[a_fault(1.1), a_fault(60)]), a_run())

    texts = [line.partition("  ")[2] for line in lines]
    assert [line[:24] for line in lines] == sorted(line[:24] for line in lines)
    assert texts[0] == f"run {RUN_ID} of chaos-0 created"
    assert texts[-1] == "run succeeded"
    assert "a attempt 1 lost: The worker was lost while it ran this attempt." in texts
    assert "a attempt 2 (two): its code was done" in texts
    assert "b wrote in attempt 1: hello" in texts
    assert [text for text in texts if text.startswith("FAULT")] == ["FAULT kill-worker: worker, pid 7"]
