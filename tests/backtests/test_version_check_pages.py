"""The look-ahead check on pages and in the API."""

import pytest
from django.urls import reverse
from django.utils import timezone

from backtests.models import VersionCheck
from tests.builders import build_run, build_version

DIFFERENCE = {
    "other_run": "other_future",
    "bar_time_ms": 1_735_689_600_000,
    "expected": "buy 2 units",
    "found": "",
    "cut_time_ms": 1_735_693_200_000,
}
FACTS = {"n_bars": 2000, "n_orders": 7, "n_runs": 2, "data": "BTCUSDT 15m", "seconds": 3.1, "failure": None}


@pytest.fixture
def version(owner):
    return build_version(owner)


def end(version, status="looks_ahead", **verdict):
    facts = {**FACTS, "difference": None, **verdict}
    VersionCheck.objects.update_or_create(
        pk=version.pk, defaults={"status": status, "verdict": facts, "checked_at": timezone.now()}
    )


def panel(client, version):
    return client.get(reverse("version_check", args=[version.pk]))


def api_url(version):
    return reverse("api_version_check", args=[version.strategy_id, version.number])


def test_the_panel_names_the_first_bar_and_order(owner_client, version):
    end(version, difference=DIFFERENCE)
    text = panel(owner_client, version).text
    for part in ("looks ahead", "2025-01-01 00:00 UTC", "buy 2 units", "no order", "2025-01-01 01:00 UTC"):
        assert part in text
    assert "every 3s" not in text


def test_the_panel_polls_until_there_is_a_verdict(owner_client, version):
    assert "not checked" in panel(owner_client, version).text
    VersionCheck.objects.create(version=version)
    text = panel(owner_client, version).text
    assert "every 3s" in text
    assert "Check again" not in text


def test_a_failure_is_shown_with_its_line_and_escaped(owner_client, version):
    failure = {"code": "strategy_error", "message": "no <b>", "line": 3, "source_line": "1 / 0"}
    end(version, "failed", failure=failure)
    text = panel(owner_client, version).text
    assert "Line 3: <code>1 / 0</code>" in text
    assert "no &lt;b&gt;" in text


@pytest.mark.parametrize("status", VersionCheck.Status.values)
def test_every_status_has_words(owner_client, version, status):
    is_open = status in ("pending", "running")
    fields = {"token": "0" * 32, "lease_until": timezone.now()} if status == "running" else {}
    VersionCheck.objects.create(
        version=version, status=status, checked_at=None if is_open else timezone.now(), **fields
    )
    assert panel(owner_client, version).status_code == 200


def test_badges_fill_the_places_that_pages_keep(owner_client, owner, version):
    end(version)
    newer = build_version(owner)
    end(newer, "passed")
    run = build_run(owner, "failed", version=version)
    pages = [
        reverse("strategy_list"),
        reverse("strategy_edit", args=[version.strategy_id]),
        reverse("run_detail", args=[run.pk]),
    ]
    places = [version.strategy_id, version.pk, version.pk]
    for page, place in zip(pages, places, strict=True):
        text = owner_client.get(page).text
        assert f'id="check-{place}"' in text
        assert reverse("version_badges") in text
    asked = {"strategy": [version.strategy_id], "version": [version.pk, "nonsense"]}
    answer = owner_client.get(reverse("version_badges"), asked).text
    assert f'id="check-{version.strategy_id}" hx-swap-oob' in answer
    assert f'id="check-{version.pk}" hx-swap-oob' in answer
    assert "no look-ahead found" in answer  # of the newest version
    assert "looks ahead" in answer
    of_all = owner_client.get(reverse("version_badges"), {"all_of": version.strategy_id}).text
    assert of_all.count("hx-swap-oob") == 2
    page = owner_client.get(reverse("strategy_version", args=[version.strategy_id, 1])).text
    assert reverse("version_check", args=[version.pk]) in page


def test_the_button_asks_for_another_check(owner_client, version):
    end(version)
    url = reverse("version_check_again", args=[version.pk])
    assert owner_client.get(url).status_code == 405
    assert owner_client.post(url).status_code == 302
    assert VersionCheck.objects.get().status == "pending"
    assert "check waits" in owner_client.post(url, headers={"HX-Request": "true"}).text


def test_strangers_find_nothing(stranger_client, anonymous, version):
    end(version)
    assert panel(stranger_client, version).status_code == 404
    assert stranger_client.post(reverse("version_check_again", args=[version.pk])).status_code == 404
    assert "<span" not in stranger_client.get(reverse("version_badges"), {"version": version.pk}).text
    assert stranger_client.get(api_url(version)).status_code == 404
    assert stranger_client.post(api_url(version)).status_code == 404
    assert panel(anonymous, version).status_code == 302
    assert anonymous.get(api_url(version)).status_code in (401, 403)
    assert VersionCheck.objects.get().status == "looks_ahead"


def test_the_api_tells_what_the_page_tells(owner_client, owner, version):
    assert owner_client.get(api_url(version)).json()["status"] == "not_checked"
    end(version, difference=DIFFERENCE)
    told = owner_client.get(api_url(version)).json()
    assert told["difference"] == DIFFERENCE
    assert (told["n_bars"], told["data_checked"], told["failure"]) == (2000, "BTCUSDT 15m", None)
    run = build_run(owner, "failed", version=version)
    shown = owner_client.get(reverse("api_backtest", args=[run.pk])).json()
    assert shown["strategy"]["look_ahead_check"] == "looks_ahead"
    again = owner_client.post(api_url(version))
    assert again.status_code == 202
    assert again.json()["status"] == "pending"
