from hypothesis import given
from hypothesis import strategies as st

from strategies.diffs import MAX_LINES, diff_lines


def test_changes_are_shown_with_three_lines_around_them():
    old = "\n".join(str(i) for i in range(1, 21))
    lines = diff_lines(old, old.replace("10", "ten"))
    assert [(line.kind, line.old_number, line.new_number, line.text) for line in lines] == [
        ("skip", None, None, ""),
        *(("same", i, i, str(i)) for i in (7, 8, 9)),
        ("removed", 10, None, "10"),
        ("added", None, 10, "ten"),
        *(("same", i, i, str(i)) for i in (11, 12, 13)),
        ("skip", None, None, ""),
    ]


def test_equal_texts_have_no_changes():
    assert diff_lines("a\nb", "a\nb") == []


def test_texts_that_are_too_long_are_not_compared():
    assert diff_lines("x\n" * (MAX_LINES + 1), "y") is None


TEXTS = st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=30).map("\n".join)


@given(TEXTS, TEXTS)
def test_old_and_new_lines_stand_where_they_say(old, new):
    for line in diff_lines(old, new):
        if line.old_number:
            assert old.split("\n")[line.old_number - 1] == line.text
        if line.new_number:
            assert new.split("\n")[line.new_number - 1] == line.text
