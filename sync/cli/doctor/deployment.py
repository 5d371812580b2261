"""The whole deployment, in the order in which a notification meets it. Nothing is changed for good."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import urllib3
from urllib3.exceptions import HTTPError

from sync import records, watching, wiring
from sync.channel import Channel, ChannelState, Key, mint
from sync.cli.doctor import provider
from sync.cli.doctor.check import FAILED, OK, SKIPPED, Check
from sync.conferences.registry import places
from sync.errors import (
    AccessLost,
    Misconfigured,
    RateLimited,
    Refused,
    SyncError,
    Transient,
    Unsupported,
)
from sync.ports import CalendarId, CalendarRecord, Store
from sync.settings import ProviderSettings, SecretPlace
from sync.version import VERSION
from sync.wiring import Hands

if TYPE_CHECKING:
    from sync.google.console import Console

_TRIAL_S = 60.0  # the life of the test channel
_POLL_S = 0.25
_ANSWER_S = 10.0
_LATE_S = 900.0  # a calendar that is due for longer shows that no sweep runs
_TASK_LATE_S = 60.0  # ... and a task, that nobody delivers it
_OLD_S = 400 * 86400.0  # of a key or a secret
_TICK_S = 1.0  # a Date header tells whole seconds
_CLOSED = "terraform apply opens it to allUsers (run.invoker); where that is forbidden, see docs/deploy.md"
_NOT_READY = {
    401: _CLOSED,
    403: _CLOSED,
    503: "it is misconfigured: its log has a record `misconfigured` that names every problem",
}
_SETTINGS = "docs/settings.md explains each variable, `python -m sync config` lists every problem"
_NO_KEYS = "the channel keys are not on this machine, and docs/deploy.md says how they could be"
_LOGIN = "gcloud auth application-default login, as docs/deploy.md says"
_AGAIN = "try again in some minutes"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A calendar that is to be looked after, as people know it."""

    name: str
    key: str
    calendar: CalendarId
    paused: bool = False


def checks(wait_s: float) -> Iterator[Check]:
    """Each as soon as it is known. `wait_s`: how long the test channel's first message may take."""
    try:
        ours = wiring.hands(os.environ)
    except Exception as error:
        yield Check("settings", FAILED, f"read the worker's settings: {_words(error)}", _SETTINGS)
        return
    yield Check("settings", OK, f"read the worker's settings: {len(ours.settings.providers)} providers")
    store = _store(ours)
    yield from store
    if any(check.result == FAILED for check in store):
        return
    yield from _Deployment(ours, wait_s).checks()
    for settings in ours.settings.providers:
        yield from _provider(ours, settings)


def _words(error: Exception) -> str:
    """Only what we have said ourselves: others' words may hold anything."""
    return str(error) if isinstance(error, SyncError) else type(error).__name__


# --- The store ---


def _store(ours: Hands) -> list[Check]:
    store, settings = ours.outside.store, ours.settings
    where = (
        f"the SQLite file {settings.sqlite}"
        if settings.sqlite
        else f"Firestore, database {settings.database}"
    )
    tried = f"wrote to {where} in a transaction"
    grant = (
        "let this account write to the file and its folder"
        if settings.sqlite
        else f"gcloud projects add-iam-policy-binding {settings.project} --role=roles/datastore.user "
        "--member=user:YOU, and for the worker: terraform apply"
    )
    try:
        store.withdraw("doctor", ours.outside.clock.now())  # a note that forgets itself
    except SyncError as error:
        return [
            Check("store", FAILED, f"{tried}: {error}", _AGAIN if isinstance(error, RateLimited) else grant)
        ]
    try:
        _ask_everything(store)
    except SyncError as error:
        return [
            Check("store", OK, tried),
            Check("indexes", FAILED, f"asked every query: {error}", "terraform apply builds the indexes"),
        ]
    return [Check("store", OK, tried), Check("indexes", OK, "asked every query that a pass asks")]


def _ask_everything(store: Store) -> None:
    """Every kind of query: an index that is missing is found before a pass needs it."""
    store.due_calendars(1)
    store.due_conferences("doctor", 0.0, 1)
    store.doubted_links("doctor", 1)
    next(iter(store.live_links("doctor")), None)
    store.provisional_links(0.0, 1)
    store.waiting_conferences("doctor", 1)
    store.tally("doctor", 0.0)


# --- From Google to the store, and back ---


class _Deployment:
    """What stands between a change in a calendar and a pass."""

    def __init__(self, ours: Hands, wait_s: float) -> None:
        self._ours = ours
        self._outside = ours.outside
        self._wait_s = wait_s
        self._url = ours.outside.store.webhook_url()
        self._readable: list[_Wanted] = []
        self._is_mute = False  # nobody gives us any token
        self._unheard: set[str] = set()  # subjects as whom we may not speak

    def checks(self) -> Iterator[Check]:
        wanted = self._wanted()
        yield self._switch(wanted)
        if self._url:
            yield from self._webhook()
        yield self._keys()
        yield self._identity()
        for subject in dict.fromkeys(each.calendar.subject for each in wanted if not each.paused):
            if subject and not self._is_mute:
                yield self._delegation(subject)
        for each in wanted:
            yield from self._calendar(each)
        if self._url and self._readable:
            yield self._push(self._readable[0])
        elif self._url:
            yield Check("push", SKIPPED, "there is no calendar that could be watched")
        yield from self._queue()
        yield from self._jobs()

    def _wanted(self) -> list[_Wanted]:
        store = self._outside.store
        found = records.wanted(store.wired().calendars, store.enrolled(), store.salt())
        return [
            _Wanted(each.slug or each.calendar.id, key, each.calendar, each.paused)
            for key, each in found.items()
        ]

    def _switch(self, wanted: list[_Wanted]) -> Check:
        found = f"{len(wanted)} calendars are wired or enrolled"
        if not self._url:
            fix = "terraform apply writes where channels post, as its last step"
            return Check("wiring", FAILED, f"{found}, but the switch is off: none is watched", fix)
        if not wanted:
            fix = "name one in Terraform's `calendars`, or: python -m sync enrol CALENDAR"
            return Check("wiring", FAILED, found, fix)
        return Check("wiring", OK, f"{found}; channels post to {self._url}")

    # --- the webhook ---

    def _webhook(self) -> Iterator[Check]:
        tried = f"asked {self._url.rstrip('/')}/status"
        try:
            status = urllib3.request(
                "GET", f"{self._url.rstrip('/')}/status", retries=False, timeout=_ANSWER_S
            )
            told = status.json() if status.status == 200 else {}
            refusal = urllib3.request(
                "POST",
                self._url,
                headers={
                    "X-Goog-Channel-ID": "doctor",
                    "X-Goog-Channel-Token": "none",
                    "X-Goog-Resource-State": "sync",
                },
                retries=False,
                timeout=_ANSWER_S,
            )
        except (HTTPError, ValueError) as error:
            fix = "deploy it, or correct where channels post: terraform apply; then look at the service's log"
            yield Check("webhook", FAILED, f"{tried}: no answer ({type(error).__name__})", fix)
            return
        if fix := _NOT_READY.get(
            status.status, "" if status.status == 200 else "it is not our webhook: terraform apply"
        ):
            yield Check("webhook", FAILED, f"{tried}: {status.status}", fix)
        elif (refusal.status, refusal.data) != (204, b""):
            told_instead = f"sent it a notification that is not genuine: {refusal.status} instead of 204"
            yield Check(
                "webhook", FAILED, told_instead, "it is not our webhook, or something stands before it"
            )
        else:
            version = told.get("version", "?") if isinstance(told, dict) else "?"
            note = "" if version == VERSION else f" (this is {VERSION})"
            yield Check("webhook", OK, f"{tried}: version {version}{note}; it refuses what is not genuine")
        yield self._clock(status.headers.get("Date", ""))

    def _clock(self, date: str) -> Check:
        now, margin = self._outside.clock.now(), self._ours.settings.times.margin
        tried = "compared this clock with the webhook's"
        try:
            skew_s = now - parsedate_to_datetime(date).timestamp()
        except (ValueError, TypeError):
            return Check("clock", SKIPPED, f"{tried}: it tells no time")
        if not -margin - _TICK_S < skew_s < margin + 2 * _TICK_S:
            fix = "set the clock of this machine: timedatectl set-ntp true"
            return Check(
                "clock", FAILED, f"{tried}: they differ by {skew_s:.0f} s, the margin is {margin:g}", fix
            )
        return Check("clock", OK, f"{tried}: they agree")

    def _keys(self) -> Check:
        keys, now = self._ours.keys, self._outside.clock.now()
        if keys is None:
            return Check("keys", SKIPPED, _NO_KEYS)
        signing, ages = (
            keys.signing_key(),
            [now - key.made_at for key in keys.keys.oldest_first if key.made_at],
        )
        tried = f"read the channel keys: {len(keys.keys.oldest_first)}, of which {signing.id} signs"
        if ages and min(ages) > _OLD_S:
            fix = "raise channel_key_version by one, and terraform apply: docs/deploy.md, Rotate"
            return Check("keys", FAILED, f"{tried}; the newest is {min(ages) / 86400:.0f} days old", fix)
        return Check("keys", OK, f"{tried}; the newest is {_age(min(ages)) if ages else 'of unknown age'}")

    # --- as whom we speak ---

    def _identity(self) -> Check:
        identity = self._ours.identity
        if identity is None:
            return Check("identity", SKIPPED, "SYNC_CALENDAR_API is a stand-in, and is told no credentials")
        tried = "got an access token of our own"
        try:
            account = identity.prove("")
        except SyncError as error:
            self._is_mute = True
            fix = _AGAIN if isinstance(error, Transient) else f"{_LOGIN}, or see that its account is enabled"
            return Check("identity", FAILED, f"{tried}: {error}", fix)
        return Check("identity", OK, f"{tried}: we are {account or 'whoever is logged in here'}")

    def _delegation(self, subject: str) -> Check:
        """A token for this user, by delegation: signed by IAM, and taken by Google for this scope."""
        settings, identity = self._ours.settings, self._ours.identity
        name = f"delegation {subject}"
        if identity is None:
            return Check(name, SKIPPED, "SYNC_CALENDAR_API is a stand-in, and is told no credentials")
        client = settings.delegation_client or "of unknown client id"
        tried = (
            f"got a token for {subject} as {settings.delegation or 'nobody'} ({client}), for {identity.scope}"
        )
        try:
            identity.prove(subject)
        except SyncError as error:
            self._unheard.add(subject)
            self._is_mute = isinstance(
                error, Misconfigured
            )  # IAM signs for nobody: others would say the same
            return Check(name, FAILED, f"{tried}: {error}", self._delegation_fix(subject, error))
        return Check(name, OK, tried)

    def _delegation_fix(self, subject: str, error: SyncError) -> str:
        settings, identity = self._ours.settings, self._ours.identity
        project = f"--project={settings.project or 'PROJECT'}"
        match error:
            case Transient():
                return _AGAIN
            case Misconfigured():
                return (
                    f"gcloud services enable iamcredentials.googleapis.com {project} && "
                    f"gcloud iam service-accounts add-iam-policy-binding {settings.delegation} {project} "
                    f"--role=roles/iam.serviceAccountTokenCreator --member=serviceAccount:{settings.delegation}"
                )
            case AccessLost() if not settings.delegation:
                return (
                    "set SYNC_DELEGATION, or share the calendar with the worker's account, without a subject"
                )
            case AccessLost() if "invalid_grant" in str(error):
                return f"https://admin.google.com/ac/users : restore {subject}, or correct the calendar's subject"
        client = settings.delegation_client or f"the uniqueId of {settings.delegation}"
        scope = identity.scope if identity else ""
        return f"https://admin.google.com/ac/owl/domainwidedelegation : client id {client}, scope {scope}"

    # --- calendars ---

    def _calendar(self, wanted: _Wanted) -> Iterator[Check]:
        name = f"calendar {wanted.name}"
        if wanted.paused:
            yield Check(name, SKIPPED, "it is paused")
            return
        if self._is_mute or wanted.calendar.subject in self._unheard:
            yield Check(name, SKIPPED, "nobody lets us speak to Google as we would")
            return
        whose = f"as {wanted.calendar.subject}" if wanted.calendar.subject else "as ourselves"
        try:
            role = self._outside.calendar.access_role(wanted.calendar)
        except Exception as error:
            yield Check(name, FAILED, f"read it {whose}: {_words(error)}", self._read_fix(wanted, error))
            return
        self._readable.append(wanted)
        yield Check(name, OK, f"read it {whose}: we are {role}")
        yield self._channel(wanted)

    def _read_fix(self, wanted: _Wanted, error: Exception) -> str:
        match error:
            case AccessLost():
                whom = wanted.calendar.subject or "the worker's account (terraform output worker_account)"
                return (
                    f"https://calendar.google.com/calendar/r/settings : share the calendar with {whom}, who is to "
                    "see all event details"
                )
            case RateLimited() | Transient():
                return _AGAIN
        return _SETTINGS

    def _channel(self, wanted: _Wanted) -> Check:
        name = f"channel {wanted.name}"
        record = self._outside.store.calendar(wanted.key)
        now = self._outside.clock.now()
        if record is not None and record.frozen:
            fix = "it can be read now: it goes on by itself within the hour"
            return Check(name, FAILED, f"the calendar is frozen: {record.frozen}", fix)
        if not self._url:
            return Check(name, SKIPPED, "the switch is off")
        good = [each for each in record.channels if self._is_good(each, wanted, now)] if record else []
        if not good:
            return Check(name, FAILED, "there is no open channel to the webhook", self._job_fix("converge"))
        newest = max(good, key=lambda each: each.expires_at)
        came = "its first message came" if newest.greeted_at else "its first message has not come yet"
        return Check(name, OK, f"open until {_moment(newest.expires_at)}; {came}")

    def _is_good(self, channel: Channel, wanted: _Wanted, now: float) -> bool:
        keys = self._ours.keys
        known = keys is None or keys.keys.find(channel.key_id) is not None
        open_here = channel.state is ChannelState.OPEN and channel.address == self._url
        return open_here and known and channel.expires_at > now and channel.subject == wanted.calendar.subject

    # --- a message all the way ---

    def _push(self, wanted: _Wanted) -> Check:
        if self._ours.keys is None:
            return Check("push", SKIPPED, f"a test channel must be signed: {_NO_KEYS}")
        tried = f"opened a channel of {_TRIAL_S:.0f} s on {wanted.name}"
        record = self._outside.store.calendar(wanted.key) or CalendarRecord(wanted.key, wanted.calendar)
        ours, key = self._ours, self._ours.keys.signing_key()
        try:
            with watching.trial(ours.outside, ours.policy, key, record, self._url, _TRIAL_S) as channel:
                if self._greeted(channel, wanted.key):
                    return Check(
                        "push", OK, f"{tried}: its first message came through webhook, queue and worker"
                    )
                self._greet(key, channel, wanted.key)
                if self._greeted(channel, wanted.key):
                    told = f"{tried}: Google's message did not come in {self._wait_s:g} s, and one of our own did"
                    fix = f"Google must reach {self._url} from outside: public, https, and nothing before it"
                    return Check("push", FAILED, told, fix)
        except Unsupported:
            return Check("push", SKIPPED, f"{tried}: Google watches no calendar of this kind")
        except (Refused, AccessLost) as error:
            return Check(
                "push", FAILED, f"{tried}: {error}", "channels need an https address with a good certificate"
            )
        except SyncError as error:
            return Check("push", FAILED, f"{tried}: {error}", _AGAIN)
        told = f"{tried}: its first message did not come in {self._wait_s:g} s, nor did one of our own"
        fix = "give the webhook the same channel keys; see that its queue runs and reaches the worker"
        return Check("push", FAILED, told, fix)

    def _greeted(self, channel: Channel, key: str) -> bool:
        until = time.monotonic() + self._wait_s
        while time.monotonic() < until:
            record = self._outside.store.calendar(key)
            if record and any(each.id == channel.id and each.greeted_at for each in record.channels):
                return True
            time.sleep(_POLL_S)
        return False

    def _greet(self, signing: Key, channel: Channel, key: str) -> None:
        """What Google should have sent."""
        token = mint(signing, channel.id, key, int(self._outside.clock.now()) + 600)
        headers = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Token": token,
            "X-Goog-Resource-State": "sync",
        }
        try:
            urllib3.request("POST", self._url, headers=headers, retries=False, timeout=_ANSWER_S)
        except HTTPError:
            return  # the webhook's own check has told it

    # --- what drives it ---

    def _queue(self) -> Iterator[Check]:
        settings = self._ours.settings
        if not settings.queue:
            from sync.local.queue import LocalQueue

            queue = LocalQueue(str(settings.sqlite), self._outside.clock)
            late_s = queue.overdue_s()
            told = f"looked at the queue beside the store: the oldest task is {late_s:.0f} s late"
            fix = "run a dispatcher on this file, as `python -m sync demo` does"
            yield Check("queue", FAILED, told, fix) if late_s > _TASK_LATE_S else Check("queue", OK, told)
            return
        try:
            state = _console(self._ours).queue_state(settings.queue)
        except SyncError as error:
            yield Check(
                "queue",
                FAILED,
                f"asked for {settings.queue}: {error}",
                "terraform apply, or roles/cloudtasks.viewer",
            )
            return
        name = settings.queue.rpartition("/")[2]
        resume = (
            f"gcloud tasks queues resume {name} --location={settings.region} --project={settings.project}"
        )
        told = f"asked for {settings.queue}: {state}"
        yield Check("queue", OK, told) if state == "RUNNING" else Check("queue", FAILED, told, resume)

    def _jobs(self) -> Iterator[Check]:
        now, settings = self._outside.clock.now(), self._ours.settings
        records = self._outside.store.calendars()
        late = [now - each.due_at for each in records if each.active and each.due_at < now - _LATE_S]
        if late:
            told = f"{len(late)} calendars are due, the oldest for {_age(max(late))}"
            yield Check("sweep", FAILED, told, self._job_fix("sweep"))
        else:
            yield Check("sweep", OK, "no calendar is due for long")
        if not settings.queue:
            return
        try:
            jobs = {each.path: each for each in _console(self._ours).jobs(settings.project, settings.region)}
        except SyncError as error:
            yield Check(
                "jobs",
                FAILED,
                f"asked the scheduler: {error}",
                "terraform apply, or roles/cloudscheduler.viewer",
            )
            return
        for job in ("converge", "sweep"):
            found = jobs.get(f"/jobs/{job}")
            if found is None:
                yield Check(f"job {job}", FAILED, "the scheduler has none", "terraform apply")
            elif found.state != "ENABLED" or found.code:
                told = f"{found.name} is {found.state}, and its last attempt ended with code {found.code}"
                yield Check(f"job {job}", FAILED, told, self._job_fix(job, found.name))
            else:
                yield Check(
                    f"job {job}", OK, f"{found.name} is {found.state}, and its last attempt ended well"
                )

    def _job_fix(self, job: str, name: str = "") -> str:
        settings = self._ours.settings
        if not settings.queue:
            return f"let something ask the worker every few minutes: curl -X POST WORKER/jobs/{job}"
        where = f"--location={settings.region} --project={settings.project}"
        name = name or f"calsync-{job}"
        return f"gcloud scheduler jobs resume {name} {where} && gcloud scheduler jobs run {name} {where}"


# --- Providers ---


def _provider(ours: Hands, settings: ProviderSettings) -> Iterator[Check]:
    try:
        yield from provider.credentials(ours.conferences, settings)
    except Exception as error:
        fix = f"try it alone: python -m sync doctor --provider {settings.name}"
        yield Check(f"provider {settings.name}", FAILED, f"built it: {_words(error)}", fix)
    options = (settings.options, *(account.options for account in settings.accounts))
    for place in dict.fromkeys(place for each in options for place in places(each)):
        yield _secret_age(ours, settings.name, place)


def _secret_age(ours: Hands, name: str, place: SecretPlace) -> Check:
    what = f"secret {name}"
    where = place.file or place.secret
    try:
        made_at = os.stat(place.file).st_mtime if place.file else _console(ours).secret_made_at(place.secret)
    except (OSError, SyncError):
        return Check(what, SKIPPED, f"looked up how old {where} is: it does not say, or not to this account")
    age_s = ours.outside.clock.now() - made_at
    told = f"looked up how old {where} is: {_age(age_s)}"
    if age_s > _OLD_S:
        return Check(
            what, FAILED, told, "make a new one with the provider, add it as the newest version, end the old"
        )
    return Check(what, OK, told)


def _console(ours: Hands) -> "Console":
    from sync.google.console import Console, own_token

    tasks, secrets = ours.settings.tasks_api, ours.settings.secrets_api
    token = (lambda: "nobody") if tasks or secrets else own_token
    return Console(token, tasks_root=tasks, scheduler_root=tasks, secrets_root=secrets)


def _age(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds > 2 * 86400 else f"{seconds / 3600:.1f} hours"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%MZ")
