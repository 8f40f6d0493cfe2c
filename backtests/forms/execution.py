"""How orders fill, what they cost and what backs them: the part of the run form that few runs change."""

from collections.abc import Mapping, Sequence

from django import forms

from backtests.engine.request import TIMEFRAME_MS, LimitFill, PathRule
from backtests.forms.params import YES_NO
from backtests.presentation.facts import LIMIT_WORDS, PATH_WORDS
from backtests.presentation.numbers import format_rate
from marketdata.services import SeriesCoverage


class ExecutionForm(forms.Form):
    """The fields of account, margin, costs and fills, each with its default."""

    more_symbols = forms.CharField(label="More symbols", required=False)
    initial_balance = forms.CharField(label="Initial balance", initial="10000")
    margin_mode = forms.ChoiceField(
        label="Margin",
        choices=(("isolated", "Isolated: each position its own"), ("cross", "Cross: one wallet for all")),
        initial="isolated",
        help_text="What a losing position can take with it.",
    )
    leverage = forms.CharField(label="Leverage", initial="1", help_text="For orders that name none. 1 to 125.")
    max_leverage = forms.CharField(label="Leverage at most", initial="125", help_text="Orders above are rejected.")
    funding = forms.ChoiceField(label="Charge funding", choices=YES_NO, initial="true")
    maker_fee = forms.CharField(label="Maker fee", help_text="A ratio: 0.0002 is 0.02 %.")
    taker_fee = forms.CharField(label="Taker fee", help_text="A ratio: 0.0004 is 0.04 %.")
    slippage_bps = forms.CharField(
        label="Slippage", initial="0", help_text="Basis points against every market, stop and take-profit fill."
    )
    fill = forms.ChoiceField(
        label="Market orders fill",
        choices=(("close", "At the bar's close"), ("next_open", "At the next bar's open")),
        initial="close",
    )
    limit_fill = forms.ChoiceField(
        label="Limit orders fill",
        choices=(("touch", "When the price touches them"), ("through", "When the price goes through them")),
        initial="touch",
    )
    intrabar_timeframe = forms.CharField(
        label="Path inside a bar from", help_text="Finer candles say which extreme came first."
    )
    path = forms.ChoiceField(
        label="Where candles do not tell",
        choices=(("pessimistic", "The adverse extreme first"), ("optimistic", "The favourable extreme first")),
        initial="pessimistic",
    )
    participation_cap = forms.CharField(
        label="Highest share of the volume",
        required=False,
        help_text="An order takes at most this ratio of a bar's volume, the rest later: 0.1 is 10 %. Empty: no limit.",
    )
    mode = forms.ChoiceField(
        label="Mode",
        choices=(
            ("draft", "Draft: fast, with the whole span at hand"),
            ("sealed", "Sealed: bar by bar, no future in memory"),
        ),
        initial="draft",
        help_text="For results that others are to believe: sealed. An honest strategy gives the same in both.",
    )
    seed = forms.CharField(label="Seed", initial="0", help_text="Of random and numpy inside the strategy.")
    warmup_bars = forms.CharField(
        label="Warm-up bars",
        required=False,
        help_text="Before the span, for indicators. Empty: what the strategy says.",
    )


def finer_choices(held: Sequence[SeriesCoverage], series: SeriesCoverage, given: str) -> list[tuple[str, str]]:
    """The bars themselves, then the timeframes offered that divide them; a given one that is not held says so."""
    length_ms = TIMEFRAME_MS[series.timeframe]
    finer = {
        row.timeframe: f"{row.timeframe} candles"
        for row in sorted(held, key=lambda row: TIMEFRAME_MS[row.timeframe])
        if (row.market, row.symbol, row.origin) == (series.market, series.symbol, series.origin)
        and is_finer(row.timeframe, length_ms)
    }
    if given and given not in finer and is_finer(given, length_ms):
        finer[given] = f"{given} candles, not held"
    return [("", f"The {series.timeframe} bars"), *finer.items()]


def is_finer(timeframe: str, length_ms: int) -> bool:
    fine_ms = TIMEFRAME_MS.get(timeframe, length_ms)
    return fine_ms < length_ms and not length_ms % fine_ms


def say_costs(shown: Mapping[str, str]) -> str:
    """Costs and fills in one line, usual settings left out; empty while a number is none."""
    try:
        words = [
            f"fills at the {'close' if shown['fill'] == 'close' else 'next open'}",
            f"maker {format_rate(float(shown['maker_fee']))}, taker {format_rate(float(shown['taker_fee']))}",
        ]
        if slippage := float(shown["slippage_bps"] or 0):
            words.append(f"slippage {slippage:g} bps")
        if shown["limit_fill"] == "through":
            words.append(f"limits {LIMIT_WORDS[LimitFill.THROUGH]}")
        if shown["intrabar_timeframe"]:
            words.append(f"path from {shown['intrabar_timeframe']} candles")
        if shown["path"] == "optimistic":
            words.append(PATH_WORDS[PathRule.OPTIMISTIC])
        if cap := shown["participation_cap"]:
            words.append(f"at most {format_rate(float(cap))} of the volume")
    except ValueError:
        return ""
    return ", ".join(words)
