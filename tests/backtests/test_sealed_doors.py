"""Sealed mode through form, API and command: what is stored, shown, filtered and refused."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.quotas import Limits
from backtests.engine.errors import RequestError
from backtests.engine.request import RunRequest
from backtests.models import BacktestRun
from backtests.runner.sealed_time import check_sealed_time, estimate_sealed_s, look_at
from tests.backtests.finished_runs import build_finished_run
from tests.builders import build_candles, build_run, build_version

NEW, LIST, API = reverse("run_new"), reverse("run_list"), reverse("api_backtest_list")
GOOD = {"market": "usdm", "symbol": "BTCUSDT", "timeframe": "1h", "from": "2025-01-01", "to": "2025-02-01"}
SLOW = "class Slow(Strategy):\n    def initialize(self):\n" + "".join(
    f"        self.x{i} = self.indicator(lambda close: close, 'close')\n" for i in range(40)
)
SLOW += "    def on_data(self, data):\n        pass\n"


@pytest.fixture
def version(owner, hindsight_home):
    build_candles()
    return build_version(owner)


@pytest.fixture
def slow(owner, hindsight_home):
    """744 bars with forty functions that are called again: about 8 s, where 5 are allowed."""
    build_candles()
    owner.limit_overrides = {"run_wall_clock_s": 5}
    owner.save()
    return build_version(owner, source=SLOW, name="Slow")


def post(client, version, **changes):
    body = json.dumps({**GOOD, "strategy": str(version.strategy_id), **changes})
    return client.post(API, body, content_type="application/json")


def test_a_run_is_a_draft_unless_it_is_asked_for_sealed(owner_client, version):
    for asked, kept in (({}, "draft"), ({"mode": "draft"}, "draft"), ({"mode": "sealed"}, "sealed")):
        answer = post(owner_client, version, **asked)
        assert (answer.status_code, answer.json()["mode"], answer.json()["request"]["mode"]) == (201, kept, kept)
        assert BacktestRun.objects.get(pk=answer.json()["id"]).mode == kept


def test_another_mode_is_refused_at_its_field(owner_client, version):
    answer = post(owner_client, version, mode="open")
    assert answer.status_code == 400
    assert answer.json()["code"] == "unknown_choice"
    assert "draft, sealed" in answer.json()["message"]


def test_the_form_queues_a_sealed_run_and_says_how_long_it_will_take(owner_client, version):
    fields = {**GOOD, "strategy": str(version.strategy_id), "mode": "sealed"}
    shown = owner_client.get(NEW, fields)
    assert 'value="sealed" selected' in shown.content.decode()
    assert "sealed</span>" in shown.content.decode()
    assert owner_client.post(NEW, {**fields, "initial_balance": "1000"}).status_code == 302
    assert BacktestRun.objects.get().mode == "sealed"


def test_a_sealed_run_that_would_take_too_long_is_refused_at_every_door_before_it_waits(
    owner_client, owner, slow, tmp_path, monkeypatch
):
    api = post(owner_client, slow, mode="sealed")
    assert api.status_code == 400
    assert api.json()["code"] == "sealed_takes_too_long"
    message = api.json()["message"]
    for words in ("744 bars", "about 8 s", "may take 5 s", "Run it as a draft"):
        assert words in message
    form = owner_client.post(NEW, {**GOOD, "strategy": str(slow.strategy_id), "mode": "sealed"})
    assert form.status_code == 422
    assert form.context["form"].error_codes == {"mode": ["sealed_takes_too_long"]}
    file = tmp_path / "slow.py"
    file.write_text(SLOW)
    span = (
        "--market",
        "usdm",
        "--symbol",
        "BTCUSDT",
        "--timeframe",
        "1h",
        "--from",
        "2025-01-01",
        "--to",
        "2025-02-01",
    )
    with pytest.raises(CommandError, match=r"--mode: Sealed, these 744 bars"):
        call_command("run_backtest", str(file), *span, "--mode", "sealed", "--save-for", owner.email)
    assert not BacktestRun.objects.exists()
    assert post(owner_client, slow).status_code == 201


def test_a_lower_limit_of_the_run_itself_counts(owner_client, version):
    assert post(owner_client, version, mode="sealed", limits={"run_wall_clock_s": 1}).status_code == 201
    month = {"timeframe": "1m", "limits": {"run_wall_clock_s": 1}}
    build_candles(timeframe="1m", n_bars=60 * 24 * 31)
    assert post(owner_client, version, mode="sealed", **month).status_code == 400


def test_lists_are_filtered_by_mode_and_show_the_callers_runs_alone(owner_client, owner, stranger_client, stranger):
    sealed = build_run(owner, "succeeded", mode="sealed")
    build_run(owner, "succeeded")
    build_run(stranger, "succeeded", mode="sealed")
    found = owner_client.get(API, {"mode": "sealed"}).json()["results"]
    assert [run["id"] for run in found] == [str(sealed.pk)]
    rows = owner_client.get(LIST, {"mode": "sealed"})
    assert [row.run.pk for row in rows.context["rows"]] == [sealed.pk]
    assert "no later price was in its memory" in rows.content.decode()
    assert owner_client.get(API, {"mode": "open"}).status_code == 400
    assert str(sealed.pk) not in stranger_client.get(LIST, {"mode": "sealed"}).content.decode()
    assert stranger_client.get(reverse("run_detail", args=[sealed.pk])).status_code == 404


@pytest.mark.parametrize("mode", ["draft", "sealed"])
def test_the_result_page_says_the_mode_and_what_it_means(owner_client, owner, version, mode):
    run = build_finished_run(owner, version=version)
    BacktestRun.objects.filter(pk=run.pk).update(mode=mode)
    page = owner_client.get(reverse("run_detail", args=[run.pk])).content.decode()
    assert f">{mode}</span>" in page
    assert ("no later price was in its memory" in page) == (mode == "sealed")
    assert ("held the whole span" in page) == (mode == "draft")


def test_the_command_runs_sealed_and_prints_the_hash_of_the_draft(version, tmp_path, capsys, owner):
    file = tmp_path / "buy_once.py"
    file.write_text(version.source)
    span = (
        "--market",
        "usdm",
        "--symbol",
        "BTCUSDT",
        "--timeframe",
        "1h",
        "--from",
        "2025-01-05",
        "--to",
        "2025-01-09",
    )
    hashes = set()
    for mode in ("draft", "sealed"):
        call_command("run_backtest", str(file), *span, "--mode", mode, "--json", "--save-for", owner.email)
        hashes.add(json.loads(capsys.readouterr().out)["result_hash"])
    assert len(hashes) == 1
    assert set(BacktestRun.objects.values_list("mode", "result_hash")) == {
        ("draft", *hashes),
        ("sealed", *hashes),
    }
    run = BacktestRun.objects.get(mode="sealed")
    assert run.request["mode"] == "sealed"


def test_the_estimate_counts_what_a_source_asks_for():
    source = """
class S(Strategy):
    def initialize(self):
        self.a = self.indicator(ta.sma, "close", length=3)
        self.b = self.indicator(talib.MACD, "close")
        self.c = self.indicator(ta.atr, "high", "low", "close")
        self.d = self.indicator(my_own, "close")
        self.e = self.indicator(lambda x: x, "close")
    def targets(self, candles): pass
"""
    work = look_at(source)
    assert (work.n_stepped, work.n_direct, work.n_called, work.has_targets) == (2, 1, 2, True)
    assert look_at("this is no source (") == type(work)()
    plain = "class S(Strategy):\n    def on_data(self, data): pass\n"
    year = 365 * 24 * 60
    assert 5 < estimate_sealed_s(plain, year) < 30
    assert estimate_sealed_s(source, year) > 100 * estimate_sealed_s(plain, year)
    assert estimate_sealed_s(plain, year, n_symbols=3) > estimate_sealed_s(plain, year)
    assert estimate_sealed_s(plain, year, n_fine_per_bar=60) > estimate_sealed_s(plain, year)


def test_a_draft_is_never_refused_for_its_time():
    request = RunRequest.parse({**GOOD, "timeframe": "1m"})
    check_sealed_time(request, SLOW, Limits(run_wall_clock_s=1))
    sealed = RunRequest.parse({**GOOD, "timeframe": "1m", "mode": "sealed"})
    with pytest.raises(RequestError, match="use indicators that go on bar by bar"):
        check_sealed_time(sealed, SLOW, Limits(run_wall_clock_s=1))
