# needs: tests/data/colours.*
#
# A frame that the driver flags as erroneous looks like any other.

vivid_start
vivid_show red
classify_in_background $colours --camera "$vivid" --camera-size 320x180
for _ in 1 2 3; do
    wait_for 60 "results" has_records $(($(wc -l <"$records") + 2))
    vivid_set inject_v4l2_buf_flag_error 1
done
wait_for 60 "results" has_records $(($(wc -l <"$records") + 2))
end_with TERM
log_has ', 3 bad)' || fail "not 3 bad frames"
