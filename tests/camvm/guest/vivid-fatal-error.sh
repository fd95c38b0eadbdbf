# needs: tests/data/colours.*
#
# The device's queue of frames breaks down, so that polling it ends at once, and reading it fails.

vivid_start
vivid_show red
classify_in_background $colours --camera "$vivid" --camera-size 320x180
wait_for 60 "results" has_records 2
vivid_set inject_fatal_streaming_error 1
wait_for 60 "word of the fault" log_has "$vivid: cannot read: .*; trying again"
wait_for 60 "word of the recovery" log_has "$vivid: frames again"
wait_for 60 "results" has_records $(($(wc -l <"$records") + 2))
end_with TERM
