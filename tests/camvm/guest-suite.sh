# Runs in the virtual machine: the tests named on the lines of the file `tests`, each in a shell of its own. What
# a test prints stands between the lines `== NAME` and `ok NAME` or `FAILED NAME`.

failures=0
while read -r test; do
    echo "== $test"
    dmesg -c >/dev/null
    if timeout -s KILL 240 sh -eu -c '. ./guest-lib.sh; . "./$0.sh"' "$test" </dev/null; then
        echo "ok $test"
    else
        failures=$((failures + 1))
        dmesg | tail -n 20
        echo "FAILED $test"
    fi
    # A test that failed may have left its programs behind.
    killall -q -9 edge-classify uvcam
done <tests
[ "$failures" = 0 ]
