# What `doctor` says of a camera, its metadata node, and vivid.

vivid_start
uvcam_start
./edge-classify doctor >"$records" 2>"$log" || fail "exit status $?"
says() {
    grep -q -e "$1" "$records" || fail "it does not say $1"
}
says "^  $camera Emulated Webcam"
says '^    MJPG 640x480@30, MJPG 320x240@30, YUYV 640x480@30'
says "^  $metadata (.*): a metadata node"
says "^  $vivid vivid"
uvcam_stop
