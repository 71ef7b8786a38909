"""One thread that owns the models and does all of their work; requests ask from the event loop, and wait.

    lane.asking(...)  ->  inbox  ->  lane.turn() on the thread: a step of a batch, or a batch of texts
        mail.next()   <-  what came of it, told to the loop once a turn

A lane is what is asked of one model: `Writing` (rows that are written together, `inference.batching`) and `Together`
(texts that are answered at once). The thread goes from lane to lane, so no model waits for another one's long answer.
A lane takes so many rows and lets so many wait; who comes then is told when to come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from assay.errors import InputError
from assay.inference.batching import Asked, Batch, Failed
from assay.inference.generate import Token
from assay.web.errors import Refused

log = logging.getLogger("assay.serve")

SMOOTHED = 0.2  # weight of the newest request in how long requests take
LONGEST_WAIT = 60  # seconds that a client is told to wait at most


class Mail:
    """What the thread tells one request, in order; an error is raised where it is read."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.gone = False  # nobody reads it any more
        self._events: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, event: Any) -> None:
        """On the loop."""
        self._events.put_nowait(event)

    async def next(self) -> Any:
        """What comes next.

        Raises:
            Exception: what the thread told.
        """
        event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        return event


Told = list[tuple[Mail, Any]]


def _deliver(told: Told) -> None:
    """To the loop of the mails, at once."""
    if told:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            told[0][0].loop.call_soon_threadsafe(_put, told)


def _put(told: Told) -> None:
    for mail, event in told:
        mail.put(event)


class Lane(Protocol):
    """What is asked of one model."""

    def turn(self) -> bool:
        """Do a little, on the thread; False: there was nothing to do."""


class Engine:
    """The thread."""

    def __init__(self) -> None:
        self._lanes: list[Lane] = []
        self._changed, self._told, self._ended = threading.Condition(), False, False
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def add(self, lane: Lane) -> None:
        """Before it starts."""
        self._lanes.append(lane)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        with self._changed:
            self._told = True
            self._changed.notify()

    def stop(self) -> None:
        """End the thread once it has nothing to do."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while True:
            busy = [lane.turn() for lane in self._lanes]
            if any(busy):
                continue
            with self._changed:
                if self._ended:
                    return
                if not self._told:
                    self._changed.wait()
                self._told = False


class Places:
    """The places of a lane: so many are at work, so many wait, and nobody more. Used on the loop alone."""

    def __init__(self, rows: int, queue: int) -> None:
        self.rows, self.queue = rows, queue
        self.taken, self._took = 0, 1.0

    @contextlib.contextmanager
    def held(self, n: int) -> Iterator[None]:
        """So many places, until they are left.

        Raises:
            Refused: there are not as many (429).
        """
        if n > self.rows + self.queue:
            most = self.rows + self.queue
            raise Refused(400, f"{n} answers at once -> ask for {most} at most", "too_many")
        if self.taken + n > self.rows + self.queue:
            seconds = min(LONGEST_WAIT, max(1, math.ceil(self._took * self.taken / self.rows)))
            raise Refused(
                429, f"{self.taken} answers are being written or wait -> try again in {seconds} s", "queue_full",
                headers={"retry-after": str(seconds)},
            )  # fmt: skip
        self.taken += n
        began = time.monotonic()
        try:
            yield
        finally:
            self.taken -= n
            self._took += SMOOTHED * (time.monotonic() - began - self._took)


class Writing:
    """A lane of rows that are written together.

    Args:
        model: as of `inference.batching.Batch`.
        rows: that are written at a time; queue: that may wait.
        counted: is told of every step: rows, and seconds.
    """

    def __init__(
        self, engine: Engine, model: Any, *, rows: int, queue: int, counted: Callable[[int, float], None] | None = None
    ) -> None:
        self.places = Places(rows, queue)
        self._engine, self._model, self._rows, self._counted = engine, model, rows, counted
        self._batch = Batch(model, rows=rows)
        self._inbox: deque[tuple[Mail, Sequence[Asked]]] = deque()  # nothing: it is asked for no more
        self._mails: dict[int, tuple[Mail, int]] = {}  # by row: whose it is, and which of its answers
        engine.add(self)

    @contextlib.contextmanager
    def asking(self, asked: Sequence[Asked]) -> Iterator[Mail]:
        """Mail of (number of the answer, token); whoever leaves before the end gives the rows free.

        Raises:
            Refused: the queue is full. `Mail.next` raises what is wrong with what is asked.
        """
        with self.places.held(sum(one.returns for one in asked)):
            mail = Mail()
            self._inbox.append((mail, asked))
            self._engine.wake()
            try:
                yield mail
            finally:
                self._inbox.append((mail, ()))
                self._engine.wake()

    @property
    def waiting(self) -> int:
        """Rows that wait for a place."""
        return max(0, self.places.taken - self._batch.writing)

    @property
    def writing(self) -> int:
        """Rows that are being written."""
        return self._batch.writing

    def turn(self) -> bool:
        told: Told = []
        while self._inbox:
            self._take(*self._inbox.popleft(), told)
        busy = bool(self._batch.writing or self._batch.waiting)
        if busy:
            began = time.monotonic()
            try:
                events = self._batch.step()
            except Exception as error:  # of memory, say: these rows are lost, and the next ones begin anew
                log.exception("a step of %d rows failed", self._batch.writing)
                told += [(mail, error) for mail in {mail for mail, _ in self._mails.values()}]
                self._mails, self._batch = {}, Batch(self._model, rows=self._rows)
            else:
                told += self._of_rows(events)
                if self._counted is not None:
                    self._counted(self._batch.writing, time.monotonic() - began)
        _deliver(told)
        return busy

    def _take(self, mail: Mail, asked: Sequence[Asked], told: Told) -> None:
        if not asked:
            gone = [row for row, (own, _) in self._mails.items() if own is mail]
            self._batch.cancel(gone)
            for row in gone:
                del self._mails[row]
            return
        number = itertools.count()
        try:
            for one in asked:
                self._mails |= {row: (mail, next(number)) for row in self._batch.add(one)}
        except InputError as error:  # rows that were added leave with the request
            told.append((mail, error))

    def _of_rows(self, events: Sequence[Token | Failed]) -> Iterator[tuple[Mail, Any]]:
        for event in events:
            if event.row not in self._mails:
                continue
            mail, number = self._mails[event.row]
            if isinstance(event, Failed):
                yield mail, event.error
            else:
                yield mail, (number, event)
            if isinstance(event, Failed) or event.end is not None:
                del self._mails[event.row]


class Together:
    """A lane of things that are answered several at a time, whoever asks them.

    Args:
        answer: a sequence of answers to things, as many and in their order; an answer depends on its own thing alone.
        rows: that are answered at a time; queue: that may wait.
    """

    def __init__(
        self,
        engine: Engine,
        answer: Callable[[list[Any]], Any],
        *,
        rows: int,
        queue: int,
        counted: Callable[[int, float], None] | None = None,
    ) -> None:
        self.places = Places(rows, queue)
        self._engine, self._answer, self._rows, self._counted = engine, answer, rows, counted
        self._inbox: deque[tuple[Mail, int, Any]] = deque()
        self.writing = 0
        engine.add(self)

    @property
    def waiting(self) -> int:
        """Things that wait."""
        return max(0, self.places.taken - self.writing)

    @contextlib.contextmanager
    def asking(self, things: Sequence[Any]) -> Iterator[Mail]:
        """Mail of (number of the thing, its answer).

        Raises:
            Refused: the queue is full.
        """
        with self.places.held(len(things)):
            mail = Mail()
            self._inbox.extend((mail, i, thing) for i, thing in enumerate(things))
            self._engine.wake()
            try:
                yield mail
            finally:
                mail.gone = True

    def turn(self) -> bool:
        some: list[tuple[Mail, int, Any]] = []
        while self._inbox and len(some) < self._rows:
            one = self._inbox.popleft()
            if not one[0].gone:
                some.append(one)
        if not some:
            return False
        self.writing, began = len(some), time.monotonic()
        _deliver(self._answered(some))
        if self._counted is not None:
            self._counted(len(some), time.monotonic() - began)
        self.writing = 0
        return True

    def _answered(self, some: list[tuple[Mail, int, Any]]) -> Told:
        """One that cannot be answered does not take the others along."""
        try:
            answers = self._answer([thing for _, _, thing in some])
        except Exception as error:
            if len(some) == 1:
                return [(some[0][0], error)]
            return [told for one in some for told in self._answered([one])]
        return [(mail, (i, answer)) for (mail, i, _), answer in zip(some, answers, strict=True)]
