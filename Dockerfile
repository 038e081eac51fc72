# One image for every process of GridFleet: clock, fleet, device, recorder. See docs/how-to/deploy/compose.md.
#
#   make dist                                         builds the wheel that is installed here into dist/
#   docker buildx build --platform linux/amd64,linux/arm64,linux/arm/v7 --tag gridfleet .
#
# Every dependency is pinned by hash and has a wheel for these platforms, so nothing is compiled. Without a network,
# put their wheels into a folder and add
#   --volume "$PWD/wheels:/wheels:ro" --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels   (podman)

# Any image with Python 3.11 or later and its venv module at the same place in both stages.
ARG BASE=docker.io/library/python:3.13.9-slim-trixie

FROM ${BASE} AS build
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
WORKDIR /src
COPY requirements-image.lock ./
RUN python3 -m venv /opt/gridfleet \
 && /opt/gridfleet/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
    --only-binary :all: --require-hashes --requirement requirements-image.lock
# The only wheel there, because `make dist` removes those of other versions.
COPY dist/gridfleet-*.whl ./
# The image does not need the installers.
RUN /opt/gridfleet/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
    --no-deps --no-index gridfleet-*.whl \
 && /opt/gridfleet/bin/python -m pip uninstall --quiet --yes setuptools pip

FROM ${BASE}
LABEL org.opencontainers.image.title="GridFleet" \
      org.opencontainers.image.description="A power grid of bargaining devices" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/gridfleet /opt/gridfleet
ENV PATH="/opt/gridfleet/bin:${PATH}" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRIDFLEET_HEARTBEAT=/tmp/heartbeat
# A number, so that Kubernetes knows that it is not root.
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["gridfleet", "health"]
ENTRYPOINT ["gridfleet"]
CMD ["--help"]
