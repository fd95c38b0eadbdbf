# needs: tests/data/colours.* tests/camvm/pictures/green.png

uvcam_start --picture green.png --strip-huffman
classify $colours --camera "$camera" --camera-format MJPG --camera-size 640x480 --frames 5
expect_label green 5
uvcam_stop
