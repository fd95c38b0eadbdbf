# What the tests have in common; read by the shell of each, which runs with -eu in /t.

colours='--model colours.onnx --output jsonl'
efficientnet='--model tf_efficientnet_lite0.plan --output jsonl'

# A run's results and its words: a line of JSON a frame, and the log with the summary.
records=/tmp/records
log=/tmp/log

# On stderr, for it may be said inside $(...).
fail() {
    exec >&2
    echo "failed: $*"
    # Only what the shell says in a test stands on the console otherwise.
    for file in "$log" "$records"; do
        [ ! -s "$file" ] || {
            echo "--- the end of $file"
            tail -n 10 "$file" | cut -c 1-500
        }
    done
    exit 1
}

# wait_for SECONDS WHAT COMMAND ARG...: until the command succeeds. The emulated machine may be slow, so be
# generous.
wait_for() {
    local seconds=$1 what=$2 end
    shift 2
    end=$(($(uptime_seconds) + seconds))
    until "$@"; do
        [ "$(uptime_seconds)" -lt "$end" ] || fail "waited $seconds s in vain for $what"
        sleep 0.1
    done
}

uptime_seconds() {
    cut -d . -f 1 /proc/uptime
}

# -------------------------------------------------------------------------------------------- the program

# classify ARG...: runs to the end; the exit status is in $status.
classify() {
    status=0
    timeout -s KILL 120 ./edge-classify "$@" >"$records" 2>"$log" || status=$?
    ! grep -q panicked "$log" || fail "panicked: $*"
}

# classify_in_background ARG...: its process is $classifier.
classify_in_background() {
    : >"$records"
    ./edge-classify "$@" >"$records" 2>"$log" &
    classifier=$!
}

has_records() {
    [ "$(wc -l <"$records")" -ge "$1" ]
}

log_has() {
    grep -q -e "$1" "$log"
}

has_ended() {
    ! kill -0 "$1" 2>/dev/null
}

# end_with SIGNAL: ends the background run, which must not take long over it nor call it a failure.
end_with() {
    kill "-$1" "$classifier"
    wait_for 10 "the program to end after SIG$1" has_ended "$classifier"
    status=0
    wait "$classifier" || status=$?
    [ "$status" = 0 ] || fail "exit status $status after SIG$1"
    log_has '^classified [0-9]* frames, dropped [0-9]*' || fail "no summary after SIG$1"
}

# expect_frames N: the run ended well with so many results, and says so.
expect_frames() {
    [ "$status" = 0 ] || fail "exit status $status"
    [ "$(grep -c '^{"ts":".*"top":\[{.*}$' "$records")" = "$1" ] || fail "not $1 results"
    [ "$(wc -l <"$records")" = "$1" ] || fail "lines other than results"
    log_has "^classified $1 frames, dropped [0-9]*" || fail "no summary of $1 frames"
}

# The best label of each result, and the index.
labels() {
    sed -n 's/.*"top":\[{[^}]*"label":"\([^"]*\)".*/\1/p' "$records"
}

indices() {
    sed -n 's/.*"top":\[{"index":\([0-9]*\),.*/\1/p' "$records"
}

# expect_label LABEL FRAMES: ended well, with this label for every frame.
expect_label() {
    expect_frames "$2"
    [ "$(labels | grep -cx "$1")" = "$2" ] || fail "not $1 but $(labels | sort | uniq -c | tr -s '\n ' ' ')"
}

# expect_refusal TEXT: the run ended with status 1 and an explanation that has TEXT in it.
expect_refusal() {
    [ "$status" = 1 ] || fail "exit status $status where 1 is due"
    [ ! -s "$records" ] || fail "results from a camera that there is not"
    log_has "$1" || fail "the message does not say $1"
}

# ---------------------------------------------------------------------- vivid, the kernel's test camera

# vivid_start: sets $vivid, and everything about it as this needs it, whatever earlier tests did.
vivid_start() {
    vivid=/dev/$(basename "$(dirname "$(grep -l '^vivid' /sys/class/video4linux/video*/name)")")
    [ -c "$vivid" ] || fail "no vivid"
    [ -s /tmp/vivid-menus ] || v4l2-ctl -d "$vivid" --list-ctrls-menus >/tmp/vivid-menus
    vivid_set contrast 128
    vivid_choose osd_text_mode None
    vivid_choose colorspace sRGB
    vivid_choose quantization Default
}

vivid_set() {
    v4l2-ctl -d "$vivid" --set-ctrl "$1=$2" || fail "vivid's $1 cannot be set to $2"
}

# vivid_choose MENU ENTRY: menus are set by number, and the numbers differ between kernels.
vivid_choose() {
    local number
    number=$(awk -v menu="$1" -v entry="$2" '
        / 0x[0-9a-f]+ \(/ { inside = $1 == menu }
        inside && /^\t/ { number = $1; sub(/^\t+[0-9]+: /, ""); if ($0 == entry) print number + 0 }
    ' /tmp/vivid-menus)
    [ -n "$number" ] || fail "vivid's $1 has no $2"
    vivid_set "$1" "$number"
}

# vivid_show COLOUR: fills the picture with it.
vivid_show() {
    case $1 in
        black) vivid_choose test_pattern '100% Black' ;;
        white) vivid_choose test_pattern '100% White' ;;
        red) vivid_choose test_pattern '100% Red' ;;
        green) vivid_choose test_pattern '100% Green' ;;
        blue) vivid_choose test_pattern '100% Blue' ;;
        *) fail "vivid has no picture of $1" ;;
    esac
}

# expect_vivid FORMAT SIZE FRAMES COLOUR...: the colours are recognised in every frame of that format.
expect_vivid() {
    local format=$1 size=$2 frames=$3 colour
    shift 3
    for colour in "$@"; do
        vivid_show "$colour"
        # shellcheck disable=SC2086 # options
        classify $colours --camera "$vivid" --camera-format "$format" --camera-size "$size" --frames "$frames"
        expect_label "$colour" "$frames"
    done
}

# ------------------------------------------------------------------------------ uvcam, a USB webcam

# uvcam_start ARG...: plugs it in; sets $uvcam (its process), $camera and $metadata (its two nodes).
uvcam_start() {
    ./uvcam "$@" 2>>/tmp/uvcam-log &
    uvcam=$!
    wait_for 60 "the USB camera" uvcam_is_there
}

uvcam_is_there() {
    ! has_ended "$uvcam" || fail "uvcam ended: $(tail -n 1 /tmp/uvcam-log)"
    camera=$(uvcam_node 0) && metadata=$(uvcam_node 1) && [ -c "$camera" ] && [ -c "$metadata" ]
}

# uvcam_node INDEX: a USB camera's first node gives pictures, its second describes them.
uvcam_node() {
    local node
    for node in $(grep -l '^Emulated Webcam' /sys/class/video4linux/video*/name 2>/dev/null); do
        node=$(dirname "$node")
        [ "$(cat "$node/index")" != "$1" ] || {
            echo "/dev/$(basename "$node")"
            return 0
        }
    done
    return 1
}

uvcam_is_gone() {
    ! uvcam_node 0 >/dev/null
}

# uvcam_stop: pulls the plug.
uvcam_stop() {
    kill "$uvcam"
    wait "$uvcam" || true
    wait_for 60 "the USB camera to vanish" uvcam_is_gone
}
