# ruff: noqa: PLW0108 - what a lambda calls here must not be called before its workflow is drawn
import math
import pickle
from typing import Any

import pytest

from maestro.sdk import DefinitionError, shell, task, uses, workflow
from tests.unit.sdk import sample_workflows as samples
from tests.unit.sdk.sample_workflows import A_DAY_IN_YAML
from workflows.definition.canonical import content_hash
from workflows.definition.document import parse_document

read: Any = samples.read


def tasks_of(function):
    return workflow(function, name="test").definition()["tasks"]


def test_workflow_in_python_and_in_yaml_have_the_same_hash():
    written = parse_document(A_DAY_IN_YAML).value

    drawn = samples.a_day.definition()

    assert drawn == written
    assert content_hash(drawn) == content_hash(written)


def test_drawing_twice_gives_the_same_definition():
    assert samples.a_day.definition() == samples.a_day.definition()


def test_name_and_description_come_from_the_function():
    @workflow
    def my_flow():
        """Do one thing
        after the other.

        At length.
        """
        samples.clean_up()

    definition = my_flow.definition()

    assert (definition["name"], definition["description"]) == ("my-flow", "Do one thing after the other.")


def test_second_call_of_a_task_is_numbered():
    def flow():
        for _ in range(3):
            samples.clean_up()

    assert list(tasks_of(flow)) == ["clean_up", "clean_up_2", "clean_up_3"]


def test_value_that_is_no_dict_is_the_output_named_result():
    def flow():
        return samples.untyped(1).deep["odd name"]

    assert workflow(flow).definition()["outputs"] == {"result": '${{ tasks.untyped.output.deep["odd name"] }}'}


def test_references_inside_lists_and_dataclasses_are_needs():
    def flow():
        table = read("2013-01-05")
        samples.untyped([1, (table.rows, {"day": table.day})], other=samples.Options(factor=2))

    drawn = tasks_of(flow)["untyped"]

    assert drawn["needs"] == ["read"]
    assert drawn["with"]["args"] == {
        "value": [1, ["${{ tasks.read.output.rows }}", {"day": "${{ tasks.read.output.day }}"}]],
        "other": {"factor": 2},
    }


def test_text_with_an_expression_written_by_hand_is_a_need():
    def flow():
        samples.clean_up()
        shell("true", env={"X": "${{ tasks.clean_up.output }}"})

    assert tasks_of(flow)["shell"]["needs"] == ["clean_up"]


def test_retries_are_written_as_in_yaml():
    @workflow(retry={"max_attempts": 5, "delay": "2s"})
    def flow():
        samples.clean_up.set(retry={"on": ("connection_error",)})()
        shell("true", retry={"max_attempts": 1})

    drawn = flow.definition()

    assert drawn["defaults"] == {"retry": {"max_attempts": 5, "delay": "2s"}}
    assert drawn["tasks"]["clean_up"]["retry"] == {"on": ["connection_error"]}
    assert drawn["tasks"]["shell"]["retry"] == {"max_attempts": 1}


def test_time_limits_are_written_as_in_yaml():
    @workflow(timeout="30m", task_timeout="20s")
    def flow():
        samples.clean_up.set(timeout=0.5)()
        shell("true", timeout={"attempt": "1m", "total": 90})

    drawn = flow.definition()

    assert drawn["timeout"] == "30m"
    assert drawn["defaults"] == {"timeout": "20s"}
    assert drawn["tasks"]["clean_up"]["timeout"] == 0.5
    assert drawn["tasks"]["shell"]["timeout"] == {"attempt": "1m", "total": 90}


def test_wrong_time_limits_of_a_workflow_are_refused():
    with pytest.raises(DefinitionError, match="timeout='soon': should be a duration"):
        workflow(timeout="soon")(samples.clean_up.function)
    with pytest.raises(DefinitionError, match=r"timeout={'total': 5}: .* its task_timeout"):
        workflow(timeout={"total": 5})(samples.clean_up.function)
    with pytest.raises(DefinitionError, match=r"task_timeout={'totle': 5}: totle: "):
        workflow(task_timeout={"totle": 5})(samples.clean_up.function)


def test_priority_of_a_workflow_is_written_and_a_wrong_one_refused():
    @workflow(priority="low")
    def flow():
        shell("true")

    assert flow.definition()["priority"] == "low"
    with pytest.raises(DefinitionError, match="priority is one of high, normal, low, not 'lo'; did you mean"):
        workflow(priority="lo")(samples.clean_up.function)


def test_task_is_the_function_outside_of_a_workflow():
    table = samples.read("as given", limit=2)

    assert table == samples.Table(day="as given", rows=[0, 1])


def test_task_can_be_handed_to_another_process():
    assert pickle.loads(pickle.dumps(samples.read)) is samples.read


def test_value_that_cannot_be_stored_is_refused_with_its_path():
    with pytest.raises(DefinitionError, match=r"tasks\.untyped\.with\.args\.value\[1\]: is not a finite number"):
        tasks_of(lambda: samples.untyped([1, math.nan]))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: read("someday"), "task read: day: Input should be a valid date"),
        (lambda: read(), "task read: missing a required argument: 'day'"),
        (lambda: read("2013-01-05", limits=3), "task read: got an unexpected keyword argument 'limits'"),
        (lambda: read("2013-01-05", limit="many"), "task read: limit: Input should be a valid integer"),
        (lambda: samples.untyped(object()), "task untyped: <object object at"),
        (lambda: samples.clean_up.set(run_if="all_don")(), "run_if is one of all_succeeded, all_done"),
        (lambda: uses("noop", on_worker_lost="fial"), "on_worker_lost is one of retry, fail, not 'fial'"),
        (
            lambda: samples.clean_up.set(retry={"max_attempts": 0})(),
            r"retry={'max_attempts': 0}: max_attempts: must be at least 1",
        ),
        (lambda: samples.clean_up.set(timeout="0s")(), "timeout='0s': must be greater than 0"),
        (lambda: shell("true", timeout={"grace": "2h"}), "timeout={'grace': '2h'}: grace: must be at most 3600"),
        (lambda: samples.clean_up.set(if_=3 > 2)(), "if_ is a comparison of references"),
        (lambda: samples.clean_up.set(after="clean_up")(), "after= takes what calls of tasks returned"),
        (
            lambda: samples.clean_up.set(key="loop")(),
            "task clean_up: its key (say another by key=): this name is",
        ),
        (
            lambda: uses("noop", key="Bad Key"),
            "task Bad Key: its key (say another by key=): a name is 1 to",
        ),
        (lambda: [uses("noop", key="a"), uses("noop", key="a")], "two tasks have the key 'a'"),
        (lambda: task(samples.plain)("x"), "task plain: a worker would not find it as"),
        (lambda: task(lambda: None)(), "Decorate a function by @task where it is defined"),
        (lambda: samples.a_day(), "workflow 'a-day' is called inside another one"),
        (lambda: None, "workflow 'test' has no tasks"),
    ],
)
def test_what_cannot_be_drawn_is_told_with_its_task(draw, message):
    with pytest.raises(DefinitionError) as caught:
        tasks_of(draw)

    assert message in str(caught.value)


def test_workflow_itself_cannot_be_called():
    with pytest.raises(DefinitionError, match=r"run it by `maestro run FILE`, or in a test by run_locally\(\)"):
        samples.a_day()


def test_task_of_another_kind_needs_a_workflow_around_it():
    with pytest.raises(DefinitionError, match="call it inside a function decorated by @workflow"):
        shell("true")


@pytest.mark.parametrize("wrong", [3, int, samples.read])
def test_only_a_function_can_be_decorated(wrong):
    with pytest.raises(DefinitionError, match="@task decorates a function, without parentheses"):
        task(wrong)
