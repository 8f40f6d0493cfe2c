"""A home is prepared once, and only its owner reads its secret."""

import socket
import stat
from pathlib import Path

import pytest

import serving
import site_home
from checkout import Refusal, digest_of, find_home, make_folder
from site_home import Step, do_step, ensure_secret_key


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("HINDSIGHT_SECRET_KEY", raising=False)
    for name in site_home.FOLDERS:
        (tmp_path / name).mkdir()
    return tmp_path


def test_secret_key_is_random_and_readable_only_by_its_owner(home):
    ensure_secret_key(home)
    file = home / "secrets" / "secret_key"
    assert len(file.read_text().strip()) > 50
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_an_existing_secret_key_is_kept(home):
    ensure_secret_key(home)
    key = (home / "secrets" / "secret_key").read_text()
    ensure_secret_key(home)
    assert (home / "secrets" / "secret_key").read_text() == key


def test_no_key_is_written_when_one_is_given(home, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_SECRET_KEY", "given")
    ensure_secret_key(home)
    assert not (home / "secrets" / "secret_key").exists()


def test_a_step_is_done_once_until_its_inputs_change(home, tmp_path):
    source, trace = tmp_path / "input", tmp_path / "trace"
    source.write_text("1")
    step = Step("trace", "Tracing", ("-c", f"open({str(trace)!r}, 'a').write('x')"), (source,))
    do_step(step, home, "")
    do_step(step, home, "")
    assert trace.read_text() == "x"
    source.write_text("2")
    do_step(step, home, "")
    assert trace.read_text() == "xx"


def test_a_required_step_that_fails_stops_and_is_tried_again(home, capsys):
    step = Step("bad", "Breaking", ("-c", "raise SystemExit('why it broke')"))
    with pytest.raises(Refusal, match="Breaking failed"):
        do_step(step, home, "")
    assert "why it broke" in capsys.readouterr().err
    assert not (home / "setup" / "bad").exists()


def test_an_optional_step_that_fails_lets_the_site_start(home, capfd):
    do_step(Step("bad", "Breaking", ("-c", "raise SystemExit(1)"), is_required=False), home, "")
    assert "starts without" in capfd.readouterr().out
    assert not (home / "setup" / "bad").exists()


def test_a_file_where_the_home_should_be_gets_one_sentence(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(Refusal, match=r"HINDSIGHT_HOME .*home cannot be written"):
        make_folder(tmp_path / "home", "HINDSIGHT_HOME")


def test_home_is_read_from_the_environment_and_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HINDSIGHT_HOME", "some place")
    assert find_home() == tmp_path / "some place"


def test_digest_tells_names_and_contents_apart(tmp_path):
    (tmp_path / "a").write_text("b")
    first = digest_of([tmp_path / "a"])
    (tmp_path / "a").write_text("c")
    assert digest_of([tmp_path / "a"]) != first
    assert digest_of([], "x", "y") != digest_of([], "xy")


def test_a_busy_port_gets_one_sentence_with_another_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Refusal, match=f"Port {port} is already in use"):
            serving.check_port(port)


@pytest.mark.parametrize("word", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(word, monkeypatch):
    monkeypatch.setenv("HINDSIGHT_PORT", word)
    with pytest.raises(Refusal, match="is not a port"):
        serving.read_port()
