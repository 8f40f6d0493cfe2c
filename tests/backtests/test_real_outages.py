"""The exchange's real outages, and its change of unit, through import and run."""

import csv
import datetime as dt
import io
import json
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from marketdata.home import candle_store
from marketdata.models import Segment
from marketdata.segments import ref_of

BAR_MS = 300_000

# Asks for something at every bar, an outage's own included: by market orders, or by limits at the very price at which
# the flat rows of an outage stand.
TRADER = """\
from hindsight import Strategy


class Trader(Strategy):
    is_limit = False

    def initialize(self):
        pass

    def on_data(self, bar):
        self.cancel_all()
        limit = bar.close if self.is_limit else None
        qty = self.get_position_size()
        if qty == 0:
            self.buy(0.01, limit=limit)
        elif limit is None:
            self.close_position()
        else:
            self.sell(qty, limit=limit, reduce_only=True)
"""

HOLDER = """\
from hindsight import Strategy


class Holder(Strategy):
    def initialize(self):
        pass

    def on_data(self, bar):
        if self.get_position_size() == 0:
            self.buy(0.1)
"""

OUTAGES = [
    ("2025-01", ("2025-01-28", "2025-01-30"), ["2025-01-29 01:25", "2025-01-29 01:30"]),
    ("2025-08", ("2025-08-28", "2025-08-30"), ["2025-08-29 06:20", "2025-08-29 06:25", "2025-08-29 06:30"]),
]


def to_ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1000)


def run_command(folder: Path, source: str, *options: str) -> tuple[dict, list[dict[str, str]]]:
    """What `run_backtest` says, and the rows of its table of fills."""
    path, out = folder / "strategy.py", StringIO()
    path.write_text(source)
    call_command("run_backtest", str(path), *options, "--json", f"--out={folder}", stdout=out)
    with (folder / "fills.csv").open() as lines:
        return json.loads(out.getvalue()), list(csv.DictReader(lines))


@pytest.mark.slow
@pytest.mark.parametrize("fill", ["close", "next_open"])
@pytest.mark.parametrize("is_limit", [False, True])
@pytest.mark.parametrize(("month", "span", "idle"), OUTAGES, ids=["January", "August"])
def test_an_outage_is_flagged_and_no_order_fills_in_it(
    transactional_db, hindsight_home, shared_data, tmp_path, month, span, idle, is_limit, fill
):
    folder = shared_data / "archive/data/futures/um/monthly/klines/BTCUSDT/5m"
    call_command("import_candles", str(folder / f"BTCUSDT-5m-{month}.zip"), "--json", stdout=StringIO())
    segment = Segment.objects.get()
    assert segment.quality["n_no_trade"] == len(idle)
    assert (segment.quality["gaps"], segment.quality["n_contradictory"]) == ([], 0)
    rows = candle_store().read_candles([ref_of(segment)])
    assert rows.open_ms[rows.volume == 0].tolist() == [to_ms(moment) for moment in idle]
    assert rows.n_trades[rows.volume == 0].tolist() == [0] * len(idle)

    options = ["--market=usdm", "--symbol=BTCUSDT", "--timeframe=5m", f"--fill={fill}"]
    options += [f"--from={span[0]}", f"--to={span[1]}"]
    source = TRADER.replace("is_limit = False", f"is_limit = {is_limit}")
    told, fills = run_command(tmp_path, source, *options)
    assert told["status"] == "succeeded"
    assert "no_trade_bars" in [warning["code"] for warning in told["warnings"]]
    filled = {to_ms(span[0]) + int(fill["i_bar"]) * BAR_MS for fill in fills}
    idle_ms = [to_ms(moment) for moment in idle]
    assert filled.isdisjoint(idle_ms)
    if is_limit:
        assert len(filled) > 100
    else:  # every other bar has one: the strategy did ask
        n_bars = told["n_bars"] - len(idle) - (fill == "next_open")
        assert len(filled) == n_bars
        assert {idle_ms[0] - BAR_MS, idle_ms[-1] + BAR_MS} <= filled


def read_spot_closes(folder: Path, months: list[str]) -> list[tuple[int, float]]:
    """Open time in ms and close of every row, read off the zips by hand."""
    found = []
    for month in months:
        with zipfile.ZipFile(folder / f"BTCUSDT-1h-{month}.zip") as archive:
            text = archive.read(archive.namelist()[0]).decode()
        for row in csv.reader(io.StringIO(text)):
            time = int(row[0])
            found.append((time // 1000 if month >= "2025" else time, float(row[4])))
    return found


@pytest.mark.slow
def test_one_run_crosses_the_change_from_ms_to_microseconds(transactional_db, hindsight_home, shared_data, tmp_path):
    folder = shared_data / "archive/data/spot/monthly/klines/BTCUSDT/1h"
    call_command("import_candles", str(folder), "--json", stdout=StringIO())
    closes = read_spot_closes(folder, ["2024-12", "2025-01"])
    assert (closes[0][0], len(closes)) == (to_ms("2024-12-01"), 62 * 24)
    options = ["--market=spot", "--symbol=BTCUSDT", "--timeframe=1h", "--from=2024-12-01", "--to=2025-02-01"]
    told, fills = run_command(tmp_path, HOLDER, *options, "--initial-balance=20000", "--taker-fee=0")
    assert (told["status"], told["n_bars"]) == ("succeeded", 62 * 24)
    assert {warning["code"] for warning in told["warnings"]} <= {"filters_after_span"}
    assert [float(fill["price"]) for fill in fills] == [closes[0][1]]
    assert told["final_equity"] == pytest.approx(20_000 + 0.1 * (closes[-1][1] - closes[0][1]), rel=1e-12)


@pytest.mark.slow
def test_a_run_over_rows_off_the_grid_leaves_them_out_and_says_so(
    transactional_db, hindsight_home, shared_data, tmp_path
):
    path = shared_data / "other/binance_spot_BTCUSDT-1h_20170817-20231231_gapped.csv.gz"
    options = ["--market=spot", "--symbol=BTCUSDT", "--timeframe=1h"]
    call_command("import_candles", str(path), *options, "--json", stdout=StringIO())
    told, fills = run_command(
        tmp_path, TRADER, *options, "--from=2018-02-01", "--to=2018-03-01", "--initial-balance=100000"
    )
    warnings = {warning["code"]: warning["message"] for warning in told["warnings"]}
    assert warnings["off_grid"].startswith("43 candles of BTCUSDT open off the 1h grid")
    held = candle_store().read_candles([ref_of(Segment.objects.get(month="2018-02-01"))])
    stamps = held.open_ms[held.open_ms % 3_600_000 == 0]
    assert told["n_bars"] == len(stamps)
    opened = {stamps[int(fill["i_bar"])] for fill in fills}
    assert opened
    assert not [ms for ms in opened if to_ms("2018-02-09 09:28:14") <= ms <= to_ms("2018-02-11 03:28:14")]
