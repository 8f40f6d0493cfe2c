import shutil
from dataclasses import replace

import numpy as np
import pytest

from marketdata import segments
from marketdata.coverage import catalogue
from marketdata.home import candle_store
from marketdata.imports import import_paths
from marketdata.models import IngestJob, Segment, Series
from marketdata.segments import Change, ref_of
from tests.marketdata.candle_makers import JANUARY_MS, make_candles, to_csv, to_zip, write_daily

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hindsight_home")]

DAY = 86_400_000


def day_of(i, **kwargs):
    return make_candles(24, first_ms=JANUARY_MS + i * DAY, **kwargs)


def write_days(folder, n=3):
    return [write_daily(folder, f"2025-01-{i + 1:02}", day_of(i)) for i in range(n)]


def candle_files():
    return sorted(path.name for path in candle_store().files.folder.rglob("*.parquet"))


def test_a_folder_of_daily_files_becomes_one_segment_a_month(tmp_path):
    write_days(tmp_path / "in")
    outcome = import_paths([tmp_path / "in"])
    assert outcome.is_complete
    [segment] = Segment.objects.all()
    assert (segment.n_rows, segment.revision, segment.is_current) == (72, 1, True)
    assert len(segment.source_sha256s) == 3
    rows = candle_store().read_candles([ref_of(segment)])
    assert rows.open_ms.tolist() == (JANUARY_MS + 3_600_000 * np.arange(72)).tolist()


def test_the_same_files_twice_change_nothing(tmp_path):
    write_days(tmp_path / "in")
    import_paths([tmp_path / "in"])
    before, files = list(Segment.objects.values()), candle_files()
    outcome = import_paths([tmp_path / "in"])
    assert outcome.is_complete
    assert outcome.count(Change.UNCHANGED) == 1
    assert list(Segment.objects.values()) == before
    assert candle_files() == files


def test_later_days_join_the_month_as_a_new_revision_and_the_old_file_stays(tmp_path):
    first, *rest = write_days(tmp_path / "in")
    import_paths([first])
    import_paths(rest)
    old, new = Segment.objects.order_by("revision")
    assert (old.is_current, new.is_current, new.n_rows) == (False, True, 72)
    for segment in (old, new):
        candle_store().verify(ref_of(segment))


def test_a_revised_file_makes_a_new_revision_with_its_rows(tmp_path):
    paths = write_days(tmp_path / "in")
    import_paths(paths)
    before = catalogue()[0].revision
    write_daily(tmp_path / "in", "2025-01-02", day_of(1, price=200.0))
    outcome = import_paths(paths)
    assert outcome.count(Change.REVISED) == 1
    new = Segment.objects.get(is_current=True)
    rows = candle_store().read_candles([ref_of(new)])
    assert (rows.open[23], rows.open[24], new.revision) == (day_of(0).open[23], 200.0, 2)
    assert catalogue()[0].revision != before
    assert len(new.source_sha256s) == 3  # the revised file took the place of the old one


def test_a_monthly_file_fills_up_from_dailies_and_its_own_rows_stand(tmp_path):
    month = tmp_path / "futures/um/monthly/BTCUSDT/1h/BTCUSDT-1h-2025-01.zip"
    month.parent.mkdir(parents=True)
    month.write_bytes(to_zip(to_csv(make_candles(24, price=300.0)), "BTCUSDT-1h-2025-01.csv"))
    write_days(tmp_path, 2)
    assert import_paths([tmp_path / "futures"]).is_complete
    [segment] = Segment.objects.all()
    rows = candle_store().read_candles([ref_of(segment)])
    assert (len(rows), rows.open[0], rows.open[24]) == (48, 300.0, 100.0)


def test_a_bad_file_is_refused_by_name_and_the_good_ones_are_taken(tmp_path):
    paths = write_days(tmp_path / "in")
    paths[1].write_text(paths[1].read_text()[:-30])
    outcome = import_paths([tmp_path / "in"])
    assert not outcome.is_complete
    assert [refusal.name for refusal in outcome.refusals] == ["BTCUSDT-1h-2025-01-02.csv"]
    assert Segment.objects.get().n_rows == 48
    assert len(catalogue()[0].gaps) == 1
    job = IngestJob.objects.get()
    assert (job.status, job.n_files, job.n_files_done) == (IngestJob.Status.FAILED, 3, 2)
    assert "BTCUSDT-1h-2025-01-02.csv" in job.log


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BTCUSDT-1h-2025-01-01.csv", ""),
        ("BTCUSDT-1h-2025-01-01.csv", "hello\n"),
        ("BTCUSDT-1h-2025-01-02.csv", to_csv(make_candles(24))),
        ("BTCUSDT-5m-2025-01-01.csv", to_csv(make_candles(24))),
        ("BTCUSDT-1h-2025-01-01.csv", to_csv(make_candles(24)).replace("100.0", "nan")),
        ("BTCUSDT-1h-2025-01-01.zip", "no zip"),
    ],
)
def test_a_refused_file_leaves_nothing(tmp_path, name, text):
    path = tmp_path / "futures" / name
    path.parent.mkdir()
    path.write_text(text)
    assert not import_paths([path]).is_complete
    assert not Series.objects.exists()
    assert not Segment.objects.exists()
    assert candle_files() == []


def test_nothing_to_import_is_not_a_success(tmp_path):
    (tmp_path / "notes.txt").touch()
    for given, code in (
        (tmp_path, "no_files"),
        (tmp_path / "gone", "missing"),
        (tmp_path / "notes.txt", "unknown_suffix"),
    ):
        assert [refusal.code for refusal in import_paths([given]).refusals] == [code]
    assert not import_paths([]).is_complete


def test_files_that_contradict_each_other_change_nothing_the_second_time(tmp_path):
    folder = tmp_path / "spot/BTCUSDT/1h"
    folder.mkdir(parents=True)
    for name, price in (("a.csv", 100.0), ("b.csv", 200.0), ("BTCUSDT-1h-2025-01.csv", 300.0)):
        (folder / name).write_text(to_csv(make_candles(24, price=price)))
    assert import_paths([tmp_path]).is_complete
    before, files = list(Segment.objects.values()), candle_files()
    outcome = import_paths([tmp_path])
    assert (outcome.is_complete, outcome.n_files_done, outcome.n_rows) == (True, 3, 72)
    assert (list(Segment.objects.values()), candle_files()) == (before, files)


def test_the_older_of_two_files_of_one_name_can_be_taken_in_again(tmp_path):
    for price in (100.0, 200.0, 100.0):
        path = write_daily(tmp_path, "2025-01-01", day_of(0, price=price))
        assert import_paths([path]).is_complete
    current = Segment.objects.get(is_current=True)
    assert (current.revision, candle_store().read_candles([ref_of(current)]).open[0]) == (3, 100.0)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"PAR1")])
def test_importing_the_same_files_again_brings_a_lost_candle_file_back(tmp_path, hindsight_home, damage):
    paths = write_days(tmp_path / "in")
    import_paths(paths)
    before = list(Segment.objects.values())
    shutil.rmtree(hindsight_home / "cache", ignore_errors=True)
    [file] = candle_store().files.folder.rglob("*.parquet")
    damage(file)
    assert [refusal.code for refusal in import_paths(paths[:1]).refusals] == ["not_stored"]
    assert import_paths(paths).is_complete
    assert list(Segment.objects.values()) == before
    candle_store().verify(ref_of(Segment.objects.get()))


def test_candles_of_a_second_or_a_month_are_left_out_with_a_note(tmp_path):
    write_days(tmp_path / "in", 1)
    for timeframe in ("1s", "1mo"):
        (tmp_path / f"in/futures/BTCUSDT/1h/BTCUSDT-{timeframe}-2025-01.csv").write_text("x")
    outcome = import_paths([tmp_path / "in"])
    assert (outcome.is_complete, outcome.notes) == (True, ["skipped: 2 files of a kind that is not used here"])


def test_a_death_between_file_and_row_leaves_the_old_rows_visible(tmp_path, monkeypatch):
    first, *rest = write_days(tmp_path / "in")
    import_paths([first])
    before = list(Segment.objects.values())

    class KilledError(BaseException):
        pass

    def die(*args, **kwargs):
        raise KilledError

    monkeypatch.setattr(segments.Segment.objects, "create", die)
    with pytest.raises(KilledError):
        import_paths(rest)
    assert list(Segment.objects.values()) == before
    candle_store().verify(ref_of(Segment.objects.get()))
    assert IngestJob.objects.latest("created_at").status == IngestJob.Status.FAILED
    monkeypatch.undo()
    assert import_paths(rest).is_complete
    assert Segment.objects.get(is_current=True).n_rows == 72


def test_a_full_disk_is_reported_and_nothing_of_the_group_is_visible(tmp_path, monkeypatch):
    paths = write_days(tmp_path / "in")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    outcome = import_paths(paths)
    assert [refusal.code for refusal in outcome.refusals] == ["not_stored"]
    assert "No space left" in outcome.refusals[0].message
    assert not Series.objects.exists()


def test_a_months_rows_that_contradict_the_held_ones_are_judged_together(tmp_path):
    paths = write_days(tmp_path / "in", 1)
    import_paths(paths)
    other = tmp_path / "futures/BTCUSDT/1h/mine.csv"
    other.parent.mkdir(parents=True)
    shifted = replace(day_of(1), open_ms=day_of(1).open_ms + 60_000)
    other.write_text(to_csv(shifted))
    outcome = import_paths([other], symbol="BTCUSDT", timeframe="1h")
    assert [refusal.code for refusal in outcome.refusals] == ["off_grid"]
    assert Segment.objects.get().n_rows == 24


def test_a_csv_of_ones_own_says_its_series_on_the_command(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "time,open,high,low,close,volume\n" + f"{JANUARY_MS},1,1,1,1,1\n" + f"{JANUARY_MS + 60_000},1,1,1,1,0\n"
    )
    assert import_paths([path], market="spot", symbol="abcusdt", timeframe="1m").is_complete
    [coverage] = catalogue()
    assert (coverage.market, coverage.symbol, coverage.n_rows, coverage.n_no_trade) == ("spot", "ABCUSDT", 2, 1)


def test_progress_ends_at_all_files(tmp_path):
    write_days(tmp_path / "in")
    seen = []
    import_paths([tmp_path / "in"], on_progress=lambda n_done, n_total, what: seen.append((n_done, n_total, what)))
    assert seen == [(3, 3, "BTCUSDT usdm 1h")]


def test_the_users_own_folder_is_taken_in_one_call(shared_data):
    outcome = import_paths([shared_data / "binance/futures"])
    assert outcome.is_complete
    assert (outcome.n_files, outcome.n_rows) == (155, 12_865)
    held = {coverage.timeframe: coverage for coverage in catalogue()}
    rows = {"5m": 8928, "15m": 2976, "1h": 744, "4h": 186, "1d": 31}
    assert {name: coverage.n_rows for name, coverage in held.items()} == rows
    assert all(coverage.gaps == () for coverage in held.values())
    assert held["5m"].n_no_trade == 3 - 1  # 2025-01-29 01:25 and 01:30
    assert (held["5m"].first_ms, held["5m"].end_ms) == (JANUARY_MS, JANUARY_MS + 31 * DAY)


def test_the_archives_layout_is_taken_too_and_the_spot_files_cross_the_change_of_unit(shared_data, tmp_path):
    archive = shared_data / "archive/data"
    folders = ["spot/monthly/klines/BTCUSDT", "futures/um/monthly/fundingRate", "futures/um/monthly/markPriceKlines"]
    outcome = import_paths([archive / folder for folder in folders])
    assert outcome.is_complete
    held = {(c.market, c.symbol, c.kind): c for c in catalogue()}
    spot = held["spot", "BTCUSDT", "trade"]
    assert (spot.n_rows, spot.gaps, spot.n_off_grid) == (5088, (), 0)
    assert held["usdm", "BTCUSDT", "funding"].gaps == ()
    assert held["usdm", "BTCUSDT", "mark"].n_no_trade == 0


def test_daily_and_monthly_files_of_the_same_month_agree(shared_data):
    import_paths([shared_data / "archive/data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-01.zip"])
    outcome = import_paths([shared_data / "binance/futures/BTCUSDT/5m"])
    assert outcome.count(Change.UNCHANGED) == 1


def test_a_wrong_checksum_beside_a_zip_is_found(shared_data, tmp_path):
    name = "BTCUSDT-5m-2025-01.zip"
    source = shared_data / "archive/data/futures/um/monthly/klines/BTCUSDT/5m"
    folder = tmp_path / "futures"
    folder.mkdir()
    shutil.copy(source / name, folder / name)
    (folder / f"{name}.CHECKSUM").write_text((source / f"{name}.CHECKSUM").read_text().replace("a", "b"))
    assert [refusal.code for refusal in import_paths([folder]).refusals] == ["wrong_checksum"]
