#!/bin/sh
# probe.sh SCRATCH [TREE]: in namespaces as a node has them, does once what a node does to the kernel. Ends 0 where all of it
# is allowed; otherwise the last line on stderr says what is not. SCRATCH is a folder of the caller's.
set -eu
scratch=$1 tree=${2:-}
lower=${tree:-$scratch/lower} root=$scratch/root
mkdir -p "$scratch/lower" "$scratch/upper" "$scratch/work" "$root"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mkdir -p "$root/dev" "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
mknod -m 666 "$root/dev/kmsg" c 1 11
: < "$root/dev/kmsg"
mount -t proc proc "$root/proc"
echo 1 > "$root/proc/sys/net/ipv4/ip_forward"
[ -n "$tree" ] || exit 0
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
chroot "$root" ip link add uplink type veth peer name nowhere
chroot "$root" nft add table ip probe
chroot "$root" iptables -t nat -L -n > /dev/null
