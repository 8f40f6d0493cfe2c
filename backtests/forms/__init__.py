"""What pages read from users about runs. No rule lives here: the request and the services validate."""

from backtests.forms.filters import RunFilter, filter_runs
from backtests.forms.run import RunForm
from backtests.forms.series import choose_series, span_days, tradable_series

__all__ = ["RunFilter", "RunForm", "choose_series", "filter_runs", "span_days", "tradable_series"]
