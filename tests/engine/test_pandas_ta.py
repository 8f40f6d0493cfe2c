"""Every indicator of pandas_ta works under our newer numba and numpy (docs/decisions/0002)."""

import inspect

import numpy as np
import pandas as pd
import pandas_ta as ta
import pytest

N_BARS = 2_000


@pytest.fixture(scope="module")
def columns() -> dict[str, pd.Series]:
    rng = np.random.Generator(np.random.PCG64(7))
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, N_BARS)))
    opened = np.r_[100, close[:-1]] * (1 + rng.normal(0, 0.001, N_BARS))
    high = np.maximum(opened, close) * (1 + abs(rng.normal(0, 0.003, N_BARS)))
    low = np.minimum(opened, close) * (1 - abs(rng.normal(0, 0.003, N_BARS)))
    index = pd.date_range("2024-01-01", periods=N_BARS, freq="h", tz="UTC")
    bars = pd.DataFrame({"open_": opened, "high": high, "low": low, "close": close}, index=index)
    bars["volume"] = rng.lognormal(2, 1, N_BARS)
    trend = (bars.close > bars.close.rolling(20).mean()).astype(int)
    more = {"benchmark": bars.close * 1.01, "fast": bars.close.rolling(5).mean(), "slow": bars.close.rolling(20).mean()}
    more |= {"trend": trend, "signal": trend, "xa": 80, "xb": 20, "value": 100}
    more |= dict.fromkeys(("series", "series_a", "a", "x"), bars.close)
    more |= dict.fromkeys(("series_b", "b", "y"), bars.open_)
    return {name: bars[name] for name in bars} | more


def names_of_indicators() -> list[str]:
    return sorted(name for names in ta.Category.values() for name in names)


def call(name: str, columns: dict[str, pd.Series]) -> list[pd.DataFrame]:
    function = getattr(ta, name)
    parameters = inspect.signature(function).parameters.values()
    wanted = {p.name for p in parameters if p.default is inspect.Parameter.empty or p.name in ("open_", "volume")}
    answer = function(**{key: value for key, value in columns.items() if key in wanted})
    return [pd.DataFrame(part) for part in (answer if isinstance(answer, tuple) else (answer,))]


@pytest.mark.parametrize("name", names_of_indicators())
@pytest.mark.filterwarnings("ignore")
def test_indicator_of_pandas_ta_gives_finite_numbers(name, columns):
    for part in call(name, columns):
        for title in part:
            numbers = pd.to_numeric(part[title], errors="coerce").to_numpy(float)
            assert np.isfinite(numbers).any(), f"{title} is never a number"
            assert not np.isinf(numbers).any(), f"{title} is infinite somewhere"


def test_pandas_ta_still_has_the_indicators_that_were_compared():
    assert len(names_of_indicators()) == 151
