"""The queue's broker in the site's database, with two habits of ours: it reads the database's clock only, and it
outlives a database that restarts.

The queue's own ORM broker compares locks with the host's clock: a message from a host whose clock is ahead would lie
there, unseen, until the others' clocks have got there too.
"""

import logging
import time
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Value
from django.db.models.functions import Now
from django_q.brokers.orm import ORM
from django_q.conf import Conf

logger = logging.getLogger(__name__)

RETRY_S = 0.5


class DatabaseBroker(ORM):  # type: ignore[misc]
    def queue_size(self) -> int:
        """Messages that are free to take."""
        return int(self._messages().filter(lock__lte=Now()).count())

    def lock_size(self) -> int:
        """Messages that a cluster has taken."""
        return int(self._messages().filter(lock__gt=Now()).count())

    def enqueue(self, task: str) -> Any:
        return self.get_connection().create(key=self.list_key, payload=task, lock=Now()).pk

    def dequeue(self) -> list[tuple[Any, str]] | None:
        """Take the oldest free message. None after a short rest when there is none, or no database."""
        try:
            taken = [
                (message.pk, message.payload)
                for message in self._messages().filter(lock__lte=Now()).order_by("pk")[: Conf.BULK]
                if self._take(message.pk)
            ]
        except (OperationalError, InterfaceError):
            logger.warning("The queue cannot be read; trying again.", exc_info=True)
            connection.close()
            time.sleep(RETRY_S)
            return None
        if not taken:
            time.sleep(Conf.POLL)
        return taken or None

    def delete(self, task_id: Any) -> None:
        """Not being able to is harmless: a message of a finished run finds nothing to claim."""
        try:
            super().delete(task_id)
        except (OperationalError, InterfaceError):
            logger.warning("A message that is done with could not be deleted.", exc_info=True)
            connection.close()

    def _messages(self) -> Any:
        return self.get_connection().filter(key=self.list_key)

    def _take(self, pk: Any) -> bool:
        locked_until = Now() + Value(timedelta(seconds=Conf.RETRY))
        return bool(self._messages().filter(pk=pk, lock__lte=Now()).update(lock=locked_until))
