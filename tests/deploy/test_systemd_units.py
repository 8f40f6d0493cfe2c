"""The units of systemd: what they start exists, and they say what the supervisor relies on."""

import configparser
import shutil
import subprocess

import pytest
from django.core.management import load_command_class

from tests.architecture.source_files import ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))


def read(unit):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(unit.read_text())
    return parser


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_starts_a_command_that_is_there(unit):
    _, script, name, *options = read(unit)["Service"]["ExecStart"].split()
    assert (ROOT / script).is_file()
    load_command_class("backtests", name).create_parser(script, name).parse_args(options)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_watched_and_ends_as_a_whole(unit):
    service = read(unit)["Service"]
    assert (service["Type"], service["KillMode"], service["Restart"]) == ("notify", "mixed", "always")
    assert int(service["TimeoutStopSec"]) == 30
    assert int(service["WatchdogSec"]) > 10


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("unit", [*SERVICES, UNITS / "hindsight.socket"], ids=lambda unit: unit.name)
def test_systemd_understands_them(unit, tmp_path):
    for file in UNITS.iterdir():
        # Where they run from is not on this machine.
        text = file.read_text().replace("/opt/hindsight/.venv/bin/python", "/bin/true")
        (tmp_path / file.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if "hindsight" in line]
    assert not said
