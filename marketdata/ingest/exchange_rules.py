"""What the exchange answers about its instruments: filters and margin tiers, in JSON of three shapes.

exchangeInfo (spot and USD-M), leverageBracket (USD-M), and plain tiers:
[{"symbol": "BTCUSDT", "valid_from": "2024-10-01", "source": "...", "tiers": [[floor, cap, rate, max leverage], ...]}].
"""

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NoReturn

from marketdata.ingest.errors import IngestError
from marketdata.rules import TierRow, find_tier_problem

MAX_JSON_BYTES = 32 * 2**20
MAX_SYMBOLS = 20_000
MAX_TIERS = 100
MAX_SIZE = 1e12  # of a tick, a step, a minimum
MAX_NOTIONAL = 1e20
NEVER_MS = 4_102_444_800_000  # 2100: the exchange's "delivery" of what is never delivered
_SYMBOL = re.compile(r"[A-Z0-9]{2,24}(_[0-9]{6})?")
_ASSET = re.compile(r"[A-Z0-9]{1,16}")

type Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filters:
    tick_size: float
    step_size: float
    min_qty: float
    min_notional: float
    liquidation_fee_rate: float


@dataclass(frozen=True, slots=True)
class PublishedRules:
    """What a file says of one symbol; None and empty where it does not say. The days are UTC."""

    market: str
    symbol: str
    base_asset: str = ""
    quote_asset: str = ""
    onboarded_on: dt.date | None = None
    delisted_on: dt.date | None = None
    filters: Filters | None = None
    tiers: tuple[TierRow, ...] = ()
    valid_from: dt.date | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class RulesFile:
    """kind: exchangeInfo, leverageBracket or tiers. as_of: the day of the answer, where it says it."""

    kind: str
    as_of: dt.date | None
    rows: tuple[PublishedRules, ...]
    n_skipped: int = 0  # names that no symbol here has


def parse_rules(name: str, data: bytes, symbols: Collection[str] = ()) -> RulesFile:
    """Read an answer; only `symbols`, where given. Raises IngestError that names the place in it: too_large, not_json,
    unknown_shape, not_supported, bad_field, bad_filter, bad_tiers, symbol_missing, several_rows."""
    raw = _load(name, data)
    as_of = None
    if isinstance(raw, dict) and "symbols" in raw:
        kind, entries, parse = "exchangeInfo", raw["symbols"], _parse_symbol
        if "serverTime" in raw:
            as_of = _day(name, raw, "serverTime")
    else:
        entries = raw if isinstance(raw, list) else [raw]
        first = entries[0] if entries else None
        if isinstance(first, dict) and "brackets" in first:
            kind, parse = "leverageBracket", _parse_brackets
        elif isinstance(first, dict) and "tiers" in first:
            kind, parse = "tiers", _parse_tiers
        else:
            says = "neither an exchangeInfo answer, nor leverageBracket, nor a list of tiers"
            raise IngestError("unknown_shape", f"{name} is {says}. See docs/how_to/import-instruments.md.")
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_SYMBOLS:
        raise IngestError("unknown_shape", f"{name} must list 1 to {MAX_SYMBOLS:,} symbols.")
    return _collect(name, kind, as_of, entries, parse, {symbol.upper() for symbol in symbols})


def _collect(
    name: str,
    kind: str,
    as_of: dt.date | None,
    entries: list[Any],
    parse: Callable[[str, Row], PublishedRules],
    wanted: set[str],
) -> RulesFile:
    rows: list[PublishedRules] = []
    seen: set[tuple[str, dt.date | None]] = set()
    n_skipped = 0
    for i, entry in enumerate(entries):
        where = f"{name}, entry {i + 1}"
        if not isinstance(entry, dict) or not isinstance(entry.get("symbol"), str):
            raise IngestError("bad_field", f"{where}: an object with a symbol is expected.")
        symbol = entry["symbol"]
        if wanted and symbol not in wanted:
            continue
        if not _SYMBOL.fullmatch(symbol):
            n_skipped += 1
            continue
        row = parse(f"{name}, {symbol}", entry)
        if (symbol, row.valid_from) in seen:
            raise IngestError("several_rows", f"{where}: {symbol} is listed twice. Remove one.")
        seen.add((symbol, row.valid_from))
        rows.append(row)
    if missing := wanted - {row.symbol for row in rows}:
        raise IngestError("symbol_missing", f"{name} says nothing of {', '.join(sorted(missing))}.")
    return RulesFile(kind, as_of, tuple(rows), n_skipped)


def _load(name: str, data: bytes) -> Any:
    if len(data) > MAX_JSON_BYTES:
        raise IngestError("too_large", f"{name} is larger than {MAX_JSON_BYTES >> 20} MiB.")

    def refuse(text: str) -> NoReturn:
        raise ValueError(f"{text} is no number")

    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        raise IngestError("not_json", f"{name} is not JSON that can be read ({reason}).") from None


def _parse_symbol(where: str, entry: Row) -> PublishedRules:
    if "contractSize" in entry:
        raise IngestError("not_supported", f"{where}: coin-margined futures are not supported.")
    market = "usdm" if "contractType" in entry else "spot"
    filters = {f.get("filterType"): f for f in _list(where, entry, "filters") if isinstance(f, dict)}
    price, lot = (_filter(where, filters, kind) for kind in ("PRICE_FILTER", "LOT_SIZE"))
    notional = filters.get("NOTIONAL") or _filter(where, filters, "MIN_NOTIONAL")
    name = "notional" if "notional" in notional else "minNotional"
    delisted_on = _day(where, entry, "deliveryDate") if entry.get("deliveryDate") else None
    return PublishedRules(
        market=market,
        symbol=entry["symbol"],
        base_asset=_asset(where, entry, "baseAsset"),
        quote_asset=_asset(where, entry, "quoteAsset"),
        onboarded_on=_day(where, entry, "onboardDate") if entry.get("onboardDate") else None,
        delisted_on=None if delisted_on is None or delisted_on.year >= 2100 else delisted_on,
        filters=Filters(
            tick_size=_number(where, price, "tickSize", above=0),
            step_size=_number(where, lot, "stepSize", above=0),
            min_qty=_number(where, lot, "minQty"),
            min_notional=_number(where, notional, name),
            liquidation_fee_rate=_number(where, entry, "liquidationFee", below=1) if market == "usdm" else 0.0,
        ),
    )


def _parse_brackets(where: str, entry: Row) -> PublishedRules:
    if entry.get("notionalCoef", 1) not in (1, 1.0, "1", "1.0"):
        says = (
            f"{where}: notionalCoef {str(entry['notionalCoef'])[:20]!r} says that the brackets are one account's own."
        )
        raise IngestError("not_supported", f"{says} Import the brackets of an account without it.")
    names = ("notionalFloor", "notionalCap", "maintMarginRatio", "initialLeverage", "cum")
    rows = []
    for i, bracket in enumerate(_list(where, entry, "brackets")):
        if not isinstance(bracket, dict):
            raise IngestError("bad_field", f"{where}, bracket {i + 1}: an object is expected.")
        rows.append([_number(f"{where}, bracket {i + 1}", bracket, name, below=MAX_NOTIONAL) for name in names])
    return PublishedRules("usdm", entry["symbol"], tiers=_to_tiers(where, rows))


def _parse_tiers(where: str, entry: Row) -> PublishedRules:
    if entry.get("market", "usdm") != "usdm":
        raise IngestError("not_supported", f"{where}: only usdm has margin tiers.")
    source = entry.get("source", "")
    if not isinstance(source, str) or len(source) > 200:
        raise IngestError("bad_field", f"{where}: source must be text of at most 200 characters.")
    valid_from = None
    if "valid_from" in entry:
        try:
            valid_from = dt.date.fromisoformat(entry["valid_from"])
        except (TypeError, ValueError):
            raise IngestError("bad_field", f"{where}: valid_from must be a day such as 2025-01-31.") from None
    tiers = read_tiers(where, _list(where, entry, "tiers"))
    return PublishedRules("usdm", entry["symbol"], tiers=tiers, valid_from=valid_from, source=source)


def read_tiers(where: str, raw: object) -> tuple[TierRow, ...]:
    """Tiers as people write them: objects with the fields of TierRow, or lists in their order. The cumulative amount
    may be left out: it follows from the rates. Raises IngestError: bad_field, bad_tiers."""
    if not isinstance(raw, list):
        raise IngestError("bad_field", f"{where}: tiers must be a list.")
    names = ("floor", "cap", "maintenance_rate", "max_leverage", "cumulative")
    rows = []
    for i, tier in enumerate(raw):
        at = f"{where}, tier {i + 1}"
        if isinstance(tier, list) and len(tier) in (4, 5):
            tier = dict(zip(names, tier, strict=False))
        if not isinstance(tier, dict) or tier.keys() - set(names):
            raise IngestError("bad_field", f"{at}: {', '.join(names)} are expected, as an object or a list.")
        given = names if "cumulative" in tier else names[:-1]
        rows.append([_number(at, tier, name, below=MAX_NOTIONAL) for name in given])
    return _to_tiers(where, rows)


def _to_tiers(where: str, rows: list[list[float]]) -> tuple[TierRow, ...]:
    if not 0 < len(rows) <= MAX_TIERS:
        raise IngestError("bad_tiers", f"{where}: 1 to {MAX_TIERS} tiers are expected.")
    tiers: list[TierRow] = []
    for row in sorted(rows):
        expected = tiers[-1].cumulative + row[0] * (row[2] - tiers[-1].maintenance_rate) if tiers else 0.0
        floor, cap, rate, leverage, *cumulative = row
        tiers.append(TierRow(floor, cap, rate, leverage, *(cumulative or [round(expected, 8)])))
    if problem := find_tier_problem(tuple(tiers)):
        raise IngestError("bad_tiers", f"{where}: {problem}")
    return tuple(tiers)


def _filter(where: str, filters: dict[Any, Row], kind: str) -> Row:
    if kind not in filters:
        raise IngestError("bad_filter", f"{where}: it has no {kind} filter. Leave the symbol out with --symbol.")
    return filters[kind]


def _list(where: str, entry: Row, name: str) -> list[Any]:
    value = entry.get(name)
    if not isinstance(value, list):
        raise IngestError("bad_field", f"{where}: {name} must be a list.")
    return value


def _asset(where: str, entry: Row, name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not _ASSET.fullmatch(value):
        raise IngestError("bad_field", f"{where}: {name} must be a short name such as BTC.")
    return value


def _day(where: str, entry: Row, name: str) -> dt.date:
    time_ms = _number(where, entry, name, below=10 * NEVER_MS)
    return dt.datetime.fromtimestamp(min(time_ms, NEVER_MS) / 1000, dt.UTC).date()


def _number(where: str, entry: Row, name: str, *, above: float | None = None, below: float = MAX_SIZE) -> float:
    """A finite number of at least 0 (or above `above`) and below `below`, written as a number or as text."""
    raw = entry.get(name)
    try:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str) or len(str(raw)) > 40:
            raise ValueError
        value = float(raw)
    except (ValueError, OverflowError):
        value = math.nan
    is_enough = value >= 0 if above is None else value > above
    if not (is_enough and value < below):
        least = "0 or more" if above is None else f"above {above:g}"
        shown = repr(raw)[:40] if raw is not None else "missing"
        raise IngestError(
            "bad_field", f"{where}: {name} is {shown}; a number is expected, {least} and below {below:g}."
        )
    return value
