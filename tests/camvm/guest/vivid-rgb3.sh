# needs: tests/data/colours.*

vivid_start
expect_vivid RGB3 320x180 5 red green blue white
