"""The private instrument that an upload belongs to: its name, which nobody takes for the exchange's, and its rules."""

import datetime as dt
import re

from accounts.models import User
from marketdata.arrays import CandleArrays
from marketdata.errors import UploadRefused
from marketdata.instruments import FILTERS, infer_step, split_symbol
from marketdata.models import PRIVATE_SUFFIX, FilterSet, Instrument, MarginTierSet, Market

PLAIN = "Plain: steps read off the file, no smallest order"
PLAIN_FEE = 0.0125
PLAIN_TIERS = (
    {"floor": 0.0, "cap": 1e12, "maintenance_rate": 0.025, "max_leverage": 20.0, "cumulative": 0.0},
)  # milder than the exchange's for large positions and stricter for small ones: they say that they are nobody's
PLAIN_TIERS_SOURCE = "Plain defaults of this site, 20x at most: no exchange's tiers."
_NAME = re.compile(r"[A-Z0-9]{2,16}(_[A-Z0-9]{1,10})?")


def name_symbol(typed: str) -> str:
    """BTCUSDT_MY for btcusdt. Raises UploadRefused: symbol/missing, symbol/bad_symbol."""
    name = typed.strip().upper().removesuffix(PRIVATE_SUFFIX)
    if not name:
        raise UploadRefused("symbol", "missing", "Give it a symbol, such as BTCUSDT.")
    if not _NAME.fullmatch(name):
        text = "A symbol has 2 to 16 letters and digits, and may have a label behind it: BTCUSDT, or BTCUSDT_KRAKEN."
        raise UploadRefused("symbol", "bad_symbol", text)
    return name + PRIVATE_SUFFIX


def find_template(market: str, symbol: str) -> Instrument:
    """The shared instrument whose rules are copied. Raises UploadRefused: rules/unknown_rules."""
    found = Instrument.objects.shared().filter(market=market, symbol=symbol.strip().upper()).first()
    if found is None or not found.filter_sets.exists():
        raise UploadRefused("rules", "unknown_rules", f"No {market} rules of {symbol[:32]!r} are known here.")
    if market == Market.USDM and not found.margin_tier_sets.exists():
        raise UploadRefused("rules", "unknown_rules", f"No margin tiers of {symbol[:32]} are known here.")
    return found


def ensure_private_instrument(
    owner: User, market: str, symbol: str, rules_from: str, candles: CandleArrays
) -> Instrument:
    """The owner's instrument of that name; a new one gets its rules, a held one keeps those that it has."""
    held = Instrument.objects.filter(owner=owner, market=market, symbol=symbol).first()
    if held is not None:
        return held
    base, quote = split_symbol(symbol)
    new = Instrument.objects.create(owner=owner, market=market, symbol=symbol, base_asset=base, quote_asset=quote)
    if rules_from:
        _copy_rules(find_template(market, rules_from), new)
    else:
        _make_plain_rules(new, candles)
    return new


def _copy_rules(template: Instrument, new: Instrument) -> None:
    for filters in template.filter_sets.all():
        values = {name: getattr(filters, name) for name in FILTERS}
        source = f"Copied from {template.symbol}: {filters.source}"[:200]
        FilterSet.objects.create(instrument=new, valid_from=filters.valid_from, source=source, **values)
    for tier_set in template.margin_tier_sets.all():
        source = f"Copied from {template.symbol}: {tier_set.source}"[:200]
        MarginTierSet.objects.create(
            instrument=new, valid_from=tier_set.valid_from, source=source, tiers=tier_set.tiers
        )


def _make_plain_rules(new: Instrument, candles: CandleArrays) -> None:
    is_futures = new.market == Market.USDM
    first_day = dt.datetime.fromtimestamp(int(candles.open_ms.min()) / 1000, dt.UTC).date()
    FilterSet.objects.create(
        instrument=new,
        valid_from=first_day,
        source=f"{PLAIN}: no exchange's filters.",
        tick_size=infer_step(candles.close),
        step_size=infer_step(candles.volume),
        min_qty=0.0,
        min_notional=0.0,
        liquidation_fee_rate=PLAIN_FEE if is_futures else 0.0,
    )
    if is_futures:
        MarginTierSet.objects.create(
            instrument=new, valid_from=first_day, source=PLAIN_TIERS_SOURCE, tiers=list(PLAIN_TIERS)
        )
