"""From the pages' forms to text; every rule lives in services."""

from typing import Any

from django import forms

from strategies.services import DESCRIPTION_LENGTH, NAME_LENGTH, StrategyError


class SourceField(forms.CharField):
    """Program text: nothing is stripped, and no browser helps with the spelling."""

    def __init__(self, **options: Any) -> None:
        attrs = {
            "rows": 24,
            "spellcheck": "false",
            "autocapitalize": "off",
            "autocomplete": "off",
            "wrap": "off",
            "class": "source",
        }
        options.setdefault("widget", forms.Textarea(attrs=attrs))
        super().__init__(strip=False, **options)


class ServiceErrorsForm(forms.Form):
    """A form that shows what a service refused beside the field it is about."""

    def show(self, error: StrategyError) -> None:
        field = error.field if error.field in self.fields else None
        self.add_error(field, forms.ValidationError(error.message, code=error.code))


class NewStrategyForm(ServiceErrorsForm):
    name = forms.CharField(
        max_length=NAME_LENGTH, widget=forms.TextInput(attrs={"placeholder": "for example: Weekend breakout"})
    )
    source = SourceField(label="Code")


class SourceForm(ServiceErrorsForm):
    """What the editor sends: the text, and the number of the version that it started from."""

    source = SourceField(label="Code")
    based_on = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1, widget=forms.HiddenInput)


class DescribeForm(ServiceErrorsForm):
    name = forms.CharField(max_length=NAME_LENGTH)
    description = forms.CharField(
        max_length=DESCRIPTION_LENGTH, required=False, widget=forms.Textarea(attrs={"rows": 4})
    )
