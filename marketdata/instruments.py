"""Instruments and their dated rules as rows: from the bundled defaults, or inferred where nothing is known."""

import datetime as dt
from dataclasses import asdict

import numpy as np
from django.db import transaction

from marketdata.arrays import CandleArrays, FloatArray
from marketdata.defaults import load_default_instruments, load_default_tier_sets
from marketdata.models import Instrument, MarginTierSet, Market
from marketdata.rules import InstrumentRules, TierRow

QUOTE_ASSETS = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB")
INFERRED = "Inferred from the candles: the exchange's own filters are not known here."
NEVER = dt.date(1970, 1, 1)
MAX_DECIMALS = 8


@transaction.atomic
def load_instruments() -> int:
    """Write the bundled rules into rows that are not there yet; returns how many. Rows that staff edited stay."""
    n_written = 0
    for default in load_default_instruments():
        values = {
            name: getattr(default, name)
            for name in ("base_asset", "quote_asset", "tick_size", "step_size", "min_qty", "min_notional")
        }
        values |= {
            "liquidation_fee_rate": default.liquidation_fee_rate,
            "rules_as_of": dt.date.fromisoformat(default.rules_as_of),
            "rules_source": default.rules_source,
        }
        _, is_new = Instrument.objects.get_or_create(market=default.market, symbol=default.symbol, defaults=values)
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


def ensure_instrument(market: str, symbol: str, candles: CandleArrays | None = None) -> Instrument:
    """The row of an instrument: held, else from the defaults, else with tick and step read off trade candles."""
    held = Instrument.objects.filter(market=market, symbol=symbol).first()
    if held is None and any((row.market, row.symbol) == (market, symbol) for row in load_default_instruments()):
        load_instruments()
        held = Instrument.objects.get(market=market, symbol=symbol)
    if held is None:
        base, quote = split_symbol(symbol)
        finest = 10.0**-MAX_DECIMALS
        held = Instrument.objects.create(
            market=market,
            symbol=symbol,
            base_asset=base,
            quote_asset=quote,
            tick_size=finest,
            step_size=finest,
            min_qty=0.0,
            min_notional=0.0,
            rules_as_of=NEVER,
            rules_source=INFERRED,
        )
    if held.rules_as_of == NEVER and candles is not None and len(candles):
        held.tick_size, held.step_size = infer_step(candles.close), infer_step(candles.volume)
        held.rules_as_of = dt.datetime.fromtimestamp(int(candles.open_ms[-1]) / 1000, dt.UTC).date()
        held.save(update_fields=["tick_size", "step_size", "rules_as_of"])
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
    """The rules for a run that starts on `day`: the tiers then in force, else the earliest that are known.

    `tiers` is empty on spot, and on futures of which no tiers are known.
    """
    tier_set = None
    if instrument.market == Market.USDM:
        sets = instrument.margin_tier_sets.order_by("-valid_from")
        tier_set = sets.filter(valid_from__lte=day).first() or sets.last()
    return InstrumentRules(
        market=instrument.market,
        symbol=instrument.symbol,
        tick_size=instrument.tick_size,
        step_size=instrument.step_size,
        min_qty=instrument.min_qty,
        min_notional=instrument.min_notional,
        liquidation_fee_rate=instrument.liquidation_fee_rate,
        rules_as_of=instrument.rules_as_of.isoformat(),
        tiers=tuple(TierRow.from_json(tier) for tier in tier_set.tiers) if tier_set else (),
        tiers_as_of=tier_set.valid_from.isoformat() if tier_set else "",
    )
