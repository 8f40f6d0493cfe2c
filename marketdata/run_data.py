"""RunData: which candle files, rules and warnings one run has. Stored beside the result, it pins the snapshot."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from marketdata.reading import CandleFiles
from marketdata.rules import InstrumentRules
from marketdata.store import SegmentRef


@dataclass(frozen=True, slots=True)
class RunWarning:
    """Something that a reader of the result must know. `code` is stable; the message may be reworded."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SymbolData:
    """The files of one symbol that a run reads. Gaps are half-open [from_ms, to_ms) stretches without candles.

    `candles` and `fine` hold rows of their source timeframes, from which the bars and the finer bars are built where
    that is another one; `series_name` is the series of `candles`.
    """

    rules: InstrumentRules
    series_name: str
    timeframe: str
    candles: tuple[SegmentRef, ...]
    fine: tuple[SegmentRef, ...] = ()  # finer candles of the span, that resolve the path inside a bar
    fine_timeframe: str = ""
    mark: tuple[SegmentRef, ...] = ()
    mark_timeframe: str = ""
    funding: tuple[SegmentRef, ...] = ()
    n_rows_in_span: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    source_timeframe: str = ""  # empty: `timeframe`
    fine_source_timeframe: str = ""  # empty: `fine_timeframe`

    @property
    def bar_files(self) -> CandleFiles:
        return CandleFiles(self.candles, self.source_timeframe or self.timeframe, self.timeframe)

    @property
    def fine_files(self) -> CandleFiles:
        return CandleFiles(self.fine, self.fine_source_timeframe or self.fine_timeframe, self.fine_timeframe)

    @property
    def mark_files(self) -> CandleFiles:
        return CandleFiles(self.mark, self.mark_timeframe, self.mark_timeframe)

    def to_json(self) -> dict[str, Any]:
        return {
            "rules": self.rules.to_json(),
            "series_name": self.series_name,
            "timeframe": self.timeframe,
            "candles": [ref.to_json() for ref in self.candles],
            "fine": [ref.to_json() for ref in self.fine],
            "fine_timeframe": self.fine_timeframe,
            "mark": [ref.to_json() for ref in self.mark],
            "mark_timeframe": self.mark_timeframe,
            "funding": [ref.to_json() for ref in self.funding],
            "n_rows_in_span": self.n_rows_in_span,
            "gaps": [list(gap) for gap in self.gaps],
            "source_timeframe": self.source_timeframe,
            "fine_source_timeframe": self.fine_source_timeframe,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Reads what older versions have stored, too: they knew no finer and no built candles."""
        return cls(
            rules=InstrumentRules.from_json(raw["rules"]),
            series_name=raw["series_name"],
            timeframe=raw["timeframe"],
            candles=tuple(map(SegmentRef.from_json, raw["candles"])),
            fine=tuple(map(SegmentRef.from_json, raw.get("fine", ()))),
            fine_timeframe=raw.get("fine_timeframe", ""),
            mark=tuple(map(SegmentRef.from_json, raw["mark"])),
            mark_timeframe=raw["mark_timeframe"],
            funding=tuple(map(SegmentRef.from_json, raw["funding"])),
            n_rows_in_span=raw["n_rows_in_span"],
            gaps=tuple((first, end) for first, end in raw["gaps"]),
            source_timeframe=raw.get("source_timeframe", ""),
            fine_source_timeframe=raw.get("fine_source_timeframe", ""),
        )


@dataclass(frozen=True, slots=True)
class RunData:
    """What one run reads, the primary symbol first."""

    symbols: tuple[SymbolData, ...]
    data_revision: str
    warnings: tuple[RunWarning, ...] = ()
    is_synthetic: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` reads back into an equal RunData."""
        return {
            "symbols": [symbol.to_json() for symbol in self.symbols],
            "data_revision": self.data_revision,
            "warnings": [asdict(warning) for warning in self.warnings],
            "is_synthetic": self.is_synthetic,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        return cls(
            symbols=tuple(map(SymbolData.from_json, raw["symbols"])),
            data_revision=raw["data_revision"],
            warnings=tuple(RunWarning(**warning) for warning in raw["warnings"]),
            is_synthetic=raw["is_synthetic"],
        )


def name_data(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Of stored run data: its revision, and of each symbol the series, of built bars the timeframe they are of, and the
    exchange's rules with their days and sources."""
    sources, rules = [], []
    for symbol in raw.get("symbols", ()):
        data = SymbolData.from_json(symbol)
        files = data.bar_files
        rules.append(data.rules.describe())
        built_from = files.source_timeframe if files.is_built else None
        name = {"symbol": symbol["rules"]["symbol"], "series": symbol["series_name"]}
        sources.append({**name, "built_from": built_from})
    return {"sources": sources, "rules": rules, "data_revision": raw.get("data_revision", "")}


def compute_data_revision(symbols: Iterable[SymbolData]) -> str:
    """SHA-256 over the ordered hashes of every segment that a run reads: candles, mark, funding, symbol by symbol.

    Finer candles, and what candles are built from, are in it where a run has any, so that runs without them keep the
    revision they always had.
    """
    digest = hashlib.sha256()
    for symbol in symbols:
        candles = "candles" + _say_source(symbol.bar_files)
        kinds = [(candles, symbol.candles), ("mark", symbol.mark), ("funding", symbol.funding)]
        if symbol.fine_timeframe:
            kinds.append((f"finer {symbol.fine_timeframe}{_say_source(symbol.fine_files)}", symbol.fine))
        for name, refs in kinds:
            digest.update(f"{symbol.rules.market} {symbol.rules.symbol} {name} {symbol.timeframe}\n".encode())
            digest.update("".join(f"{ref.sha256}\n" for ref in refs).encode())
    return digest.hexdigest()


def _say_source(files: CandleFiles) -> str:
    return f" of {files.source_timeframe}" if files.is_built else ""
