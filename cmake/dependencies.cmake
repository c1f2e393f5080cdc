# Libraries from the distribution (docs/dependencies.md says what each is for).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(WEBSOCKETS REQUIRED IMPORTED_TARGET libwebsockets)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
# Headers only: libpq is loaded by the commands that need it (src/edge/postgres/pq_api.h).
find_path(LIBPQ_INCLUDE libpq-fe.h PATH_SUFFIXES postgresql REQUIRED)
include_directories(SYSTEM ${LIBPQ_INCLUDE})
set(LIB_YAML PkgConfig::YAML)
set(LIB_JANSSON PkgConfig::JANSSON)
set(LIB_PROTOBUF_C PkgConfig::PROTOBUF_C)
set(LIB_ZLIB PkgConfig::ZLIB)
set(LIB_WEBSOCKETS PkgConfig::WEBSOCKETS)
set(LIB_HIREDIS PkgConfig::HIREDIS)
set(LIB_CURL PkgConfig::CURL)
set(LIB_CRYPTO PkgConfig::CRYPTO)

# onnx.proto of libonnx-dev, compiled once for the ONNX reader.
find_file(ONNX_PROTO onnx/onnx.proto PATHS /usr/include REQUIRED)
find_program(PROTOC_C NAMES protoc-c REQUIRED)
get_filename_component(ONNX_PROTO_DIR ${ONNX_PROTO} DIRECTORY)
set(ONNX_GEN ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${ONNX_GEN})
add_custom_command(
    OUTPUT ${ONNX_GEN}/onnx.pb-c.c ${ONNX_GEN}/onnx.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${ONNX_GEN} -I${ONNX_PROTO_DIR} onnx.proto
    DEPENDS ${ONNX_PROTO})
add_library(onnx_proto STATIC ${ONNX_GEN}/onnx.pb-c.c)
target_include_directories(onnx_proto SYSTEM PUBLIC ${ONNX_GEN})
target_link_libraries(onnx_proto PUBLIC ${LIB_PROTOBUF_C})

# DuckDB's C header (tools/duckdb.sh fetches it); the library is loaded when it is needed.
if(DEFINED ENV{XDG_CACHE_HOME})
    set(BTCAST_CACHE $ENV{XDG_CACHE_HOME}/btcast)
else()
    set(BTCAST_CACHE $ENV{HOME}/.cache/btcast)
endif()
find_path(DUCKDB_INCLUDE duckdb.h HINTS ${BTCAST_CACHE}/duckdb/include)
if(NOT DUCKDB_INCLUDE)
    message(FATAL_ERROR "duckdb.h is missing: run tools/setup.sh")
endif()
add_library(duckdb_header INTERFACE)
target_include_directories(duckdb_header SYSTEM INTERFACE ${DUCKDB_INCLUDE})
