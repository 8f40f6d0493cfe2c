"""Instruments and their dated rules as rows: from the bundled defaults, or inferred where nothing is known."""

import datetime as dt
from collections.abc import Collection
from dataclasses import asdict

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from marketdata.arrays import CandleArrays, FloatArray
from marketdata.defaults import load_default_filter_sets, load_default_instruments, load_default_tier_sets
from marketdata.errors import DataUnavailable
from marketdata.models import FilterSet, Instrument, MarginTierSet, Market
from marketdata.rules import InstrumentRules, TierRow

QUOTE_ASSETS = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB")
INFERRED = "Inferred from the candles: the exchange's own filters are not known here."
NEVER = dt.date(1970, 1, 1)
FILTERS = ("tick_size", "step_size", "min_qty", "min_notional", "liquidation_fee_rate")
MAX_DECIMALS = 8
MAX_INFERRED_FROM = 50_000  # the newest rows


@transaction.atomic
def load_instruments() -> int:
    """Write the bundled rules into rows that are not there yet; returns how many. Rows that staff edited stay."""
    n_written = 0
    for default in load_default_instruments():
        assets = {"base_asset": default.base_asset, "quote_asset": default.quote_asset}
        _, is_new = Instrument.objects.get_or_create(market=default.market, symbol=default.symbol, defaults=assets)
        n_written += is_new
    for filters in load_default_filter_sets():
        _, is_new = FilterSet.objects.get_or_create(
            instrument=Instrument.objects.get(market=filters.market, symbol=filters.symbol),
            valid_from=dt.date.fromisoformat(filters.valid_from),
            defaults={"source": filters.source} | {name: getattr(filters, name) for name in FILTERS},
        )
        n_written += is_new
    for tier_set in load_default_tier_sets():
        _, is_new = MarginTierSet.objects.get_or_create(
            instrument=Instrument.objects.get(market=tier_set.market, symbol=tier_set.symbol),
            valid_from=dt.date.fromisoformat(tier_set.valid_from),
            defaults={
                "source": tier_set.source,
                "tiers": [asdict(tier) for tier in tier_set.tiers],
            },
        )
        n_written += is_new
    return n_written


def load_defaults_of(wanted: Collection[tuple[str, str]]) -> None:
    """Write the bundled rules, if one of these (market, symbol) has some and is not held."""
    bundled = {(row.market, row.symbol) for row in load_default_instruments()} & set(wanted)
    held = set(Instrument.objects.shared().values_list("market", "symbol")) if bundled else set()
    if bundled - held:
        load_instruments()


def ensure_instrument(market: str, symbol: str, candles: CandleArrays | None = None) -> Instrument:
    """The row of an instrument: held, else from the defaults, else with tick and step read off trade candles."""
    load_defaults_of([(market, symbol)])
    held = Instrument.objects.shared().filter(market=market, symbol=symbol).first()
    if held is None:
        base, quote = split_symbol(symbol)
        held = Instrument.objects.create(market=market, symbol=symbol, base_asset=base, quote_asset=quote)
    if not held.filter_sets.exists():
        finest = 10.0**-MAX_DECIMALS
        sizes = {"tick_size": finest, "step_size": finest, "min_qty": 0.0, "min_notional": 0.0}
        FilterSet.objects.create(instrument=held, valid_from=NEVER, source=INFERRED, **sizes)
    not_yet_inferred = held.filter_sets.filter(valid_from=NEVER)
    if candles is not None and len(candles) and not_yet_inferred.exists():
        not_yet_inferred.update(
            tick_size=infer_step(candles.close[-MAX_INFERRED_FROM:]),
            step_size=infer_step(candles.volume[-MAX_INFERRED_FROM:]),
            valid_from=dt.datetime.fromtimestamp(int(candles.open_ms[-1]) / 1000, dt.UTC).date(),
        )
    return held


def split_symbol(symbol: str) -> tuple[str, str]:
    """BTCUSDT -> BTC, USDT. A quote asset that is not known leaves the whole symbol as the base."""
    name = symbol.partition("_")[0]
    for quote in QUOTE_ASSETS:
        if name.endswith(quote) and len(name) > len(quote):
            return name.removesuffix(quote), quote
    return name, ""


def infer_step(values: FloatArray) -> float:
    """The largest power of ten, at most 1, of which every value is a multiple."""
    for decimals in range(MAX_DECIMALS):
        scaled = values * 10.0**decimals
        if bool(np.all(np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(np.abs(scaled), 1.0))):
            return float(f"1e-{decimals}")
    return float(f"1e-{MAX_DECIMALS}")


def choose_rules(instrument: Instrument, day: dt.date) -> InstrumentRules:
    """The rules for a run that starts on `day`: filters and tiers then in force, else the earliest that are known.

    `tiers` is empty on spot, and on futures of which no tiers are known. Every instrument has filters.
    """
    filters = _in_force(instrument.filter_sets.all(), day)
    if filters is None:
        raise DataUnavailable("symbols", "no_filters", f"No order filters of {instrument.symbol} are known.")
    tier_set = _in_force(instrument.margin_tier_sets.all(), day) if instrument.market == Market.USDM else None
    return InstrumentRules(
        market=instrument.market,
        symbol=instrument.symbol,
        **{name: getattr(filters, name) for name in FILTERS},
        rules_as_of=filters.valid_from.isoformat(),
        tiers=tuple(TierRow.from_json(tier) for tier in tier_set.tiers) if tier_set else (),
        tiers_as_of=tier_set.valid_from.isoformat() if tier_set else "",
        rules_source=filters.source,
        tiers_source=tier_set.source if tier_set else "",
    )


def _in_force[Dated: (FilterSet, MarginTierSet)](sets: QuerySet[Dated], day: dt.date) -> Dated | None:
    """The set that holds on `day`, else the earliest."""
    newest_first = sets.order_by("-valid_from")
    return newest_first.filter(valid_from__lte=day).first() or newest_first.last()
