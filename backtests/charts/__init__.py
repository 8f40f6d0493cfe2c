"""A report and its bars as one Plotly figure, at a level of detail that fits the screen."""

from backtests.charts.detail import ChartView
from backtests.charts.run_figure import CHART_VERSION, draw_run

__all__ = ["CHART_VERSION", "ChartView", "draw_run"]
