"""What somebody asks to be fetched, checked. Command, page and API all come through here."""

import datetime as dt
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from marketdata.fetch.errors import FetchRefused
from marketdata.fetch.spans import DAY, WantedSeries, parse_period
from marketdata.ingest.binance_archive import MARKET_FOLDERS
from marketdata.timeframes import TIMEFRAME_MS

MAX_SYMBOLS = 50
FIRST_DAY = dt.date(2017, 1, 1)  # the exchange is younger
SYMBOL = re.compile(r"[A-Z0-9]{2,30}(_[0-9]{6})?", re.ASCII)
_TRUE, _FALSE = ("1", "true", "on", "yes"), ("", "0", "false", "off", "no")


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Candles of symbols over [from_day, end_day), with mark price and funding where wanted.

    `is_open`: no end was named, so everything published from from_day on is meant.
    """

    market: str
    symbols: tuple[str, ...]
    timeframe: str
    from_day: dt.date
    end_day: dt.date
    is_open: bool
    mark: bool = False
    funding: bool = False

    @classmethod
    def parse(cls, raw: Mapping[str, Any], today: dt.date) -> Self:
        """Check market, symbols (list, or text with commas or blanks), timeframe, from, to, mark, funding.

        `from` and `to` are months (2025-01) or days (2025-01-31), both included; an empty `to` means up to the newest.
        Raises FetchRefused.
        """
        market = str(raw.get("market") or "").strip().lower()
        if market not in MARKET_FOLDERS:
            raise FetchRefused("market", "unknown_market", f"{_show(market)} is not a market: choose spot or usdm.")
        timeframe = str(raw.get("timeframe") or "").strip()
        if timeframe not in TIMEFRAME_MS:
            names = ", ".join(TIMEFRAME_MS)
            raise FetchRefused("timeframe", "unknown_timeframe", f"{_show(timeframe)} is not one of {names}.")
        mark, funding = _read_flag(raw, "mark"), _read_flag(raw, "funding")
        if market == "spot" and (mark or funding):
            name = "mark" if mark else "funding"
            raise FetchRefused(name, "spot_has_none", "Spot has neither mark prices nor funding rates.")
        symbols = _read_symbols(raw.get("symbols"))
        return cls(market, symbols, timeframe, *_read_span(raw, today), mark=mark, funding=funding)

    def wanted(self) -> tuple[WantedSeries, ...]:
        """The series, symbol by symbol: candles, then mark prices, then funding."""
        span = (self.from_day, self.end_day, self.is_open)
        found = []
        for symbol in self.symbols:
            found.append(WantedSeries(self.market, symbol, "trade", self.timeframe, *span))
            if self.mark:
                found.append(WantedSeries(self.market, symbol, "mark", self.timeframe, *span))
            if self.funding:
                found.append(WantedSeries(self.market, symbol, "funding", "", *span))
        return tuple(found)

    def describe(self) -> str:
        extras = "".join(
            f" + {name}" for name, is_wanted in (("mark", self.mark), ("funding", self.funding)) if is_wanted
        )
        last = "the newest" if self.is_open else f"{self.end_day - DAY}"
        return f"{', '.join(self.symbols)} {self.market} {self.timeframe}{extras}, {self.from_day} to {last}"

    def to_json(self) -> dict[str, Any]:
        """Plain values that `parse` takes again."""
        return {
            "market": self.market,
            "symbols": list(self.symbols),
            "timeframe": self.timeframe,
            "from": self.from_day.isoformat(),
            "to": "" if self.is_open else (self.end_day - DAY).isoformat(),
            "mark": self.mark,
            "funding": self.funding,
        }


def _read_symbols(given: Any) -> tuple[str, ...]:
    words = re.split(r"[\s,]+", given) if isinstance(given, str) else given
    if not isinstance(words, list | tuple):
        raise FetchRefused("symbols", "missing", "Name at least one symbol, such as BTCUSDT.")
    symbols = tuple(dict.fromkeys(str(word).strip().upper() for word in words if str(word).strip()))
    if not symbols:
        raise FetchRefused("symbols", "missing", "Name at least one symbol, such as BTCUSDT.")
    if len(symbols) > MAX_SYMBOLS:
        raise FetchRefused(
            "symbols", "too_many", f"These are {len(symbols)} symbols; fetch at most {MAX_SYMBOLS} at once."
        )
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            text = f"{_show(symbol)} is not a symbol: letters and digits such as BTCUSDT, or BTCUSDT_250627."
            raise FetchRefused("symbols", "bad_symbol", text)
    return symbols


def _read_span(raw: Mapping[str, Any], today: dt.date) -> tuple[dt.date, dt.date, bool]:
    from_day, _ = _read_period(raw, "from")
    if from_day < FIRST_DAY:
        raise FetchRefused("from", "too_early", f"There are no candles before {FIRST_DAY}.")
    if from_day >= today:
        raise FetchRefused("from", "in_future", f"{from_day} is not over yet: files appear the day after.")
    if not str(raw.get("to") or "").strip():
        return from_day, today, True
    _, end_day = _read_period(raw, "to")
    if end_day <= from_day:
        raise FetchRefused("to", "before_from", "The span ends before it begins.")
    if end_day > today.replace(year=today.year + 1, day=1):
        raise FetchRefused("to", "in_future", "The span ends more than a year from now.")
    return from_day, end_day, False


def _read_period(raw: Mapping[str, Any], name: str) -> tuple[dt.date, dt.date]:
    text = str(raw.get(name) or "").strip()
    if not text:
        raise FetchRefused(name, "missing", "Give a month (2025-01) or a day (2025-01-31).")
    try:
        return parse_period(text)
    except (ValueError, OverflowError):
        text = f"{_show(text)} is neither a month (2025-01) nor a day (2025-01-31)."
        raise FetchRefused(name, "bad_date", text) from None


def _read_flag(raw: Mapping[str, Any], name: str) -> bool:
    value = raw.get(name)
    text = "" if value is None else str(value).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise FetchRefused(name, "not_a_boolean", f"{_show(value)} is neither true nor false.")
    return text in _TRUE


def _show(value: Any) -> str:
    return reprlib.repr(value)
