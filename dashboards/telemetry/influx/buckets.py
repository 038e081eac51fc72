"""Buckets, downsampling tasks and tokens of a site in InfluxDB 2: made, or put right; called again, nothing changes."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from gridfleet.dashboards.telemetry.influx.client import InfluxError
from gridfleet.dashboards.telemetry.influx.downsampling import TASKS, Task, text

_DAY_S: Final = 86_400
READ: Final = "read"
WRITE: Final = "write"


class Grant(NamedTuple):
    """A token that is to be: whose it is, what it may do, and with which buckets."""

    name: str
    action: str
    buckets: tuple[str, ...]

    @property
    def description(self) -> str:
        """How the token is found again on the server."""
        return f"GridFleet: {self.name}, may {self.action} {', '.join(self.buckets)} and nothing else"


class Wish(NamedTuple):
    """What there is to be in an organisation."""

    org: str
    raw: str
    keep_days: int
    """How long the raw bucket keeps points, in days; 0 for ever."""

    @property
    def buckets(self) -> dict[str, int]:
        """The buckets, each with the days it keeps points, 0 for ever."""
        return {self.raw: self.keep_days} | {self.into(task): task.keep_days for task in TASKS}

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The tokens: the recorder writes raw points, Grafana reads them all."""
        return Grant("recorder", WRITE, (self.raw,)), Grant("grafana", READ, tuple(self.buckets))

    def into(self, task: Task) -> str:
        """Return the bucket that a task writes to."""
        return f"{self.raw}{task.into.removeprefix('gridfleet')}"


Known = Callable[[str], str | None]
Keep = Callable[[str, str], None]


def set_up(client: Any, wish: Wish, known: Known, keep: Keep) -> list[str]:  # noqa: ANN401 - the library has no types
    """Make what is missing and put right what differs; return what was done, in words, and never a token.

    `known` gives the token of a name that is kept already, `keep` is given a new one. Raises InfluxError where the
    organisation is missing or the server refuses.
    """
    from influxdb_client.rest import ApiException
    from urllib3.exceptions import HTTPError

    try:
        org_id = _org_id(client, wish.org)
        done = _buckets(client, wish, org_id)
        done += _tasks(client, wish, org_id)
        return done + _tokens(client, wish, org_id, known, keep)
    except ApiException as error:
        remedy = "give the token of an operator, or an all-access token" if error.status in (401, 403) else ""
        raise InfluxError(f"InfluxDB refuses ({error.status}: {error.message}) {remedy}".rstrip()) from None
    except (HTTPError, OSError) as error:
        raise InfluxError(
            f"InfluxDB gives no answer at {client.url} ({type(error).__name__}): is it running there?"
        ) from None


def _org_id(client: Any, org: str) -> str:  # noqa: ANN401
    found = [each for each in client.organizations_api().find_organizations() if each.name == org]
    if not found:
        raise InfluxError(f"there is no organisation {org!r} in this InfluxDB, or the token may not see it")
    return str(found[0].id)


def _buckets(client: Any, wish: Wish, org_id: str) -> list[str]:  # noqa: ANN401
    from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
    from influxdb_client.domain.post_bucket_request import PostBucketRequest

    api = client.buckets_api()
    done = []
    for name, days in wish.buckets.items():
        rules = [BucketRetentionRules(type="expire", every_seconds=days * _DAY_S)] if days else []
        bucket = api.find_bucket_by_name(name)
        kept = f"{days} days" if days else "for ever"
        if bucket is None:
            api.create_bucket(bucket=PostBucketRequest(name=name, org_id=org_id, retention_rules=rules))
            done.append(f"bucket {name}: made, keeps {kept}")
        elif _seconds(bucket.retention_rules) != days * _DAY_S:
            bucket.retention_rules = rules
            api.update_bucket(bucket)
            done.append(f"bucket {name}: keeps {kept} now")
    return done


def _tasks(client: Any, wish: Wish, org_id: str) -> list[str]:  # noqa: ANN401
    from influxdb_client.domain.task_create_request import TaskCreateRequest
    from influxdb_client.domain.task_update_request import TaskUpdateRequest

    api = client.tasks_api()
    done = []
    for task in TASKS:
        flux = text(task, org=wish.org, raw=wish.raw, prefix=wish.raw)
        found = [each for each in api.find_tasks(name=task.name, org_id=org_id) if each.name == task.name]
        if not found:
            api.create_task(task_create_request=TaskCreateRequest(flux=flux, org_id=org_id))
            done.append(f"task {task.name}: made, runs every {task.every}")
        elif found[0].flux != flux:
            api.update_task_request(found[0].id, TaskUpdateRequest(flux=flux))
            done.append(f"task {task.name}: written anew")
    return done


def _tokens(client: Any, wish: Wish, org_id: str, known: Known, keep: Keep) -> list[str]:  # noqa: ANN401
    from influxdb_client.domain.authorization import Authorization
    from influxdb_client.domain.permission import Permission
    from influxdb_client.domain.permission_resource import PermissionResource

    api, buckets = client.authorizations_api(), client.buckets_api()
    there = list(api.find_authorizations(org_id=org_id))
    done = []
    for grant in wish.grants:
        ids = [buckets.find_bucket_by_name(name).id for name in grant.buckets]
        mine = [each for each in there if (each.description or "").startswith(f"GridFleet: {grant.name},")]
        token = known(grant.name)
        if token is not None and any(
            each.token == token and _may(each) == (grant.action, set(ids)) for each in mine
        ):
            continue
        for each in mine:
            api.delete_authorization(each)
        permissions = [
            Permission(
                action=grant.action, resource=PermissionResource(type="buckets", id=each, org_id=org_id)
            )
            for each in ids
        ]
        made = api.create_authorization(
            authorization=Authorization(
                org_id=org_id, permissions=permissions, description=grant.description, status="active"
            )
        )
        keep(grant.name, str(made.token))
        done.append(f"token {grant.name}: made, may {grant.action} {', '.join(grant.buckets)}")
    return done


def _may(authorization: Any) -> tuple[str, set[str]]:  # noqa: ANN401
    """Return what a token may do, if that is one kind of thing with buckets; else nothing that anybody wants."""
    permissions = authorization.permissions
    actions = {each.action for each in permissions}
    if authorization.status != "active" or len(actions) != 1:
        return "", set()
    if any(each.resource.type != "buckets" for each in permissions):
        return "", set()
    return actions.pop(), {each.resource.id for each in permissions}


def _seconds(rules: Sequence[Any] | None) -> int:
    return int(rules[0].every_seconds) if rules else 0
