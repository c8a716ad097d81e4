#!/usr/bin/env bash
# lith beside buildah, as whole processes, in turn, on the same two contexts:
#   (a) about 300 MB of shared libraries, (b) about 50,000 small files; cold (empty store) and unchanged.
# Prints the wall times of each pair, the medians and their ratio, and the sizes of what was written.
#
#   benches/peers.sh [RUNS]          LITH=target/release/lith by default
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5}
lith=$(realpath "${LITH:-target/release/lith}")
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

mkdir -p "$work/a/files" "$work/b/files"
find /usr/lib -xdev -type f -size +16k -print0 | sort -z |
  python3 -c '
import os, shutil, sys
left, to = 300_000_000, sys.argv[1]
for n, name in enumerate(sys.stdin.buffer.read().split(b"\0")):
    if not name or left <= 0: break
    left -= os.path.getsize(name)
    shutil.copyfile(name, os.path.join(to.encode(), b"%05d-" % n + os.path.basename(name)))
' "$work/a/files"
python3 -c '
import os, random, sys
random.seed(1)
words = [bytes(random.choices(b"abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9))) for _ in range(4000)]
for n in range(50_000):
    folder = f"{sys.argv[1]}/{n % 100}/{n % 1000}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{n}.txt", "wb") as f:
        f.write(b" ".join(random.choices(words, k=random.randint(50, 500))))
' "$work/b/files"
for c in a b; do printf 'FROM scratch\nCOPY files /files\n' >"$work/$c/Buildfile"; done
sleep 3 # files as new as the stat cache are read again

export LITH_STORE="$work/store"
buildah_flags=(--root "$work/buildah" --runroot "$work/run" --storage-driver overlay)

lith_build() { "$lith" build -q -o "type=oci,dest=$work/lith-$1" "$work/$1"; }
buildah_build() {
  buildah "${buildah_flags[@]}" bud -q --layers -t "peer-$1" -f "$work/$1/Buildfile" "$work/$1" &&
    buildah "${buildah_flags[@]}" push -q "peer-$1" "oci:$work/buildah-$1:x"
}
clear_lith() { rm -rf "$LITH_STORE" "$work/lith-$1"; }
clear_buildah() { buildah "${buildah_flags[@]}" rmi -a -f >/dev/null 2>&1 || true; rm -rf "$work/buildah-$1"; }

seconds() { # seconds COMMAND…: its wall time
  local start end
  start=$(date +%s%N)
  "$@" >/dev/null
  end=$(date +%s%N)
  echo "$(((end - start) / 1000000))"
}

median() { sort -n | awk '{v[NR]=$1} END {print (NR%2) ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }

for c in a b; do
  for kind in cold unchanged; do
    : >"$work/l" && : >"$work/p"
    [ $kind = unchanged ] && { clear_lith $c; clear_buildah $c; lith_build $c >/dev/null; buildah_build $c >/dev/null; }
    for _ in $(seq "$runs"); do
      [ $kind = cold ] && { clear_lith $c; clear_buildah $c; }
      seconds lith_build $c >>"$work/l"
      seconds buildah_build $c >>"$work/p"
    done
    l=$(median <"$work/l") p=$(median <"$work/p")
    echo "($c) $kind: lith $l ms, buildah $p ms, ratio $(awk "BEGIN {printf \"%.3f\", $l/$p}")"
  done
  echo "($c) written: lith $(du -sb "$work/lith-$c" | cut -f1) bytes, buildah $(du -sb "$work/buildah-$c" | cut -f1) bytes"
done
