# needs: tests/data/colours.*

vivid_start
expect_vivid NV12 640x360 30 blue
expect_vivid NV12 320x180 10 red green white black
