"""Shapes of runs in the API. Input is only described here; RunRequest and the services validate it."""

import uuid
from enum import IntEnum
from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from backtests.data_checks import check_run, check_runs
from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason, SizeKind
from backtests.engine.request import RUN_LIMITS, FillPolicy, LimitFill, MarginMode, PathRule, RunMode, TradingMarket
from backtests.models import BacktestRun
from backtests.operations.line import find_places
from backtests.presentation.checks import CHECK_STATUSES, CheckView
from backtests.presentation.live import STAGES, percent_done, stage_of


def _words(codes: type[IntEnum]) -> list[str]:
    return [code.name.lower() for code in codes]


OBJECT = {"type": "object", "additionalProperties": True}
NUMBERS = {"type": "object", "additionalProperties": {"type": "number", "nullable": True}}


class RunRequestSerializer(serializers.Serializer[Any]):
    """A run to start. Rates are ratios, money is in quote currency, the span is half-open and UTC."""

    strategy = serializers.UUIDField()
    version = serializers.IntegerField(required=False, help_text="Default: the latest version.")
    market = serializers.ChoiceField(choices=[market.value for market in TradingMarket])
    symbol = serializers.CharField(required=False, help_text="Or `symbols`, a list.")
    symbols = serializers.ListField(child=serializers.CharField(), required=False)
    timeframe = serializers.CharField(help_text="1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 3d, 1w")
    to = serializers.CharField(help_text="A day, an ISO time or ms since 1970; not included.")
    warmup_bars = serializers.IntegerField(
        required=False, help_text="Before the span, for indicators only. Default: what the strategy's class says."
    )
    initial_balance = serializers.FloatField(required=False, default=10_000)
    margin_mode = serializers.ChoiceField(
        choices=[mode.value for mode in MarginMode],
        required=False,
        default="isolated",
        help_text="isolated: each position has a margin of its own; cross: all share the wallet.",
    )
    leverage = serializers.FloatField(required=False, default=1, help_text="For orders that name none; 1 to 125.")
    max_leverage = serializers.FloatField(required=False, default=125, help_text="Orders above it are rejected.")
    maker_fee = serializers.FloatField(required=False, help_text="Default: 0.0002 futures, 0.001 spot.")
    taker_fee = serializers.FloatField(required=False, help_text="Default: 0.0004 futures, 0.001 spot.")
    slippage_bps = serializers.FloatField(required=False, default=0)
    fill = serializers.ChoiceField(
        choices=[policy.value for policy in FillPolicy],
        required=False,
        default="close",
        help_text="Market orders fill at the bar's close, or at the next bar's open.",
    )
    limit_fill = serializers.ChoiceField(
        choices=[rule.value for rule in LimitFill],
        required=False,
        default="touch",
        help_text="Limit orders fill when the price touches them, or only when it goes through them.",
    )
    path = serializers.ChoiceField(
        choices=[rule.value for rule in PathRule],
        required=False,
        default="pessimistic",
        help_text="Inside a finest bar the adverse extreme comes first, or the favourable one.",
    )
    intrabar_timeframe = serializers.CharField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Walk the path inside a bar in finer candles, such as 1m, which must be held for the whole span.",
    )
    participation_cap = serializers.FloatField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The most that orders take of a finest bar's volume, as a ratio; the rest fills later. Default: all.",
    )
    funding = serializers.BooleanField(required=False, default=True)
    params = serializers.DictField(required=False, help_text="Values for the parameters that the strategy declares.")
    limits = serializers.DictField(
        child=serializers.IntegerField(min_value=1),
        required=False,
        help_text=f"Lower limits than those of your plan, for this run alone: {', '.join(RUN_LIMITS)}. "
        "/account/ has the plan's.",
    )
    seed = serializers.IntegerField(required=False, default=0)
    mode = serializers.ChoiceField(
        choices=[mode.value for mode in RunMode],
        required=False,
        default="draft",
        help_text="sealed: the strategy's process is shown one bar at a time, and no later one is in its memory. "
        "Slower, with the same result for a strategy that does not look ahead.",
    )
    data_revision = serializers.CharField(required=False, help_text="Refuse unless the data is exactly this.")

    def get_fields(self) -> dict[str, Any]:
        from_field = serializers.CharField(help_text="A day, an ISO time or ms since 1970; included.")
        return {**super().get_fields(), "from": from_field}


class StrategyRefSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    sha256 = serializers.CharField()
    look_ahead_check = serializers.ChoiceField(
        choices=CHECK_STATUSES, help_text="Of this version: see /strategies/{id}/versions/{number}/check/."
    )


class ProgressSerializer(serializers.Serializer[Any]):
    stage = serializers.ChoiceField(choices=list(STAGES))
    queue_position = serializers.IntegerField(allow_null=True, help_text="1 is next. Null unless queued.")
    percent = serializers.IntegerField(allow_null=True)
    n_done = serializers.IntegerField(allow_null=True)
    n_total = serializers.IntegerField(allow_null=True)
    bars_per_s = serializers.FloatField(allow_null=True)
    eta_s = serializers.FloatField(allow_null=True)
    equity = serializers.FloatField(allow_null=True)


class FailureSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    source_line = serializers.CharField(allow_blank=True)
    bar_time_ms = serializers.IntegerField(allow_null=True)
    traceback = serializers.CharField(allow_blank=True)
    log_tail = serializers.ListField(child=serializers.CharField())


class DifferenceSerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    kind = serializers.ChoiceField(choices=["candles", "finer", "mark", "funding"])
    timeframe = serializers.CharField(allow_blank=True, help_text="Of the rows; empty for funding.")
    n_rows_that_differ = serializers.IntegerField()
    first_ms = serializers.IntegerField()
    last_ms = serializers.IntegerField()


class DataRevisedSerializer(serializers.Serializer[Any]):
    """Whether the candles that the run has read are different now, in its span or its warm-up."""

    is_revised = serializers.BooleanField()
    is_gone = serializers.BooleanField(help_text="A series that the run has read is not held any more.")
    n_bars_that_differ = serializers.IntegerField(allow_null=True, help_text="Null: the files cannot be compared.")
    n_marks_that_differ = serializers.IntegerField(allow_null=True)
    n_funding_events_that_differ = serializers.IntegerField(allow_null=True)
    series = DifferenceSerializer(many=True)


class RunListSerializer(serializers.ListSerializer[BacktestRun]):
    """Looks after the data of all its runs at once."""

    def to_representation(self, data: Any) -> Any:
        runs = list(data)
        self.context["data_checks"] = check_runs(runs)  # type: ignore[index]  # a dict, typed as a mapping
        return super().to_representation(runs)


class RunSerializer(serializers.ModelSerializer[BacktestRun]):
    """A run: its request, where it stands, and what came out. `summary` is what the page and the command show."""

    strategy = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    failure = serializers.SerializerMethodField()
    metrics = serializers.SerializerMethodField(help_text="By name; null where not available. See /backtests/metrics/.")
    data_revised = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = BacktestRun
        list_serializer_class = RunListSerializer
        fields = (
            "id", "status", "strategy", "market", "symbol", "timeframe", "mode", "from_ms", "to_ms", "request",
            "data_revision", "data_revised", "cancel_requested", "progress", "attempt", "created_at", "started_at",
            "finished_at", "failure", "is_ruined", "result_hash", "metrics", "summary", "links",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(StrategyRefSerializer)
    def get_strategy(self, run: BacktestRun) -> dict[str, Any]:
        version = run.strategy_version
        return {
            "id": str(version.strategy_id),
            "name": version.strategy.name,
            "version": version.number,
            "sha256": version.sha256,
            "look_ahead_check": CheckView(getattr(version, "lookahead_check", None)).status,
        }

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, run: BacktestRun) -> dict[str, Any]:
        names = ("n_done", "n_total", "bars_per_s", "eta_s", "equity")
        shown = {name: run.progress.get(name) for name in names}
        place = self._places().get(run.pk) if run.status == BacktestRun.Status.QUEUED else None
        return {
            "stage": stage_of(run),
            "queue_position": place,
            "percent": percent_done(run.progress),
            **shown,
        }

    def _places(self) -> dict[uuid.UUID, int]:
        """Read once for all runs of an answer."""
        context = cast(dict[str, Any], self.context)
        places: dict[uuid.UUID, int] = context["places"] if "places" in context else find_places()
        context["places"] = places
        return places

    @extend_schema_field(FailureSerializer(allow_null=True))
    def get_failure(self, run: BacktestRun) -> dict[str, Any] | None:
        if run.status != BacktestRun.Status.FAILED:
            return None
        found = run.failure or {}
        return {
            "code": run.failure_code,
            "message": found.get("message", ""),
            "line": found.get("line") or None,
            "source_line": found.get("source_line", ""),
            "bar_time_ms": found.get("bar_time_ms"),
            "traceback": found.get("traceback", ""),
            "log_tail": found.get("log_tail", []),
        }

    @extend_schema_field(NUMBERS)
    def get_metrics(self, run: BacktestRun) -> dict[str, Any]:
        return dict(run.summary.get("metrics", {}))

    @extend_schema_field(DataRevisedSerializer(allow_null=True))
    def get_data_revised(self, run: BacktestRun) -> dict[str, Any] | None:
        """Null while the run is not finished."""
        checks = self.context.get("data_checks")
        check = check_run(run) if checks is None else checks.get(run.pk)
        if check is None:
            return None
        return {
            "is_revised": check.is_revised,
            "is_gone": check.is_gone,
            "n_bars_that_differ": check.n_bars,
            "n_marks_that_differ": check.n_marks,
            "n_funding_events_that_differ": check.n_funding,
            "series": check.differences,
        }

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "format": "uri"}})
    def get_links(self, run: BacktestRun) -> dict[str, str]:
        request = self.context.get("request")
        names = {
            "self": "api_backtest",
            "cancel": "api_backtest_cancel",
            "orders": "api_backtest_orders",
            "trades": "api_backtest_trades",
            "equity": "api_backtest_equity",
            "page": "run_detail",
        }
        return {key: reverse(name, kwargs={"run_id": run.pk}, request=request) for key, name in names.items()}


class MetricSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # declared fields leave the class before it is built
    group = serializers.CharField()
    unit = serializers.CharField(help_text="ratio (a fraction), number, count, quote (quote currency), leverage")
    formula = serializers.CharField()


class TradeSerializer(serializers.Serializer[Any]):
    """A round trip. Money in quote currency; pnl = gross_pnl - fees + funding - liquidation_loss + covered."""

    trade_id = serializers.IntegerField()
    symbol = serializers.CharField()
    side = serializers.IntegerField(help_text="+1 long, -1 short")
    i_bar_entry = serializers.IntegerField()
    i_bar_exit = serializers.IntegerField(allow_null=True)
    entry_ms = serializers.IntegerField()
    exit_ms = serializers.IntegerField(allow_null=True, help_text="Null while open.")
    qty = serializers.FloatField(help_text="Opened in all.")
    entry_price = serializers.FloatField()
    exit_price = serializers.FloatField(allow_null=True)
    closed_qty = serializers.FloatField(help_text="So far.")
    leverage = serializers.FloatField()
    initial_margin = serializers.FloatField()
    gross_pnl = serializers.FloatField()
    fees = serializers.FloatField()
    funding = serializers.FloatField(help_text="Positive when received.")
    liquidation_loss = serializers.FloatField()
    covered = serializers.FloatField(help_text="Of losses beyond the margin, borne by the insurance fund.")
    pnl = serializers.FloatField()
    mae = serializers.FloatField()
    mfe = serializers.FloatField()
    n_fills = serializers.IntegerField()
    exit_reason = serializers.ChoiceField(choices=_words(ExitReason))
    is_ambiguous = serializers.BooleanField(
        help_text="A bar of it does not tell which extreme came first; the other order would have changed its fills."
    )
    tag = serializers.CharField(allow_blank=True)


class OrderSerializer(serializers.Serializer[Any]):
    """An order with its end. Null: not given, or not known yet."""

    order_id = serializers.IntegerField()
    parent_id = serializers.IntegerField(allow_null=True, help_text="The entry that an attached order belongs to.")
    i_bar = serializers.IntegerField(help_text="Submitted at the close of this bar.")
    time_ms = serializers.IntegerField()
    symbol = serializers.CharField()
    side = serializers.IntegerField(help_text="+1 buy, -1 sell")
    kind = serializers.ChoiceField(choices=_words(OrderKind))
    size_kind = serializers.ChoiceField(choices=_words(SizeKind))
    size = serializers.FloatField(allow_null=True, help_text="As asked; what it counts is in size_kind.")
    qty = serializers.FloatField(allow_null=True, help_text="What that came to, in base units.")
    limit_price = serializers.FloatField(allow_null=True)
    stop_price = serializers.FloatField(allow_null=True, help_text="The trigger; of a trailing stop its last level.")
    trailing_ratio = serializers.FloatField(allow_null=True)
    share = serializers.FloatField(allow_null=True, help_text="Of its entry, that a take-profit closes.")
    leverage = serializers.FloatField(allow_null=True)
    is_reduce_only = serializers.BooleanField()
    is_post_only = serializers.BooleanField()
    good_for_bars = serializers.IntegerField(help_text="0: until cancelled.")
    status = serializers.ChoiceField(choices=_words(OrderStatus))
    reason = serializers.ChoiceField(choices=_words(Reason), help_text="Why it was rejected, cancelled or expired.")
    filled_qty = serializers.FloatField()
    average_price = serializers.FloatField(allow_null=True)
    i_bar_done = serializers.IntegerField(allow_null=True)
    tag = serializers.CharField(allow_blank=True)


class OrderPageSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = OrderSerializer(many=True)


class TradePageSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = TradeSerializer(many=True)


class EquitySerializer(serializers.Serializer[Any]):
    """The account at the close of one bar."""

    time_ms = serializers.IntegerField()
    wallet_balance = serializers.FloatField()
    unrealised_pnl = serializers.FloatField()
    margin_balance = serializers.FloatField()
    position_qty = serializers.FloatField()
    exposure = serializers.FloatField(allow_null=True)
    margin_ratio = serializers.FloatField(allow_null=True)


class EquityPageSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = EquitySerializer(many=True)
