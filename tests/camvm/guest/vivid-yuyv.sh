# needs: tests/data/colours.*

vivid_start
expect_vivid YUYV 640x360 30 red
expect_vivid YUYV 320x180 10 green blue white black
