"""What a path says about the candles in it: both layouts, the archive's and a plain folder by timeframe.

data/{spot|futures/um}/{daily|monthly}/{klines|markPriceKlines}/SYMBOL/TIMEFRAME/SYMBOL-TIMEFRAME-YYYY-MM[-DD].zip
data/futures/um/monthly/fundingRate/SYMBOL/SYMBOL-fundingRate-YYYY-MM.zip
data/binance/futures/SYMBOL/TIMEFRAME/SYMBOL-TIMEFRAME-YYYY-MM-DD.csv
"""

import datetime as dt
import re
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
_NAME = re.compile(
    r"(?P<symbol>[A-Z0-9]{2,30}(?:_[0-9]{6})?)-(?P<what>[0-9]{1,2}(?:s|m|h|d|w|mo|M)|fundingRate)"
    r"-(?P<period>[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)"
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


def find_files(folder: Path) -> list[Path]:
    """Every candle file below a folder, in a fixed order; hidden files and checksums are none."""
    found = [
        path
        for path in folder.rglob("*")
        if path.name.endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(found)


def is_unused(path: Path) -> str:
    """What the file holds, when it is something that the site has no use for; else empty."""
    return next((UNUSED_FOLDERS[part] for part in path.parts if part in UNUSED_FOLDERS), "")


def sniff_path(path: Path, *, market: str = "", symbol: str = "", timeframe: str = "") -> FileFacts:
    """Read market, symbol, kind, timeframe and period off a path. The arguments say what the path does not.

    Raises IngestError where they disagree, or where something is said by neither.
    """
    if what := is_unused(path):
        raise IngestError("unused_kind", f"{path.name}: the folder says {what}, which are not used here.")
    named = _NAME.match(path.name)
    is_funding = "fundingRate" in path.parts or (named is not None and named["what"] == "fundingRate")
    kind = "funding" if is_funding else "mark" if "markPriceKlines" in path.parts else "trade"
    from_ms, to_ms = _read_period(path, named["period"]) if named else (0, 0)
    name_timeframe = "" if named is None or is_funding else named["what"]
    if name_timeframe and name_timeframe not in TIMEFRAME_MS:
        raise IngestError("unknown_timeframe", f"{path.name}: candles of {name_timeframe} are not used here.")
    _check_folders(path, named["symbol"] if named else "", name_timeframe)
    facts = FileFacts(
        market=_agree(path, "market", _market_of(path), market.strip().lower()),
        symbol=_agree(path, "symbol", named["symbol"] if named else "", symbol.strip().upper()),
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
    folders = [part.lower() for part in path.parts[:-1]]
    if "cm" in folders and "futures" in folders:
        raise IngestError("unknown_market", f"{path.name}: coin-margined futures (futures/cm) are not supported.")
    if "um" in folders or "futures" in folders:
        return "usdm"
    return "spot" if "spot" in folders else ""


def _agree(path: Path, field: str, from_path: str, given: str) -> str:
    if from_path and given and from_path != given:
        text = f"{path.name}: the path says {field} {from_path}, but {given} was asked for."
        raise IngestError(f"other_{field}", text)
    if not (from_path or given):
        text = f"{path.name}: neither the path nor the command says the {field}. Give --{field}."
        raise IngestError(f"no_{field}", text)
    return from_path or given


def _check_folders(path: Path, symbol: str, timeframe: str) -> None:
    """The folders right above a file must not name another symbol or timeframe than its name."""
    for folder in path.parts[-3:-1]:
        if symbol and _SYMBOL_FOLDER.fullmatch(folder) and folder != symbol:
            raise IngestError("other_symbol", f"{path.name}: the name says {symbol}, but it lies in {folder}/.")
        if timeframe and folder in TIMEFRAME_MS and folder != timeframe:
            raise IngestError("other_timeframe", f"{path.name}: the name says {timeframe}, but it lies in {folder}/.")


def _read_period(path: Path, text: str) -> tuple[int, int]:
    try:
        if len(text) == len("2025-01"):
            first = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC)
            end = (first + dt.timedelta(days=32)).replace(day=1)
        else:
            first = dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
            end = first + dt.timedelta(days=1)
    except (ValueError, OverflowError):
        raise IngestError("bad_name", f"{path.name}: {text} is not a date.") from None
    return round(first.timestamp() * 1000), round(end.timestamp() * 1000)
