"""The repair of damaged candle files as a job: what check_candles --repair does."""

from collections.abc import Callable, Sequence

from marketdata.fetch.errors import ArchiveError
from marketdata.fetch.pulse import JobStopped, Pulse
from marketdata.fetch.repair import FAILED, Repair, Repairer
from marketdata.fetch.site import site_archive, site_cache
from marketdata.models import IngestJob
from marketdata.store import StoreError
from marketdata.verification import Damage


def repair_candles(damage: Sequence[Damage], *, tell: Callable[[str], None] | None = None) -> list[Repair]:
    """Make damaged candle files again from the archive, one after the other. Whoever asks verifies again afterwards.

    Raises StoreError or OSError when nothing can be written, ArchiveError where the archive's address makes no sense.
    """
    n = len(damage)
    job = IngestJob.objects.start(IngestJob.Kind.REPAIR, f"Repair {n} candle file{'' if n == 1 else 's'}", n_files=n)
    pulse = Pulse(job, tell=tell)
    repairs: list[Repair] = []
    try:
        folder = site_cache().folder
        folder.mkdir(parents=True, exist_ok=True)
        repairer = Repairer(site_archive(), job, folder)
        pulse.enter("repairing")
        for found in damage:
            pulse.progress["now"] = f"{found.series} {found.month}".strip()
            pulse.beat()
            repair = repairer.repair(found)
            repairs.append(repair)
            pulse.facts["n_files_done"] = sum(done.state != FAILED for done in repairs)
            pulse.say(f"{repair.state}: {repair.series} {repair.month} revision {repair.revision}: {repair.message}")
    except (JobStopped, KeyboardInterrupt) as error:
        job.cancel(**pulse.last_facts())
        if isinstance(error, KeyboardInterrupt):
            raise
        return repairs
    except (ArchiveError, StoreError, OSError) as error:
        job.fail("storage" if not isinstance(error, ArchiveError) else error.code, str(error), **pulse.last_facts())
        raise
    _end(job, pulse, repairs)
    return repairs


def _end(job: IngestJob, pulse: Pulse, repairs: Sequence[Repair]) -> None:
    facts = {"outcome": {"repairs": [repair.to_json() for repair in repairs]}, **pulse.last_facts()}
    failed = [repair for repair in repairs if repair.state == FAILED]
    if failed:
        job.fail("incomplete", f"{len(failed)} could not be repaired. {failed[0].message}", **facts)
    else:
        job.succeed(**facts)
