"""Forms of the account page."""

from typing import ClassVar

from django import forms

from accounts.models import User

TOKEN_DAYS = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (366, "1 year")]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields: ClassVar = ["display_name"]
        help_texts: ClassVar = {"display_name": "Shown in the bar on top instead of your address."}
        widgets: ClassVar = {"display_name": forms.TextInput(attrs={"autocomplete": "nickname"})}


class TokenForm(forms.Form):
    name = forms.CharField(
        label="What is it for?", max_length=80, widget=forms.TextInput(attrs={"placeholder": "notebook on my laptop"})
    )
    days = forms.TypedChoiceField(label="Valid for", choices=TOKEN_DAYS, coerce=int, initial=30)
