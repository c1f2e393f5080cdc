# A thin face over CMake and the scripts in tools/.
.PHONY: all run test bench soak fmt lint setup clean
EXCHANGE ?= sim
LEARN ?= on
RELEASE = cmake --preset release >/dev/null && cmake --build --preset release

all: setup
	$(RELEASE)

setup:
	@tools/setup.sh

# Only the program: the tests and benchmarks around it take longer to build than it does.
run: setup
	$(RELEASE) --target btcast
	build/btcast up --exchange $(EXCHANGE) --learn $(LEARN)

test: setup
	tools/test.sh

bench: all
	tools/bench.sh

soak: all
	tools/soak.sh

fmt:
	find src services sim tests bench -name '*.[ch]' | xargs clang-format -i

lint: setup
	tools/lint.sh

clean:
	rm -rf build build-dev build-tsan build-fuzz
