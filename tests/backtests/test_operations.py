"""The page of operations: which workers there are, and what holds strategies there."""

import pytest
from django.urls import reverse

from backtests.models import WorkerPool
from backtests.operations import readiness
from backtests.operations.readiness import JailState, prove_jail
from backtests.runner.jail import layers
from backtests.runner.probe import N_ATTACKS, Probe
from tests.builders import build_run

PAGE = reverse("operations")
PROVEN = {"proven_at": "2026-11-23T04:05:06+00:00", "took_s": 2.13, "n_attacks": 16}


def beat(name="host-a:71", n_workers=2, **jail):
    WorkerPool.objects.beat(name, n_workers, JailState(**jail).to_json() if jail else {})


def test_only_staff_sees_it(anonymous, owner_client, staff_client, db):
    assert anonymous.get(PAGE).status_code == 302
    assert owner_client.get(PAGE).status_code == 404
    assert staff_client.get(PAGE).status_code == 200
    assert staff_client.post(PAGE).status_code == 405
    assert PAGE in staff_client.get("/").text
    assert PAGE not in owner_client.get("/").text


def test_each_pool_shows_its_level_its_proof_and_when_it_was_made(staff_client, owner):
    beat(level="full", **PROVEN)
    build_run(owner)
    page = staff_client.get(PAGE).text
    for text in ("host-a", "2 workers of process 71", "Full", "16 attacks, none got through",
                 "2026-11-23 04:05", "2.1"):  # fmt: skip
        assert text in page, text
    assert "lacks" not in page


def test_what_a_machine_lacks_stands_there(staff_client):
    beat(level="inner", lack="bubblewrap is not installed (apt-get install bubblewrap).", **PROVEN)
    page = staff_client.get(PAGE).text
    assert "Inner" in page
    assert "apt-get install bubblewrap" in page


def test_workers_that_run_nothing_say_why(staff_client):
    beat(level="refused", fault="Attacks got through the jail: PWNED: fork", **PROVEN)
    page = staff_client.get(PAGE).text
    assert "every run ends as no_jail" in page
    assert "PWNED: fork" in page


def test_a_pool_that_gets_ready_and_no_pool_at_all(staff_client):
    assert "There is no worker" in staff_client.get(PAGE).text
    beat(n_workers=0)
    assert "the jail is being proven" in staff_client.get(PAGE).text


def test_the_page_renews_its_part_by_itself(staff_client):
    beat(level="full", **PROVEN)
    fragment = staff_client.get(PAGE, headers={"HX-Request": "true"}).text
    assert "<html" not in fragment
    assert 'hx-trigger="every 5s"' in fragment


@pytest.fixture
def machine(monkeypatch):
    """Layers that this machine gives, and what the probe finds: both to be set."""
    monkeypatch.setattr(layers, "_condemned", [])
    found = {"level": "full", "fault": ""}
    monkeypatch.setattr(readiness, "choose_layers", lambda: layers.layers_of(found["level"]))
    monkeypatch.setattr(
        readiness, "probe_jail", lambda *args, **options: Probe(found["level"], found["fault"], made_at="t")
    )
    monkeypatch.setattr(readiness, "find_lack", lambda level: "bubblewrap is not installed.")
    return found


def test_what_was_found_before_the_first_run_is_what_the_pool_says(machine):
    assert prove_jail() == JailState("full", proven_at="t", n_attacks=N_ATTACKS)
    machine["level"] = "inner"
    assert prove_jail() == JailState("inner", lack="bubblewrap is not installed.", proven_at="t", n_attacks=N_ATTACKS)
    machine["level"] = "none"
    assert prove_jail().proven_at == ""


def test_a_jail_that_fails_its_proof_condemns_the_workers(machine):
    machine["fault"] = "PWNED: fork"
    state = prove_jail()
    assert (state.level, state.fault) == ("refused", "Attacks got through the jail: PWNED: fork")
    with pytest.raises(layers.NoJail, match="PWNED: fork"):
        layers.choose_layers()
