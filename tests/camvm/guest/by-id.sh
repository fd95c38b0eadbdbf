# needs: tests/data/colours.* tests/camvm/pictures/red.png
#
# A camera under the stable name that udev gives it.

uvcam_start --picture red.png
name=/dev/v4l/by-id/usb-Some_Webcam-video-index0
mkdir -p "$(dirname $name)"
ln -s "../../$(basename "$camera")" $name
classify $colours --camera $name --frames 5
expect_label red 5
./edge-classify doctor >"$records" 2>"$log" || fail "exit status $?"
grep -q "$name" "$records" || fail "doctor does not tell the stable name"
uvcam_stop
