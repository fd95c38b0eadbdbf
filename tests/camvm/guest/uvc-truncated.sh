# needs: tests/data/colours.* tests/camvm/pictures/blue.png

uvcam_start --picture blue.png --truncate-every 3
classify $colours --camera "$camera" --camera-format MJPG --camera-size 640x480 --frames 12
expect_label blue 12
log_has 'dropped [1-9].* [1-9][0-9]* bad)' || fail "the frames that were cut in half are not counted"
uvcam_stop
