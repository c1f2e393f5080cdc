# Language, warnings and sanitizers: the same for every target.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

option(BTCAST_WERROR "Treat warnings as errors" ON)
set(BTCAST_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined or thread")
option(BTCAST_FUZZ "Build the libFuzzer targets (clang)" OFF)

add_compile_definitions(_GNU_SOURCE BTCAST_VERSION="${PROJECT_VERSION}"
                        BTCAST_SOURCE_DIR="${CMAKE_SOURCE_DIR}" BTCAST_BINARY_DIR="${CMAKE_BINARY_DIR}")
include_directories(${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
# Floating point is a contract (ARCHITECTURE.md, "Numbers"): no contraction the
# source does not ask for.
add_compile_options(-ffp-contract=off -fno-common -fstack-protector-strong -fno-omit-frame-pointer)

set(BTCAST_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wformat=2 -Wimplicit-fallthrough -Wcast-align -Wvla -Wundef -Wdate-time
    -Werror=implicit-function-declaration)
if(BTCAST_WERROR)
    list(APPEND BTCAST_WARNINGS -Werror)
endif()

if(BTCAST_SANITIZE)
    add_compile_options(-fsanitize=${BTCAST_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${BTCAST_SANITIZE})
endif()
if(BTCAST_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping)
    add_link_options(-fprofile-instr-generate)
endif()

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
