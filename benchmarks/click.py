"""`make bench`, click: from the click on "Start the run" to the page with the numbers, on a site as `serve` runs it.

A month of 1h candles, a home of its own on SQLite, two workers with warm children. Each round does what a browser does:
it submits the form, follows the redirect, asks for the run's state as often as the page says, loads the page anew when
told to, and then the chart. Wall time on one connection; what a browser has in its cache is not fetched. Between rounds
it waits until the children are warm again, which takes less time than filling in a form.
"""

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from backtests.operations.processes import descendants, read_processes
from backtests.runner.jail.usage import read_usage

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 9
GOAL_S = 1.5
START_PATIENCE_S = 60.0
RUN_PATIENCE_S = 60.0
SET_UP = "import django; django.setup(); from benchmarks import click_site; click_site.main()"
PATH = re.compile(r'hx-get="([^"]+/live/)" hx-trigger="every (\d+)(ms|s)"')
CHART = re.compile(r'data-chart="([^"]+)" data-from="(\d+)" data-to="(\d+)"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
NUMBERS = 'aria-label="Key figures"'


@dataclass
class Page:
    status: int
    text: str
    location: str
    is_told_to_refresh: bool


@dataclass
class Browser:
    """One connection that stays open, with its cookies."""

    port: int
    cookies: dict[str, str]
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, path: str, *, is_fragment: bool = False) -> Page:
        return self._ask("GET", path, None, {"HX-Request": "true"} if is_fragment else {})

    def post(self, path: str, fields: dict[str, str]) -> Page:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urllib.parse.urlencode(fields), kind)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        address = f"http://127.0.0.1:{self.port}"
        headers = {"Cookie": cookies, "Referer": address, **headers}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        except http.client.RemoteDisconnected:  # it stood idle between two rounds
            self.connection.close()
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        text = answer.read().decode()
        return Page(answer.status, text, answer.headers.get("Location", ""), answer.headers.get("HX-Refresh") == "true")


@dataclass(frozen=True)
class Round:
    answer_s: float  # to the page that shows the run
    numbers_s: float
    chart_s: float
    n_asked: int


def click(browser: Browser, fields: dict[str, str]) -> Round:
    """One run, from the click on. Raises SystemExit when it does not succeed."""
    token = TOKEN.search(browser.get("/runs/new/").text)
    if token is None:
        raise SystemExit("The form has no token.")
    started = time.perf_counter()
    sent = browser.post("/runs/new/", {**fields, "csrfmiddlewaretoken": token[1]})
    if sent.status != 302:
        raise SystemExit(f"The form was not taken ({sent.status}): {sent.text[:2000]}")
    page = browser.get(sent.location)
    answer_s, n_asked = time.perf_counter() - started, 0
    while (live := PATH.search(page.text)) and time.perf_counter() - started < RUN_PATIENCE_S:
        time.sleep(int(live[2]) / (1000 if live[3] == "ms" else 1))
        page, n_asked = browser.get(live[1], is_fragment=True), n_asked + 1
        if page.is_told_to_refresh:
            page = browser.get(sent.location)
    numbers_s = time.perf_counter() - started
    chart = CHART.search(page.text)
    if NUMBERS not in page.text or chart is None:
        raise SystemExit(f"The run has no result:\n{page.text[-3000:]}")
    browser.get(f"{chart[1]}&from={chart[2]}&to={chart[3]}&px=1200".replace("&amp;", "&"))
    return Round(answer_s, numbers_s, time.perf_counter() - started, n_asked)


def wait_for_spares(site_pid: int) -> None:
    """Until no child of the jail does anything any more."""
    before, n_still = -1.0, 0
    while n_still < 5:
        time.sleep(0.1)
        usages = [read_usage(process.pid) for process in descendants(site_pid, read_processes())]
        used = round(sum(usage.cpu_s for usage in usages if usage is not None), 1)
        n_still = n_still + 1 if used == before else 0
        before = used


def start_site(environment: dict[str, str], port: int, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        command = [sys.executable, "manage.py", "serve", "--port", str(port)]
        site = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
    give_up_at = time.monotonic() + START_PATIENCE_S
    while b"Hindsight is running" not in output.read_bytes():
        if site.poll() is not None or time.monotonic() > give_up_at:
            raise SystemExit(f"The site did not start:\n{output.read_text()}")
        time.sleep(0.1)
    return site


def main() -> int:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HINDSIGHT_")}
    with tempfile.TemporaryDirectory(prefix="hindsight-bench-") as home:
        # Checks of versions would be at work when the first run is started.
        own = {"HINDSIGHT_HOME": home, "HINDSIGHT_SECRET_KEY": "bench", "HINDSIGHT_CHECK_VERSIONS": "0"}
        environment = {**inherited, **own, "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "config.settings"}
        made = subprocess.run(
            [sys.executable, "-c", SET_UP], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
        facts = json.loads(made.stdout.splitlines()[-1])
        site = start_site(environment, facts["port"], Path(home) / "output.txt")
        try:
            rounds = measure(Browser(facts["port"], facts["cookies"]), facts["fields"], site.pid)
        finally:
            site.terminate()
            site.wait(30)
            shutil.rmtree(Path(home) / "artifacts", ignore_errors=True)
    answer, numbers, chart = (
        statistics.median(getattr(r, name) for r in rounds) for name in ("answer_s", "numbers_s", "chart_s")
    )
    worst = max(r.numbers_s for r in rounds)
    print(
        f"click to result, a month of 1h: page of the run {answer:.2f} s, numbers {numbers:.2f} s, chart {chart:.2f} s"
    )
    print(
        f"medians of {ROUNDS}, worst {worst:.2f} s; goal {GOAL_S} s for the numbers: "
        f"{'met' if numbers <= GOAL_S else 'missed'}; load in the last minute {os.getloadavg()[0]:.1f}"
    )
    return 0


def measure(browser: Browser, fields: dict[str, str], site_pid: int) -> list[Round]:
    rounds = []
    for _ in range(ROUNDS + 1):
        wait_for_spares(site_pid)
        rounds.append(click(browser, fields))
    return rounds[1:]


if __name__ == "__main__":
    sys.exit(main())
