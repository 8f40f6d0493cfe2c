"""The indicator functions of pandas_ta and TA-Lib that a sealed run takes forward bar by bar (steppers.py)."""

STEPPED = frozenset({"sma", "ema", "macd", "mom", "roc"})  # the same time at every bar
DIRECT = frozenset({"rsi", "atr"})  # TA-Lib alone, over the values so far
LISTED = STEPPED | DIRECT
