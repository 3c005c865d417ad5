"""The HTML report, built by the real Allure and read in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from muster.errors import UsageError
from muster.report import html, page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_allure = pytest.mark.skipif(
    not (html.CHECKOUT / "node_modules/.bin/allure").exists(), reason="Allure is not installed: run 'make report' once"
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH: on Debian, apt install chromium")


def result(folder: Path, name: str, status: str, message: str = "") -> None:
    """One test result as allure-pytest writes it."""
    body = {
        "uuid": f"{folder.parent.name}-{name}",
        "historyId": name,
        "testCaseId": name,
        "name": name,
        "fullName": f"checks.{name}",
        "status": status,
        "statusDetails": {"message": message},
        "labels": [{"name": "epic", "value": "x0tta6bl4/lab"}, {"name": "feature", "value": "On-call runbook"}],
        "links": [{"name": "Runbook", "url": "runbooks/x.html#high-error-rate", "type": "link"}],
        "attachments": [{"name": "snapshot", "source": f"{name}-attachment.json", "type": "application/json"}],
        "start": 1_700_000_000_000,
        "stop": 1_700_000_000_100,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{folder.parent.name}-{name}-result.json").write_text(json.dumps(body))
    (folder / f"{name}-attachment.json").write_text('{"readings": {}}')


@pytest.fixture
def reports(tmp_path):
    return two_runs(tmp_path)


def two_runs(reports: Path) -> Path:
    for stamp, status in (("20260101T000000Z", "passed"), ("20260102T000000Z", "failed")):
        results = reports / f"{stamp}-smoke-x0tta6bl4-lab" / "allure-results"
        result(results, "test_error_ratio_holds", status, "error_ratio 12.3% > 10%" if status == "failed" else "")
        result(results, "test_latency_holds", "broken", "no samples of latency_p95")
    return reports


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The report of the newest run, with the one before it in its history and two pages of its own."""
    reports = two_runs(tmp_path_factory.mktemp("reports"))
    pages = {"coverage.html": "<p>the coverage</p>", "runbooks/x.html": "<p>the runbook</p>"}
    links = {"Runbook": "runbooks/x.html#a"}
    return html.build(reports, html.choose(reports, None), pages, ["coverage.html"], links)


def test_without_any_run_the_report_says_what_to_run_first(tmp_path):
    """An empty reports folder is a usage error that names the next step."""
    with pytest.raises(UsageError, match="make smoke"):
        html.choose(tmp_path, None)


def test_the_newest_run_is_chosen_and_an_unknown_one_is_refused(reports):
    """Names sort by time; a wrong name offers the newest."""
    assert html.choose(reports, None).name.startswith("20260102")
    with pytest.raises(UsageError, match="20260102"):
        html.choose(reports, "nope")


@needs_allure
@needs_browser
@pytest.mark.xdist_group("allure")  # one report for both
def test_a_browser_shows_the_checks_their_verdicts_and_the_categories(built, tmp_path):
    """What a reviewer opens holds the runbook, the checks, and the words for failed and unknown."""
    parts = ("", "#categories", "#globalAttachments", f"#{id_of_failing(built.parent)}")
    dom, categories, attachments, test = shown(built.parent, parts, tmp_path / "profile")
    for words in ("On-call runbook", "test_error_ratio_holds", "test_latency_holds"):
        assert words in dom
    assert "Does not hold" in categories
    assert "no data is never a pass" in categories
    assert "coverage.html" in attachments
    assert "snapshot" in test
    assert 'data-page="runbooks/x.html#a"' in test
    assert (built.parent / "runbooks" / "x.html").read_text() == "<p>the runbook</p>"


@needs_allure
@pytest.mark.xdist_group("allure")
def test_each_earlier_run_enters_the_history_once(built):
    """Building twice does not count the earlier run twice, and the run itself is not its own history."""
    reports = built.parent.parent
    html.build(reports, html.choose(reports, None))
    assert len((reports / "history.jsonl").read_text().splitlines()) == 1


def id_of_failing(report: Path) -> str:
    """Allure's own id of the failing check."""
    results = (json.loads(file.read_text()) for file in (report / "data" / "test-results").glob("*.json"))
    return next(result["id"] for result in results if result["name"] == "test_error_ratio_holds")


def test_a_runbook_becomes_a_page_with_the_anchors_that_links_name():
    """Tables and code are shown, raw HTML is not, and links to files that are not in the report are only words."""
    html_page = page.runbook(
        "T", "# T\n\n## High `error` rate\n\n[a](#b) [c](../d.md) <script>x</script>\n\n|a|\n|-|\n|b|\n"
    )
    assert "<h2 id='high-error-rate'>" in html_page
    assert '<a href="#b">a</a> c ' in html_page
    assert "<script>" not in html_page
    assert "<table>" in html_page


FRAMES = """<!doctype html>{frames}<script>
addEventListener("load", () => setTimeout(() => {{
  const shown = [...document.querySelectorAll("iframe")].map(frame => frame.contentDocument.body.innerText
    + [...frame.contentDocument.querySelectorAll("[data-page]")].map(link => link.outerHTML));
  document.body.dataset.shown = JSON.stringify(shown);
}}, 6000))
</script>"""  # virtual milliseconds: the browser hurries through them once nothing is left to do


def shown(report: Path, parts: tuple[str, ...], profile: Path) -> list[str]:
    """What each part of the report shows after its scripts have run: one browser, each part in a frame of its own."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    frames = "".join(f'<iframe width="1200" height="800" src="/{part}"></iframe>' for part in parts)
    (report / "frames.html").write_text(FRAMES.format(frames=frames))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(report))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dom = dump(f"http://127.0.0.1:{server.server_address[1]}/frames.html", profile)
        server.shutdown()
    return json.loads(unescape(dom.partition('data-shown="')[2].partition('"')[0]))


def dump(url: str, profile: Path) -> str:
    """The page's DOM after its scripts have run."""
    quiet = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        *quiet,
        "--disable-component-update",
        f"--user-data-dir={profile}",
    ]
    done = subprocess.run(
        [*command, "--virtual-time-budget=8000", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout
