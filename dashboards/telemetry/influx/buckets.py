"""Creates or corrects the buckets, downsampling tasks and tokens of a site in InfluxDB 2; can be called again."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from gridfleet.dashboards.errors import no_answer_reason
from gridfleet.dashboards.telemetry.influx.client import InfluxError, message_of, no_answer_errors
from gridfleet.dashboards.telemetry.influx.downsampling import TASKS, Task, flux_text

_DAY_S: Final = 86_400
READ: Final = "read"
WRITE: Final = "write"


class TokenSpec(NamedTuple):
    """A token: whose it is, what it permits (read or write), and for which buckets."""

    name: str
    action: str
    buckets: tuple[str, ...]

    @property
    def description(self) -> str:
        """By this text the token is found on the server."""
        return f"GridFleet: {self.name}, may {self.action} {', '.join(self.buckets)} and nothing else"


class InfluxSetup(NamedTuple):
    """Buckets, tasks and tokens that an organisation should have; `raw` is the bucket for points as recorded."""

    org: str
    raw: str
    keep_days: int
    """How long the raw bucket keeps points, in days; 0 means forever."""

    @property
    def buckets(self) -> dict[str, int]:
        """The buckets, each with the days it keeps points; 0 means forever."""
        return {self.raw: self.keep_days} | {self.bucket_of(task): task.keep_days for task in TASKS}

    @property
    def tokens(self) -> tuple[TokenSpec, ...]:
        """The tokens: the recorder writes raw points, Grafana reads them all."""
        return TokenSpec("recorder", WRITE, (self.raw,)), TokenSpec("grafana", READ, tuple(self.buckets))

    def bucket_of(self, task: Task) -> str:
        """Return the bucket that a task writes to."""
        return f"{self.raw}{task.bucket.removeprefix('gridfleet')}"


ReadToken = Callable[[str], str | None]
StoreToken = Callable[[str, str], None]


def set_up(client: Any, setup: InfluxSetup, read_token: ReadToken, store_token: StoreToken) -> list[str]:  # noqa: ANN401 - the library has no types
    """Create what is missing and correct what differs; return a line of text for each change, never with a token.

    `read_token` returns a token that is stored already, by its name; `store_token` gets a new one. Raises InfluxError
    where the organisation is missing or the server refuses.
    """
    from influxdb_client.rest import ApiException

    try:
        org_id = _org_id(client, setup.org)
        done = _buckets(client, setup, org_id)
        done += _tasks(client, setup, org_id)
        return done + _tokens(client, setup, org_id, read_token, store_token)
    except InfluxError:
        raise
    except ApiException as error:
        remedy = "give an operator token, or an all-access token" if error.status in (401, 403) else ""
        raise InfluxError(
            f"InfluxDB refuses ({error.status}: {message_of(error)}) {remedy}".rstrip()
        ) from None
    except (
        AttributeError,
        TypeError,
        KeyError,
        IndexError,
    ) as error:  # the library, from an answer without its keys
        raise InfluxError(
            f"no InfluxDB answers at {client.url} ({type(error).__name__}): name its address with --influx"
        ) from None
    except no_answer_errors() as error:
        raise InfluxError(
            f"InfluxDB does not answer at {client.url} ({no_answer_reason(error)}): is it running there?"
        ) from None


def _org_id(client: Any, org: str) -> str:  # noqa: ANN401
    found = [each for each in client.organizations_api().find_organizations() if each.name == org]
    if not found:
        raise InfluxError(f"there is no organisation {org!r} in this InfluxDB, or the token may not see it")
    return str(found[0].id)


def _buckets(client: Any, setup: InfluxSetup, org_id: str) -> list[str]:  # noqa: ANN401
    from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
    from influxdb_client.domain.post_bucket_request import PostBucketRequest

    api = client.buckets_api()
    done = []
    for name, days in setup.buckets.items():
        rules = [BucketRetentionRules(type="expire", every_seconds=days * _DAY_S)] if days else []
        bucket = api.find_bucket_by_name(name)
        kept = f"{days} days" if days else "forever"
        if bucket is None:
            api.create_bucket(bucket=PostBucketRequest(name=name, org_id=org_id, retention_rules=rules))
            done.append(f"bucket {name}: created, keeps {kept}")
        elif _seconds(bucket.retention_rules) != days * _DAY_S:
            bucket.retention_rules = rules
            api.update_bucket(bucket)
            done.append(f"bucket {name}: now keeps {kept}")
    return done


def _tasks(client: Any, setup: InfluxSetup, org_id: str) -> list[str]:  # noqa: ANN401
    from influxdb_client.domain.task_create_request import TaskCreateRequest
    from influxdb_client.domain.task_update_request import TaskUpdateRequest

    api = client.tasks_api()
    done = []
    for task in TASKS:
        flux = flux_text(task, org=setup.org, raw=setup.raw, prefix=setup.raw)
        found = [each for each in api.find_tasks(name=task.name, org_id=org_id) if each.name == task.name]
        if not found:
            api.create_task(task_create_request=TaskCreateRequest(flux=flux, org_id=org_id))
            done.append(f"task {task.name}: created, runs every {task.every}")
        elif found[0].flux != flux:
            api.update_task_request(found[0].id, TaskUpdateRequest(flux=flux))
            done.append(f"task {task.name}: updated")
    return done


def _tokens(
    client: Any,  # noqa: ANN401
    setup: InfluxSetup,
    org_id: str,
    read_token: ReadToken,
    store_token: StoreToken,
) -> list[str]:
    from influxdb_client.domain.authorization import Authorization
    from influxdb_client.domain.permission import Permission
    from influxdb_client.domain.permission_resource import PermissionResource

    api, buckets = client.authorizations_api(), client.buckets_api()
    existing = list(api.find_authorizations(org_id=org_id))
    done = []
    for spec in setup.tokens:
        ids = [buckets.find_bucket_by_name(name).id for name in spec.buckets]
        mine = [each for each in existing if (each.description or "").startswith(f"GridFleet: {spec.name},")]
        token = read_token(spec.name)
        if token is not None and any(
            each.token == token and _permission(each) == (spec.action, set(ids)) for each in mine
        ):
            continue
        for each in mine:
            api.delete_authorization(each)
        permissions = [
            Permission(
                action=spec.action, resource=PermissionResource(type="buckets", id=each, org_id=org_id)
            )
            for each in ids
        ]
        created = api.create_authorization(
            authorization=Authorization(
                org_id=org_id, permissions=permissions, description=spec.description, status="active"
            )
        )
        store_token(spec.name, str(created.token))
        done.append(f"token {spec.name}: created, may {spec.action} {', '.join(spec.buckets)}")
    return done


def _permission(authorization: Any) -> tuple[str, set[str]]:  # noqa: ANN401
    """Return action and bucket ids of an active token that permits one action on buckets only; else nothing."""
    permissions = authorization.permissions
    actions = {each.action for each in permissions}
    if authorization.status != "active" or len(actions) != 1:
        return "", set()
    if any(each.resource.type != "buckets" for each in permissions):
        return "", set()
    return actions.pop(), {each.resource.id for each in permissions}


def _seconds(rules: Sequence[Any] | None) -> int:
    return int(rules[0].every_seconds) if rules else 0
