"""Work that waits for a server, done in other threads, so that whoever waits for it can be told to stop."""

import queue
import threading
from collections.abc import Callable, Sequence

WAIT_S = 0.2


def run_all[Item, Result](
    work: Callable[[Item], Result], items: Sequence[Item], n_threads: int, on_wait: Callable[[], None]
) -> list[Result]:
    """What `work` makes of each item, in their order. on_wait is called meanwhile, and gives up by raising.

    The first error of any of them is raised, once all that were begun have ended. The threads end with the process.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for i in range(len(items)):
        waiting.put(i)
    results: dict[int, Result] = {}
    errors: list[BaseException] = []
    is_over = threading.Event()

    def run() -> None:
        while not is_over.is_set() and not errors:
            try:
                i = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results[i] = work(items[i])
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(n_threads, len(items)))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(WAIT_S)
                on_wait()
    finally:
        is_over.set()
    if errors:
        raise errors[0]
    return [results[i] for i in range(len(items))]
