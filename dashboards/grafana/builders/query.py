"""Flux queries for the Foundation SDK, which has no builder for InfluxDB."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef

from gridfleet.dashboards.grafana.builders.flux import Flux
from gridfleet.dashboards.grafana.names import DATASOURCE_UID

DATASOURCE: Final = DataSourceRef(type_val="influxdb", uid=DATASOURCE_UID)


class InfluxQuery(Dataquery):
    """A Flux query of a panel, an annotation or an alert rule, as Grafana's InfluxDB data source reads it."""

    def __init__(self, ref_id: str, text: str) -> None:
        self.ref_id = ref_id
        self.text = text

    def to_json(self) -> dict[str, object]:
        """Return the query as plain data; the SDK's encoder calls it."""
        return {"refId": self.ref_id, "datasource": DATASOURCE, "query": self.text}


class Query(Builder[Dataquery]):
    """A query as the panel builders take it."""

    def __init__(self, ref_id: str, flux: Flux) -> None:
        self._query = InfluxQuery(ref_id, flux.text)

    def build(self) -> Dataquery:
        """Return the query."""
        return self._query
