from importlib import import_module

from django.apps import AppConfig


class MarketdataConfig(AppConfig):
    name = "marketdata"

    def ready(self) -> None:
        import_module("marketdata.checks")
