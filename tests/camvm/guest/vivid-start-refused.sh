# needs: tests/data/colours.*

vivid_start
vivid_show red
vivid_set inject_vidioc_streamon_error 1
classify $colours --camera "$vivid" --camera-size 320x180 --frames 1
expect_refusal "$vivid: cannot start the stream: .*; "
classify $colours --camera "$vivid" --camera-size 320x180 --frames 1
expect_label red 1
