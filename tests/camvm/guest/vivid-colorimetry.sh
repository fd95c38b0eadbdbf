# needs: tests/data/colours.*
#
# The same picture, whatever matrix and range the camera says it codes it with. Full colours would hide mistakes,
# for they end up beyond the range and are cut back; so the contrast is low, and the nearest colour's score, which
# is then far from 0 and 1, must be that of an RGB picture.

vivid_start
vivid_set contrast 80

# score_of COLOUR FORMAT
score_of() {
    classify $colours --camera "$vivid" --camera-format "$2" --camera-size 320x180 --frames 1 --top-k 9
    expect_frames 1
    sed -n 's/.*"label":"'"$1"'","score":\([-0-9.e]*\).*/\1/p' "$records"
}

for colour in white red green blue; do
    vivid_choose colorspace sRGB
    vivid_choose quantization Default
    vivid_show "$colour"
    reference=$(score_of "$colour" RGB3)
    for colorspace in sRGB 'SMPTE 170M' 'Rec. 709' 'BT.2020'; do
        vivid_choose colorspace "$colorspace"
        for quantization in 'Limited Range' 'Full Range'; do
            vivid_choose quantization "$quantization"
            for format in YUYV NV12; do
                score=$(score_of "$colour" $format)
                echo "$colour $colorspace $quantization $format: $score of $reference"
            done
        done
    done
done
