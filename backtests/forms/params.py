"""Form fields for the parameters that a strategy declares."""

from django import forms

from strategies.params import ParamSpec

YES_NO = (("true", "Yes"), ("false", "No"))


def param_field(spec: ParamSpec) -> forms.Field:
    label, default = spec["name"].replace("_", " "), spec["default"]
    if spec["type"] == "bool":
        return forms.ChoiceField(label=label, choices=YES_NO, initial=str(default).lower())
    if spec["choices"]:
        return forms.ChoiceField(
            label=label, choices=[(str(choice), str(choice)) for choice in spec["choices"]], initial=str(default)
        )
    if spec["type"] == "str":
        return forms.CharField(label=label, initial=default)
    step = spec["step"] or (1 if spec["type"] == "int" else "any")
    bounds = {name: spec[name] for name in ("min", "max") if spec[name] is not None}
    widget = forms.NumberInput(attrs={"step": step, "inputmode": "decimal", **bounds})
    return forms.CharField(label=label, initial=default, widget=widget, help_text=_say_bounds(spec))


def _say_bounds(spec: ParamSpec) -> str:
    low, high, step = spec["min"], spec["max"], spec["step"]
    words = []
    if low is not None and high is not None:
        words.append(f"{low:g} to {high:g}")
    elif low is not None or high is not None:
        words.append(f"at least {low:g}" if low is not None else f"at most {high:g}")
    if step:
        words.append(f"step {step:g}")
    return ", ".join(words)
