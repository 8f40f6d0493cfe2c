"""Forms of a user's own candles. They only name fields: every rule lives in uploads.service."""

from typing import Any

from django import forms

from accounts.models import User
from marketdata.errors import UploadRefused
from marketdata.models import Instrument, Market
from marketdata.timeframes import TIMEFRAME_MS
from marketdata.uploads.quota import MB, measure_use


class UploadForm(forms.Form):
    """Shows what was typed; `add_refusal` puts the service's answer at its field."""

    use_required_attribute = False

    file = forms.FileField(label="File", widget=forms.FileInput(attrs={"accept": ".csv,.gz,.zip"}))
    symbol = forms.CharField(
        label="Symbol",
        max_length=32,
        help_text="Such as BTCUSDT, or BTCUSDT_KRAKEN. It gets _MY behind it, so that nobody takes it for the "
        "exchange's own. A symbol that you have already is extended.",
        widget=forms.TextInput(attrs={"autocapitalize": "characters", "autocomplete": "off", "spellcheck": "false"}),
    )
    market = forms.ChoiceField(
        label="Market", choices=Market.choices, help_text="Futures have margin, liquidation and tiers; spot has not."
    )
    timeframe = forms.ChoiceField(label="Timeframe", required=False)
    rules = forms.ChoiceField(
        label="Order rules",
        required=False,
        help_text="Steps, smallest order and, for futures, margin tiers. Plain ones are read off the file and say so.",
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use = measure_use(user)
        self.fields["file"].help_text = (
            "A CSV with a header that names time, open, high, low, close and volume, or the exchange's own layout; "
            f"as it is, gzipped, or one in a zip. At most {use.max_file_bytes / MB:,.0f} MB."
        )
        timeframes = [("", "Read it off the file"), *((name, name) for name in TIMEFRAME_MS)]
        self.fields["timeframe"].widget = forms.Select(choices=timeframes)
        templates = Instrument.objects.shared().filter(filter_sets__isnull=False).distinct()
        symbols = sorted(set(templates.values_list("symbol", flat=True)))
        options = [("", "Plain"), *((symbol, f"Those of {symbol}") for symbol in symbols)]
        self.fields["rules"].widget = forms.Select(choices=options)

    def full_clean(self) -> None:
        """Nothing: the service validates, for page and API alike."""
        self._errors = forms.utils.ErrorDict()
        self.cleaned_data = {}

    def add_refusal(self, error: UploadRefused) -> None:
        field = error.field if error.field in self.fields else None
        self.add_error(field, forms.ValidationError(error.message, code=error.code))


class RenameForm(UploadForm):
    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.fields = {"symbol": self.fields["symbol"]}
        self.fields[
            "symbol"
        ].help_text = "All series of this symbol are renamed. Runs keep the name that they were made with."
