"""`maestro chaos` without a stack: what becomes of its home, and how it ends."""

import json

import pytest

from maestro.chaos import campaign
from maestro.chaos.campaign import StackLost
from maestro.embedded.errors import StartFailed
from maestro.embedded.home import Home
from tests.unit.chaos.builders import RUN_ID, a_run, made_findings


class FakeStack:
    """A scratch stack that only notes what is asked of it."""

    def __init__(self, workers):
        self.home = Home(self.directory)
        self.home.create()

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")

    def remove(self):
        self.calls.append("remove")


@pytest.fixture
def calls(monkeypatch, tmp_path):
    FakeStack.calls = []
    FakeStack.directory = tmp_path / "home"
    monkeypatch.setattr("maestro.chaos.scratch.ScratchStack", FakeStack)
    return FakeStack.calls


def ending_by(monkeypatch, error):
    def run_campaign(stack, plan, observe):
        raise error

    monkeypatch.setattr(campaign, "run_campaign", run_campaign)


def test_a_stack_that_does_not_come_back_fails_the_command_and_is_kept(maestro, monkeypatch, calls):
    ending_by(monkeypatch, StackLost("The stack did not come back: connection refused"))

    result = maestro("chaos", "--seed", "7", "--json")

    assert result.exit_code == 1
    assert calls == ["start", "stop"]
    assert f"maestro up --home {FakeStack.directory}" in result.stderr
    told = json.loads(result.stderr[result.stderr.index("{") :])
    assert (told["code"], told["seed"]) == ("stack_lost", 7)


def test_a_stack_that_does_not_start_is_removed_and_its_reason_told(maestro, monkeypatch, calls):
    monkeypatch.setattr(FakeStack, "start", _fail)

    result = maestro("chaos")

    assert (result.exit_code, calls) == (1, ["stop", "remove"])
    assert "Error: worker keeps ending before it is ready" in result.stderr


def _fail(stack):
    raise StartFailed("worker keeps ending before it is ready: see its lines above.")


def test_an_interrupted_campaign_is_cleaned_up(maestro, monkeypatch, calls):
    ending_by(monkeypatch, KeyboardInterrupt())

    result = maestro("chaos", "--keep")

    assert (result.exit_code, calls) == (130, ["start", "stop"])

    calls.clear()
    assert maestro("chaos").exit_code == 130
    assert calls == ["start", "stop", "remove"]


def test_a_campaign_in_which_everything_held_is_told_and_leaves_nothing(maestro, monkeypatch, calls, directory):
    monkeypatch.setattr(campaign, "run_campaign", lambda stack, plan, observe: made_findings())

    result = maestro("chaos", "--report", "report.md")

    assert (result.exit_code, calls) == (0, ["start", "stop", "remove"])
    assert "Every invariant held." in result.stdout
    assert "Every invariant held." in (directory / "report.md").read_text()


def test_a_break_fails_the_command_keeps_the_home_and_tells_the_history(maestro, monkeypatch, calls):
    broken = made_findings(a_run(status="failed"))
    monkeypatch.setattr(campaign, "run_campaign", lambda stack, plan, observe: broken)

    result = maestro("chaos")

    assert (result.exit_code, calls) == (1, ["start", "stop"])
    assert f"wrong_status: run {RUN_ID}: the run failed, expected succeeded" in result.stderr
    assert "Repeat it by `maestro chaos --runs 1 --seed 7`" in result.stderr
    assert f"run {RUN_ID} of chaos-0 created" in result.stdout
    assert "beat | Recovered 1 tasks" in result.stdout


def test_a_random_seed_is_told_so_that_the_campaign_can_be_repeated(maestro, monkeypatch, calls):
    seen = []
    monkeypatch.setattr(campaign, "run_campaign", lambda stack, plan, observe: seen.append(plan.seed) or _interrupt())

    first, second = maestro("chaos"), maestro("chaos")

    assert seen[0] != seen[1]
    assert [f"Seed {seed}." in result.stderr for seed, result in zip(seen, (first, second), strict=True)] == [True] * 2


def _interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["/proc/report.md", "taken/report.md"])
def test_a_report_that_cannot_be_written_is_refused_before_the_campaign(maestro, calls, directory, name):
    (directory / "taken").write_text("")

    result = maestro("chaos", "--report", name, "--json")

    assert result.exit_code == 1
    assert json.loads(result.stderr)["code"] in {"report_not_written", "directory_not_found"}
    assert calls == []


@pytest.mark.parametrize("breaks", [False, True])
def test_a_report_that_cannot_be_written_any_more_hides_no_result(maestro, monkeypatch, calls, directory, breaks):
    def run_campaign(stack, plan, observe):
        (directory / "report.md").unlink()
        (directory / "report.md").mkdir()
        return made_findings(a_run(status="failed") if breaks else None)

    monkeypatch.setattr(campaign, "run_campaign", run_campaign)

    result = maestro("chaos", "--report", "report.md")

    assert result.exit_code == 1
    assert ("Every invariant held." in result.stdout) is not breaks
    assert "report.md cannot be written: Is a directory." in result.stderr
    assert ("break of what must hold" in result.stderr) is breaks
    assert calls == (["start", "stop"] if breaks else ["start", "stop", "remove"])
