"""Names that say nothing do not enter the code."""

import ast

from tests.architecture.source_files import ROOT, name_of, product_files, suite_files

EMPTY_MODULE_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc"}
EMPTY_CLASS_ENDINGS = ("Manager", "Handler", "Processor", "Info")
ALLOWED_CLASSES = {"UserManager"}  # Django's own word
TOP_LEVEL = {"config", "accounts", "strategies", "backtests", "marketdata", "templates", "static", "tests"} | {
    "docs",
    ".ci",
    "deploy",
    "benchmarks",
    "requirements",
}


def test_no_module_is_named_after_nothing():
    parts = {
        name_of(path): {*path.relative_to(ROOT).parts[:-1], path.stem} for path in (*product_files(), *suite_files())
    }
    assert not [name for name, words in parts.items() if words & EMPTY_MODULE_NAMES]


def test_no_class_of_ours_ends_in_a_word_that_says_nothing():
    classes = [
        f"{name_of(path)}::{node.name}"
        for path in product_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        if node.name.endswith(EMPTY_CLASS_ENDINGS) and node.name not in ALLOWED_CLASSES
    ]
    assert not classes


def test_the_exchanges_word_kline_stays_in_the_ingest():
    outside = [
        name_of(path)
        for path in product_files()
        if "kline" in path.read_text().lower() and not name_of(path).startswith("marketdata/ingest/")
    ]
    assert not outside


def test_every_top_level_folder_is_in_the_plan():
    ignored = {".git", ".venv", ".venv-node", "var"}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.endswith("_cache")}
    assert folders - ignored - {".hypothesis", "test-results"} <= TOP_LEVEL
