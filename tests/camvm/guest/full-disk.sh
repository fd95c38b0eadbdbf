# An export to a disk without room for it, empty or with an older export on it.

disk=/tmp/disk
model=$disk/mnasnet_small.onnx
mkdir -p "$disk"

export_to_disk() {
    status=0
    ./edge-classify export mnasnet_small --weights synthetic -o "$model" 2>"$log" || status=$?
}

says_full() {
    [ "$status" = 1 ] || fail "exit status $status"
    log_has "$model: .*No space left on device" || fail 'it does not say that the disk is full'
}

contents() {
    ls -A "$disk"
    cat "$disk"/* 2>/dev/null | md5sum
}

mount -t tmpfs -o size=1m disk "$disk"
export_to_disk
says_full
[ -z "$(ls -A "$disk")" ] || fail "it left $(ls -A "$disk")"
umount "$disk"

# Room for one model of 8 MB, but not for the next beside it.
mount -t tmpfs -o size=12m disk "$disk"
export_to_disk
[ "$status" = 0 ] || fail "exit status $status"
before=$(contents)
export_to_disk
says_full
[ "$(contents)" = "$before" ] || fail 'the older export changed'
umount "$disk"
