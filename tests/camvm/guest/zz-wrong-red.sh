# needs: tests/data/colours.*
#
# The same colours, whatever matrix and range the camera codes them with. The nearest colour's name would hide most
# mistakes; the odds of its score do not, and must be those of an RGB picture. Rounding alone moves them by 20 %; the
# wrong matrix doubles them for red and green, the wrong range multiplies them by more for white.

vivid_start

# score_of COLOUR FORMAT
score_of() {
    classify $colours --camera "$vivid" --camera-format "$2" --camera-size 320x180 --frames 1 --top-k 9
    expect_frames 1
    sed -n 's/.*"label":"'"$1"'","score":\([-0-9.e]*\).*/\1/p' "$records"
}

same_odds() {
    awk -v a="$1" -v b="$2" 'BEGIN { ratio = (1 - a) / a * b / (1 - b); exit !(ratio > 0.67 && ratio < 1.5) }'
}

# compare COLOUR QUANTIZATION...: in each colour space, with these ranges.
compare() {
    local colour=$1 reference score colorspace quantization format
    shift
    vivid_choose colorspace sRGB
    vivid_choose quantization Default
    vivid_show "$colour"
    reference=$(score_of "$colour" RGB3)
    for colorspace in sRGB 'Rec. 709' BT.2020; do
        vivid_choose colorspace "$colorspace"
        for quantization in "$@"; do
            vivid_choose quantization "$quantization"
            for format in YUYV NV12; do
                score=$(score_of "$colour" "$format")
                same_odds "$score" "$reference" ||
                    fail "$colour in $format, $colorspace, $quantization: score $score, as RGB $reference"
            done
        done
    done
}

vivid_choose y_cbcr_encoding 'Rec. 709'
compare red 'Limited Range' 'Full Range'
compare green 'Limited Range' 'Full Range'
compare white 'Limited Range' 'Full Range'
# Full range taken for limited makes every level more extreme, which levels between black and white alone show.
vivid_set contrast 96
compare white 'Full Range'
