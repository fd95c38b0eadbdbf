# needs: tests/data/colours.*

uvcam_start
classify_in_background $colours --camera "$camera" --camera-format MJPG --camera-size 320x240
wait_for 60 "a result" has_records 1
before=$camera
uvcam_stop
wait_for 60 "word of the unplugging" log_has "$before: "
! has_ended "$classifier" || fail "the unplugging ended the program"

results=$(wc -l <"$records")
uvcam_start
[ "$camera" = "$before" ] || fail "the camera came back as $camera: its old node was still open"
wait_for 60 "results after plugging in again" has_records $((results + 3))
end_with TERM
uvcam_stop
