import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from marketdata.models import FilterSet, Instrument, MarginTierSet
from tests.marketdata.test_import_instruments import exchange_info, futures_symbol

pytestmark = pytest.mark.django_db

IMPORT = "admin:marketdata_instrument_import"


@pytest.fixture
def instrument():
    return Instrument.objects.create(market="usdm", symbol="AAAUSDT", base_asset="AAA", quote_asset="USDT")


def send_tiers(client, instrument, tiers):
    fields = {"instrument": instrument.pk, "valid_from": "2024-05-01", "source": "Typed in.", "tiers": tiers}
    return client.post(reverse("admin:marketdata_margintierset_add"), fields)


def test_staff_type_tiers_in_as_lists_and_whole_ones_are_saved(staff_client, instrument):
    answer = send_tiers(staff_client, instrument, "[[0, 5000, 0.01, 50], [5000, 9000, 0.02, 20]]")
    assert answer.status_code == 302
    [first, second] = MarginTierSet.objects.get().tiers
    assert (first["max_leverage"], second["cumulative"]) == (50, 50)


@pytest.mark.parametrize(
    ("tiers", "says"),
    [
        ("[[0, 5000, 0.01, 50], [6000, 9000, 0.02, 20]]", "Tier 2 must start at 5000"),
        ("[[0, 5000, 0.01, 50], [5000, 9000, 0.005, 20]]", "milder"),
        ("[[0, 5000, 0.01, 50], [5000, 9000, 0.02, 20, 7]]", "cumulative amount 7; its rates say 50"),
        ("[[0, 5000, -1, 50]]", "tier 1: maintenance_rate is -1"),
        ("[{}]", "tier 1: floor is missing"),
        ('{"floor": 0}', "must be a list"),
        ("[[0, 5000", "valid JSON"),
    ],
)
def test_tiers_that_cannot_be_are_named_and_not_saved(staff_client, instrument, tiers, says):
    assert says in send_tiers(staff_client, instrument, tiers).content.decode()
    assert not MarginTierSet.objects.exists()


def test_filters_that_cannot_be_are_named_and_not_saved(staff_client, instrument):
    fields = {"instrument": instrument.pk, "valid_from": "2024-05-01", "source": "Typed in.", "tick_size": 0}
    fields |= {"step_size": 1e13, "min_qty": -1, "min_notional": 5, "liquidation_fee_rate": 1.25}
    page = staff_client.post(reverse("admin:marketdata_filterset_add"), fields).content.decode()
    assert "above 0 and below" in page
    assert "0 or more and below" in page
    assert "0.0125 is 1.25 %" in page
    assert not FilterSet.objects.exists()


def upload(client, content, **fields):
    file = SimpleUploadedFile("rules.json", json.dumps(content).encode())
    return client.post(reverse(IMPORT), {"file": file, **fields}, follow=True)


def test_staff_hand_in_the_exchanges_answer(staff_client):
    assert "Import filters" in staff_client.get(reverse("admin:marketdata_instrument_changelist")).content.decode()
    page = upload(staff_client, exchange_info(futures_symbol())).content.decode()
    assert "xchangeInfo: 2 new" in page
    assert FilterSet.objects.get().instrument.symbol == "AAAUSDT"


def test_a_file_that_cannot_be_is_named_and_nothing_written(staff_client):
    page = upload(staff_client, exchange_info(futures_symbol(liquidationFee="7"))).content.decode()
    assert "liquidationFee is" in page
    assert "Nothing was written" in page
    assert not Instrument.objects.exists()


def test_only_staff_come_to_the_import(owner_client, anonymous):
    for client in (owner_client, anonymous):
        answer = client.post(reverse(IMPORT), {})
        assert answer.status_code in (302, 403, 404)
        assert "login" in answer.get("Location", "login")
