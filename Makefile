# The two commands of the README, and their parts.

CARGO ?= cargo
AARCH64 := target/aarch64-toolchain
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: demo test test-rust test-sanitizer test-onnx test-camera test-aarch64 build aarch64 lint setup setup-test
.DEFAULT_GOAL := build

# Classifies the bundled photographs with the bundled model.
demo: build
	target/release/edge-classify --model tf_efficientnet_lite0 --source tests/photos/labelled --output text --top-k 3

test: setup-test test-rust test-sanitizer test-onnx test-camera test-aarch64

build: setup
	$(CARGO) build --release --locked

# Unit and integration tests.
test-rust: setup
	$(CARGO) test --release --locked --workspace

# The kernels, where all unsafe code is, under AddressSanitizer, on every instruction set that this machine has. Frames
# without optimisation are large.
test-sanitizer: setup
	RUST_MIN_STACK=67108864 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(CARGO) test --locked \
		--package edge-classify-kernels --lib --target $(HOST) --target-dir target/sanitizer

# Exported networks in ONNX Runtime; what the comparison with other runtimes computes.
test-onnx: build
	tests/onnxruntime/run.sh
	python3 -m unittest discover benches/peers

# The program in a virtual machine with emulated cameras.
test-camera: setup
	$(CARGO) build --release --locked --workspace
	tests/camvm/run.sh

# The kernels and the same program for 64-bit ARM, under QEMU.
test-aarch64: build aarch64
	. $(AARCH64)/env.sh && $(CARGO) test --release --locked --target aarch64-unknown-linux-gnu --package edge-classify-kernels --lib
	tests/aarch64/run.sh

# Builds for 64-bit ARM without a container engine. With one: cross build --release --target aarch64-unknown-linux-gnu
aarch64: setup
	boards/aarch64-toolchain.sh $(AARCH64)
	. $(AARCH64)/env.sh && $(CARGO) build --release --locked --target aarch64-unknown-linux-gnu --bin edge-classify

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

# v4l generates its bindings with libclang, tract-linalg assembles its kernels with the C compiler, cmake builds libjpeg-turbo.
setup:
	@boards/setup.sh

setup-test:
	@boards/setup.sh test
