# needs: tests/data/colours.* tests/camvm/pictures/red.png tests/camvm/pictures/green.png tests/camvm/pictures/blue.png

for colour in red green blue; do
    uvcam_start --picture $colour.png
    classify $colours --camera "$camera" --camera-format YUYV --camera-size 640x480 --frames 5
    expect_label $colour 5
    uvcam_stop
done
