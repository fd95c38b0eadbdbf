# needs: tests/data/colours.* tests/camvm/pictures/red.png
#
# A camera far slower than the 30 frames a second that it promises, as webcams are in the dark: not a frame is lost.

uvcam_start --picture red.png --fps 1 --stall-after 8
classify_in_background $colours --camera "$camera" --camera-format MJPG --camera-size 320x240
wait_for 60 "every frame" has_records 8
! log_has 'trying again' || fail "the camera's slowness is taken for a fault"
end_with TERM
log_has '^classified 8 frames, dropped 0 ' || fail "other than the 8 frames that were sent"
[ "$(labels | grep -cx red)" = 8 ] || fail "not red"
uvcam_stop
