import subprocess
import sys
from pathlib import Path

import pytest

from executors.kinds import registry
from executors.kinds.errors import BrokenKind, UnknownKind
from executors.kinds.noop import NoopExecutor, NoopOptions

GOOD_KIND = """
from typing import ClassVar
from executors.base import Options, TaskResult

class GreetExecutor:
    kind: ClassVar[str] = "greet"
    summary: ClassVar[str] = "Greets."
    Options = Options

    def execute(self, request, context):
        return TaskResult(output="hello")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one kind, the way a user's package does."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)

    def install_distribution(name: str, entry_point: str, code: str) -> None:
        metadata = tmp_path / f"{name}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(f"[maestro.executors]\n{entry_point}\n")
        (tmp_path / f"{name}.py").write_text(code)
        registry.installed_kinds.cache_clear()

    yield install_distribution
    registry.installed_kinds.cache_clear()
    for module in set(sys.modules) - modules:
        del sys.modules[module]


def test_own_kinds_are_installed():
    kinds = registry.installed_kinds()

    assert {"noop", "python", "shell"} <= set(kinds)
    assert isinstance(kinds["noop"], NoopExecutor)


def test_options_models_are_the_kinds_own():
    assert registry.options_models()["noop"] is NoopOptions


@pytest.mark.parametrize("kind", ["noop", "python", "shell"])
def test_every_option_of_an_own_kind_is_described(kind):
    properties = registry.options_models()[kind].model_json_schema()["properties"]

    assert [name for name, schema in properties.items() if not schema.get("description")] == []


def test_kind_of_an_installed_package_is_found(install):
    install("acme_greet", "greet = acme_greet:GreetExecutor", GOOD_KIND)

    assert registry.get_kind("greet").summary == "Greets."


def test_unknown_kind_names_the_nearest():
    with pytest.raises(UnknownKind) as caught:
        registry.get_kind("shel")

    assert caught.value.message == "No executor kind 'shel' is installed. Did you mean 'shell'?"


def test_unknown_kind_with_no_near_name_lists_what_is_installed():
    with pytest.raises(UnknownKind, match=r"Installed are: .*noop.*shell"):
        registry.get_kind("zzz")


def test_kind_that_cannot_be_imported_names_its_distribution(install):
    install("acme_broken", "broken = acme_broken:Executor", "import there_is_no_such_module")

    with pytest.raises(BrokenKind) as caught:
        registry.installed_kinds()

    assert caught.value.message == (
        "The kind 'broken' of acme_broken 1.2 (acme_broken:Executor) cannot be loaded: "
        "ModuleNotFoundError: No module named 'there_is_no_such_module'"
    )


def test_two_packages_with_the_same_kind_are_refused(install):
    install("acme_noop", "noop = acme_noop:GreetExecutor", GOOD_KIND)

    with pytest.raises(BrokenKind) as caught:
        registry.installed_kinds()

    assert caught.value.message.startswith("The kind 'noop' is offered by both acme_noop 1.2 and maestro-conductor ")


@pytest.mark.parametrize(
    ("code", "flaw"),
    [
        (GOOD_KIND.replace('"greet"', '"hello"'), "calls itself 'hello'; its `kind` must be its entry point's name."),
        (GOOD_KIND.replace("summary", "about"), "has no `summary`."),
        (GOOD_KIND.replace("Options = Options", "Options = dict"), "has no `Options` class derived from"),
        (GOOD_KIND.replace("def execute", "def run"), "has no `execute` method."),
    ],
)
def test_kind_that_breaks_the_port_is_refused(install, code, flaw):
    install("acme_flawed", "greet = acme_flawed:GreetExecutor", code)

    with pytest.raises(BrokenKind) as caught:
        registry.installed_kinds()

    assert flaw in caught.value.message


def test_registry_module_does_not_import_django():
    code = "import sys, executors.kinds.registry; sys.exit('django' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[4]).returncode == 0
