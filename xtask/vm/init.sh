#!/bin/busybox sh
# The first process of the test machine: cgroup v2 and nothing else, then the tests.
export PATH=/bin:/sbin:/new/bin HOME=/root
if [ ! -e /switched ]; then
    # The first file system cannot be pivoted away from, so it is left for another.
    mkdir /new
    mount -t tmpfs -o size=75% new /new
    for name in bin sbin etc lib lib64 usr root modules tests var; do
        [ -e /$name ] && mv /$name /new/
    done
    # switch_root wants to see one on both sides.
    cp /init /new/init
    mkdir -p /new/proc /new/sys /new/dev /new/run /new/tmp
    /new/bin/busybox touch /new/switched
    exec /new/bin/busybox switch_root /new /init
fi
mount -t proc proc /proc
mount -t sysfs sys /sys
# AppArmor's files, where the kernel has it.
mount -t securityfs security /sys/kernel/security
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
# With the options that systemd gives it: no container may change them.
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
for module in /modules/*; do
    # Some are only for other processors.
    insmod "$module" 2>/dev/null || echo "left out: ${module##*/}"
done
ip link set lo up
# A disk that can be limited.
dd if=/dev/zero of=/tmp/disk bs=1M count=16 2>/dev/null
losetup /dev/loop0 /tmp/disk
# shellcheck disable=SC2046 # words are wanted
GANTRY_BIN=/bin/gantry /tests/debug/deps/e2e $(cat /tests/arguments)
code=$?
if [ $code = 0 ] && [ -x /lib/systemd/systemd ]; then
    # Once more with systemd as the first process: those that are about it.
    cat >/tests/with-systemd <<'END'
#!/bin/busybox sh
export PATH=/bin:/sbin HOME=/root
GANTRY_BIN=/bin/gantry /tests/debug/deps/e2e --test-threads=1 resources::systemd::
echo "VM-TEST EXIT $?"
poweroff -f
END
    chmod +x /tests/with-systemd
    mkdir -p /etc/systemd/system
    printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/tests/with-systemd\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/console\n' \
        >/etc/systemd/system/default.service
    exec /lib/systemd/systemd --unit=default.service --show-status=no
fi
echo "VM-TEST EXIT $code"
poweroff -f
