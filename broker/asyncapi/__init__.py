"""The AsyncAPI document of a site: `python -m gridfleet.broker.asyncapi >docs/asyncapi.yaml` generates it."""
