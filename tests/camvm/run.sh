#!/bin/bash
# The camera tests: boots a virtual machine with emulated cameras and runs the program in it.
#
#   run.sh [TEST...]    the tests of guest/, by name without .sh; all of them by default
#
# Environment: EDGE_CLASSIFY and UVCAM (the programs, default those of target/release), CAMVM_CONSOLE (a file to
# keep the machine's console in), and what vm.sh says. Exit status: 0, 1 if a test failed, 2 if none could run.
set -euo pipefail

die() {
    echo "run.sh: $*" >&2
    exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
edge_classify=$(realpath -m "${EDGE_CLASSIFY:-$here/../../target/release/edge-classify}")
uvcam=$(realpath -m "${UVCAM:-$here/../../target/release/uvcam}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
console=$(realpath -m "${CAMVM_CONSOLE:-$work/console}")
cd "$here/../.."

for program in "$edge_classify" "$uvcam"; do
    [ -x "$program" ] || die "no $program: run 'cargo build --release --workspace' first"
done

# The tests, and the files that their `# needs:` lines name, relative to the repository.
tests=("$@")
[ $# -gt 0 ] || mapfile -t tests < <(basename -s .sh -a "$here"/guest/*.sh)
scripts=()
for test in "${tests[@]}"; do
    [ -f "$here/guest/$test.sh" ] || die "no test named $test"
    scripts+=("$here/guest/$test.sh")
done
printf '%s\n' "${tests[@]}" >"$work/tests"
mapfile -t needs < <(sed -n 's/^# needs: //p' "${scripts[@]}" | tr ' ' '\n' | sort -u)
needed=()
for pattern in "${needs[@]}"; do
    mapfile -t -O "${#needed[@]}" needed < <(compgen -G "$pattern" || true)
    compgen -G "$pattern" >/dev/null || die "no file $pattern, which a test needs"
done

# Named in the guest as they are called there, whatever they are called here.
cp "$edge_classify" "$work/edge-classify"
cp "$uvcam" "$work/uvcam"

"$here/vm.sh" fetch
"$here/vm.sh" initrd "$work/initrd" "$here/guest-suite.sh" "$here/guest-lib.sh" "$work/tests" \
    "$work/edge-classify" "$work/uvcam" "${scripts[@]}" "${needed[@]}"

# A line a test as it ends; with all that it printed if it failed.
status=0
"$here/vm.sh" boot "$work/initrd" | tee "$console" | awk '
    /^== /    { said = ""; next }
    /^ok /    { print; fflush(); next }
    /^FAILED / { print; printf "%s", said; fflush(); next }
              { said = said "    " $0 "\n" }
' || status=$?

passed=$(grep -c '^ok ' "$console" || true)
failed=$(grep -c '^FAILED ' "$console" || true)
if [ $((passed + failed)) -lt ${#tests[@]} ]; then
    echo "the virtual machine ended early (status $status); the end of its console:"
    tail -n 30 "$console" | sed 's/^/    /'
    for test in "${tests[@]}"; do
        grep -qxE "(ok|FAILED) $test" "$console" || {
            echo "FAILED $test"
            failed=$((failed + 1))
        }
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
