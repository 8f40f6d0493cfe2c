"""What a path says about the candles in it: both layouts, the archive's and a plain folder by timeframe.

data/{spot|futures/um}/{daily|monthly}/{klines|markPriceKlines}/SYMBOL/TIMEFRAME/SYMBOL-TIMEFRAME-YYYY-MM[-DD].zip
data/futures/um/monthly/fundingRate/SYMBOL/SYMBOL-fundingRate-YYYY-MM.zip
data/binance/futures/SYMBOL/TIMEFRAME/SYMBOL-TIMEFRAME-YYYY-MM-DD.csv
"""

import datetime as dt
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from marketdata.ingest.errors import IngestError
from marketdata.timeframes import TIMEFRAME_MS

SUFFIXES = (".zip", ".csv", ".csv.gz")
UNUSED_FOLDERS = {
    "indexPriceKlines": "index price candles",
    "premiumIndexKlines": "premium index candles",
    "aggTrades": "single trades",
    "trades": "single trades",
    "metrics": "open interest metrics",
    "bookTicker": "order book data",
    "bookDepth": "order book data",
}
UNUSED_TIMEFRAMES = {"1s": "candles of a second", "1mo": "candles of a month", "1M": "candles of a month"}
_NAME = re.compile(
    r"(?P<symbol>[A-Z0-9]{2,30}(?:_[0-9]{6})?)-(?P<what>[0-9]{1,2}(?:s|m|h|d|w|mo|M)|fundingRate)"
    r"-(?P<period>[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)(?![0-9A-Za-z-])"
)
_SYMBOL_FOLDER = re.compile(r"[A-Z0-9]{2,26}(?:USDT|USDC|BUSD|FDUSD|TUSD|BTC|ETH|BNB|EUR|TRY)(?:_[0-9]{6})?")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is in a file. `timeframe` is empty for funding; the period [from_ms, to_ms) is 0, 0 where unnamed."""

    market: str
    symbol: str
    kind: str
    timeframe: str
    from_ms: int = 0
    to_ms: int = 0

    @property
    def has_period(self) -> bool:
        return self.to_ms > 0

    @property
    def month(self) -> str:
        """The month that the name says, as 2025-01; empty where it says none."""
        return f"{dt.datetime.fromtimestamp(self.from_ms / 1000, dt.UTC):%Y-%m}" if self.has_period else ""

    @property
    def is_monthly(self) -> bool:
        return self.to_ms - self.from_ms > TIMEFRAME_MS["1d"]


def find_files(folder: Path, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """Everything below a folder that is named like a candle file, in a fixed order; hidden files and checksums are not.

    What is no regular file is found, too, so that it can be refused by name. Links to folders are not followed.
    """
    found = []
    for where, folders, files in os.walk(folder, onerror=on_error):
        found += [Path(where, name) for name in (*folders, *files) if has_suffix(name) and not name.startswith(".")]
    return sorted(found)


def has_suffix(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def is_unused(path: Path) -> str:
    """What the file holds, when it is something that the site has no use for; else empty."""
    unused = next((UNUSED_FOLDERS[part] for part in path.parts if part in UNUSED_FOLDERS), "")
    named = _NAME.match(path.name)
    return unused or UNUSED_TIMEFRAMES.get(named["what"] if named else path.parent.name, "")


def sniff_path(path: Path, *, market: str = "", symbol: str = "", timeframe: str = "") -> FileFacts:
    """Read market, symbol, kind, timeframe and period off a path. The arguments say what the path does not.

    Raises IngestError where they disagree, or where something is said by neither.
    """
    if what := is_unused(path):
        raise IngestError("unused_kind", f"{path.name}: the path says {what}, which are not used here. Leave it out.")
    named = _NAME.match(path.name)
    is_funding = "fundingRate" in path.parts or (named is not None and named["what"] == "fundingRate")
    kind = "funding" if is_funding else "mark" if "markPriceKlines" in path.parts else "trade"
    from_ms, to_ms = _read_period(path, named["period"]) if named else (0, 0)
    name_symbol, name_timeframe = (named["symbol"], named["what"]) if named else _read_folders(path)
    if is_funding:
        name_timeframe = ""
    if name_timeframe and name_timeframe not in TIMEFRAME_MS:
        text = (
            f"{path.name}: candles of {name_timeframe} are not used here. Import candles of {', '.join(TIMEFRAME_MS)}."
        )
        raise IngestError("unknown_timeframe", text)
    _check_folders(path, name_symbol, name_timeframe)
    facts = FileFacts(
        market=_agree(path, "market", _market_of(path), market.strip().lower()),
        symbol=_agree(path, "symbol", name_symbol, symbol.strip().upper()),
        kind=kind,
        timeframe="" if is_funding else _agree(path, "timeframe", name_timeframe, timeframe.strip()),
        from_ms=from_ms,
        to_ms=to_ms,
    )
    if facts.market not in ("spot", "usdm"):
        raise IngestError("unknown_market", f"{path.name}: {facts.market!r} is not a market. Use spot or usdm.")
    if facts.timeframe and facts.timeframe not in TIMEFRAME_MS:
        names = ", ".join(TIMEFRAME_MS)
        raise IngestError("unknown_timeframe", f"{path.name}: {facts.timeframe!r} is not one of {names}.")
    return facts


def _market_of(path: Path) -> str:
    """The market that the nearest telling folder says; empty where none does."""
    for folder in map(str.lower, reversed(path.parts[:-1])):
        if folder == "cm" and "futures" in path.parts:
            text = f"{path.name}: coin-margined futures (futures/cm) are not supported. Leave the file out."
            raise IngestError("unknown_market", text)
        if folder in ("um", "futures", "spot"):
            return "spot" if folder == "spot" else "usdm"
    return ""


def _read_folders(path: Path) -> tuple[str, str]:
    """Symbol and timeframe of a file whose own name says neither: SYMBOL/TIMEFRAME/anything.csv."""
    *_, above, folder = ("", "", *path.parts[:-1])
    if folder not in TIMEFRAME_MS:
        return "", ""
    return (above if _SYMBOL_FOLDER.fullmatch(above) else ""), folder


def _agree(path: Path, field: str, from_path: str, given: str) -> str:
    if from_path and given and from_path != given:
        text = f"{path.name}: the path says {field} {from_path}, but {given} was asked for. Leave --{field} out."
        raise IngestError(f"other_{field}", text)
    if not (from_path or given):
        text = f"{path.name}: neither the path nor the command says the {field}. Give --{field}."
        raise IngestError(f"no_{field}", text)
    return from_path or given


def _check_folders(path: Path, symbol: str, timeframe: str) -> None:
    """The folders right above a file must not name another symbol or timeframe than its name."""
    for folder in path.parts[-3:-1]:
        if symbol and _SYMBOL_FOLDER.fullmatch(folder) and folder != symbol:
            raise IngestError(
                "other_symbol", f"{path.name}: the name says {symbol}, but it lies in {folder}/. Move it."
            )
        if timeframe and folder in TIMEFRAME_MS and folder != timeframe:
            raise IngestError(
                "other_timeframe", f"{path.name}: the name says {timeframe}, but it lies in {folder}/. Move it."
            )


def _read_period(path: Path, text: str) -> tuple[int, int]:
    try:
        if len(text) == len("2025-01"):
            first = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC)
            end = (first + dt.timedelta(days=32)).replace(day=1)
        else:
            first = dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
            end = first + dt.timedelta(days=1)
    except (ValueError, OverflowError):
        raise IngestError("bad_name", f"{path.name}: {text} is not a date. Correct the name.") from None
    return round(first.timestamp() * 1000), round(end.timestamp() * 1000)
