"""Reading the workflow of a Python file."""

import json
import sys

import pytest

from maestro.cli import documents, python_files
from maestro.cli.failures import Failure

ONE = """
from maestro.sdk import task, workflow
print("imported")

@task
def read(day: str):
    return day

@workflow
def flow(day: str):
    return read(day)
"""
TWO = ONE + "\n@workflow(name='other-name')\ndef other():\n    read('x')\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a Python file and forget its module afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    modules = set(sys.modules)

    def written(content, name="sdk_flow.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return str(file)

    yield written
    for module in set(sys.modules) - modules:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]


def test_definition_of_the_only_workflow_is_read_and_prints_go_to_standard_error(write, capsys):
    definition = json.loads(documents.read_definition(write(ONE)))

    assert definition["name"] == "flow"
    assert definition["tasks"]["read"]["with"]["function"] == "sdk_flow.read"
    assert capsys.readouterr() == ("", "imported\n")


def test_module_in_a_package_has_the_name_workers_import_it_by(write):
    write("", "sdk_outer/__init__.py")
    write("", "sdk_outer/inner/__init__.py")

    definition = json.loads(documents.read_definition(write(ONE, "sdk_outer/inner/flow.py")))

    assert definition["tasks"]["read"]["with"]["function"] == "sdk_outer.inner.flow.read"


def test_workflow_that_is_only_imported_is_not_the_files(write):
    write(TWO, "sdk_imported.py")

    definition = json.loads(documents.read_definition(write("from sdk_imported import other\n" + ONE)))

    assert definition["name"] == "flow"


@pytest.mark.parametrize("name", ["other", "other-name"])
def test_one_of_several_workflows_is_named_after_a_colon(write, name):
    assert json.loads(documents.read_definition(f"{write(TWO)}:{name}"))["name"] == "other-name"


@pytest.mark.parametrize("target", ["flow.py", "a/b/flow.py", "flow.py:name", "FLOW.PY"])
def test_python_file_is_told_from_a_workflows_name(target):
    assert documents.is_file_name(target)


@pytest.mark.parametrize("target", ["flow", "flow.python", "flow:name", "flow.yaml"])
def test_other_targets_are_no_python_file(target):
    assert not python_files.is_python_file(target)


@pytest.mark.parametrize(
    ("content", "suffix", "said"),
    [
        ("x = 1\n", "", "{file} has no workflow: decorate a function by @workflow from maestro.sdk."),
        (TWO, "", "{file} has 2 workflows. Say which: {file}:flow or {file}:other."),
        (TWO, ":othr", "{file} has no workflow 'othr'. Did you mean other? It has: flow, other."),
    ],
)
def test_file_without_the_workflow_is_answered_with_what_to_do(write, content, suffix, said):
    file = write(content)

    with pytest.raises(Failure) as caught:
        documents.read_definition(file + suffix)

    assert caught.value.message == said.format(file=file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = 1\ny = nothing\n", "{file}:2: NameError: name 'nothing' is not defined"),
        ("x = 1\nif\n", "{file}:2: SyntaxError: invalid syntax"),
        ("import no_such_package\n", "{file}:1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("import sys\nsys.exit(3)\n", "{file}:2: SystemExit: 3"),
        (ONE.replace("read(day)", "read()"), "{file}:11: task read: missing a required argument: 'day'"),
        (ONE.replace("return read(day)", "return 1 / 0"), "{file}:11: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(write, content, said):
    file = write(content)

    with pytest.raises(Failure) as caught:
        documents.read_definition(file)

    [line] = caught.value.lines
    assert line.startswith(said.format(file=file))
    assert caught.value.message == f"1 problem in {file}."
    [problem] = caught.value.details["problems"]
    assert problem["code"] == ("bad_workflow" if "task read" in said else "python_error")


def test_file_whose_name_python_gives_to_another_module_is_refused(write):
    with pytest.raises(Failure, match="Python has another module 'json'"):
        documents.read_definition(write(ONE, "json.py"))


@pytest.mark.parametrize(
    ("name", "said"),
    [("missing.py", "missing.py does not exist."), ("my-flow.py", "is no module that Python can import")],
)
def test_file_that_is_no_module_is_refused(write, tmp_path, name, said):
    if name != "missing.py":
        write(ONE, name)

    with pytest.raises(Failure) as caught:
        documents.read_definition(str(tmp_path / name))

    assert said in caught.value.message
