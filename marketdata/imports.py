"""Files into series: collect, read, check, merge, publish; with a row that says what came of it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from accounts.models import User
from marketdata.arrays import TimedRows
from marketdata.home import candle_store
from marketdata.ingest.binance_files import parse_candles, parse_funding
from marketdata.ingest.csv_text import find_line
from marketdata.ingest.errors import IngestError, printable
from marketdata.ingest.file_names import SUFFIXES, FileFacts, find_files, has_suffix, is_unused, sniff_path
from marketdata.ingest.packing import SourceFile, read_packed, read_source
from marketdata.ingest.quality import QualityReport, Verdict
from marketdata.models import IngestJob
from marketdata.segments import Change, KnownFile, SegmentChange, SeriesKey, Source, check_rows, find_known, store_rows
from marketdata.store import CandleStore, StoreError

type OnProgress = Callable[[int, int, str], None]

MAX_LOG_CHARS = 200_000


class ImportStopped(Exception):
    """Somebody asked for the end of the import; what was taken in by then stays."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file, or a month of a series, that was not taken in, and why."""

    name: str
    code: str
    message: str
    path: str = ""  # of the file, where it is one


@dataclass(slots=True)
class ImportOutcome:
    """What an import did. `is_complete` says that everything asked for is held now."""

    job: IngestJob
    n_files: int = 0
    n_files_done: int = 0
    n_rows: int = 0
    changes: list[tuple[SeriesKey, SegmentChange]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return not self.refusals and self.n_files_done > 0

    def refuse(self, name: str, code: str, message: str, path: Path | None = None) -> None:
        self.refusals.append(Refusal(printable(name), code, printable(message), printable(str(path or ""))))

    def refuse_file(self, path: Path, error: IngestError) -> None:
        self.refuse(path.name, error.code, error.message, path)

    def count(self, change: Change) -> int:
        return sum(found.change is change for _, found in self.changes)


@dataclass(frozen=True, slots=True)
class _Group:
    """Files of one series and one month (or of no named period), which become visible together."""

    key: SeriesKey
    files: tuple[tuple[Path, FileFacts], ...]


def import_paths(
    paths: Sequence[str | Path],
    *,
    market: str = "",
    symbol: str = "",
    timeframe: str = "",
    requested_by: User | None = None,
    on_progress: OnProgress | None = None,
) -> ImportOutcome:
    """Take in zips, CSVs and whole folders. What a path says need not be repeated.

    A file that cannot be right is refused as a whole and named in the outcome; the others are taken. The same files
    twice change nothing; other rows for a held time make a new revision. on_progress(n_done, n_total, what) is called
    after every group of files. A job that somebody cancels stops after the group it works on.
    """
    description = printable(f"Import {', '.join(str(path) for path in paths)}")
    job = IngestJob.objects.start(IngestJob.Kind.IMPORT, description, requested_by=requested_by)
    outcome = ImportOutcome(job)

    def carry(n_done: int, n_total: int, what: str) -> None:
        if not job.beat(n_files=outcome.n_files, n_files_done=outcome.n_files_done, n_rows=outcome.n_rows):
            raise ImportStopped("it was cancelled")
        if on_progress:
            on_progress(n_done, n_total, what)

    try:
        take_in(paths, outcome, market=market, symbol=symbol, timeframe=timeframe, on_progress=carry)
    except BaseException as error:
        is_cancelled = isinstance(error, ImportStopped | KeyboardInterrupt)
        outcome.refuse("import", "stopped", f"The import stopped: {str(error) or type(error).__name__}")
        finish_job(outcome, is_cancelled=is_cancelled)
        if not isinstance(error, ImportStopped):
            raise
    else:
        finish_job(outcome)
    return outcome


def take_in(
    paths: Sequence[str | Path],
    outcome: ImportOutcome,
    *,
    market: str = "",
    symbol: str = "",
    timeframe: str = "",
    on_progress: OnProgress | None = None,
) -> None:
    """Take files in, and add to `outcome` what came of them; whose job it is begins and ends it.

    on_progress is called after every group of files, and stops the rest by raising.
    """
    n_refused = len(outcome.refusals)
    groups = _plan(paths, outcome, market=market, symbol=symbol, timeframe=timeframe)
    n_files = sum(len(group.files) for group in groups) + len(outcome.refusals) - n_refused
    outcome.n_files += n_files
    store = candle_store()
    n_seen = 0
    for group in groups:
        _import_group(group, store, outcome)
        n_seen += len(group.files)
        if on_progress:
            on_progress(n_seen, n_files, str(group.key))


def finish_job(outcome: ImportOutcome, *, is_cancelled: bool = False) -> None:
    """Write down how the import ended."""
    facts = {
        "n_files": outcome.n_files,
        "n_files_done": outcome.n_files_done,
        "n_rows": outcome.n_rows,
        "log": "\n".join(log_lines(outcome))[:MAX_LOG_CHARS],
    }
    if is_cancelled:
        outcome.job.cancel(**facts)
    elif outcome.is_complete:
        outcome.job.succeed(**facts)
    else:
        reason = outcome.refusals[0].message if outcome.refusals else "There was nothing to take in."
        outcome.job.fail("refused", printable(reason), **facts)
    outcome.job.refresh_from_db()


def log_lines(outcome: ImportOutcome) -> list[str]:
    """The outcome in sentences: refusals first."""
    lines = [f"refused: {refusal.message}" for refusal in outcome.refusals]
    lines += outcome.notes
    for key, change in outcome.changes:
        line = f"{key} {change.month:%Y-%m}: {change.change.value}, {change.n_rows} rows, revision {change.revision}"
        lines.append(f"{line} ({change.quality})" if change.quality else line)
    return [printable(line) for line in lines]


def _plan(
    paths: Iterable[str | Path], outcome: ImportOutcome, *, market: str, symbol: str, timeframe: str
) -> list[_Group]:
    """Every file with what its path says, by series and month. Within a group dailies come before monthlies: of two
    rows for one time the monthly file's stands."""
    groups: dict[tuple[SeriesKey, str], list[tuple[Path, FileFacts]]] = {}
    for path in _collect(paths, outcome):
        try:
            facts = sniff_path(path, market=market, symbol=symbol, timeframe=timeframe)
        except IngestError as error:
            outcome.refuse_file(path, error)
            continue
        key = SeriesKey(facts.market, facts.symbol, facts.kind, facts.timeframe)
        groups.setdefault((key, facts.month or str(path)), []).append((path, facts))
    return [
        _Group(key, tuple(sorted(files, key=lambda file: (file[1].is_monthly, file[0].name))))
        for (key, _), files in groups.items()
    ]


def _collect(paths: Iterable[str | Path], outcome: ImportOutcome) -> list[Path]:
    found: dict[Path, None] = {}
    for given in paths:
        path = Path(given).expanduser().absolute()
        if path.is_dir():
            found |= dict.fromkeys(_collect_folder(path, outcome))
        elif not os.path.lexists(path):
            outcome.refuse(str(given), "missing", f"{given} does not exist. Check the path.")
        elif not has_suffix(path.name):
            text = f"{path.name} is none of {', '.join(SUFFIXES)}, nor a folder."
            outcome.refuse(path.name, "unknown_suffix", text, path)
        else:
            found[path] = None
    return list(found)


def _collect_folder(folder: Path, outcome: ImportOutcome) -> list[Path]:
    def refuse(error: OSError) -> None:
        text = f"{error.filename} cannot be read ({error.strerror}). Check its rights."
        outcome.refuse(str(error.filename), "unreadable", text)

    inside = find_files(folder, refuse)
    wanted = [file for file in inside if not is_unused(file)]
    if len(inside) > len(wanted):
        outcome.notes.append(f"skipped: {len(inside) - len(wanted)} files of a kind that is not used here")
    if not wanted:
        outcome.refuse(str(folder), "no_files", f"{folder} holds no candle files ({', '.join(SUFFIXES)}).")
    return wanted


def _import_group(group: _Group, store: CandleStore, outcome: ImportOutcome) -> None:
    """Take in files that belong together, one after the other: they need not fit into memory side by side.

    Where the rows of all of them are held already, they are not even parsed: the same bytes twice change nothing, even
    if another file has replaced some of their rows since.
    """
    known = find_known(store, group.key, group.files[0][1].month)
    if known and _is_unchanged(group, known, outcome):
        return
    parts: list[tuple[Source, TimedRows]] = []
    for path, facts in group.files:
        try:
            parts.append(read_file(path, facts, outcome))
        except IngestError as error:
            outcome.refuse_file(path, error)
    if parts:
        _store_parts(group.key, parts, store, outcome)


def _is_unchanged(group: _Group, known: Mapping[str, KnownFile], outcome: ImportOutcome) -> bool:
    """Whether every file is one that the held rows came from; if so it is noted."""
    found = []
    for path, _ in group.files:
        try:
            found.append(known.get(read_packed(path).sha256))
        except IngestError:
            return False
    if None in found:
        return False
    files = [file for file in found if file is not None]
    changes = {change.month: change for file in files for change in file.months}
    _note_done(outcome, group.key, list(changes.values()), len(files), sum(file.n_rows for file in files))
    return True


def _store_parts(
    key: SeriesKey, parts: Sequence[tuple[Source, TimedRows]], store: CandleStore, outcome: ImportOutcome
) -> None:
    try:
        changes = store_rows(store, key, parts)
    except (IngestError, StoreError, OSError) as error:
        code = error.code if isinstance(error, IngestError) else "not_stored"
        names = ", ".join(source.name for source, _ in parts)
        outcome.refuse(str(key), code, f"{key} ({names}): {error}")
        return
    _note_done(outcome, key, changes, len(parts), sum(len(rows) for _, rows in parts))


def _note_done(
    outcome: ImportOutcome, key: SeriesKey, changes: Sequence[SegmentChange], n_files: int, n_rows: int
) -> None:
    outcome.changes += [(key, change) for change in changes]
    outcome.n_files_done += n_files
    outcome.n_rows += n_rows


def refuse_rows(source: SourceFile, report: QualityReport) -> IngestError:
    """What is said of a file whose report has problems: the first one's code and line, and all of them in words."""
    problem = report.problems[0]
    where = f", line {find_line(source.name, source.text, problem.i_row)}" if problem.i_row >= 0 else ""
    return IngestError(problem.code, f"{source.name}{where}: {report.explain()}.")


def read_file(path: Path, facts: FileFacts, outcome: ImportOutcome) -> tuple[Source, TimedRows]:
    """The rows of one file, checked; what is odd about it becomes a note of the outcome. Raises IngestError."""
    source = read_source(path)
    rows: TimedRows = parse_funding(source, facts) if facts.kind == "funding" else parse_candles(source, facts)
    report = check_rows(rows, facts.timeframe, facts.kind)
    if report.verdict is Verdict.REFUSED:
        raise refuse_rows(source, report)
    if report.n_duplicates or report.n_out_of_order:
        text = f"{source.name}: {report.n_duplicates} rows twice, {report.n_out_of_order} out of order"
        outcome.notes.append(f"flagged: {text}")
    return Source(source.name, source.sha256, len(rows), report.n_duplicates, report.n_out_of_order), rows
