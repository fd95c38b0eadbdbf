# needs: tests/data/colours.*

vivid_start
expect_vivid GREY 320x180 5 white black
