import pytest

from maestro.embedded import postgres, programs, valkey
from maestro.embedded.home import Home, Secrets, load_or_create_secrets
from maestro.embedded.options import StackOptions
from maestro.embedded.record import Ports

PORTS = Ports(api=3001, flower=5556, postgres=40001, valkey=40002)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.admin_password.write_text("administrator-password\n")
    return home


@pytest.fixture
def secrets(home):
    return load_or_create_secrets(home)


def test_no_program_is_given_a_secret_as_an_argument(home, secrets):
    options = StackOptions(home=home.path, port=PORTS.api, flower_port=PORTS.flower, concurrency=2)
    started = [
        programs.prepare(home, PORTS, secrets),
        programs.api(home, PORTS, secrets),
        programs.worker(1, options, home, PORTS, secrets),
        programs.beat(home, PORTS, secrets),
        programs.flower(home, PORTS, secrets),
        postgres.server(home, PORTS.postgres),
        valkey.server(home, PORTS.valkey, secrets),
    ]

    words = " ".join(word for program in started for word in program.command)

    hidden = [getattr(secrets, name).get_secret_value() for name in Secrets.model_fields]
    assert [secret for secret in (*hidden, "administrator-password") if secret in words] == []


def test_the_servers_are_not_given_maestros_secrets(home, secrets, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")

    environment = postgres.server(home, PORTS.postgres).environment

    hidden = {getattr(secrets, name).get_secret_value() for name in Secrets.model_fields}
    assert hidden.isdisjoint(environment.values())
    assert "PGPORT" not in environment


def test_the_api_connects_as_the_bound_role_and_the_others_as_the_owner(home, secrets):
    environment = programs.environment(home, PORTS, secrets, component="api")

    assert environment["API_DATABASE_URL"] == (
        f"postgresql://maestro_api:{secrets.maestro_api_password.get_secret_value()}@127.0.0.1:40001/maestro"
    )
    assert environment["DATABASE_URL"] == environment["DATABASE_DIRECT_URL"]
    assert environment["DATABASE_URL"].startswith("postgresql://maestro:")
    assert environment["BROKER_URL"] == f"redis://:{secrets.valkey_password.get_secret_value()}@127.0.0.1:40002/0"
    assert environment["MAESTRO_COMPONENT"] == "api"
    assert environment["MAESTRO_PUBLIC_URL"] == "http://127.0.0.1:3001"
    assert environment["MAESTRO_HOME"] == str(home.path)


def test_temporary_files_stay_below_the_home(home, secrets):
    environment = programs.environment(home, PORTS, secrets, component="worker")

    assert environment["TMPDIR"] == str(home.path / "tmp")


def test_flower_asks_for_the_administrators_password(home, secrets):
    program = programs.flower(home, PORTS, secrets)

    assert program.environment["FLOWER_BASIC_AUTH"] == "admin:administrator-password"


def test_the_worker_runs_as_many_tasks_as_asked(home, secrets):
    options = StackOptions(home=home.path, port=1, flower_port=2, concurrency=7)

    command = programs.worker(1, options, home, PORTS, secrets).command

    assert command[command.index("--concurrency") + 1] == "7"


def test_workers_of_a_stack_have_names_of_their_own(home, secrets):
    options = StackOptions(home=home.path, port=1, flower_port=2, concurrency=2, workers=2)

    started = [programs.worker(number, options, home, PORTS, secrets) for number in (1, 2)]

    nodes = [program.command[program.command.index("-n") + 1].partition("@")[0] for program in started]
    assert [program.name for program in started] == ["worker", "worker-2"]
    assert nodes == ["executor", "executor-2"]


def test_the_worker_runs_as_many_tasks_as_work_waits_for(home, secrets):
    options = StackOptions(home=home.path, port=1, flower_port=2, concurrency=7, autoscale=(8, 2))

    command = programs.worker(1, options, home, PORTS, secrets).command

    assert "--autoscale=8,2" in command
    assert "--concurrency" not in command


def test_the_worker_knows_how_long_tasks_have_to_finish_and_is_given_longer(home, secrets):
    options = StackOptions(home=home.path, port=1, flower_port=2, concurrency=1, drain_seconds=70)

    program = programs.worker(1, options, home, PORTS, secrets)

    assert program.environment["MAESTRO_DRAIN_SECONDS"] == "70"
    assert program.stop_steps[0].seconds >= 80


def test_a_worker_does_not_look_for_others(home, secrets):
    options = StackOptions(home=home.path, port=1, flower_port=2, concurrency=2)

    command = programs.worker(1, options, home, PORTS, secrets).command

    assert {"--without-mingle", "--without-gossip"} <= set(command)


def test_celerys_warning_about_root_is_hidden_and_a_persons_own_filters_stay(home, secrets, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error::ResourceWarning")
    options = StackOptions(home=home.path, port=1, flower_port=2, concurrency=2)

    environment = programs.worker(1, options, home, PORTS, secrets).environment

    assert environment["PYTHONWARNINGS"] == "error::ResourceWarning,ignore::UserWarning:celery.platforms"
