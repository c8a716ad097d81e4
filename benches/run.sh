#!/usr/bin/env bash
# RUN: lith beside `buildah bud --layers`, as whole processes, in turn: ten steps on a bookworm minbase, cold (the base
# as a layout, nothing of it unpacked, nothing cached) and with everything cached; and what a step costs that does nothing.
#
#   benches/run.sh [RUNS [BASE]]     LITH=target/release/lith by default; BASE is a layout, as tests/run/bookworm.sh
#                                    leaves it in target/bookworm/base
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5}
base=$(realpath "${2:-target/bookworm/base}")
lith=$(realpath "${LITH:-target/release/lith}")
[ -e "$base/index.json" ] || { echo "there is no base in $base: run tests/run/bookworm.sh first" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The first that works, best first.
for driver in overlay vfs; do
  buildah_flags=(--root "$work/buildah" --runroot "$work/run" --storage-driver $driver)
  printf 'FROM scratch\nLABEL a=b\n' >"$work/Containerfile"
  buildah "${buildah_flags[@]}" bud -q -f "$work/Containerfile" "$work" >/dev/null 2>&1 && break
done
echo "buildah $(buildah --version | cut -d' ' -f3), $driver, isolation chroot"

mkdir "$work/ten" "$work/nothing"
cat >"$work/steps" <<'STEPS'
RUN echo one > /one
RUN mkdir -p /srv/a/b/c && echo two > /srv/a/b/c/two
RUN useradd -r service
RUN dpkg -i /var/cache/apt/archives/hello_*.deb
RUN cp -r /usr/share/zoneinfo /srv/zones
RUN rm -rf /usr/share/doc /usr/share/man
RUN ldconfig
RUN find / -xdev -name '*.conf' | sort > /srv/list
RUN chown -R service /srv/zones
RUN true
STEPS
{ echo "FROM base"; cat "$work/steps"; } >"$work/ten/Buildfile"
{ echo "FROM oci:$base"; cat "$work/steps"; } >"$work/ten/Containerfile"
{ echo "FROM base"; for n in $(seq 20); do echo "RUN true $n"; done; } >"$work/nothing/Buildfile"

lith_build() { "$lith" --store "$store" build -q --build-context "base=oci-layout://$base" -t ten "$work/$1"; }
buildah_build() { buildah "${buildah_flags[@]}" bud -q --layers --isolation chroot -t ten -f "$work/ten/Containerfile" "$work/ten" 2>/dev/null; }

milliseconds() { # milliseconds COMMAND…: its wall time
  local start end
  start=$(date +%s%N)
  "$@" >/dev/null
  end=$(date +%s%N)
  echo "$(((end - start) / 1000000))"
}

median() { sort -n | awk '{v[NR]=$1} END {print (NR%2) ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }

compare() {
  l=$(median <"$work/l") p=$(median <"$work/p")
  echo "$1: lith $l ms, buildah $p ms, ratio $(awk "BEGIN {printf \"%.3f\", $l/$p}")  ($(tr '\n' ' ' <"$work/l")| $(tr '\n' ' ' <"$work/p"))"
}

: >"$work/l" && : >"$work/p"
for n in $(seq "$runs"); do
  # New folders: a file system is slow in making files where many were just removed.
  store=$work/store-$n
  buildah_flags=(--root "$work/buildah-$n" --runroot "$work/run-$n" --storage-driver $driver)
  milliseconds lith_build ten >>"$work/l"
  milliseconds buildah_build >>"$work/p"
done
compare cold
: >"$work/l" && : >"$work/p"
for _ in $(seq "$runs"); do
  milliseconds lith_build ten >>"$work/l"
  milliseconds buildah_build >>"$work/p"
done
compare cached

# The first of the steps finds out what the machine allows; that is in it, too.
: >"$work/l"
for _ in $(seq "$runs"); do
  milliseconds "$lith" --store "$store" build -q --no-cache --build-context "base=oci-layout://$base" -t nothing "$work/nothing" >>"$work/l"
done
echo "RUN true: $(awk "BEGIN {printf \"%.1f\", $(median <"$work/l") / 20}") ms for each of 20 steps"
