"""Everything the three platforms know, in one object and one process; what lasts is written to the journal."""

import asyncio
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Coroutine, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from app.sandbox.blobs import Blobs
from app.sandbox.clock import VirtualClock
from app.sandbox.faults import FaultBoard
from app.sandbox.journal import Journal, Record
from app.sandbox.knobs import Knobs
from app.sandbox.media import MediaFetcher
from app.sandbox.objects import Container, Grant, UploadSession, VideoUpload, Visit
from app.sandbox.people import ACCOUNTS, PEOPLE
from app.sandbox.records import Account, Person, PlatformName, Publication, Token

T = TypeVar("T")

VISITS_KEPT = 10_000
"""The request journal of the control API holds so many; older ones leave."""


class World:
    """The state of the sandbox. All of it is touched from one event loop only."""

    def __init__(
        self,
        *,
        public_url: str,
        clients: Mapping[str, str],
        clock: VirtualClock,
        journal: Journal,
        blobs: Blobs,
        fetcher: MediaFetcher,
        knobs: Knobs,
    ) -> None:
        self.public_url = public_url.rstrip("/")
        self.clients = clients
        self.clock = clock
        self.blobs = blobs
        self.fetcher = fetcher
        self.faults = FaultBoard()
        self.visits: deque[Visit] = deque(maxlen=VISITS_KEPT)
        self._journal = journal
        self._usual_knobs = knobs
        self.revision = 0
        """Rises whenever what people see may have changed."""
        self.generation = 0
        """Rises with every reset; what was on its way to an older world has no effect on this one."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._forget()
        for record in journal.replay():
            self._take(record)
        self._journal.rewrite(self._records())

    def _forget(self) -> None:
        self.revision += 1
        self.generation += 1
        self.knobs = self._usual_knobs
        self.people: dict[str, Person] = {person.id: person for person in PEOPLE}
        self.accounts: dict[str, Account] = {account.id: account for account in ACCOUNTS}
        self.tokens: dict[str, Token] = {}
        self.grants: dict[str, Grant] = {}
        self.publications: dict[str, Publication] = {}
        self._aliases: dict[str, str] = {}
        self._codes: dict[tuple[PlatformName, str], str] = {}
        self._timelines: defaultdict[str, dict[str, Publication]] = defaultdict(dict)
        self._waiting: dict[str, Publication] = {}
        self.containers: dict[str, Container] = {}
        self.uploads: dict[str, VideoUpload] = {}
        self.sessions: dict[str, UploadSession] = {}
        self.polls_left: dict[str, int] = {}
        """How often a publication's processing still answers "not yet"."""
        self.stale_reads: dict[str, int] = {}
        """How many reads of a publication still miss its latest change."""
        self.spent: Counter[tuple[str, str, str]] = Counter()
        """YouTube's budget: how much of (project, bucket, Pacific day) is gone."""

    def reset(self, *, keep_accounts: bool) -> None:
        """As on the first day; or keep people, accounts and tokens, so that what is connected stays connected."""
        kept = [record for record in self._records() if not isinstance(record, Publication)] if keep_accounts else []
        self.clock.reset()
        self.faults.disarm()
        self.visits.clear()
        self._forget()
        for record in kept:
            self._take(record)
        self._journal.rewrite(self._records())

    def save(self, record: Record) -> None:
        """Take a new or changed record, and remember it over a restart."""
        self._take(record)
        self._journal.append(record)

    def _take(self, record: Record) -> None:
        match record:
            case Person():
                self.people[record.id] = record
            case Account():
                self.accounts[record.id] = record
            case Token():
                self.tokens[record.value] = record
            case Publication():
                self._index(record)

    def _index(self, publication: Publication) -> None:
        self.revision += 1
        self.publications[publication.id] = publication
        self._codes[publication.platform, publication.code] = publication.id
        if publication.alias is not None:
            self._aliases[publication.alias] = publication.id
        if publication.due_at is not None:
            self._waiting[publication.id] = publication
        else:
            self._waiting.pop(publication.id, None)
        if publication.published_at is not None:
            self._timelines[publication.account_id][publication.id] = publication

    def _records(self) -> Iterator[Record]:
        return itertools.chain(
            self.people.values(), self.accounts.values(), self.tokens.values(), self.publications.values()
        )

    def publish(self, publication: Publication) -> None:
        """Put it in front of people: a new one, or what was a draft."""
        now = self.clock.now()
        if publication.id not in self.publications and publication.id not in self.uploads:
            publication.created_at = now
        publication.published_at = now
        publication.due_at = None
        self.add_fresh(publication)

    def add_fresh(self, publication: Publication) -> None:
        """Save a publication or draft, which reads may miss for a while."""
        self.save(publication)
        if self.knobs.read_lag:
            self.stale_reads[publication.id] = self.knobs.read_lag

    def is_stale(self, publication: Publication) -> bool:
        """Whether this read still misses its latest change; counts as one read."""
        left = self.stale_reads.get(publication.id, 0)
        if left == 0:
            return False
        self.stale_reads[publication.id] = left - 1
        return True

    def publish_due(self) -> None:
        """Publish what Facebook was asked to publish at a time that has come."""
        now = self.clock.now()
        for publication in self.waiting:
            if publication.due_at is not None and publication.due_at <= now:
                self.publish(publication)

    @property
    def waiting(self) -> list[Publication]:
        """What Facebook will publish at its time."""
        return list(self._waiting.values())

    def live(self, platform: PlatformName | None = None) -> list[Publication]:
        """What people see of all accounts, oldest first."""
        owners = [account.id for account in self.accounts.values() if platform in (None, account.platform)]
        seen = itertools.chain.from_iterable(self.live_of(owner) for owner in owners)
        return sorted(seen, key=lambda publication: publication.published_at or publication.created_at)

    def live_of(self, account_id: str) -> list[Publication]:
        """What people see of one account, in the order it was published."""
        return [publication for publication in self._timelines[account_id].values() if publication.is_live]

    def live_since(self, account_id: str, since: timedelta) -> list[Publication]:
        """What an account has published within the time before now, latest first."""
        begin = self.clock.now() - since
        latest_first = reversed(self._timelines[account_id].values())
        return list(
            itertools.takewhile(lambda one: one.published_at is not None and one.published_at > begin, latest_first)
        )

    def find_publication(self, object_id: str) -> Publication | None:
        """A publication or draft by its id or alias; None also where it was removed."""
        publication = self.publications.get(self._aliases.get(object_id, object_id))
        return None if publication is None or publication.is_removed else publication

    def find_by_code(self, platform: PlatformName, code: str) -> Publication | None:
        """A publication by its part of the permalink."""
        return self.find_publication(self._codes.get((platform, code), ""))

    def detach(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let work go on to its end whoever waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Finish what runs, then close files and connections."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.fetcher.close()
        self._journal.close()
