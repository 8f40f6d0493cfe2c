import datetime as dt
import hashlib

import numpy as np
import pytest

from marketdata import samples
from marketdata.coverage import catalogue, default_span
from marketdata.ingest.binance_archive import ArchiveFolder
from marketdata.ingest.quality import Verdict, check_candles, check_funding
from marketdata.models import IngestJob, Segment
from marketdata.samples import fetch_sample, find_sample, make_sample
from marketdata.synthetic import make_candles, make_funding
from tests.marketdata import candle_makers
from tests.marketdata.candle_makers import JANUARY_MS, to_csv, to_zip


def test_the_synthetic_month_is_the_same_on_every_machine():
    rows = make_candles()
    digest = hashlib.sha256(b"".join(column.tobytes() for column in rows.columns().values())).hexdigest()
    assert digest == "1ffe5c092afb3c0b38b88473b8dbf6fee086b9e3b3af0467af3d99f3c4a0f0cd"


def test_the_synthetic_month_is_clean_and_looks_like_a_market():
    rows, funding = make_candles(), make_funding()
    report = check_candles(rows, "1m")
    assert (report.verdict, report.n_rows, report.first_ms) == (Verdict.ACCEPTED, 44_640, JANUARY_MS)
    assert check_funding(funding).verdict is Verdict.ACCEPTED
    assert len(funding) == 93
    assert np.allclose(rows.close * 10, np.round(rows.close * 10))
    daily = np.diff(np.log(rows.close)).std() * 1440**0.5
    assert 0.01 < daily < 0.05


@pytest.mark.django_db
@pytest.mark.usefixtures("hindsight_home")
class TestHeldSample:
    def test_a_made_sample_is_labelled_synthetic_and_making_it_again_changes_nothing(self):
        make_sample()
        before = list(Segment.objects.values())
        make_sample()
        assert list(Segment.objects.values()) == before
        assert {(c.kind, c.is_synthetic) for c in catalogue()} == {("trade", True), ("funding", True)}
        assert all("(synthetic)" in coverage.name for coverage in catalogue())
        assert set(IngestJob.objects.values_list("status", flat=True)) == {"succeeded"}

    def test_the_default_span_of_the_sample_is_its_month(self):
        make_sample()
        sample = find_sample()
        assert sample is not None
        assert default_span(sample) == (JANUARY_MS, JANUARY_MS + 31 * 86_400_000)

    def test_without_an_archive_the_sample_is_synthetic(self, settings):
        settings.ARCHIVE_URL, settings.ARCHIVE_LISTING_URL = "http://127.0.0.1:1", ""
        sample = fetch_sample()
        assert sample.coverage.is_synthetic
        assert "synthetic" in sample.message

    def test_with_an_archive_the_sample_is_its_newest_month_with_funding(self, settings, loopback_archive):
        serve_months(loopback_archive, ("2024-12", "2025-01"))
        settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
        sample = fetch_sample()
        assert not sample.coverage.is_synthetic
        assert sample.coverage.first_ms == JANUARY_MS
        assert {c.kind for c in catalogue()} == {"trade", "funding"}

    def test_a_held_sample_asks_no_network(self, settings, loopback_archive):
        make_sample()
        settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
        assert fetch_sample().coverage.is_synthetic
        assert not loopback_archive.requests

    def test_a_month_without_funding_is_taken_alone(self, settings, loopback_archive):
        serve_months(loopback_archive, ("2025-01",), funding=False)
        settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
        said = []
        assert not fetch_sample(say=said.append).coverage.is_synthetic
        assert any("No funding rates" in line for line in said)

    def test_a_refused_file_falls_back_to_the_synthetic_series(self, settings, loopback_archive):
        folder = ArchiveFolder("usdm", "trade", "BTCUSDT", "1m")
        loopback_archive.add(folder.key("2025-01"), to_zip("nonsense\n", "BTCUSDT-1m-2025-01.csv"))
        settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
        assert fetch_sample().coverage.is_synthetic

    def test_an_archive_that_stalls_costs_seconds_only(self, settings, loopback_archive, monkeypatch):
        monkeypatch.setattr(samples, "PROBE_TIMEOUT_S", 0.2)
        loopback_archive.faults[""] = ["stall"]
        settings.ARCHIVE_URL = settings.ARCHIVE_LISTING_URL = loopback_archive.url
        assert fetch_sample().coverage.is_synthetic


def serve_months(archive, months, *, funding=True):
    for month in months:
        first = dt.datetime.fromisoformat(f"{month}-01").replace(tzinfo=dt.UTC)
        first_ms = round(first.timestamp() * 1000)
        text = to_csv(candle_makers.make_candles(120, "1m", first_ms=first_ms))
        archive.add(ArchiveFolder("usdm", "trade", "BTCUSDT", "1m").key(month), to_zip(text, f"BTCUSDT-1m-{month}.csv"))
        if funding:
            rows = f"{first_ms},8,0.0001\n{first_ms + 28_800_002},8,0.0002\n"
            key = ArchiveFolder("usdm", "funding", "BTCUSDT", "").key(month)
            archive.add(key, to_zip(rows, f"BTCUSDT-fundingRate-{month}.csv"))
