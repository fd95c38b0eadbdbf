# needs: tests/data/colours.* tests/camvm/pictures/red.png
#
# A camera whose sensor takes long to wake up.

uvcam_start --picture red.png --delay 6
classify $colours --camera "$camera" --camera-format MJPG --camera-size 320x240 --frames 3
expect_label red 3
! log_has 'trying again' || fail "waking up is taken for a fault"
uvcam_stop
