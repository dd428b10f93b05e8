from maestro.embedded import announcement
from maestro.embedded.home import Home
from tests.unit.embedded.test_record import make_record


def test_the_block_names_addresses_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAESTRO_HOME", raising=False)

    block = announcement.describe(Home(tmp_path / ".maestro"), make_record())

    assert "http://127.0.0.1:3000/api/docs/" in block
    assert "http://127.0.0.1:3000/admin/  login admin@example.org, password in .maestro/admin-password" in block
    assert "API key   in .maestro/api-key" in block
    assert "MAESTRO_HOME" not in block


def test_commands_for_another_home_say_which(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAESTRO_HOME", raising=False)

    block = announcement.describe(Home(tmp_path / "my home"), make_record())

    assert "MAESTRO_HOME='my home' " in block
