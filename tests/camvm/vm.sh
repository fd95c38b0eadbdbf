#!/bin/bash
# Boots Debian's own kernel in QEMU with emulated cameras: vivid's test pattern generator, and real uvcvideo on
# a virtual USB host controller (vhci-hcd) that tests/camvm/uvcam plugs a webcam into.
#
#   vm.sh fetch                            QEMU, kernel, busybox and v4l2-ctl into the cache, from this machine's
#                                          own Debian sources; nothing is installed and its apt is not touched
#   vm.sh initrd OUT GUEST_SCRIPT FILE...  an initramfs that runs GUEST_SCRIPT in /t, where the FILEs lie too;
#                                          shared libraries of programs among the FILEs are taken along
#   vm.sh boot INITRD                      console on stdout; exit status: GUEST_SCRIPT's, 124 if it ran past
#                                          CAMVM_TIMEOUT, 125 if the guest died without saying
#
# Environment: CAMVM_DIR (cache, default target/camvm of the repository), CAMVM_ARCH (guest: amd64 or arm64,
# default amd64), CAMVM_TIMEOUT (seconds, default 600), CAMVM_CPU, CAMVM_MEMORY (MiB, default 768).
set -euo pipefail

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
    exit 2
}

die() {
    echo "vm.sh: $*" >&2
    exit 2
}

for tool in apt-get dpkg-deb flock readelf tar xz; do
    command -v "$tool" >/dev/null || die "needs $tool (packages: apt, dpkg, util-linux, binutils, tar, xz-utils)"
done
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
host=$(dpkg --print-architecture)
guest=${CAMVM_ARCH:-amd64}
cache=${CAMVM_DIR:-$repository/target/camvm}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# Drivers that the guest loads, each after the modules it depends on.
modules=(vivid vhci-hcd uvcvideo)

# ARCH -> the name of its library folder.
triplet() {
    case $1 in
        amd64) echo x86_64-linux-gnu ;;
        arm64) echo aarch64-linux-gnu ;;
        *) die "unknown architecture $1: amd64 and arm64 are known" ;;
    esac
}

# Where a program expects its dynamic loader; nothing for a static one and for other files.
interpreter() {
    { readelf -l "$1" 2>/dev/null || true; } | sed -n 's/.*program interpreter: \(.*\)\]$/\1/p'
}

# program_in ROOT NAME: sets the array `run` to the command that runs /usr/bin/NAME of the packages unpacked into
# ROOT with ROOT's own loader and libraries: it may be built for a newer C library than this machine's.
program_in() {
    local program=$1/usr/bin/$2 library
    library=$1/usr/lib/$(triplet "$host")
    run=("$library/$(basename "$(interpreter "$program")")" --library-path "$library" "$program")
}

# ---------------------------------------------------------------------------------------------------- fetch

# with_apt ARCH TOOL ARG...: an apt tool on a private state that knows this machine's sources and its Acquire
# settings (proxies, for one), but neither its installed packages nor its hooks.
with_apt() {
    APT_CONFIG=$cache/apt-$1/apt.conf "${@:2}"
}

# Once in every fetch that lacks something: the kernel moves on, and old versions vanish from the archive.
declare -A updated=()
update_apt() {
    local arch=$1 state=$cache/apt-$1 sources=/etc/apt/sources.list.d/debian.sources
    [ -z "${updated[$arch]:-}" ] || return 0
    [ -e "$sources" ] || sources=/etc/apt/sources.list
    [ -e "$sources" ] || die "this machine has neither debian.sources nor sources.list"
    rm -rf "$state/sources"
    mkdir -p "$state"/{lists/partial,cache/archives/partial,sources}
    cp "$sources" "$state/sources/"
    : >"$state/status"
    {
        apt-config dump | grep '^Acquire::' || true
        cat <<CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
Dir::State "$state";
Dir::State::status "$state/status";
Dir::State::lists "$state/lists";
Dir::Cache "$state/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$state/sources";
CONF
    } >"$state/apt.conf"
    with_apt "$arch" apt-get -qq update
    updated[$arch]=yes
}

# part NAME WHAT FUNCTION ARG...: makes the folder $cache/NAME, by the function, unless it is there already and
# was made from the same WHAT. The folder gets its name only when it is complete, so an interrupted fetch
# starts it again.
part() {
    local name=$1 what=$2 made
    shift 2
    [ "$(cat "$cache/$name/.made-from" 2>/dev/null)" != "$what" ] || return 0
    made=$cache/$name.partial
    rm -rf "$made" "${cache:?}/$name"
    mkdir -p "$made"
    "$1" "$made" "${@:2}"
    echo "$what" >"$made/.made-from"
    mv "$made" "$cache/$name"
}

# unpack ROOT ARCHIVE: into a folder where, as in newer Debians throughout, /bin and /lib are those of /usr.
unpack() {
    local name
    for name in bin sbin lib lib64; do
        mkdir -p "$1/usr/$name"
        [ -e "$1/$name" ] || ln -s "usr/$name" "$1/$name"
    done
    dpkg-deb --fsys-tarfile "$2" | tar -x --keep-directory-symlink --no-same-owner -C "$1"
}

# unpack_packages INTO ARCH PACKAGE...: packages and everything they depend on.
unpack_packages() {
    local into=$1 arch=$2 archives archive
    shift 2
    update_apt "$arch"
    archives=$into.archives
    rm -rf "$archives"
    mkdir -p "$archives/partial"
    with_apt "$arch" apt-get -qq -y -o Dir::Cache::archives="$archives" install --download-only "$@" >/dev/null
    for archive in "$archives"/*.deb; do
        unpack "$into" "$archive"
    done
    rm -rf "$archives"
}

# The kernel and, numbered in loading order, the drivers with their dependencies. The whole set of modules is
# unpacked for depmod to sort them out; a hundredth of it is kept.
unpack_kernel() {
    local into=$1 package all version list module line file number=0
    local -A seen=()
    update_apt "$guest"
    package=$(with_apt "$guest" apt-cache show --no-all-versions "linux-image-$guest" |
        sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p')
    [ -n "$package" ] || die "the package sources have no linux-image-$guest"
    all=$into/all
    mkdir -p "$all" "$into/modules"
    (cd "$all" && with_apt "$guest" apt-get -qq download "$package")
    unpack "$all" "$all"/linux-image-*.deb
    mv "$all"/boot/vmlinuz-* "$into/vmlinuz"
    version=$(basename "$all"/lib/modules/*)
    program_in "$cache/root-$host" kmod
    "${run[0]}" --argv0 depmod "${run[@]:1}" -b "$all" "$version"
    list=$all/lib/modules/$version/modules.dep
    for module in "${modules[@]}"; do
        line=$(grep -E "/${module//[-_]/[-_]}\.ko(\.[a-z]+)?:" "$list") || die "$package has no module $module"
        # modules.dep names a module, then what it needs, the nearest first.
        # shellcheck disable=SC2086 # split into words on purpose
        for file in $(printf '%s\n' ${line/:/ } | tac); do
            [ -z "${seen[$file]:-}" ] || continue
            seen[$file]=yes
            number=$((number + 1))
            unpack_module "$all/lib/modules/$version/$file" "$into/modules/$(printf %02d $number)"
        done
    done
    rm -rf "$all"
}

# unpack_module FILE PREFIX: writes PREFIX-NAME.ko
unpack_module() {
    local name
    name=$(basename "$1")
    case $name in
        *.ko) cp "$1" "$2-$name" ;;
        *.ko.xz) xz -dc "$1" >"$2-${name%.xz}" ;;
        *.ko.zst) zstd -qdc "$1" >"$2-${name%.zst}" ;;
        *) die "cannot unpack the kernel module $name" ;;
    esac
}

fetch() {
    local qemu=(qemu-system-x86)
    [ "$guest" = amd64 ] || qemu=(qemu-system-arm)
    # Two fetches at once would unpack into each other's folders.
    exec 9>"$cache/lock"
    flock 9
    part "qemu-$guest" "${qemu[*]}" unpack_packages "$host" "${qemu[@]}"
    fetch_root "$host"
    fetch_root "$guest"
    part "kernel-$guest" "${modules[*]}" unpack_kernel
    rm -rf "$cache"/apt-*
}

# What the guest runs, and what puts its initramfs together here (busybox's cpio, kmod's depmod).
fetch_root() {
    local packages=(busybox-static kmod v4l-utils)
    part "root-$1" "${packages[*]}" unpack_packages "$1" "${packages[@]}"
}

# --------------------------------------------------------------------------------------------------- initrd

# copy_needed INTO PROGRAM: the loader and the libraries that PROGRAM needs, and those that they need, from the
# guest's packages. As ldd, but for any architecture.
copy_needed() {
    local into=$1 program=$2 name library
    library=$cache/root-$guest/usr/lib/$(triplet "$guest")
    for name in $(basename -a "$(interpreter "$program")") \
        $(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
        [ ! -e "$into/$name" ] || continue
        [ -e "$library/$name" ] || die "no $name, which $program needs, among the guest's packages"
        cp "$library/$name" "$into/"
        copy_needed "$into" "$library/$name"
    done
}

# copy_own_libraries INTO FILE: if FILE is a program, its libraries: this machine's at the paths where it finds
# them here, for it was built here; the guest's if it is for another architecture.
copy_own_libraries() {
    local into=$1 loader library
    loader=$(interpreter "$2")
    [ -n "$loader" ] || return 0
    if [ "$guest" = "$host" ]; then
        for library in $(ldd "$2" | grep -o '/[^ ]*'); do
            mkdir -p "$into/$(dirname "$library")"
            cp -Ln "$library" "$into/$library"
        done
    else
        mkdir -p "$into/lib/$(triplet "$guest")"
        copy_needed "$into/lib/$(triplet "$guest")" "$2"
        cp -n "$into/lib/$(triplet "$guest")/$(basename "$loader")" "$into/$loader"
    fi
}

# v4l2-ctl keeps to the libraries of its own Debian, in a folder of their own: those of the programs under test
# come from this machine, and may be newer or older.
copy_v4l2_ctl() {
    local program=$cache/root-$guest/usr/bin/v4l2-ctl
    mkdir -p "$1/v4l2"
    cp "$program" "$1/v4l2/"
    copy_needed "$1/v4l2" "$program"
    cat >"$1/bin/v4l2-ctl" <<SH
#!/bin/sh
exec /v4l2/$(basename "$(interpreter "$program")") --library-path /v4l2 /v4l2/v4l2-ctl "\$@"
SH
}

need_fetched() {
    [ -d "$cache/$1" ] || die "no $1 in $cache: run 'vm.sh fetch' first"
}

initrd() {
    local out=$1 script=$2 busybox root applet file
    shift 2
    need_fetched "root-$guest"
    need_fetched "kernel-$guest"
    root=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$root'" EXIT
    mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc,lib,lib64,run,t}
    busybox=$cache/root-$host/usr/bin/busybox
    cp "$cache/root-$guest/usr/bin/busybox" "$root/bin/"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    copy_v4l2_ctl "$root"
    cp -r "$cache/kernel-$guest/modules" "$root/modules"
    cp "$script" "$root/t/guest-script"
    for file in "$@"; do
        cp "$file" "$root/t/"
        copy_own_libraries "$root" "$file"
    done
    cat >"$root/init" <<'SH'
#!/bin/sh
export PATH=/bin HOME=/tmp
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
for module in /modules/*; do
    # One vivid camera, with a video capture node and nothing else.
    case $module in
    *-vivid.ko) insmod "$module" n_devs=1 node_types=0x1 ;;
    *) insmod "$module" ;;
    esac || echo "cannot load $module"
done
cd /t
sh ./guest-script
printf '\nguest-script exit status %s\n' $?
sync
poweroff -f
SH
    chmod -R a+rX "$root"
    chmod +x "$root/init" "$root/bin/v4l2-ctl"
    # Not compressed: the emulated processor would take longer to unpack it than QEMU to load it.
    (cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$out.partial"
    mv "$out.partial" "$out"
}

# ----------------------------------------------------------------------------------------------------- boot

boot() {
    local initrd=$1 root=$cache/qemu-$guest program machine cpu console log status=0
    case $guest in
        amd64) program=qemu-system-x86_64 machine=q35 cpu=max console=ttyS0 ;;
        arm64) program=qemu-system-aarch64 machine=virt cpu=cortex-a72 console=ttyAMA0 ;;
    esac
    log=$(mktemp)
    # shellcheck disable=SC2064 # the file of now
    trap "rm -f '$log'" EXIT
    need_fetched "qemu-$guest"
    need_fetched "kernel-$guest"
    program_in "$root" "$program"
    QEMU_MODULE_DIR=$root/usr/lib/$(triplet "$host")/qemu
    export QEMU_MODULE_DIR
    timeout --foreground --kill-after=5 "${CAMVM_TIMEOUT:-600}" "${run[@]}" \
        -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" -L "$root/usr/lib/ipxe/qemu" \
        -machine "$machine" -accel tcg,thread=multi -cpu "${CAMVM_CPU:-$cpu}" -smp 2 -m "${CAMVM_MEMORY:-768}" \
        -nodefaults -display none -no-reboot -serial stdio \
        -kernel "$cache/kernel-$guest/vmlinuz" -initrd "$initrd" \
        -append "console=$console panic=-1 loglevel=1" </dev/null | tr -d '\r' | tee "$log" || status=${PIPESTATUS[0]}
    [ "$status" = 0 ] || exit "$status"
    status=$(sed -n 's/^guest-script exit status \([0-9]*\)$/\1/p' "$log" | tail -1)
    exit "${status:-125}"
}

case "${1:-} $#" in
    'fetch 1') fetch ;;
    'initrd '[12]) usage ;;
    'initrd '*) initrd "${@:2}" ;;
    'boot 2') boot "$2" ;;
    *) usage ;;
esac
