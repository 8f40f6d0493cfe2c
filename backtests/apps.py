from importlib import import_module

from django.apps import AppConfig


class BacktestsConfig(AppConfig):
    name = "backtests"

    def ready(self) -> None:
        import_module("backtests.checks")
