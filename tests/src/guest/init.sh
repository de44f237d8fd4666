#!/bin/sh
# First process of a test guest: devices, modules, then commands from the test.
export PATH=/bin:/usr/bin HOME=/ LANG=C
/usr/bin/busybox --install -s /usr/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run

while read -r module parameters; do
    # Parameters are several words.
    insmod "/modules/$module.ko" $parameters || echo "guest: cannot load module $module"
done </modules/order

# A quiet wire: the kernel says nothing of its own (a test may turn IPv6 on).
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set dev lo up

port=/dev/vport0p1
while [ ! -e "$port" ]; do usleep 10000; done
exec 3<>"$port"
echo "guest: ready"

# `/bin/sh` by its path: busybox programs start another of busybox when it has one of that name.
# A request is one line: a marker, the seconds that it may take, the commands in base64. The answer
# is an empty line, a line of marker, exit code and the lengths of stdout and stderr, then these.
while read -r marker seconds commands <&3; do
    rm -f /run/out /run/err
    echo "$commands" | base64 -d >/run/commands
    timeout -s KILL "$seconds" /bin/sh /run/commands </dev/null >/run/out 2>/run/err 3>&-
    code=$?
    {
        printf '\n%s %s %s %s\n' "$marker" "$code" $(stat -c %s /run/out /run/err)
        cat /run/out /run/err
    } >&3
done
echo "guest: the command channel is closed"
poweroff -f
