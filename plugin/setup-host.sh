#!/usr/bin/env bash
# Makes a Debian machine (12 or newer) a host of a weft cluster: Docker, and the plugin; and on the machine that has
# the given address, an etcd without TLS, good for trying weft out. As root, on that one first:
#
#   bash plugin/setup-host.sh ETCD-ADDRESS [SETTING=VALUE...]
#
# The settings are those of `docker plugin set`. The plugin is that in plugin/build; where there is none it is built,
# which takes minutes, and the network. What is there already is used as it is; run again, the script changes settings.
set -euo pipefail
folder=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
plugin=weft-plugin

say() { echo "setup-host: $*" >&2; }

fail() {
  say "$*"
  exit 1
}

# PROGRAM PACKAGE
with() {
  command -v "$1" >/dev/null && return
  say "installing $2"
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes "$2" >/dev/null
}

etcd_answers() { timeout 2 bash -c "exec 3<>'/dev/tcp/$address/2379'" 2>/dev/null; }

with_etcd() {
  etcd_answers && return
  [[ $(ip -oneline address) == *" $address/"* ]] ||
    fail "no etcd answers at $address: set up that host first"
  with etcd etcd-server
  local settings=/etc/default/etcd url=http://$address:2379
  grep --quiet --no-messages "^ETCD_ADVERTISE_CLIENT_URLS=$url" "$settings" ||
    printf '%s\n' "ETCD_LISTEN_CLIENT_URLS=$url,http://127.0.0.1:2379" "ETCD_ADVERTISE_CLIENT_URLS=$url" >>"$settings"
  service etcd restart >&2
  for _ in {1..60}; do
    etcd_answers && return
    sleep 0.5
  done
  fail "etcd does not answer at $address; its log says why"
}

with_plugin() {
  if docker plugin inspect "$plugin" >/dev/null 2>&1; then
    docker plugin disable --force "$plugin" >/dev/null 2>&1 || true # it may be already
  else
    [ -e "$folder/build/config.json" ] || build
    say "creating the plugin"
    docker plugin create "$plugin" "$folder/build" >/dev/null
  fi
  docker plugin set "$plugin" "$@"
  docker plugin enable "$plugin" >/dev/null
}

build() {
  with npm npm
  (cd "$folder/.." && npm run plugin:build >&2)
}

[ $# -gt 0 ] || fail "usage: bash plugin/setup-host.sh ETCD-ADDRESS [SETTING=VALUE...]"
[ "$(id -u)" = 0 ] || fail "needs root"
address=$1
shift
with docker docker.io
docker version >/dev/null || fail "Docker does not answer"
with_etcd
with_plugin "WEFT_ETCD_ENDPOINTS=http://$address:2379" "$@"
say "weft is there: docker network create --driver weft --ipam-driver weft-ipam blue"
