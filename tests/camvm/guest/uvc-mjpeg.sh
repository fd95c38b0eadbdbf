# needs: tests/data/colours.* tests/camvm/pictures/red.png

uvcam_start --picture red.png
classify $colours --camera "$camera" --camera-format MJPG --camera-size 640x480 --frames 30
expect_label red 30
uvcam_stop

# Pictures that differ from frame to frame, and in size.
uvcam_start
classify $colours --camera "$camera" --camera-format MJPG --camera-size 320x240 --frames 10
expect_frames 10
log_has ' 0 bad)' || fail "frames that cannot be decoded"
uvcam_stop
