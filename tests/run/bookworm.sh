#!/usr/bin/env bash
# RUN on a real distribution: the same steps in clean stores, as root (twice), as a user with subordinate ids and as
# one without, each time on a machine that looks different: host name, clocks since boot, time zone, language, umask,
# number of threads, place of the store. Prints a line for each step; fails if digests differ that must not.
#
#   tests/run/bookworm.sh [FOLDER]   LITH=target/release/lith by default
#
# FOLDER keeps the bases for the next time. They are made with debootstrap and apt-get, from the mirrors that these
# use on the machine; without FOLDER/base and the programs it says what was not tested, and ends with 77.
set -euo pipefail
cd "$(dirname "$0")/../.."
lith=$(realpath "${LITH:-target/release/lith}")
kept=$(realpath -m "${1:-target/bookworm}")
mkdir -p "$kept"
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
cp "$lith" "$work/lith"
chmod 755 "$work/lith"
lith=$work/lith

untested() {
  echo "warning: RUN on bookworm was NOT tested: $1" >&2
  exit 77
}
[ "$(id -u)" = 0 ] || untested "this needs root, to be several users"
for program in unshare setpriv tar; do
  command -v $program >/dev/null || untested "\`$program\` is not installed"
done

# A base of debootstrap's with a package to install, and one with the tools that the steps use.
if [ ! -e "$kept/base/index.json" ]; then
  command -v debootstrap >/dev/null || untested "\`debootstrap\` is not installed"
  debootstrap --variant=minbase bookworm "$work/root" >"$work/log" 2>&1 || untested "debootstrap failed: $(tail -n 1 "$work/log")"
  chroot "$work/root" apt-get clean
  chroot "$work/root" sh -c 'cd /var/cache/apt/archives && apt-get -qq -o APT::Sandbox::User=root download hello'
  rm -f "$work/root/etc/resolv.conf" "$work/root/etc/hostname"
  mkdir "$work/context"
  tar --numeric-owner --sort=name -C "$work/root" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf "$work/context/rootfs.tar" .
  printf 'FROM scratch\nADD rootfs.tar /\n' >"$work/context/Buildfile"
  "$lith" --store "$work/making" build -q -o "type=oci,dest=$kept/base" "$work/context" >/dev/null
  rm -rf "$work/root" "$work/context" "$work/making"
fi
install='apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends'
if [ ! -e "$kept/tools/index.json" ]; then
  mkdir "$work/context"
  printf 'FROM base\nRUN --network=default %s gcc libc6-dev python3 ca-certificates\n' "$install" >"$work/context/Buildfile"
  "$lith" --store "$work/making" build -q --build-context "base=oci-layout://$kept/base" -o "type=oci,dest=$kept/tools" "$work/context" >"$work/log" 2>&1 ||
    untested "apt-get install failed: $(tail -n 1 "$work/log")"
  rm -rf "$work/context" "$work/making"
fi

# Users of this script's own: nobody else on the machine sees them.
mkdir "$work/etc"
printf 'root:x:0:0:root:/root:/bin/sh\nseveral:x:54321:54321::%s:/bin/sh\n' "$work" >"$work/etc/passwd"
echo 'several:10000000:65536' | tee "$work/etc/subuid" >"$work/etc/subgid"
subordinate=yes
command -v newuidmap >/dev/null || { subordinate=no; echo "warning: \`newuidmap\` is not installed: users with subordinate ids were NOT tested" >&2; }

# as WHO NUMBER COMMAND…: on a machine that looks different for each number.
as() {
  local who=$1 number=$2
  shift 2
  local user=()
  case $who in
  several) user=(setpriv --reuid 54321 --regid 54321 --clear-groups) ;;
  one) user=(setpriv --reuid 12345 --regid 12345 --clear-groups) ;;
  esac
  local zones=(UTC Asia/Tokyo America/Caracas Africa/Cairo) masks=(022 077 002 027)
  unshare -m --uts --time --boottime $((number * 7777)) --monotonic $((number * 7777)) sh -c '
    hostname "machine-$1"; umask "$2"; work=$3; shift 3
    mount -t overlay -o "lowerdir=$work/etc:/etc" etc /etc
    exec "$@"' as "$number" "${masks[number]}" "$work" \
    env -i PATH="$PATH" HOME=/nowhere TZ="${zones[number]}" LANG="xx_$number" LITH_THREADS=$((number + 1)) "${user[@]}" "$@"
}

# step NAME WHO STEPS: builds STEPS for each of WHO (`root`, `several`, `one`) in a clean store and compares.
failed=0
step() {
  local name=$1 whos=$2 digests=() number=0 said=""
  local context=$work/$name
  mkdir "$context"
  printf 'FROM tools\n%s\n' "$3" >"$context/Buildfile"
  for who in $whos; do
    [ "$who $subordinate" = "several no" ] && continue
    local at="$work/${number}$(printf '/a%.0s' $(seq $((number + 1))))"
    mkdir -p "$at"
    case $who in several) chown -R 54321:54321 "$at" ;; one) chown -R 12345:12345 "$at" ;; esac
    # Not in the same second as the one before.
    sleep 1.1
    if as "$who" "$number" "$lith" --store "$at/store" build -q --build-context "tools=oci-layout://$kept/tools" \
      -o "type=oci,dest=$at/out" "$context" >"$work/digest" 2>"$work/log"; then
      digests+=("$(cat "$work/digest")")
      said+=" $who:$(cut -c8-19 "$work/digest")"
    else
      said+=" $who:failed"
      digests+=(failed)
      sed "s/^/  $who: /" "$work/log" | tail -n 12
    fi
    [ -n "${OUT:-}" ] && { mkdir -p "$OUT"; rm -rf "$OUT/$name-$number-$who"; cp -r "$at/out" "$OUT/$name-$number-$who" 2>/dev/null || true; }
    # Some of the files belong to ids of the user's.
    rm -rf "${work:?}/$number"
    number=$((number + 1))
  done
  if [ "$(printf '%s\n' "${digests[@]}" | sort -u | wc -l)" = 1 ] && [ "${digests[0]}" != failed ]; then
    echo "same    $name:$said"
  else
    echo "DIFFERS $name:$said"
    failed=1
  fi
}

all='root root several one'
# With one id nothing can be given to another user: these steps fail there, with an error that says so.
ids='root root several'

step dpkg "$all" 'RUN dpkg -i /var/cache/apt/archives/hello_*.deb && hello'
step apt-offline "$all" 'RUN apt-mark hold gzip && apt-mark auto hostname && apt-cache gencaches && apt-cache policy gzip && apt-get check'
step useradd "$ids" 'RUN useradd -m -s /bin/bash worker && groupadd -r service && useradd -r -g service service && echo worker:secret | chpasswd -e && install -o worker -g service -d /srv/work
USER worker
RUN id > /home/worker/id && touch /tmp/mine'
step compile "$all" 'RUN printf "#include <stdio.h>\nint main(void) { puts(__DATE__ __TIME__ __FILE__); return 0; }\n" > /tmp/a.c && cd /tmp && gcc -g -O2 -o /usr/local/bin/a a.c && gcc -static -o /usr/local/bin/b a.c && gcc -c a.c && ar rcs liba.a a.o && a > /a'
step compileall "$all" 'RUN cp -r /usr/lib/python3.11/json /usr/lib/python3.11/email /opt/ && python3 -m compileall -q /opt && python3 -m compileall -q -f /usr/lib/python3.11/asyncio'
step ldconfig "$all" 'RUN mkdir /opt/lib && cp /usr/lib/x86_64-linux-gnu/libz.so.1 /opt/lib/libown.so.1 && echo /opt/lib > /etc/ld.so.conf.d/own.conf && ldconfig'
step certificates "$all" 'RUN cp /usr/share/ca-certificates/mozilla/ACCVRAIZ1.crt /usr/local/share/ca-certificates/own.crt && update-ca-certificates --fresh'
step together "$ids" 'RUN dpkg -i /var/cache/apt/archives/hello_*.deb
RUN useradd -m worker
RUN python3 -m compileall -q /usr/lib/python3.11/json; ldconfig
RUN update-ca-certificates --fresh; rm -rf /usr/share/doc; true'
step true "$all" 'RUN true'
step install "$ids" "RUN --network=default $install less nano make patch file bzip2 xz-utils zip unzip curl jq tree rsync procps psmisc bc gawk m4 sqlite3 openssh-client dbus"
exit $failed
