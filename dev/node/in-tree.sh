#!/bin/bash
# in-tree.sh TREE SCRATCH STORAGE PROJECT COMMAND…: runs a program of the Debian tree (buildah) with this machine's network,
# and with PROJECT and SCRATCH under their own names. Nothing is written to the tree, and no mount outlives the program.
set -eu
exec unshare --mount --pid --fork --kill-child bash -ec '
  tree=$1 scratch=$2 storage=$3 project=$4; shift 4
  mount --make-rprivate /
  layer=$(mktemp -d "$scratch/tree-XXXXXX"); mkdir "$layer"/{upper,work,root}; root=$layer/root
  mount -t overlay overlay -o "lowerdir=$tree,upperdir=$layer/upper,workdir=$layer/work" "$root"
  mount -t proc proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  for folder in "$storage:/var/lib/containers" "$project:$project" "$scratch:$scratch"; do
    mkdir -p "$root${folder#*:}"; mount --bind "${folder%%:*}" "$root${folder#*:}"
  done
  cp /etc/resolv.conf "$root/etc/resolv.conf"; mkdir -p "$root/old"
  cd "$root"; pivot_root . old; umount -l /old; cd "$project"
  export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
  exec "$@"' in-tree "$@"
