"""What a clone of this repository must be: for any machine, any registry, any Python that can start the set-up."""

import ast
import re

import pytest

from tests.architecture.source_files import ROOT, name_of, walk

TEXT = {".py", ".md", ".txt", ".toml", ".json", ".js", ".css", ".html", ".yml", ".cfg", ".in", ".example", ".sh", ""}
# Written so that this file does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.$}~])/(roo[t]|hom[e]|User[s]|wor[k]|far[m])/[a-z.]")
LARGEST_FILE = 1_000_000
REQUIREMENTS = [name_of(file) for file in sorted((ROOT / "requirements").glob("*.txt"))]


@pytest.mark.parametrize("file", sorted((ROOT / "deploy").glob("*.py")), ids=lambda file: file.name)
def test_set_up_parses_on_python_3_8(file):
    ast.parse(file.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("name", [*REQUIREMENTS, "static/package-lock.json"])
def test_lock_files_name_no_registry(name):
    lines = (ROOT / name).read_text().splitlines()
    assert not [line for line in lines if "index-url" in line or '"resolved"' in line or " @ " in line]


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_locked_package_has_a_hash(name):
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text())
    packages = [block for block in blocks if "==" in block.splitlines()[0]]
    assert packages
    assert not [block.splitlines()[0] for block in packages if "--hash=sha256:" not in block]


def test_no_file_names_a_path_of_some_machine():
    found = [
        f"{name_of(path)}:{number}"
        for path in walk()
        if path.suffix in TEXT and path.stat().st_size < LARGEST_FILE
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert not found


def test_no_file_is_large():
    assert not [name_of(path) for path in walk() if path.stat().st_size > LARGEST_FILE]


def test_every_direct_dependency_says_why_it_is_here():
    text = (ROOT / "pyproject.toml").read_text()
    silent = [
        line.strip()
        for line in text.splitlines()
        if re.match(r'\s+"[A-Za-z][^"]*[><=]=[^"]*",', line) and "#" not in line
    ]
    assert not silent
