# A thin face over CMake and the scripts in tools/.
.PHONY: all run test bench soak fmt lint setup clean
EXCHANGE ?= sim
LEARN ?= on

all: setup
	cmake --preset release >/dev/null
	cmake --build --preset release

setup:
	@tools/setup.sh

run: all
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
