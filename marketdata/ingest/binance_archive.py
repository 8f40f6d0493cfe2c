"""Where the exchange's public archive keeps its files: the only place that knows its folders and file names."""

from dataclasses import dataclass

MARKET_FOLDERS = {"spot": "spot", "usdm": "futures/um"}
KIND_FOLDERS = {"trade": "klines", "mark": "markPriceKlines", "funding": "fundingRate"}


@dataclass(frozen=True, slots=True)
class ArchiveFolder:
    """Where the archive keeps the monthly or daily files of one series."""

    market: str
    kind: str
    symbol: str
    timeframe: str
    is_monthly: bool = True

    @property
    def prefix(self) -> str:
        period = "monthly" if self.is_monthly else "daily"
        folder = f"data/{MARKET_FOLDERS[self.market]}/{period}/{KIND_FOLDERS[self.kind]}/{self.symbol}/"
        return folder if self.kind == "funding" else f"{folder}{self.timeframe}/"

    def key(self, period: str) -> str:
        """The key of one zip; `period` is 2025-01, or 2025-01-31 for a daily file."""
        what = "fundingRate" if self.kind == "funding" else self.timeframe
        return f"{self.prefix}{self.symbol}-{what}-{period}.zip"
