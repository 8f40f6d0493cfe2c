"""What the exchange says about instruments, from a file into dated rows: all of a file, or nothing of it."""

import datetime as dt
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.db import IntegrityError, transaction

from marketdata.ingest.errors import IngestError, printable
from marketdata.ingest.exchange_rules import MAX_JSON_BYTES, PublishedRules, RulesFile, parse_rules
from marketdata.ingest.packing import read_regular
from marketdata.instruments import FILTERS, INFERRED, load_defaults_of, split_symbol
from marketdata.models import FilterSet, Instrument, MarginTierSet
from marketdata.segments import Change

EARLIEST = dt.date(2017, 1, 1)  # the exchange opened in July


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What became of one set of rules. what: instrument, filters or margin tiers."""

    market: str
    symbol: str
    what: str
    change: Change
    valid_from: dt.date | None = None

    def __str__(self) -> str:
        day = f" of {self.valid_from}" if self.valid_from else ""
        return f"{self.symbol} {self.market}: {self.what}{day} {self.change.value}"


@dataclass(slots=True)
class RulesOutcome:
    kind: str
    changes: list[RuleChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, change: Change) -> int:
        return sum(found.change is change for found in self.changes)


def import_instruments(
    path: str | Path, *, market: str = "", as_of: dt.date | None = None, symbols: Collection[str] = ()
) -> RulesOutcome:
    """Take in an exchangeInfo, leverageBracket or tiers file.

    Rules equal to those in force on their day change nothing; others make a new dated set, or replace the one of the
    same day. Inferred filters give way to published ones. Raises IngestError, and then nothing was written.
    """
    path = Path(path)
    return import_rules(path.name, read_regular(path, MAX_JSON_BYTES), market=market, as_of=as_of, symbols=symbols)


def import_rules(
    name: str, data: bytes, *, market: str = "", as_of: dt.date | None = None, symbols: Collection[str] = ()
) -> RulesOutcome:
    """`import_instruments` of bytes that are at hand."""
    file = parse_rules(name, data, symbols)
    outcome = RulesOutcome(file.kind)
    if file.n_skipped:
        outcome.notes.append(f"skipped: {file.n_skipped} symbols whose names are not used here")
    try:
        with transaction.atomic():
            load_defaults_of({(row.market, row.symbol) for row in file.rows})
            for row in file.rows:
                if market and row.market != market:
                    text = f"{name}, {row.symbol}: the file is of {row.market}, but {market} was asked for."
                    raise IngestError("other_market", text)
                _store(row, _choose_day(name, file, row, as_of), _describe_source(name, file, row), outcome)
    except IntegrityError as error:
        raise IngestError("bad_field", f"{name} says what cannot be: {error}.") from error
    return outcome


def _choose_day(name: str, file: RulesFile, row: PublishedRules, as_of: dt.date | None) -> dt.date:
    day = as_of or row.valid_from or file.as_of
    if day is None:
        raise IngestError("no_date", f"{name} does not say of which day it is. Give --as-of, such as 2025-01-31.")
    if not EARLIEST <= day <= dt.datetime.now(dt.UTC).date() + dt.timedelta(days=366):
        raise IngestError("bad_date", f"{name}: {day} is not a day on which these rules can begin to hold.")
    return day


def _describe_source(name: str, file: RulesFile, row: PublishedRules) -> str:
    if row.source:
        return printable(row.source)
    return printable(f"Binance {file.kind}, {row.market}, imported from {name}")[:200]


def _store(row: PublishedRules, day: dt.date, source: str, outcome: RulesOutcome) -> None:
    instrument = _store_instrument(row, outcome)
    if row.filters is not None:
        numbers = asdict(row.filters)
        instrument.filter_sets.filter(source=INFERRED).delete()
        change = _store_filters(instrument, day, source, numbers)
        outcome.changes.append(RuleChange(row.market, row.symbol, "filters", change, day))
    if row.tiers:
        tiers = [asdict(tier) for tier in row.tiers]
        change = _store_tiers(instrument, day, source, tiers)
        outcome.changes.append(RuleChange(row.market, row.symbol, "margin tiers", change, day))


def _store_instrument(row: PublishedRules, outcome: RulesOutcome) -> Instrument:
    base, quote = split_symbol(row.symbol)
    facts: dict[str, str | dt.date | None] = {
        "base_asset": row.base_asset or base,
        "quote_asset": row.quote_asset or quote,
    }
    if row.filters is not None:  # only an exchangeInfo answer knows the days
        facts |= {"onboarded_on": row.onboarded_on, "delisted_on": row.delisted_on}
    held, is_new = Instrument.objects.shared().get_or_create(market=row.market, symbol=row.symbol, defaults=facts)
    said = {name: value for name, value in facts.items() if value and row.filters is not None}
    is_revised = not is_new and any(getattr(held, name) != value for name, value in said.items())
    if is_revised:
        for name, value in said.items():
            setattr(held, name, value)
        held.save(update_fields=list(said))
    change = Change.NEW if is_new else Change.REVISED if is_revised else Change.UNCHANGED
    outcome.changes.append(RuleChange(row.market, row.symbol, "instrument", change))
    return held


def _store_filters(instrument: Instrument, day: dt.date, source: str, numbers: dict[str, float]) -> Change:
    held = instrument.filter_sets.filter(valid_from__lte=day).order_by("-valid_from").first()
    if held is not None and all(getattr(held, name) == numbers[name] for name in FILTERS):
        return Change.UNCHANGED
    _, is_new = FilterSet.objects.update_or_create(
        instrument=instrument, valid_from=day, defaults={"source": source, **numbers}
    )
    return Change.NEW if is_new else Change.REVISED


def _store_tiers(instrument: Instrument, day: dt.date, source: str, tiers: list[dict[str, float]]) -> Change:
    held = instrument.margin_tier_sets.filter(valid_from__lte=day).order_by("-valid_from").first()
    if held is not None and held.tiers == tiers:
        return Change.UNCHANGED
    _, is_new = MarginTierSet.objects.update_or_create(
        instrument=instrument, valid_from=day, defaults={"source": source, "tiers": tiers}
    )
    return Change.NEW if is_new else Change.REVISED
