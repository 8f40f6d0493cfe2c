"""What became of the data of a finished run, kept until it changes again."""

from django.db import models

from backtests.models.run import BacktestRun


class DataCheck(models.Model):
    """What has become of the candles that a finished run has pinned, as data_checks found it.

    True for as long as the series are in the state noted here.
    """

    run = models.OneToOneField(BacktestRun, on_delete=models.CASCADE, primary_key=True, related_name="data_check")
    series = models.JSONField(default=dict, help_text="State of every series that was read, by its id.")
    is_revised = models.BooleanField(default=False, help_text="Something that the run has read is different now.")
    is_gone = models.BooleanField(default=False, help_text="A series that the run has read is not held any more.")
    n_bars = models.PositiveIntegerField(null=True, help_text="Bars of the run that differ; null: cannot be compared.")
    n_marks = models.PositiveIntegerField(null=True, help_text="Mark price candles that differ.")
    n_funding = models.PositiveIntegerField(null=True, help_text="Funding events that differ.")
    differences = models.JSONField(default=list, help_text="Per series: which one, how many rows, first and last time.")
    checked_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.run_id}: {'revised' if self.is_revised else 'unchanged'}"
