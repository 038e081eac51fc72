#!/usr/bin/env bash
# Builds InfluxDB 2.7 from its published Go module into build/influxdb/influxd, where no package or image of it can
# be had. Needs Go 1.23 or later, rustup, a C compiler and about 10 minutes on two cores; no root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=${1:-v2.7.12}
place=$PWD/build/influxdb
mkdir -p "$place/source"
cd "$place/source"

for program in go rustup cc pkg-config; do
  command -v "$program" >/dev/null || { echo "build-influxdb: needs $program" >&2; exit 1; }
done
cat >go.mod <<'END'
module gridfleet.invalid/influxdb
END
cat >tools.go <<'END'
//go:build tools

package tools

import _ "github.com/influxdata/influxdb/v2/cmd/influxd"
END

# InfluxDB finds its Flux compiler, which is written in Rust, through a pkg-config of its own.
GOBIN=$place/source go install github.com/influxdata/pkg-config@latest
export PKG_CONFIG=$place/source/pkg-config GOFLAGS=-mod=mod
go get "github.com/influxdata/influxdb/v2@$version"
flux=$(go list -m -f '{{.Dir}}' github.com/influxdata/flux)
rust=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$flux/rust-toolchain.toml")
rustup toolchain install --profile minimal "$rust"
go build -tags sqlite_foreign_keys,sqlite_json,noassets -o "$place/influxd.new" github.com/influxdata/influxdb/v2/cmd/influxd
mv "$place/influxd.new" "$place/influxd"
echo "$place/influxd"
