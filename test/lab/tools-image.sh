#!/usr/bin/env bash
# Packs an image for `docker import`: busybox, and programs with the libraries they are linked to.
#
#   bash tools-image.sh ROOTFS TAR PROGRAM...
set -euo pipefail
rootfs=$1 tar=$2
shift 2

image=$tar.root
rm -rf "$image"
mkdir --mode=755 "$image" # becomes the image's /
mkdir -p "$image"/{bin,usr/bin,etc,tmp,proc,sys,dev}

cp "$rootfs/usr/bin/busybox" "$image/bin/busybox"
for applet in $("$image/bin/busybox" --list); do
  # It lists itself; as a link to itself it would be no more.
  [ "$applet" = busybox ] || ln -s busybox "$image/bin/$applet"
done

for program in "$@"; do
  rm -f "$image/bin/${program##*/}"
  cp -L "$rootfs$program" "$image$program"
  for library in $(chroot "$rootfs" ldd "$program" | grep -o '/[^ ]*'); do
    mkdir -p "$image${library%/*}"
    cp -L "$rootfs$library" "$image$library"
  done
done
# Loaded by name when a thread is cancelled, which ldd cannot know.
unwinder=$(chroot "$rootfs" sh -c 'ls /lib/*-linux-gnu/libgcc_s.so.1')
mkdir -p "$image${unwinder%/*}"
cp -L "$rootfs$unwinder" "$image$unwinder"
ln -sf /usr/bin/dash "$image/bin/sh"

tar --create --file="$tar" --directory="$image" .
rm -rf "$image"
