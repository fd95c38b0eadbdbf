# needs: tests/data/colours.*

classify $colours --camera /dev/video9 --frames 1
expect_refusal '/dev/video9'
