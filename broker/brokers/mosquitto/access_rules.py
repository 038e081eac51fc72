"""Mosquitto's access rules (ACL), for `acl_file` of 2.0 and for the plugin of that name of 2.1."""

from collections.abc import Iterable
from typing import Final

from gridfleet.broker.access_control import Identity, publish_filters, subscribe_filters
from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.protocol.topics import TOPIC_TABLE, Scope, topic_filter

USER_NAME: Final = "%u"
"""Mosquitto's placeholder for the user name in patterns."""


def access_rules(site: str, identities: Iterable[Identity]) -> str:
    """Return the access rules of a site's users as the text of an ACL file.

    Message types that devices of every role may receive by its id are patterns for all users. Everything else is listed
    for each user, because it depends on role and cell. The tick comes first there, because it is delivered most.
    Raises ValueError for a user name that Mosquitto would misread.
    """
    patterns = {
        topic_filter(site, message_type.name, USER_NAME)
        for message_type in TOPIC_TABLE
        if message_type.scope is Scope.DEVICE
        and any(access.roles == set(Role) for access in message_type.readers)
    }
    lines = [f"pattern read {each}" for each in sorted(patterns)]
    for identity in identities:
        name = identity.name
        if name != name.strip() or not name.isprintable() or any(sign in name for sign in "+#/"):
            raise ValueError(
                f"{name!r} cannot be a user name of Mosquitto: no outer spaces, no control characters, no + # or /"
            )
        by_pattern = {each.replace(USER_NAME, name) for each in patterns}
        lines += ["", f"user {name}"]
        lines += [
            f"topic read {each}" for each in subscribe_filters(site, identity) if each not in by_pattern
        ]
        lines += [f"topic write {each}" for each in publish_filters(site, identity)]
    return "\n".join(lines) + "\n"
