#!/bin/bash
# Makes a cross toolchain for 64-bit or 32-bit ARM on amd64 Debian, from Debian's packages alone: for machines without a
# container engine, where `cross` cannot run.
#
#   arm-toolchain.sh aarch64|armv7 DIR
#
# Unpacks into DIR a Rust compiler with the target's standard library, a sysroot with Debian 11's glibc 2.31 (so that
# the binary starts on Raspberry Pi OS bullseye and JetPack 5) and a linker for it; writes DIR/env.sh to be sourced.
# Installs on the machine: the target's GCC, QEMU's user mode, libclang's headers. Leaves rustup and dpkg's
# architectures alone.
set -euo pipefail

case $1 in
aarch64) target=aarch64-unknown-linux-gnu machine=arm64 gnu=aarch64-linux-gnu qemu=qemu-aarch64 core=cortex-a72 ;;
armv7) target=armv7-unknown-linux-gnueabihf machine=armhf gnu=arm-linux-gnueabihf qemu=qemu-arm core=cortex-a7 ;;
*)
    echo "$1 is neither aarch64 nor armv7" >&2
    exit 2
    ;;
esac
dir=$(mkdir -p "$2" && cd "$2" && pwd)
# The compiler comes from one release and the C library from another, whatever release this machine runs.
compiler_suite=bookworm
sysroot_suite=bullseye

# libclang itself is boards/setup.sh's to install; its headers are for bindgen, of the same version.
missing=()
clang=$(ls /usr/lib/*/libclang-[0-9]*.so.1 2>/dev/null | sed -n 's/.*libclang-\([0-9]*\).*/\1/p' | sort -n | tail -n 1)
for package in "gcc-$gnu" "libc6-dev-$machine-cross" qemu-user ${clang:+libclang-common-$clang-dev}; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -q
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

# The machine's own archives, where its sources name them; the security archive is the one whose address ends so.
sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
archives=$(grep -oE 'https?://[^ ]+/debian(-security)?/?( |$)' <<<"$sources" | sed 's,/* *$,,' | sort -u || true)
main_archive=$(grep -v -- '-security$' <<<"$archives" | head -n 1 || true)
security_archive=$(grep -- '-security$' <<<"$archives" | head -n 1 || true)
main_archive=${main_archive:-http://deb.debian.org/debian}
security_archive=${security_archive:-http://deb.debian.org/debian-security}

# private_apt NAME ARCHITECTURES "ARCHIVE SUITE"...: package lists in DIR/apt-NAME.
private_apt() {
    local state=$dir/apt-$1 architectures=$2 source
    shift 2
    mkdir -p "$state"/lists/partial "$state"/cache/archives/partial
    : >"$state/status"
    for source in "$@"; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $source main"
    done >"$state/sources.list"
    cat >"$state/apt.conf" <<EOF
Dir::State "$state"; Dir::State::lists "$state/lists"; Dir::State::status "$state/status";
Dir::Cache "$state/cache"; Dir::Etc::sourcelist "$state/sources.list"; Dir::Etc::sourceparts "-";
APT::Architecture "amd64"; APT::Architectures { $architectures }; APT::Sandbox::User "root";
Acquire::Languages "none"; Acquire::Retries "3";
EOF
    APT_CONFIG=$state/apt.conf apt-get update -q >/dev/null
}

# unpack NAME DESTINATION PACKAGE...
unpack() {
    local state=$dir/apt-$1 destination=$dir/$2 packages
    shift 2
    packages=$(mktemp -d "$dir/packages.XXXX")
    (cd "$packages" && APT_CONFIG=$state/apt.conf apt-get download -q "$@" >/dev/null)
    mkdir -p "$destination"
    for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$destination"; done
    rm -r "$packages"
}

if [ ! -e "$dir/complete" ]; then
    # The security archive has no compiler for armhf: its standard library is built below.
    private_apt compiler '"amd64"; "arm64";' "$main_archive $compiler_suite" \
        "$security_archive $compiler_suite-security"
    depends() { APT_CONFIG=$dir/apt-compiler/apt.conf apt-cache depends "$1" | sed -n "s/^ *Depends: \($2[^ ]*\)/\1/p" | head -n 1; }
    # The same release of Rust that other Debian software for the web is built with: a current one.
    libstd=$(depends libstd-rust-web-dev libstd-rust-web-)
    libllvm=$(depends "$libstd" libllvm)
    case $machine in
    arm64) standard_library=libstd-rust-web-dev:arm64 ;;
    armhf) standard_library=rust-web-src ;;
    esac
    unpack compiler rust rustc-web:amd64 "$libstd:amd64" libstd-rust-web-dev:amd64 "$libllvm:amd64" "$standard_library"
    cat >"$dir/rust/rustc" <<'EOF'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$here/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "$here/usr/bin/rustc" "$@"
EOF
    chmod +x "$dir/rust/rustc"

    private_apt sysroot "\"$machine\";" "$main_archive $sysroot_suite"
    unpack sysroot sysroot "libc6:$machine" "libc6-dev:$machine" "linux-libc-dev:$machine" "libcrypt1:$machine" \
        "libcrypt-dev:$machine" "libgcc-s1:$machine"
    # Absolute links would lead out of the sysroot.
    (
        cd "$dir/sysroot"
        find . -type l -lname '/*' | while read -r link; do
            ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" ".$(readlink "$link")")" "$link"
        done
    )
    rm -rf "$dir"/apt-*
    touch "$dir/complete"
fi

# A root for QEMU for each kind of core: programs also read /proc/cpuinfo, which QEMU does not emulate.
core() { # NAME ARCHITECTURE PART VARIANT FEATURES
    mkdir -p "$dir/$1/proc"
    ln -sfn ../sysroot/lib "$dir/$1/lib"
    ln -sfn ../sysroot/usr "$dir/$1/usr"
    for processor in 0 1 2 3; do
        printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: %s\nCPU implementer\t: 0x41\n' "$processor" "$5"
        printf 'CPU architecture: %s\nCPU variant\t: %s\nCPU part\t: %s\nCPU revision\t: 1\n\n' "$2" "$4" "$3"
    done >"$dir/$1/proc/cpuinfo"
}
case $machine in
arm64)
    core cortex-a53 8 0xd03 0x0 "fp asimd evtstrm crc32 cpuid"
    core cortex-a72 8 0xd08 0x0 "fp asimd evtstrm crc32 cpuid"
    core cortex-a76 8 0xd0b 0x4 "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
    # All that QEMU emulates, products of matrices of bytes among it.
    core max 8 0xd47 0x1 "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp i8mm"
    ;;
armhf)
    core cortex-a7 7 0xc07 0x0 "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"
    ;;
esac

# Both name places by their absolute paths: written every time, since DIR may have been moved.
cat >"$dir/linker" <<EOF
#!/bin/sh
root=$dir/sysroot
exec $gnu-gcc --sysroot=\$root -B\$root/usr/lib/$gnu/ -L\$root/usr/lib/$gnu -L\$root/lib/$gnu "\$@"
EOF
chmod +x "$dir/linker"
variables=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")
cat >"$dir/env.sh" <<EOF
export RUSTC=$dir/rust/rustc
export ${variables}_LINKER=$dir/linker
export ${variables}_RUNNER="$qemu -cpu $core -L $dir/$core"
EOF

# What Debian has not compiled is compiled here, as cargo's unstable `build-std` does it, and laid beside the compiler's
# own: from then on the target needs no unstable option.
library=$dir/rust/usr/lib/rustlib/$target/lib
if [ ! -e "$library" ]; then
    work=$(mktemp -d "$dir/library.XXXX")
    echo '#![no_std]' >"$work/lib.rs"
    printf '%s\n' '[package]' 'name = "empty"' '[lib]' 'path = "lib.rs"' '[workspace]' >"$work/Cargo.toml"
    (
        . "$dir/env.sh"
        unset RUSTFLAGS
        cd "$work"
        RUSTC_BOOTSTRAP=1 cargo build -q --release -Z build-std=std,test --target "$target" --target-dir .
    )
    mkdir -p "$(dirname "$library")" "$work/lib"
    cp "$work/$target"/release/deps/lib*.rlib "$work/lib"
    rm "$work"/lib/libempty-*
    mv "$work/lib" "$library"
    rm -r "$work"
fi
echo "now: . $dir/env.sh && cargo build --release --target $target"
