"""The form of a fetch. It only turns text into a request; every rule lives in FetchRequest."""

from typing import Any

from django import forms

from marketdata.fetch.errors import FetchRefused
from marketdata.fetch.fetch_request import FetchRequest
from marketdata.jobs.service import parse_request
from marketdata.models import Market
from marketdata.timeframes import TIMEFRAME_MS

WHEN = {"placeholder": "2025-01", "autocomplete": "off", "spellcheck": "false"}


class FetchForm(forms.Form):
    """`fetch_request` is there once the form is valid."""

    fetch_request: FetchRequest

    market = forms.ChoiceField(choices=[(Market.USDM, "Futures"), (Market.SPOT, "Spot")])
    symbols = forms.CharField(
        max_length=2_000,
        help_text="One or several, with blanks between them.",
        widget=forms.TextInput(attrs={"placeholder": "BTCUSDT ETHUSDT", "autocomplete": "off", "spellcheck": "false"}),
    )
    timeframe = forms.ChoiceField(
        choices=[(name, name) for name in TIMEFRAME_MS], help_text="Take 1m: longer bars are built from it."
    )
    mark = forms.BooleanField(required=False, label="Mark prices too")
    funding = forms.BooleanField(required=False, label="Funding rates too")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `from` is a word of Python.
        self.fields["from"] = forms.CharField(
            max_length=10, help_text="A month, or a day (2025-01-31).", widget=forms.TextInput(attrs=WHEN)
        )
        self.fields["to"] = forms.CharField(
            max_length=10,
            required=False,
            help_text="Included. Empty: up to the newest file.",
            widget=forms.TextInput(attrs=WHEN),
        )
        self.order_fields(["market", "symbols", "timeframe", "from", "to", "mark", "funding"])
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", "check" if isinstance(field, forms.BooleanField) else "input")

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        return [field for field in self if not isinstance(field.field, forms.BooleanField)]

    @property
    def check_fields(self) -> list[forms.BoundField]:
        return [field for field in self if isinstance(field.field, forms.BooleanField)]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if self.errors:
            return given
        try:
            self.fetch_request = parse_request(given)
        except FetchRefused as error:
            self.add_error(error.field or None, forms.ValidationError(error.message, code=error.code))
        return given
