#!/usr/bin/env bash
# Makes a Docker host out of fresh namespaces and stays as its PID 1. Prints the pid that the machine knows
# it by once the host is whole.
#
#   unshare --mount --uts --ipc --pid --fork bash host-init.sh ROOTFS FOLDER NAME [SHARED...]
#
# FOLDER holds what outlives a power cut: the root's upper layer, Docker's state, logs, files for /etc.
# SHARED paths of the machine are seen in the host at the same place.
set -euo pipefail
rootfs=$1 folder=$2 name=$3
shift 3

# /proc is still the machine's here. `read` forks nothing: this is the pid of this very process.
read -r pid _ </proc/self/stat

mount --make-rprivate /
hostname "$name"

root=$folder/root
mkdir -p "$folder"/{root,upper,work,docker,containerd,log,etc}
mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" # shows the links of the network namespace that mounts it
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

# Docker puts overlays of its own here, which cannot lie on an overlay.
mkdir -p "$root"/var/lib/{docker,containerd}
mount --bind "$folder/docker" "$root/var/lib/docker"
mount --bind "$folder/containerd" "$root/var/lib/containerd"
mount --bind "$folder/log" "$root/var/log"
cp -r --remove-destination "$folder/etc/." "$root/etc/"
for shared in "$@"; do
  mkdir -p "$root$shared"
  mount --rbind "$shared" "$root$shared"
done
if [ -d /lib/modules ]; then # dockerd loads br_netfilter and others by name
  mkdir -p "$root/lib/modules"
  mount --rbind /lib/modules "$root/lib/modules"
fi

cd "$root"
pivot_root . .
umount -l .
cd /
mount --make-rshared / # as systemd has it; mounts of a plugin reach the host only then

echo "$pid"
exec /usr/bin/tini -- sleep infinity </dev/null >/var/log/init.log 2>&1
