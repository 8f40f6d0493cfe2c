"""The run form: turns catalogue, strategy and typing into the mapping that services.request_from_mapping validates.

No rule lives here. Values that were typed stay as typed; every refusal comes back as a RequestError with its field.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.utils import ErrorDict
from django.urls import reverse_lazy

from accounts.models import User
from backtests import services
from backtests.engine.errors import RequestError
from backtests.engine.request import DEFAULT_FEES, TIMEFRAME_MS, TradingMarket
from backtests.forms.execution import ExecutionForm, finer_choices, say_costs
from backtests.forms.limits import LIMIT, limit_fields, read_limits, say_limits
from backtests.forms.params import param_field
from backtests.forms.series import CoverageStrip, choose_series, cover, span_days, tradable_series
from backtests.models import BacktestRun
from backtests.presentation.figures import quote_asset
from backtests.presentation.numbers import format_day, format_rate, format_seconds
from backtests.runner.sealed_time import estimate_sealed_s
from marketdata.models import Market
from marketdata.rules import FeePreset
from marketdata.services import SeriesCoverage, load_fee_presets
from strategies.models import Strategy, StrategyVersion
from strategies.params import read_warmup_bars

FOLDED = ("maker_fee", "taker_fee", "slippage_bps", "fill", "limit_fill", "path", "intrabar_timeframe",
          "participation_cap", "seed", "warmup_bars")  # fmt: skip
FORM_ONLY = ("csrfmiddlewaretoken", "fee_preset", "more_symbols", "shown_market", "shown_preset", "shown_strategy")
PARAM = "param_"
MAX_NAMED = 20  # symbols in a help text
REFRESHES = {
    # On change the form is drawn anew, with the choices, defaults and estimate that belong to the new choice.
    "hx-get": reverse_lazy("run_new"),
    "hx-trigger": "change",
    "hx-include": "closest form",
    "hx-params": "not csrfmiddlewaretoken",
    "hx-target": "#run-form",
    "hx-swap": "outerHTML",
}


class RunForm(ExecutionForm):
    """Unbound: every field shows a valid default. Bound: what was typed, and `submit` says what is wrong with it."""

    use_required_attribute = False

    strategy = forms.CharField()
    version = forms.CharField(widget=forms.HiddenInput)
    market = forms.CharField()
    symbol = forms.CharField()
    timeframe = forms.CharField()
    shown_market = forms.CharField(widget=forms.HiddenInput)
    shown_preset = forms.CharField(widget=forms.HiddenInput)
    shown_strategy = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, user: User, given: Mapping[str, str], *, is_submitted: bool = False) -> None:
        self.user, self.given = user, given
        self.held = tradable_series(user)
        self.series = choose_series(self.held, given)
        self.strategies = list(Strategy.objects.visible_to(user).active())
        self.strategy_version = self._find_version(given.get("strategy"), given.get("version"))
        super().__init__(given if is_submitted else None)
        self._fill_choices()
        self._fill_execution()
        self._add_spans()
        self._add_fees()
        self._add_params()
        self.fields |= limit_fields(user)
        if not is_submitted:
            self._keep_typed()
        for field in self.fields.values():
            field.widget.attrs.setdefault("autocomplete", "off")

    def full_clean(self) -> None:
        """Nothing: the request and the service validate, for page and API alike."""
        self._errors = ErrorDict()
        self.cleaned_data = {}

    def submit(self) -> BacktestRun | None:
        """Queue the run, or note the refusal at its field and return None."""
        try:
            return services.request_from_mapping(self.user, self.to_mapping())
        except RequestError as error:
            self.add_error(self._field_of(error.field), forms.ValidationError(error.message, code=error.code))
            return None

    def to_mapping(self) -> dict[str, Any]:
        """What was submitted, in the names of the API; param_x fields become params."""
        raw: dict[str, Any] = {}
        params: dict[str, Any] = {}
        for name, value in self.data.items():
            if name in FORM_ONLY:
                continue
            if name.startswith(PARAM):
                params[name.removeprefix(PARAM)] = value
            else:
                raw[name] = value
        raw, limits = read_limits(raw)
        if limits:
            raw["limits"] = limits
        if more := split_symbols(self.data.get("more_symbols", "")):
            raw["symbols"] = [raw.get("symbol", ""), *more]
        return {**raw, "params": params} if params else raw

    @property
    def error_codes(self) -> dict[str, list[str]]:
        return {field: [error.code or "" for error in errors] for field, errors in self.errors.as_data().items()}

    @property
    def error_lines(self) -> list[str]:
        """Each refusal with the label of its field, for the top of the page."""
        lines = []
        for name, errors in self.errors.items():
            text = " ".join(str(error) for error in errors)
            lines.append(text if name == NON_FIELD_ERRORS else f"{self[name].label}: {text}")
        return lines

    @property
    def is_spot(self) -> bool:
        return bool(self.series and self.series.market == Market.SPOT)

    @property
    def param_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(PARAM)]

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """The span that the form shows now; None while it is no span."""
        from_ms, to_ms = (_read_time(str(self[name].value() or "")) for name in ("from", "to"))
        if from_ms is None or to_ms is None:
            return None
        return (from_ms, to_ms) if from_ms < to_ms else None

    @property
    def n_bars(self) -> int | None:
        """Bars of the shown span at the shown timeframe, none missing."""
        if self.series is None or self.span_ms is None:
            return None
        return -(-(self.span_ms[1] - self.span_ms[0]) // TIMEFRAME_MS[self.series.timeframe])

    @property
    def time_text(self) -> str:
        """How long this may take, by the pace of the last draft of the strategy; empty before its first."""
        if self.strategy_version is None or not self.n_bars:
            return ""
        if self["mode"].value() == BacktestRun.Mode.SEALED:
            return f"about {format_seconds(estimate_sealed_s(self.strategy_version.source, self.n_bars))} sealed"
        runs = BacktestRun.objects.visible_to(self.user).filter(
            strategy_version__strategy=self.strategy_version.strategy_id,
            status=BacktestRun.Status.SUCCEEDED,
            mode=BacktestRun.Mode.DRAFT,
        )
        last = runs.exclude(started_at=None).first()
        if last is None or last.started_at is None or last.finished_at is None or not last.summary.get("n_bars"):
            return ""
        seconds = (last.finished_at - last.started_at).total_seconds()
        if seconds < 0.1:  # stored by the command after it had run
            return ""
        return f"about {format_seconds(seconds / last.summary['n_bars'] * self.n_bars)} at the pace of its last run"

    @property
    def gap_text(self) -> str:
        """What is missing of the shown span, in words."""
        if self.series is None or self.span_ms is None:
            return ""
        from_ms, to_ms = self.span_ms
        length_ms = TIMEFRAME_MS[self.series.timeframe]
        missing_ms = sum(max(0, min(end, to_ms) - max(first, from_ms)) for first, end in self.series.gaps)
        return f"of which {missing_ms // length_ms:,} are missing (gaps)" if missing_ms >= length_ms else "none missing"

    @property
    def cost_text(self) -> str:
        """The folded part in one line."""
        return say_costs({name: str(self[name].value() or "") for name in FOLDED})

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(LIMIT)]

    @property
    def limit_text(self) -> str:
        """The folded limits in one line."""
        return say_limits({field.name.removeprefix(LIMIT): str(field.value() or "") for field in self.limit_fields})

    @property
    def has_limit_errors(self) -> bool:
        return any(field.errors for field in self.limit_fields)

    @property
    def has_cost_errors(self) -> bool:
        return any(self[name].errors for name in FOLDED) or self.is_preset_new

    @property
    def has_more_symbols(self) -> bool:
        """Whether there is anything to choose, or was typed."""
        return bool(self.fields["more_symbols"].help_text or self["more_symbols"].value())

    @property
    def quote(self) -> str:
        return quote_asset(self.series.symbol) if self.series else ""

    @property
    def strip(self) -> CoverageStrip | None:
        return cover(self.series, self.span_ms) if self.series else None

    def _find_version(self, strategy_id: str | None, number: str | None) -> StrategyVersion | None:
        strategy = next((row for row in self.strategies if str(row.pk) == strategy_id), None)
        if strategy is None and not strategy_id and self.strategies:
            strategy = self.strategies[0]  # the one changed last
        if strategy is None:
            return None
        is_other = self.given.get("shown_strategy", str(strategy.pk)) != str(strategy.pk)
        if number and not is_other and number.isdecimal() and len(number) < 9:
            return strategy.versions.filter(number=int(number)).first() or strategy.latest_version
        return strategy.latest_version

    def _fill_choices(self) -> None:
        """What is held, each list under the choice above it."""
        series = self.series
        markets = {row.market for row in self.held}
        symbols = {row.symbol for row in self.held if series and row.market == series.market}
        timeframes = {
            row.timeframe: _say_timeframe(row)
            for row in sorted(self.held, key=lambda row: TIMEFRAME_MS[row.timeframe])
            if series and (row.market, row.symbol) == (series.market, series.symbol)
        }
        version = self.strategy_version
        choices: dict[str, tuple[str, list[tuple[str, str]], str]] = {
            "strategy": (
                "Strategy",
                [(str(row.pk), row.name) for row in self.strategies],
                str(version.strategy_id) if version else "",
            ),
            "market": (
                "Market",
                [(value, label) for value, label in Market.choices if value in markets],
                series.market if series else "",
            ),
            "symbol": ("Symbol", [(symbol, symbol) for symbol in sorted(symbols)], series.symbol if series else ""),
            "timeframe": ("Timeframe", list(timeframes.items()), series.timeframe if series else ""),
        }
        for name, (label, options, initial) in choices.items():
            field = self.fields[name]
            field.label, field.initial = label, initial
            field.widget = forms.Select(choices=options, attrs=REFRESHES)
        self.fields["version"].initial = str(version.number) if version else ""
        self.fields["shown_strategy"].initial = str(version.strategy_id) if version else ""
        self.fields["shown_market"].initial = series.market if series else ""

    def _fill_execution(self) -> None:
        """What the chosen series and strategy leave to choose: finer candles, other symbols, warm-up."""
        series, fields = self.series, self.fields
        fields["mode"].widget.attrs |= REFRESHES
        if series is not None:
            options = finer_choices(self.held, series, self.given.get("intrabar_timeframe", ""))
            fields["intrabar_timeframe"].widget = forms.Select(choices=options)
            others = {
                row.symbol
                for row in self.held
                if (row.market, row.timeframe) == (series.market, series.timeframe) and row.symbol != series.symbol
            }
            if others:
                fields["more_symbols"].help_text = f"On the same account. Held at {series.timeframe}: " + ", ".join(
                    sorted(others)[:MAX_NAMED]
                )
        declared = read_warmup_bars(self.strategy_version.source) if self.strategy_version else 0
        fields["warmup_bars"].widget.attrs["placeholder"] = str(declared)

    def _add_spans(self) -> None:
        first, last = span_days(self.series) if self.series else ("", "")
        kind = "date" if len(first) <= 10 else "text"
        for name, label, initial in (("from", "From (UTC)", first), ("to", "To (UTC, not included)", last)):
            widget = forms.TextInput(attrs={"type": kind, **REFRESHES})
            self.fields[name] = forms.CharField(label=label, initial=initial, widget=widget)

    def _add_fees(self) -> None:
        """A schedule that was just chosen fills in its fees; later typing over them wins."""
        market = TradingMarket(self.series.market) if self.series else TradingMarket.USDM
        maker, taker = DEFAULT_FEES[market]
        presets = [preset for preset in load_fee_presets() if preset.market == market]
        wanted = self.given.get("fee_preset", "")
        chosen = next((preset for preset in presets if preset.name == wanted), None)
        self.is_preset_new = chosen is not None and wanted != self.given.get("shown_preset", "")
        if chosen and self.is_preset_new:
            maker, taker = chosen.maker_fee, chosen.taker_fee
        self.fields["maker_fee"].initial, self.fields["taker_fee"].initial = f"{maker:.10g}", f"{taker:.10g}"
        shown = chosen or next((row for row in presets if (row.maker_fee, row.taker_fee) == (maker, taker)), None)
        self.fields["shown_preset"].initial = shown.name if shown else ""
        options = [("", "As typed"), *((preset.name, _say_preset(preset)) for preset in presets)]
        self.fields["fee_preset"] = forms.ChoiceField(
            label="Fee schedule",
            choices=options,
            initial=shown.name if shown else "",
            widget=forms.Select(attrs=REFRESHES),
        )

    def _add_params(self) -> None:
        for spec in self.strategy_version.param_schema if self.strategy_version else []:
            self.fields[f"{PARAM}{spec['name']}"] = param_field(spec)

    def _keep_typed(self) -> None:
        """A redrawn form keeps what was typed, except where another choice has made it meaningless."""
        is_other_market = self.given.get("shown_market", self.fields["market"].initial) != self.fields["market"].initial
        reset = {"strategy", "version", "market", "symbol", "timeframe", "fee_preset"}
        reset |= {name for name in FORM_ONLY if name.startswith("shown_")}
        if is_other_market or self.is_preset_new:
            reset |= {"maker_fee", "taker_fee"}
        if is_other_market and self.is_spot:
            reset |= {"leverage", "max_leverage", "margin_mode"}
        if is_other_market:
            reset |= {"more_symbols"}
        if self.fields["shown_strategy"].initial != self.given.get(
            "shown_strategy", self.fields["shown_strategy"].initial
        ):
            reset |= {"warmup_bars"}
        if not self._is_held(self.given.get("from", ""), self.given.get("to", "")):
            reset |= {"from", "to"}
        for name, field in self.fields.items():
            if name in self.given and name not in reset:
                field.initial = self.given[name]

    def _is_held(self, first: str, last: str) -> bool:
        """Whether a part of the typed span is held of the chosen series (ISO texts sort like times)."""
        if self.series is None or not first or not last:
            return bool(first and last)
        return first < format_day(self.series.end_ms) and last > format_day(self.series.first_ms)

    def _field_of(self, name: str) -> str | None:
        if name.startswith("params."):
            name = PARAM + name.removeprefix("params.")
        name = name.replace("limits.", LIMIT, 1)
        if name == "symbols" and self.data.get("more_symbols"):
            name = "more_symbols"
        name = {"symbols": "symbol", "from_ms": "from", "to_ms": "to"}.get(name, name)
        return name if name in self.fields and not self.fields[name].widget.is_hidden else None


def split_symbols(text: str) -> list[str]:
    """Symbols between commas or spaces."""
    return text.replace(",", " ").split()


def _say_preset(preset: FeePreset) -> str:
    return f"{preset.label}: {format_rate(preset.maker_fee)} / {format_rate(preset.taker_fee)}"


def _say_timeframe(row: SeriesCoverage) -> str:
    built = f", built from {row.built_from}" if row.built_from else ""
    return f"{row.timeframe}{built}{', synthetic' if row.is_synthetic else ''}"


def _read_time(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
