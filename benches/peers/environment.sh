# Sourced: makes the Python environment of the other runtimes in target/, if it is not there as it should be. $python is
# its interpreter.

environment=target/peers/environment
python=$environment/bin/python
made_from=(benches/peers/requirements.txt benches/peers/pnnx.txt)
if ! cat "${made_from[@]}" | cmp -s - "$environment/made-from"; then
    rm -rf "$environment"
    mkdir -p target/peers
    python3 -m venv "$environment"
    "$environment/bin/pip" install -q -r benches/peers/requirements.txt
    "$environment/bin/pip" install -q --no-deps -r benches/peers/pnnx.txt
    cat "${made_from[@]}" > "$environment/made-from"
fi
