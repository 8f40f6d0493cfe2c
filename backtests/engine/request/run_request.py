"""RunRequest: what a user asks for, validated once. Form, API and command all end here."""

import json
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from backtests.engine.errors import RequestError
from backtests.engine.request.choices import (
    DEFAULT_FEES,
    FillPolicy,
    LimitFill,
    MarginMode,
    PathRule,
    RunMode,
    TradingMarket,
)
from backtests.engine.request.limits import parse_limits
from backtests.engine.request.timeframe import timeframe_to_ms

type ParamValue = float | int | bool | str

MAX_LEVERAGE = 125.0
MAX_SYMBOLS = 20
_show = reprlib.Repr(maxlevel=2, maxstring=60).repr  # a message repeats no more of a refused value
SYMBOL = re.compile(r"[A-Z0-9]{2,30}(_[0-9]{6}|(_[A-Z0-9]{1,12})?_MY)?")  # BTCUSDT, BTCUSDT_250627, a user's BTCUSDT_MY


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One backtest. Rates are ratios, times int64 UTC ms, the span half-open; money in quote currency."""

    market: TradingMarket
    symbols: tuple[str, ...]
    timeframe: str
    from_ms: int
    to_ms: int
    warmup_bars: int = 0
    initial_balance: float = 10_000.0
    margin_mode: MarginMode = MarginMode.ISOLATED
    leverage: float = 1.0  # for orders that name none
    max_leverage: float = MAX_LEVERAGE
    maker_fee: float = 0.0002
    taker_fee: float = 0.0004
    slippage_bps: float = 0.0
    fill: FillPolicy = FillPolicy.CLOSE
    path: PathRule = PathRule.PESSIMISTIC
    limit_fill: LimitFill = LimitFill.TOUCH
    participation_cap: float | None = None
    funding: bool = True
    intrabar_timeframe: str | None = None
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)  # of RUN_LIMITS those that are asked for
    seed: int = 0
    mode: RunMode = RunMode.DRAFT
    data_revision: str = ""

    @property
    def symbol(self) -> str:
        return self.symbols[0]

    @property
    def timeframe_ms(self) -> int:
        return timeframe_to_ms(self.timeframe)

    @property
    def n_bars(self) -> int:
        """Bars in the span when none is missing."""
        return -(-(self.to_ms - self.from_ms) // self.timeframe_ms)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Read form data, JSON or command arguments. Raises RequestError for the first field that makes no sense.

        Accepts `symbol` (text) or `symbols` (list); `from`/`to` (or from_ms/to_ms) as a date, an ISO time or ms.
        """
        known = {f.name for f in fields(cls)} | {"symbol", "from", "to"}
        for name in raw:
            if name not in known:
                # A name out of JSON may hold half of a surrogate pair, which no answer could be written with.
                field = str(name)[:60].encode(errors="replace").decode()
                raise RequestError(field, "unknown_field", f"There is no setting {_show(name)}.")
        market = _choice(raw, "market", TradingMarket, None)
        is_spot = market is TradingMarket.SPOT
        maker_fee, taker_fee = DEFAULT_FEES[market]
        timeframe = str(raw.get("timeframe") or "")
        timeframe_to_ms(timeframe)
        intrabar = _intrabar(raw, timeframe)
        from_ms, to_ms = _time(raw, "from"), _time(raw, "to")
        if to_ms <= from_ms:
            raise RequestError("to", "empty_span", "The end must come after the start.")
        max_leverage = 1.0 if is_spot else _number(raw, "max_leverage", MAX_LEVERAGE, 1, MAX_LEVERAGE)
        leverage = _number(raw, "leverage", 1.0, 1, MAX_LEVERAGE)
        if leverage > max_leverage:
            why = "Spot trades without leverage." if is_spot else f"The run allows at most {max_leverage:g}x."
            raise RequestError("leverage", "leverage_above_limit", f"Leverage {leverage:g}x is too high. {why}")
        return cls(
            market=market,
            symbols=_symbols(raw),
            timeframe=timeframe,
            from_ms=from_ms,
            to_ms=to_ms,
            warmup_bars=_whole(raw, "warmup_bars", 0, 0, 100_000),
            initial_balance=_number(raw, "initial_balance", 10_000.0, 1e-6, 1e12),
            margin_mode=_choice(raw, "margin_mode", MarginMode, MarginMode.ISOLATED),
            leverage=leverage,
            max_leverage=max_leverage,
            maker_fee=_number(raw, "maker_fee", maker_fee, -0.01, 0.1),
            taker_fee=_number(raw, "taker_fee", taker_fee, -0.01, 0.1),
            slippage_bps=_number(raw, "slippage_bps", 0.0, 0, 1_000),
            fill=_choice(raw, "fill", FillPolicy, FillPolicy.CLOSE),
            path=_choice(raw, "path", PathRule, PathRule.PESSIMISTIC),
            limit_fill=_choice(raw, "limit_fill", LimitFill, LimitFill.TOUCH),
            participation_cap=_optional_number(raw, "participation_cap", 1e-6, 1),
            funding=_flag(raw, "funding", True),
            intrabar_timeframe=intrabar,
            params=_params(raw.get("params")),
            limits=parse_limits(raw.get("limits")),
            seed=_whole(raw, "seed", 0, 0, 2**32 - 1),
            mode=_choice(raw, "mode", RunMode, RunMode.DRAFT),
            data_revision=str(raw.get("data_revision") or ""),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values that `parse` reads back into an equal request."""
        values = {k: v.value if isinstance(v, StrEnum) else v for k, v in asdict(self).items()}
        return {**values, "symbols": list(self.symbols), "params": dict(self.params), "limits": dict(self.limits)}


def _is_missing(raw: Mapping[str, Any], name: str) -> bool:
    return raw.get(name) is None or raw.get(name) == ""


def _number(raw: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    if _is_missing(raw, name):
        return default
    value = raw[name]
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(name, "not_a_number", f"{_show(value)} is not a number.") from None
    if not math.isfinite(number) or not low <= number <= high:
        raise RequestError(name, "out_of_range", f"{number:g} must lie between {low:g} and {high:g}.")
    return number


def _optional_number(raw: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    return None if _is_missing(raw, name) else _number(raw, name, 0.0, low, high)


def _whole(raw: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    number = _number(raw, name, default, low, high)
    if number != int(number):
        raise RequestError(name, "not_whole", f"{number:g} is not a whole number.")
    return int(number)


def _flag(raw: Mapping[str, Any], name: str, default: bool) -> bool:
    if _is_missing(raw, name):
        return default
    value = raw[name]
    if isinstance(value, str):
        value = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}.get(
            value.lower(), value
        )
    if not isinstance(value, bool):
        raise RequestError(name, "not_yes_or_no", f"{_show(value)} is neither true nor false.")
    return value


def _choice[E: StrEnum](raw: Mapping[str, Any], name: str, enum: type[E], default: E | None) -> E:
    if _is_missing(raw, name) and default is not None:
        return default
    try:
        return enum(str(raw.get(name)))
    except ValueError:
        names = ", ".join(enum)
        raise RequestError(name, "unknown_choice", f"{_show(raw.get(name))} is not one of: {names}.") from None


def _intrabar(raw: Mapping[str, Any], timeframe: str) -> str | None:
    name = "intrabar_timeframe"
    if _is_missing(raw, name):
        return None
    fine_ms, length_ms = timeframe_to_ms(raw[name], field=name), timeframe_to_ms(timeframe)
    if fine_ms >= length_ms:
        raise RequestError(name, "not_finer", "Finer bars must be shorter than the timeframe.")
    if length_ms % fine_ms:
        raise RequestError(name, "not_a_divisor", f"Bars of {raw[name]} do not fit evenly into bars of {timeframe}.")
    return str(raw[name])


def _symbols(raw: Mapping[str, Any]) -> tuple[str, ...]:
    given = raw.get("symbols") or ([raw["symbol"]] if not _is_missing(raw, "symbol") else [])
    if isinstance(given, str) or not isinstance(given, list | tuple) or not given:
        raise RequestError("symbols", "missing", "Name at least one symbol, for example BTCUSDT.")
    symbols = tuple(str(symbol).strip().upper() for symbol in given)
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            raise RequestError("symbols", "unknown_symbol", f"{_show(symbol)} is not a symbol.")
    if len(set(symbols)) != len(symbols) or len(symbols) > MAX_SYMBOLS:
        raise RequestError("symbols", "bad_list", f"Name each symbol once, at most {MAX_SYMBOLS} of them.")
    return symbols


def _time(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name) if not _is_missing(raw, name) else raw.get(f"{name}_ms")
    if value is None or value == "":
        raise RequestError(name, "missing", f"Say {name} when the run goes, for example 2025-01-31.")
    if isinstance(value, int) and not isinstance(value, bool):
        moment_ms = value
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            moment_ms = round(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            raise RequestError(
                name, "not_a_time", f"{_show(value)} is not a date or an ISO time, such as 2025-01-31."
            ) from None
    if not 0 < moment_ms < 4_102_444_800_000:
        raise RequestError(name, "out_of_range", f"{_show(value)} lies outside 1970 to 2100.")
    return moment_ms


def _params(given: Any) -> dict[str, ParamValue]:
    if given is None or given == "":
        return {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise RequestError("params", "not_json", "The parameters are not a JSON object.") from None
    if not isinstance(given, Mapping):
        raise RequestError("params", "not_an_object", "The parameters must be an object of name and value.")
    for name, value in given.items():
        is_plain = isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
        if not isinstance(name, str) or not name.isidentifier() or not is_plain:
            raise RequestError(
                "params", "bad_param", f"Parameter {_show(name)} = {_show(value)} is not a name with a plain value."
            )
    return dict(given)
