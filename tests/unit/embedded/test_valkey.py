from pathlib import Path

from maestro.embedded import valkey
from maestro.embedded.home import Home, load_or_create_secrets


def test_the_broker_never_evicts_and_listens_only_here(tmp_path):
    secrets = load_or_create_secrets(Home(tmp_path))

    lines = valkey.configure(tmp_path, 6400, secrets).splitlines()

    assert "bind 127.0.0.1" in lines
    assert "port 6400" in lines
    assert "maxmemory-policy noeviction" in lines
    assert "appendonly yes" in lines
    assert "appendfsync everysec" in lines
    assert f"requirepass {secrets.valkey_password.get_secret_value()}" in lines


def test_a_path_with_spaces_and_quotes_is_quoted(tmp_path):
    secrets = load_or_create_secrets(Home(tmp_path))

    lines = valkey.configure(Path('/a b/c"d\\e'), 6400, secrets).splitlines()

    assert 'dir "/a b/c\\"d\\\\e"' in lines
