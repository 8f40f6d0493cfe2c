"""What is held, and its candles, as JSON."""

from collections import defaultdict
from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.errors import RefusalSerializer, Refused
from accounts.models import User
from marketdata.api.serializers import HistorySerializer, SymbolSerializer
from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.errors import HistoryError
from marketdata.history import DEFAULT_LIMIT, MAX_LIMIT, HistoryQuery, read_history
from marketdata.instruments import FILTERS
from marketdata.models import Instrument, Market, Series
from marketdata.offers import offered_timeframes
from marketdata.timeframes import TIMEFRAME_MS


class SymbolsView(APIView):
    """Every instrument with its dated rules, the series that are held of it, and the timeframes that they give."""

    @extend_schema(operation_id="data_symbols", responses=SymbolSerializer(many=True), tags=["data"])
    def get(self, request: Request) -> Response:
        held: dict[tuple[str, str], list[SeriesCoverage]] = defaultdict(list)
        user = cast(User, request.user)
        for coverage in catalogue(Series.objects.visible_to(user)):
            held[coverage.market, coverage.symbol].append(coverage)
        instruments = Instrument.objects.visible_to(user).prefetch_related("filter_sets", "margin_tier_sets")
        return Response([_describe(row, held[row.market, row.symbol]) for row in instruments])


class HistoryView(APIView):
    """Candles, oldest first, as the exchange made them or built from shorter ones; synthetic ones say so.

    A built candle that is not wholly held is left out; one that lacks some of its rows is there, not `complete`.

    With `start_date` the first `limit` candles from there on, and `next_start_ms` for the next page; without it the
    last `limit` candles before `end_date`.
    """

    @extend_schema(
        operation_id="data_history",
        parameters=[
            OpenApiParameter("market", str, required=True, enum=Market.values),
            OpenApiParameter("symbol", str, required=True, description="For example BTCUSDT."),
            OpenApiParameter("timeframe", str, required=True, enum=list(TIMEFRAME_MS)),
            OpenApiParameter("start_date", str, description="A day, an ISO time or ms since 1970; UTC, included."),
            OpenApiParameter("end_date", str, description="Like start_date; not included."),
            OpenApiParameter("limit", int, description=f"1 to {MAX_LIMIT}; {DEFAULT_LIMIT} where it is not given."),
        ],
        responses={200: HistorySerializer, 400: RefusalSerializer, 404: RefusalSerializer},
        tags=["data"],
    )
    def get(self, request: Request) -> Response:
        try:
            history = read_history(HistoryQuery.parse(request.query_params.dict()), cast(User, request.user))
        except HistoryError as error:
            status_code = 404 if error.code == "no_such_series" else 400
            raise Refused(error.field, error.code, error.message, status_code) from error
        coverage = history.coverage
        return Response(
            {
                "market": coverage.market,
                "symbol": coverage.symbol,
                "timeframe": history.timeframe,
                "source_timeframe": coverage.timeframe,
                "is_synthetic": coverage.is_synthetic,
                "revision": coverage.revision,
                "next_start_ms": history.next_start_ms,
                "candles": history.rows(),
            }
        )


def _describe(instrument: Instrument, held: list[SeriesCoverage]) -> dict[str, Any]:
    shown = ("kind", "timeframe", "is_synthetic", "n_rows", "first_ms", "last_ms", "end_ms", "gaps")
    offered = ("timeframe", "is_synthetic", "first_ms", "end_ms", "n_rows", "gaps")
    counts = ("n_no_trade", "n_off_grid", "n_duplicates", "revision")
    return {
        **{name: getattr(instrument, name) for name in ("market", "symbol", "base_asset", "quote_asset")},
        "filters": [
            {name: getattr(row, name) for name in ("valid_from", "source", *FILTERS)}
            for row in instrument.filter_sets.all()
        ],
        "margin_tiers": [
            {"valid_from": row.valid_from, "source": row.source, "tiers": row.tiers}
            for row in instrument.margin_tier_sets.all()
        ],
        "series": [{name: getattr(coverage, name) for name in (*shown, *counts)} for coverage in held],
        "timeframes": [
            {"built_from": offer.built_from or None, **{name: getattr(offer, name) for name in offered}}
            for offer in offered_timeframes(held)
        ],
    }
