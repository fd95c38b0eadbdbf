# needs: tests/data/colours.*
#
# A camera that sends damaged frames only, as over a bad cable.

# times_opened N: uvcam tells of every stream.
times_opened() {
    [ "$(grep -c 'a frame every' /tmp/uvcam-log)" -ge "$1" ]
}

: >/tmp/uvcam-log
uvcam_start --truncate-every 1
classify_in_background $colours --camera "$camera" --camera-format MJPG --camera-size 320x240
wait_for 60 "word of the damage" log_has 'only damaged frames, [1-9][0-9]* in .*; try another --camera-format'
wait_for 60 "the next attempts" times_opened 3
! has_ended "$classifier" || fail "the damage ended the program"
[ "$(grep -c 'only damaged frames' "$log")" = 1 ] || fail "the same warning again"
end_with TERM
log_has '^classified 0 frames, .* [1-9][0-9]* bad)' || fail "damaged frames that are not counted"
uvcam_stop
