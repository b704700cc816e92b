#!/bin/bash
# init.sh TREE STATE ADDRESS: the first process of a node, in mount, network, process, host name and IPC namespaces of its
# own. Makes the Debian tree its root, brings the network up, and then only reaps. dev/node/index.ts starts the daemons
# beside it; when it ends, everything in its namespaces ends.
set -eu
tree=$1 state=$2 address=$3
# /proc is still that of the machine, so this is the number by which the machine knows this shell.
while read -r key value _; do [ "$key" != Pid: ] || pid=$value; done < /proc/self/status
mount --make-rprivate /
root=$state/root
mkdir -p "$root" "$state"/{upper,work,share,containerd,kubelet,logs}
# What the node writes lies in a layer of its own; the layers of containers cannot lie on one, so they get real folders.
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$state/upper,workdir=$state/work" "$root"
mkdir -p "$root"/{proc,sys,dev,run,tmp,old,node,etc/cni/net.d,var/log/pods,var/lib/kubelet,var/lib/containerd}
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t bpf bpf "$root/sys/fs/bpf" 2> /dev/null || true
mount -t tmpfs -o mode=755,size=64m tmpfs "$root/dev"
while read -r name major minor; do mknod -m 666 "$root/dev/$name" c "$major" "$minor"; done <<DEVICES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
kmsg 1 11
tty 5 0
DEVICES
mkdir "$root"/dev/{pts,shm,mqueue}
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"
mount -t tmpfs -o mode=755,size=256m tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$state/share" "$root/node"
mount --bind "$state/containerd" "$root/var/lib/containerd"
mount --bind "$state/kubelet" "$root/var/lib/kubelet"
mount --bind "$state/logs" "$root/var/log/pods"
hostname node
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
printf '127.0.0.1 localhost\n%s node\n' "$address" > "$root/etc/hosts"
cp "$state/share/cni.conflist" "$root/etc/cni/net.d/10-node.conflist"
cd "$root"
pivot_root . old
cd /
umount -l /old
# The kubelet wants to hand mounts on to its containers.
mount --make-rshared /
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
# A pair of interfaces with nobody else on it: the node needs an address that is not loopback, and a default route, because
# a packet to a Service is routed before its address is translated.
ip link add uplink type veth peer name nowhere
ip addr add "$address/24" dev uplink
ip link set uplink up
ip link set nowhere up
ip route add default via "${address%.*}.1" dev uplink
echo "$pid" > /node/pid.part
mv /node/pid.part /node/pid
trap 'exit 0' TERM INT
while :; do sleep 3600 & wait $! || true; done
