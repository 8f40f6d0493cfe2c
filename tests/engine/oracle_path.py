"""The way of prices through a finest bar: four knots, three legs of length one, and when a level is reached on it."""


def price_at(way, clock):
    leg = min(int(clock), 2)
    return way[leg] + (way[leg + 1] - way[leg]) * (clock - leg)


def knots_between(after, until):
    """The knots after one clock and up to another."""
    return [k for k in range(4) if after < k <= until]


def reach(way, now, level, direction, *, is_through=False):
    """(clock, price) at which a price first is at the level, or beyond it going up (+1) or down (-1), from `now` on.

    The price is the level's own when the way leads over it, and the present one when that is beyond already.
    With `is_through` touching is not enough: the clock is the one at which the way leaves the level behind.
    """
    for k in range(int(min(now, 2)), 3):
        before, after = (way[k] - level) * direction, (way[k + 1] - level) * direction
        start = max(now, k)
        if before >= 0 > after or before > 0 == after:  # leads back over the level, or to it
            leaves = k + before / (before - after)
            if start < leaves and (before > 0 or not is_through):
                return start, price_at(way, start)
            if start == leaves and not is_through:
                return start, level
        elif before >= 0 and (after > 0 or not is_through):  # beyond from end to end
            return start, price_at(way, start)
        elif before < 0 and (after > 0 or (after == 0 and not is_through)):
            crosses = k + before / (before - after)
            return (crosses, level) if crosses >= start else (start, price_at(way, start))
    return None


def reach_trailing(way, now, best, level_of, direction):
    """(clock, price) at which a trailing stop triggers: the price comes back from its best to the level of it."""
    pick = min if direction > 0 else max
    price = price_at(way, now)
    best = pick(best, price)
    if (price - level_of(best)) * direction >= 0:
        return now, price
    for k in range(int(min(now, 2)), 3):
        level, end = level_of(best), way[k + 1]
        if (end - level) * direction >= 0:
            return k + (level - way[k]) / (end - way[k]), level
        best = pick(best, end)
    return None
