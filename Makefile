# The two commands of the README, and their parts.

CARGO ?= cargo
AARCH64 := target/aarch64-toolchain
ARMV7 := target/armv7-toolchain
# What runs with a sanitizer and on 32-bit ARM: it is soon built, without tract.
ENGINE := --package edge-classify-kernels --package edge-classify-int8 --package edge-classify-engine --lib
# For ARM, the program that runs plans; with FEATURES=host, all of it. Its own tests are run along with the engine's: Cargo
# would build the engine alone with other features, once more. QEMU's user mode knows no ioctl of a camera.
FEATURES ?= device
FOR_ARM = --release --locked --no-default-features --features $(FEATURES)
TESTS_FOR_ARM = $(FOR_ARM) --package edge-classify $(ENGINE)
SKIPPED := --skip what_is_no_camera
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: demo test test-rust test-sanitizer test-onnx test-camera test-aarch64 test-armv7 test-armv7-program build aarch64 armv7 lint setup setup-test
.DEFAULT_GOAL := build

# Classifies the bundled photographs with the bundled model.
demo: build
	target/release/edge-classify --model tf_efficientnet_lite0 --source tests/photos/labelled --output text --top-k 3

test: setup-test test-rust test-sanitizer test-onnx test-camera test-aarch64 test-armv7

build: setup
	$(CARGO) build --release --locked

# Unit and integration tests.
test-rust: setup
	$(CARGO) test --release --locked --workspace

# The kernels, where all unsafe code is, and the engine with its arena, which calls them, under AddressSanitizer, on every
# instruction set that this machine has. Frames without optimisation are large.
test-sanitizer: setup
	RUST_MIN_STACK=67108864 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(CARGO) test --locked \
		$(ENGINE) --features edge-classify-engine/portable-half --target $(HOST) --target-dir target/sanitizer

# Exported networks in ONNX Runtime; what the comparisons with other runtimes compute.
test-onnx: build
	tests/onnxruntime/run.sh
	python3 -m unittest discover benches/peers
	PYTHONPATH=benches/peers python3 -m unittest discover benches/accuracy

# The program in a virtual machine with emulated cameras.
test-camera: setup
	$(CARGO) build --release --locked --workspace
	tests/camvm/run.sh

# For 64-bit ARM under QEMU, on cores without fp16 and with it (where chains of layers tell no more), and on one that also
# multiplies matrices of bytes.
test-aarch64: build aarch64
	. $(AARCH64)/env.sh && $(CARGO) test $(TESTS_FOR_ARM) --target aarch64-unknown-linux-gnu -- $(SKIPPED)
	. $(AARCH64)/env.sh && \
		CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu cortex-a76 -L $(abspath $(AARCH64))/cortex-a76" \
		$(CARGO) test $(TESTS_FOR_ARM) --target aarch64-unknown-linux-gnu -- $(SKIPPED) --skip bands_change
	. $(AARCH64)/env.sh && \
		CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu max -L $(abspath $(AARCH64))/cortex-a76" \
		$(CARGO) test $(TESTS_FOR_ARM) --target aarch64-unknown-linux-gnu -- $(SKIPPED) --skip bands_change
	tests/arm/run.sh aarch64 $(AARCH64) $(FEATURES)

# The engine for 32-bit ARM.
test-armv7: setup
	boards/arm-toolchain.sh armv7 $(ARMV7)
	. $(ARMV7)/env.sh && $(CARGO) test --release --locked $(ENGINE) --target armv7-unknown-linux-gnueabihf

# All of the program for 32-bit ARM: before a release, as it takes a quarter of an hour.
test-armv7-program: build armv7
	. $(ARMV7)/env.sh && $(CARGO) test $(TESTS_FOR_ARM) --target armv7-unknown-linux-gnueabihf -- $(SKIPPED)
	tests/arm/run.sh armv7 $(ARMV7) $(FEATURES)

# Builds for ARM without a container engine. With one: cross build --release --target aarch64-unknown-linux-gnu
aarch64: setup
	boards/arm-toolchain.sh aarch64 $(AARCH64)
	. $(AARCH64)/env.sh && $(CARGO) build $(FOR_ARM) --bin edge-classify --target aarch64-unknown-linux-gnu

armv7: setup
	boards/arm-toolchain.sh armv7 $(ARMV7)
	. $(ARMV7)/env.sh && $(CARGO) build $(FOR_ARM) --bin edge-classify --target armv7-unknown-linux-gnueabihf

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release --locked --no-default-features --features device --lib --bins \
		--bench instructions -- -D warnings

# v4l generates its bindings with libclang, tract-linalg assembles its kernels with the C compiler, cmake builds libjpeg-turbo.
setup:
	@boards/setup.sh

setup-test:
	@boards/setup.sh test
