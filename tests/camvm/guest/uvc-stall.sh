# needs: tests/data/colours.*

uvcam_start --stall-after 5
classify_in_background $colours --camera "$camera" --camera-format MJPG --camera-size 320x240
wait_for 60 "a result" has_records 1
wait_for 60 "word of the stall" log_has 'no frame'
! has_ended "$classifier" || fail "the stall ended the program"
end_with TERM
uvcam_stop
