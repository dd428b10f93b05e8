"""`uses: http` on a running platform: what may be reached, and that it says so."""

import json


def fetch(stack, *, home_of_definition, url):
    definition = {
        "schema_version": 1,
        "name": "reach",
        "tasks": {"fetch": {"uses": "http", "with": {"url": url, "timeout": "10s"}}},
    }
    file = home_of_definition / "reach.json"
    file.write_text(json.dumps(definition))
    return stack.run("run", str(file), "--follow")


def test_metadata_service_of_a_cloud_cannot_be_reached(stack, tmp_path):
    finished = fetch(stack, home_of_definition=tmp_path, url="http://169.254.169.254/latest/?token=hush")

    assert finished.returncode == 1
    assert "http://169.254.169.254/latest/ may not be requested: 169.254.169.254 is not public." in finished.stdout
    assert "MAESTRO_HTTP_ALLOWED_HOSTS" in finished.stdout
    assert "hush" not in finished.stdout + finished.stderr


def test_servers_beside_the_api_cannot_be_reached(stack, tmp_path):
    port = json.loads((stack.home / "state.json").read_text())["ports"]["postgres"]

    finished = fetch(stack, home_of_definition=tmp_path, url=f"http://127.0.0.1:{port}/")

    assert finished.returncode == 1
    assert f"http://127.0.0.1:{port}/ may not be requested: 127.0.0.1 is not public." in finished.stdout


def test_platform_itself_can_be_reached_under_its_own_address(stack, tmp_path):
    finished = fetch(stack, home_of_definition=tmp_path, url="${{ platform.url }}/health")

    assert finished.returncode == 0, finished.stdout + finished.stderr
