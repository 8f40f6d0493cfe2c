"""The last lines of `make test` say what was left out."""

import suite
from suite import Pass, read_report, summarise

REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"><failure message="no"/></testcase>
<testcase name="c"><skipped message="real exchange files are not at hand"/></testcase>
<testcase name="d"><error message="fixture"/></testcase>
</testsuite></testsuites>"""


def test_report_is_counted_with_reasons(tmp_path):
    file = tmp_path / "report.xml"
    file.write_text(REPORT)
    outcome = Pass("SQLite")
    read_report(file, outcome)
    assert (outcome.n_passed, outcome.n_failed, outcome.n_skipped) == (1, 2, 1)
    assert outcome.skips == {"real exchange files are not at hand": 1}


def test_summary_names_what_was_left_out_and_does_not_fail_for_it(capsys):
    passes = [Pass("SQLite", n_passed=3), Pass("a browser", left_out="Chromium is not here")]
    assert summarise(passes) == 0
    printed = capsys.readouterr().out
    assert "Chromium is not here" in printed
    assert printed.splitlines()[-1] == "3 passed, 0 failed, 0 skipped"


def test_a_failed_pass_fails_the_suite():
    assert summarise([Pass("SQLite", has_failed=True)]) == 1


def test_postgres_that_does_not_start_fails_in_ci_and_is_left_out_elsewhere(tmp_path, monkeypatch):
    def refuse():
        raise suite.Refusal("no server")

    monkeypatch.setattr(suite, "postgres_url", refuse)
    assert suite.postgres_pass(tmp_path, is_ci=True).has_failed
    elsewhere = suite.postgres_pass(tmp_path, is_ci=False)
    assert not elsewhere.has_failed
    assert elsewhere.left_out == "no server"
