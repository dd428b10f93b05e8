"""The admin in a real browser, as a person uses it. Needs Chromium (`make tools`); without it, all here is skipped."""

import re
import shutil
import uuid
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# As root there is no sandbox; the rest keeps the browser from calling home.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SECONDS = 1000
# The table cells that do not end where the page ends.
CUT_OFF = """[...document.querySelectorAll(".maestro-table td, table.result-list th, table.result-list td")]
    .filter((cell) => cell.getBoundingClientRect().right > innerWidth || cell.scrollWidth > cell.clientWidth + 1)
    .map((cell) => cell.textContent.trim())"""

if CHROMIUM is None:
    pytest.skip("Chromium is not installed: `make tools`", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def session(browser, stack):
    """A window in which the administrator has signed in."""
    context = browser.new_context(base_url=stack.url, viewport=DESKTOP)
    context.set_default_timeout(30 * SECONDS)
    page = context.new_page()
    page.goto("/admin/")
    page.fill("[name=username]", "admin@localhost.localdomain")
    page.fill("[name=password]", (stack.home / "admin-password").read_text().strip())
    page.click("button[type=submit]")
    expect(page).to_have_url(f"{stack.url}/admin/")
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(session):
    """A page; the test fails when its console showed an error or it asked another host for anything."""
    opened: Page = session.new_page()
    opened.set_viewport_size(DESKTOP)
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: wrong.append(request.url) if is_elsewhere(request.url) else None)
    yield opened
    opened.close()
    assert not wrong


def is_elsewhere(url):
    return urlsplit(url).scheme.startswith("http") and urlsplit(url).hostname != "127.0.0.1"


def start(stack, tasks, suffix=""):
    """Start a run; return its id and the name of its workflow."""
    name = f"admin-{uuid.uuid4().hex[:12]}{suffix}"
    definition = {"schema_version": 1, "name": name, "tasks": tasks}
    stack.request("POST", "/workflows", json={"definition": definition}).raise_for_status()
    run = stack.request("POST", f"/workflows/{name}/runs", json={}).json()
    return run["id"], name


def test_person_finds_a_failed_run_from_the_home_page_and_reads_why(stack, page):
    tasks = {"a": {"uses": "noop"}, "b": {"uses": "shell", "needs": ["a"], "with": {"command": "echo my line; exit 3"}}}
    run, name = start(stack, tasks)
    stack.run("show", run, "--follow")

    page.goto("/admin/")
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name=name).first.click()
    graph = page.locator(".maestro-graph svg")
    expect(graph.locator("g.succeeded text", has_text="a").first).to_be_visible()
    graph.locator("g.failed").click()

    expect(page.get_by_role("alert")).to_contain_text("The command exited with status 3.")
    expect(page.locator(".maestro-log")).to_contain_text("my line")


def test_person_cancels_a_run(stack, page):
    run, _ = start(stack, {"a": {"uses": "noop", "with": {"duration": "600s"}}})

    page.goto(f"/admin/workflows/workflowrun/{run}/change/")
    page.get_by_role("button", name="Cancel run").click()

    expect(
        page.get_by_text("The run ends as soon as its tasks have stopped.").or_(
            page.get_by_text("The run is cancelled.")
        )
    ).to_be_visible()
    stack.run("show", run, "--follow")
    assert stack.request("GET", f"/workflow-runs/{run}").json()["status"] == "cancelled"


def test_person_pauses_a_run_resumes_it_and_approves_what_it_asks(stack, page):
    form = {"carrier": {"type": "string"}}
    run, _ = start(stack, {"ask": {"uses": "approval", "with": {"message": "Ship it?", "form": form}}})
    page.goto(f"/admin/workflows/workflowrun/{run}/change/")
    page.fill("[name=reason]", "moving house")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("moving house")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".maestro-graph g.waiting")).to_be_visible()

    page.locator(".maestro-graph g.waiting").click()
    page.get_by_role("link", name="Decide").click()
    expect(page.get_by_text("Ship it?")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("is required; it has no default")).to_be_visible()
    page.fill("[name=input-carrier]", "dhl")
    page.get_by_role("button", name="Approve").click()

    expect(page.get_by_text("ask is approved.")).to_be_visible()
    stack.run("show", run, "--follow")
    [task] = stack.request("GET", f"/workflow-runs/{run}/task-executions").json()["results"]
    assert (task["output"]["by"], task["output"]["form"]) == ("admin@localhost.localdomain", {"carrier": "dhl"})


def test_person_makes_an_api_key_and_sees_its_secret_once(stack, page):
    name = uuid.uuid4().hex

    page.goto("/admin/accounts/apikey/add/")
    page.fill("[name=name]", name)
    page.select_option("[name=environment]", label="default / production")
    page.get_by_role("button", name="Create key").click()
    key = page.locator("#api-key").inner_text()
    page.get_by_role("link", name="I have copied it").click()

    assert re.fullmatch(r"mk_[a-z0-9]{12}_[\w-]{43}", key)
    expect(page.get_by_text(name, exact=True).last).to_be_visible()
    assert key not in page.content()
    assert stack.request("GET", "/workflows", key=key).status_code == 200
    page.get_by_role("button", name="Revoke this key").click()
    expect(page.get_by_text("it opens nothing any more")).to_be_visible()
    assert stack.request("GET", "/workflows", key=key).status_code == 401


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(stack, page, scheme):
    fails = {"uses": "shell", "with": {"command": "exit 1"}}
    tasks = {f"task_with_quite_a_long_key_{letter}": fails for letter in "ab"}
    run, name = start(stack, tasks, suffix="x" * 60)
    stack.run("show", run, "--follow")
    workflow = stack.request("GET", f"/workflows/{name}").json()["id"]
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme=scheme)

    for path in (
        "",
        "workflows/workflow/",
        f"workflows/workflow/{workflow}/change/",
        f"workflows/workflow/{workflow}/run/",
        "workflows/workflowrun/",
        f"workflows/workflowrun/{run}/change/",
        f"workflows/taskexecution/?run__id__exact={run}",
        "executors/worker/",
        "accounts/apikey/add/",
    ):
        page.goto(f"/admin/{path}")

        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        assert not page.evaluate(CUT_OFF), path
