# needs: tests/data/colours.*

vivid_start
expect_vivid UYVY 320x180 5 red green blue white
