#!/usr/bin/env bash
# Builds InfluxDB 2.7 from its published Go module, where no package or image of it can be had, and prints the path of
# the server. The build is kept outside of the checkout, by version and by this script (but for comments), so that the next
# call from any clone finds it. With --path it prints the path and builds nothing.
# Needs Go 1.23 or later, rustup, a C compiler and about 10 minutes on two cores; no root.
set -euo pipefail
version=v2.7.12

key=$version-$(uname -m)-$(sed '/^ *#/d' "${BASH_SOURCE[0]}" | sha256sum | cut -c1-12)
place=${XDG_CACHE_HOME:-$HOME/.cache}/gridfleet/influxdb/$key
server=$place/influxd
if [ "${1:-}" = --path ] || [ -x "$server" ]; then
  echo "$server"
  exit
fi

for program in go rustup cc pkg-config flock; do
  command -v "$program" >/dev/null || { echo "build-influxdb: needs $program" >&2; exit 1; }
done
mkdir -p "$place/source"
exec 9>"$place/lock"
flock 9 # one build at a time; whoever waited finds it done
if [ ! -x "$server" ]; then
  echo "Building InfluxDB $version in $place (about 10 minutes) ..." >&2
  cd "$place/source"
  export GOCACHE=$place/source/cache GOFLAGS=-mod=mod
  printf 'module gridfleet.invalid/influxdb\n' >go.mod
  go get "github.com/influxdata/influxdb/v2/cmd/influxd@$version" >&2

  # InfluxDB finds its Flux compiler, which is written in Rust, through its own pkg-config.
  go get github.com/influxdata/pkg-config >&2
  go build -o pkg-config github.com/influxdata/pkg-config >&2
  flux=$(go list -m -f '{{.Dir}}' github.com/influxdata/flux)
  rust=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$flux/rust-toolchain.toml")
  rustup toolchain install --profile minimal "$rust" >&2
  PKG_CONFIG=$PWD/pkg-config RUSTUP_TOOLCHAIN=$rust go build -tags sqlite_foreign_keys,sqlite_json,noassets \
    -o "$place/influxd.new" github.com/influxdata/influxdb/v2/cmd/influxd >&2
  mv "$place/influxd.new" "$server"
  chmod -R u+w "$place/source" && rm -rf "$place/source"
fi
echo "$server"
