# needs: tests/data/colours.* tests/camvm/pictures/*.png
#
# The same colours, whatever matrix and range the camera codes them with. The nearest colour's name would hide most
# mistakes; the odds of its score do not, and must be those of a picture file of that colour. Rounding alone moves them
# by 20 %; the wrong matrix doubles them for red and green, the wrong range multiplies them by more for white.

vivid_start

# score_of COLOUR OPTION...
score_of() {
    local colour=$1
    shift
    classify $colours --frames 1 --top-k 9 "$@"
    expect_frames 1
    sed -n 's/.*"label":"'"$colour"'","score":\([-0-9.e]*\).*/\1/p' "$records"
}

same_odds() {
    awk -v a="$1" -v b="$2" 'BEGIN { ratio = (1 - a) / a * b / (1 - b); exit !(ratio > 0.67 && ratio < 1.5) }'
}

# compare COLOUR PICTURE COLORSPACES QUANTIZATION FORMAT...: vivid's colour, coded so, is that of the picture. Colour
# spaces are separated by commas.
compare() {
    local colour=$1 picture=$2 spaces=$3 quantization=$4 space format score reference
    shift 4
    vivid_show "$colour"
    vivid_choose quantization "$quantization"
    reference=$(score_of "$colour" --source "$picture")
    while [ -n "$spaces" ]; do
        space=${spaces%%,*}
        spaces=${spaces#"$space"}
        spaces=${spaces#,}
        vivid_choose colorspace "$space"
        for format in "$@"; do
            score=$(score_of "$colour" --camera "$vivid" --camera-format "$format" --camera-size 320x180)
            same_odds "$score" "$reference" ||
                fail "$colour in $format, $space, $quantization: score $score, that of $picture $reference"
        done
    done
}

all='sRGB,Rec. 709,BT.2020'
for colour in red green white; do
    compare $colour $colour.png "$all" 'Limited Range' YUYV NV12
    compare $colour $colour.png "$all" 'Full Range' YUYV NV12
    # Limited for YCbCr, full for RGB.
    compare $colour $colour.png sRGB Default YUYV NV12 RGB3
done

# Full range taken for limited makes every level more extreme, which levels between black and white alone show. The
# contrast is three quarters of the way from level 16 in the coding, to 235 or 255; this is what it means in RGB.
vivid_set contrast 96
compare white grey195.png "$all" 'Full Range' YUYV NV12
compare white grey191.png sRGB Default YUYV NV12
compare white grey195.png sRGB Default RGB3
compare white grey195.png sRGB 'Full Range' RGB3
compare white grey191.png sRGB 'Limited Range' RGB3
