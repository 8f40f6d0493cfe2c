"""`make chaos-ingest KILLS=500 DB=sqlite|postgres SEED=1`: SIGKILL importers at random; look at what can be read.

Three processes import revised files of three series without end. Half of them are killed at any moment, half at a step
of publishing (write, fsync, link, clean up). After each kill every series is read whole, and so are snapshots that were
pinned before, while the other two go on; a sweeper removes what dead writers left. The site is thrown away afterwards.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import sys
import time
import uuid
from datetime import timedelta
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "deploy"))

from tests.chaos.throwaway_site import throwaway_site

N_WRITERS = 3
LONGEST_PAUSE_S = 0.3  # about as long as an import: kills fall anywhere in one
N_STEPS = 16  # of publishing, which an import does about twice; half of the writers die at one of them
SWEEP_EVERY, PIN_EVERY = 5, 10
SWEEP_GRACE_S = 5.0  # what a live writer has begun is younger
DROP_AFTER = timedelta(seconds=5)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos-ingest", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    return parser.parse_args()


def main() -> int:
    arguments = read_arguments()
    print(f"seed {arguments.seed}, {arguments.kills} kills on {arguments.db}", flush=True)
    os.environ.setdefault("HINDSIGHT_LOG_LEVEL", "warning")
    with throwaway_site(arguments.db, uuid.uuid4().hex) as site:
        return run_drill(site.home, arguments.kills, arguments.seed)


class Writers:
    """Importers, each forked from one process that has everything loaded."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.marketdata.kill_drill.writer"])
        self._folder = folder
        self._choose = random.Random(seed)
        self._living = [self._start() for _ in range(N_WRITERS)]

    def _start(self):
        from tests.marketdata.kill_drill.writer import write_for_ever

        is_at_work = RawValue("b", 0)
        dies_at = self._choose.randint(1, N_STEPS) if self._choose.random() < 0.5 else 0
        arguments = (self._choose.randrange(2**32), self._folder, is_at_work, dies_at)
        process = self._context.Process(target=write_for_ever, args=arguments, daemon=True)
        process.start()
        return process, is_at_work, dies_at

    def kill_one(self) -> None:
        """And let another take its place. A writer that ended in another way is an error of the drill."""
        i = self._choose.randrange(N_WRITERS)
        process, is_at_work, dies_at = self._living[i]
        while process.is_alive() and not is_at_work.value:
            time.sleep(0.005)
        if not dies_at:
            time.sleep(self._choose.uniform(0.0, LONGEST_PAUSE_S))
            process.kill()
        process.join(60)
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a writer ended by itself ({process.exitcode})")
        self._living[i] = self._start()

    def stop(self) -> None:
        for process, *_ in self._living:
            process.kill()
            process.join()


def run_drill(home: Path, n_kills: int, seed: int) -> int:
    from marketdata.home import candle_store
    from marketdata.sweeping import sweep_candles
    from tests.marketdata.kill_drill.verdict import Watch
    from tests.marketdata.kill_drill.writer import N_DAYS, SYMBOLS, take_in

    for symbol in SYMBOLS:
        take_in(home / "incoming" / symbol, symbol, range(N_DAYS), 0)
    watch = Watch(seed)
    watch.pin()
    began_at, n_orphans, n_leftovers = time.monotonic(), 0, 0
    with contextlib.ExitStack() as stack:
        writers = Writers(home / "incoming", seed)
        stack.callback(writers.stop)
        for n in range(1, n_kills + 1):
            writers.kill_one()
            watch.look()
            if n % PIN_EVERY == 0:
                watch.pin()
            if n % SWEEP_EVERY == 0:
                swept = sweep_candles(
                    candle_store(), watch.find_pinned, grace_s=SWEEP_GRACE_S, drop_superseded_after=DROP_AFTER
                )
                n_orphans, n_leftovers = n_orphans + len(swept.orphans), n_leftovers + len(swept.leftovers)
    print(
        f"{n_kills} kills in {time.monotonic() - began_at:.0f} s; swept {n_orphans} files and {n_leftovers} temporary"
    )
    return judge(watch)


def judge(watch) -> int:
    from django.db.models import Count

    from marketdata.home import candle_store
    from marketdata.models import IngestJob
    from marketdata.verification import verify_candles

    watch.look_at_all_pins()
    found = verify_candles(candle_store(), watch.find_pinned())
    jobs = dict(IngestJob.objects.order_by().values_list("status").annotate(Count("pk")))
    faults = [*watch.faults, *(damage.message for damage in found.damage)]
    faults += [f"an import failed: {job.log}" for job in IngestJob.objects.filter(status=IngestJob.Status.FAILED)]
    for fault in faults[:20]:
        print(fault)
    print(
        f"{jobs.get('succeeded', 0)} imports, {jobs.get('running', 0)} killed in one; {watch.n_reads} reads, "
        f"{len(watch.pins)} snapshots pinned, {found.n_checked} files checked; {len(faults)} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
